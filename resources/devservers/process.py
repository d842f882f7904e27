"""Child processes that never outlive their parent and are stopped only by their own id."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from resources.errors import ErrorCode, I2VError

# Runs in the child before the program: asks the kernel for a signal when the parent dies, then becomes the program. It
# is a process of its own instead of subprocess' preexec_fn, which can deadlock in a parent with threads. On a system
# without prctl (macOS) the child relies on the parent's `stop`. The parent may have died in between: hence getppid.
# Changing the user comes before the request, because it clears the death signal, and after the imports, because that
# user may not be able to read Python's library.
_GUARD = """
import os, sys
parent, death_signal, user, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
if sys.platform == "linux":
    import ctypes
    library = ctypes.CDLL(None, use_errno=True)
if user:
    import pwd
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    library.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
os.execvpe(program[0], program, os.environ)
"""

STOP_SECONDS = 10.0
"""Seconds that a child may take to end after the first signal before it is killed."""


class ServerNotStarted(I2VError):
    """An embedded server did not start; the message ends with the last lines of its log."""

    code = ErrorCode.SERVER_NOT_STARTED


class _Launcher:
    """Starts every child from one thread that lives as long as this process.

    The kernel ties the death signal to the thread that forked, not to the process: a server started from a short-lived
    thread would end with that thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._pool = None

    def run(self, start: "Callable[[], subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-launcher")
            pool = self._pool
        return pool.submit(start).result()


_launcher = _Launcher()


def stop_together(children: "Sequence[ChildProcess]", seconds: float = STOP_SECONDS) -> None:
    """Stop several children and all their descendants at the same time.

    Each child's whole group gets its signal at once, so that no child's own way of ending its children is waited for.
    What is left of a group after ``seconds`` is killed.
    """
    deadline = time.monotonic() + seconds
    left = {child.pid: child for child in children}
    for child in children:
        _signal_group(child.pid, child._stop_signal)
    while left:
        left = {pid: child for pid, child in left.items() if child.process.poll() is None or _group_lives(pid)}
        if time.monotonic() > deadline:
            break
        time.sleep(0.03)  # grandchildren cannot be waited for
    for pid, child in left.items():
        _signal_group(pid, signal.SIGKILL)
        child.process.wait()
    for child in children:
        atexit.unregister(child.stop)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _group_lives(group: int) -> bool:
    """Return True while a process of the group runs; zombies do not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    if sys.platform != "linux":
        return True
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(") ")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if int(its_group) == group and state not in "ZX":
            return True
    return False


class ChildProcess:
    """A program in its own process group (Ctrl-C reaches only the parent, which stops its children in order).

    Args:
        arguments: the program and its arguments.
        log: file that the program's output is appended to.
        environment: the whole environment of the child; None passes on this process' own.
        folder: working directory of the child.
        stop_signal: the signal to stop it; the kernel also sends it when this process dies.
        user: user to become (needs root); empty keeps the user.
        output: file that gets stdout alone (from its beginning); None sends it to the log too.
        keep_open: file descriptors that the child inherits, such as a lock's.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str = "",
        output: Path | None = None,
        keep_open: Sequence[int] = (),
    ) -> None:
        self.log = log
        self.name = Path(arguments[0]).name
        self._stop_signal = stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), str(int(stop_signal)), user, *arguments]
        with contextlib.ExitStack() as files:
            sink = files.enter_context(log.open("ab"))
            stdout = sink if output is None else files.enter_context(output.open("wb"))

            def start() -> "subprocess.Popen[bytes]":
                return subprocess.Popen(
                    guard,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=sink,
                    env=dict(os.environ if environment is None else environment),
                    cwd=folder,
                    process_group=0,
                    pass_fds=keep_open,
                )

            self.process = _launcher.run(start)
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """Return the process id, also after the end."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Return True until the child has ended."""
        return self.process.poll() is None

    def wait(self, seconds: float) -> int:
        """Wait for the child to end by itself and return its exit code.

        Raises:
            ServerNotStarted: it did not end in time and was stopped.
        """
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ServerNotStarted(f"{self.name} did not end within {seconds:.0f} s. {self.log_tail()}") from None
        atexit.unregister(self.stop)
        return code

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait until ``ready()`` returns True.

        Args:
            ready: called every 30 ms (a small part of the second that the servers need).
            seconds: deadline.
            what: the server's name in the error.

        Raises:
            ServerNotStarted: the child ended or the deadline passed; the child was stopped.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self.process.poll()
            if code is not None or time.monotonic() > deadline:
                ended = f"ended with code {code}" if code is not None else f"did not answer within {seconds:.0f} s"
                self.stop()
                raise ServerNotStarted(f"{what} {ended}. {self.log_tail()}", remedy=f"Its whole log is {self.log}.")
            time.sleep(0.03)

    def log_tail(self, lines: int = 8) -> str:
        """Return the last lines of the log, on one line."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "It wrote no log."
        return "Last log lines: " + " | ".join(text.splitlines()[-lines:])

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop the child by its own id: its stop signal first, SIGKILL after ``seconds``. May be called again."""
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.send_signal(self._stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                # The whole group, because a killed parent cannot stop its own children; the group belongs to this child
                # alone.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
