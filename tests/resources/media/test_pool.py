"""Files that cost a decoder without limits gigabytes or minutes end as a refusal by name, and delay nobody."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.media.errors import MediaBug, OverLimit, Unreadable
from resources.media.limits import HEADER_AND_STILL, WorkLimits
from resources.media.pool import MediaPool
from resources.media.scan import scan_media

sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile_media import BUILDERS, mp4, scan_bomb

HEAVY = ("tracks-8000.mp4", "giant-palette.png", "text-many.png", "text-iCCP.png", "scans-many.jpeg")
"""What takes a second to write; the benchmark has them."""

DELIVERABLE = {"voice-samples.mp4", "voice-samples.m4a", "hours-torn.wav"}
"""Short sounds with a wrong header: they are read as far as they go, and too short for any route."""


def environment() -> dict[str, str]:
    return dict(os.environ)


def descriptors() -> list[str]:
    found = Path("/proc/self/fd") if sys.platform == "linux" else Path("/dev/fd")
    return sorted(str(each.readlink()) for each in found.iterdir() if each.exists())


def take(size: int) -> int:
    return len(bytes(size))


def spin(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def wait_for(path: Path) -> bool:
    while not path.exists():
        time.sleep(0.01)
    return True


def spin_and_say_where(seconds: float) -> int:
    spin(seconds)
    return os.getpid()


@pytest.fixture(scope="module")
def pool() -> Iterator[MediaPool]:
    with MediaPool() as opened:
        yield opened


def test_a_burst_of_quick_files_starts_no_more_processes_than_there_are_cores() -> None:
    with MediaPool(cores=2) as own:
        found = [own.submit(spin_and_say_where, 0.02, limits=HEADER_AND_STILL) for _ in range(12)]
        assert len({each.result() for each in found}) <= 2


def test_a_quick_file_passes_long_work_though_it_has_taken_all_cores(tmp_path: Path) -> None:
    long = WorkLimits("measure", 60.0)
    with MediaPool(cores=1) as own:
        ended = tmp_path / "ended"
        waiting = [own.submit(wait_for, ended, limits=long) for _ in range(2)]
        assert own.submit(take, 3, limits=HEADER_AND_STILL).result() == 3
        assert not any(each.done() for each in waiting)
        ended.touch()
        assert [each.result() for each in waiting] == [True, True]


def test_there_are_enough_kinds() -> None:
    assert len(BUILDERS) >= 48


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in HEAVY])
def test_a_hostile_file_is_refused_by_name(name: str, pool: MediaPool, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BUILDERS[name]())
    job = pool.submit(scan_media, path, name, 5000, 160, limits=HEADER_AND_STILL, name=name)
    if name in DELIVERABLE:
        assert job.result().facts.size_bytes == path.stat().st_size
        return
    with pytest.raises(Unreadable) as caught:
        job.result()
    assert name in caught.value.message
    assert caught.value.remedy


def test_good_files_go_before_slow_ones(pool: MediaPool, samples: Path) -> None:
    """The one worker for quick files is left by whatever turns out slow."""
    slow_limits = WorkLimits("open", 4.0, quick=True)
    ended: list[str] = []
    slow = [pool.submit(spin, 60.0, limits=slow_limits, name=f"slow-{number}") for number in range(3)]
    good = [
        pool.submit(scan_media, samples / "pet.jpg", "pet.jpg", 5000, 160, limits=HEADER_AND_STILL) for _ in range(6)
    ]
    for number, each in enumerate((*slow, *good)):
        each.add_done_callback(lambda _, name="slow" if number < 3 else "good": ended.append(name))
    assert all(each.result().facts.width for each in good)
    for each in slow:
        with pytest.raises(OverLimit, match="more than 4 s of CPU to open"):
            each.result()
    assert ended == ["good"] * 6 + ["slow"] * 3


def test_a_process_has_no_secret_and_no_descriptor_of_its_parent(
    pool: MediaPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", "marked-secret")
    with (tmp_path / "open.txt").open("w") as opened, MediaPool(workers=1) as own:
        os.set_inheritable(opened.fileno(), True)
        assert "marked-secret" not in json.dumps(own.run(environment, limits=HEADER_AND_STILL))
        assert not [each for each in own.run(descriptors, limits=HEADER_AND_STILL) if "open.txt" in each]


def test_memory_is_a_limit_that_is_named(pool: MediaPool) -> None:
    with pytest.raises(OverLimit, match=r"a\.png needs more than 1 GB to open"):
        pool.run(take, 2 * 1024**3, limits=HEADER_AND_STILL, name="a.png")
    assert pool.run(take, 1000, limits=HEADER_AND_STILL) == 1000


def test_an_unforeseen_error_is_a_bug_and_says_no_words_of_its_own(pool: MediaPool) -> None:
    with pytest.raises(MediaBug, match="a bug in i2v-assets") as caught:
        pool.run(int, "uploads/somebody-elses.png", limits=HEADER_AND_STILL, name="a.png")
    assert "somebody" not in caught.value.message


def test_an_answer_can_hold_nothing_that_runs(pool: MediaPool) -> None:
    """A decoder that was taken over could send a pickle that starts a program."""
    from resources.media.errors import MeasuringFailed

    with pytest.raises(MeasuringFailed):
        pool.run(evil, limits=WorkLimits("open", 5.0, wall_seconds=20.0), name="a.png")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 7",)


def evil() -> Evil:
    return Evil()


def test_the_builders_say_what_they_are() -> None:
    assert len(mp4(samples=1 << 28)) < 5_000
    assert scan_bomb(64, 64, 500).count(b"\xff\xda") >= 500
