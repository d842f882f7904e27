import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest

from resources.devservers.start import ChildProcess, ServerNotStarted, stop_together

SLEEPER = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    *(sys.executable, "-S", "-c"),
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def up(child):
    child.wait_until(lambda: b"up" in child.log.read_bytes(), seconds=10, what="The child")
    return child


def test_a_stop_sends_the_stop_signal_first(tmp_path):
    with up(ChildProcess(SLEEPER, log=tmp_path / "log")) as child:
        assert child.running
        assert os.getpgid(child.pid) == child.pid
    assert child.process.returncode == -signal.SIGTERM
    child.stop()


def test_stubborn_children_are_killed(tmp_path):
    child = up(ChildProcess(STUBBORN, log=tmp_path / "log"))
    child.stop(seconds=0.1)
    assert child.process.returncode == -signal.SIGKILL


def parent_of(*grandchild):
    """A child that starts another one, prints its id, and leaves it alone at its own end."""
    code = (
        f"import subprocess, time; print(subprocess.Popen({list(grandchild)!r}).pid, 'up', flush=True); time.sleep(600)"
    )
    return [sys.executable, "-S", "-c", code]


def test_several_children_stop_together_with_their_descendants(tmp_path):
    children = [up(ChildProcess(parent_of(*SLEEPER), log=tmp_path / f"log-{number}")) for number in range(2)]
    grandchildren = [int(child.log.read_text().split()[0]) for child in children]
    stop_together(children, seconds=20)
    assert [child.process.returncode for child in children] == [-signal.SIGTERM] * 2
    assert all(gone(pid) for pid in grandchildren)
    stop_together(children)


def test_a_child_that_does_not_end_in_time_is_killed_with_its_descendants(tmp_path):
    child = up(ChildProcess(parent_of(*STUBBORN), log=tmp_path / "log"))
    until(lambda: child.log.read_text().count("up") == 2)
    grandchild = int(next(line for line in child.log.read_text().splitlines() if line.endswith(" up")).split()[0])
    stop_together([child], seconds=0.3)
    until(lambda: gone(grandchild))
    assert child.process.returncode == -signal.SIGTERM


def test_stops_when_the_block_fails(tmp_path):
    with pytest.raises(KeyError), ChildProcess(SLEEPER, log=tmp_path / "log") as child:
        raise KeyError
    assert not child.running


def test_outlives_the_thread_that_started_it(tmp_path):
    started = []
    thread = threading.Thread(target=lambda: started.append(up(ChildProcess(SLEEPER, log=tmp_path / "log"))))
    thread.start()
    thread.join()
    with started[0] as child, pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.3)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_never_outlives_its_parent(tmp_path, how):
    code = f"""
        from pathlib import Path
        from resources.devservers.start import ChildProcess
        child = ChildProcess({SLEEPER!r}, log=Path({str(tmp_path / "log")!r}))
        child.wait_until(lambda: b"up" in child.log.read_bytes(), seconds=10, what="The child")
        print(child.pid, flush=True)
        child.wait(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.send_signal(how)
        parent.wait(10)
    until(lambda: gone(pid))


def test_forgotten_children_end_with_the_interpreter(tmp_path):
    code = f"""
        from pathlib import Path
        from resources.devservers.start import ChildProcess
        print(ChildProcess({SLEEPER!r}, log=Path({str(tmp_path / "log")!r})).pid)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, timeout=20, check=True)
    until(lambda: gone(int(done.stdout)))


def test_an_early_end_reports_the_log(tmp_path):
    child = ChildProcess([sys.executable, "-c", "print('the reason'); exit(3)"], log=tmp_path / "log")
    with pytest.raises(ServerNotStarted, match=r"The thing ended with code 3.*the reason") as caught:
        child.wait_until(lambda: False, seconds=10, what="The thing")
    assert str(tmp_path / "log") in caught.value.remedy


def test_a_child_that_never_answers_fails_at_the_deadline(tmp_path):
    child = ChildProcess(SLEEPER, log=tmp_path / "log")
    with pytest.raises(ServerNotStarted, match="The thing did not answer within 0 s"):
        child.wait_until(lambda: False, seconds=0.1, what="The thing")
    assert not child.running


def test_missing_program(tmp_path):
    child = ChildProcess([str(tmp_path / "none")], log=tmp_path / "log")
    with pytest.raises(ServerNotStarted, match="FileNotFoundError"):
        child.wait_until(lambda: False, seconds=10, what="The thing")


def test_waiting_ends_at_the_deadline(tmp_path):
    assert ChildProcess([sys.executable, "-c", "exit(4)"], log=tmp_path / "log").wait(10) == 4
    child = ChildProcess(SLEEPER, log=tmp_path / "log")
    with pytest.raises(ServerNotStarted, match="did not end within 0 s"):
        child.wait(0.1)
    assert not child.running


def test_output_apart_from_the_log(tmp_path):
    program = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"]
    ChildProcess(program, log=tmp_path / "log", output=tmp_path / "out").wait(10)
    assert ((tmp_path / "out").read_text(), (tmp_path / "log").read_text()) == ("out\n", "err\n")
