"""All files of `tests/hostile_media.py` beside thirty good ones in the pool: how long each takes, in which order the good ones end, and memory.

The good files are read twice, alone and among the hostile ones; compared are their CPU, their order, and the end of the last
one. It ends with 1 if a hostile file is not refused by name, takes more than 30 s of its turn, if this process takes more
than 600 MB, or if the good files take more than 1.1 times the CPU that they take without the pool. On a busy machine the times
say nothing.

Usage: python -m benchmarks.hostile [--only-cpu]
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hostile_media import write_all

from benchmarks.workload import Meter
from resources.media.errors import Unreadable
from resources.media.limits import HEADER_AND_STILL
from resources.media.pool import MediaPool
from resources.media.scan import scan_media

SAMPLES = Path(__file__).parents[1] / "i2v_assets" / "samples"
GOOD = 30
MOST_SECONDS = 30.0
MOST_MEGABYTES = 600
MOST_CPU_RATIO = 1.1
CPU_ROUNDS = 5
"""Times that the good files are read for their CPU, in turn with and without the pool; the medians are compared."""
SHORT_SOUNDS = {"voice-samples.mp4", "voice-samples.m4a", "hours-torn.wav"}
"""Read as far as they go, and refused by every route for their length."""


def read(paths: Sequence[Path], good: set[Path]) -> tuple[list[Path], float, list[str]]:
    """Return the order in which the good files ended, the seconds until the last one, and what went wrong."""
    ended: list[Path] = []
    wrong: list[str] = []
    began = time.monotonic()
    last = began
    with MediaPool() as pool:
        jobs = []
        for path in paths:
            job = pool.submit(scan_media, path, path.name, 5000, 160, limits=HEADER_AND_STILL, name=path.name)
            if path in good:
                job.add_done_callback(lambda _, path=path: ended.append(path))
            jobs.append((path, job))
        for path, job in jobs:
            if path in good:
                job.result()
                last = time.monotonic()
        for path, job in jobs:
            if path not in good and path.name not in SHORT_SOUNDS:
                try:
                    job.result()
                    wrong.append(f"{path.name} was read")
                except Unreadable as error:
                    if path.name not in error.message:
                        wrong.append(f"{path.name} is not named: {error.message}")
    return ended, last - began, wrong


def turns(paths: Sequence[Path]) -> list[str]:
    """Return the files that take longer than they may when it is their turn."""
    slow = []
    with MediaPool() as pool:
        for path in paths:
            began = time.monotonic()
            job = pool.submit(scan_media, path, path.name, 5000, 160, limits=HEADER_AND_STILL, name=path.name)
            job.exception()
            took = time.monotonic() - began
            print(f"{took:6.2f} s  {path.name}")
            if took > MOST_SECONDS:
                slow.append(f"{path.name} took {took:.1f} s")
    return slow


def cpu_ratio(good: Sequence[Path]) -> float:
    """Return the CPU of reading the good files in a pool that is up, with its processes, in times of reading them right here."""

    def alone() -> None:
        for path in good:
            scan_media(path, path.name, 5000, 160)

    def pooled() -> None:
        jobs = [
            pool.submit(scan_media, path, path.name, 5000, 160, limits=HEADER_AND_STILL, name=path.name)
            for path in good
        ]
        for job in jobs:
            job.result()

    spent: dict[str, list[float]] = {"alone": [], "pooled": []}
    before = Meter.whole_process()
    with MediaPool() as pool:
        pooled()
        started = Meter.whole_process() - before
        alone()
        for _ in range(CPU_ROUNDS):
            for name, work in (("alone", alone), ("pooled", pooled)):
                before = Meter.whole_process()
                work()
                spent[name].append(Meter.whole_process() - before)
    here, there = (statistics.median(spent[name]) for name in ("alone", "pooled"))
    print(f"CPU of the good files: {here:.2f} s here, {there:.2f} s in the pool: {there / here:.2f} x")
    print(f"the first time in the pool, with the start of its processes: {started:.2f} s")
    return there / here


def main() -> int:
    """Measure, print, and return the exit code."""
    if "--only-cpu" in sys.argv[1:]:
        with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder:
            return 1 if cpu_ratio([_copy(Path(folder), number) for number in range(GOOD)]) > MOST_CPU_RATIO else 0
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder:
        hostile = list(write_all(Path(folder) / "hostile"))
        good = [_copy(Path(folder), number) for number in range(GOOD)]
        alone, alone_seconds, _ = read(good, set(good))
        mixed = [path for pair in zip(hostile, good, strict=False) for path in pair] + hostile[GOOD:]
        among, among_seconds, wrong = read(mixed, set(good))
        wrong += turns(hostile)
        if (ratio := cpu_ratio(good)) > MOST_CPU_RATIO:
            wrong.append(f"{ratio:.2f} times the CPU with the pool")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(hostile)} hostile and {len(good)} good files; this process took {megabytes:.0f} MB at most")
    print(f"the last good file: {alone_seconds:.1f} s alone, {among_seconds:.1f} s among the hostile ones")
    print(f"good files in the same order: {'yes' if alone == among else 'nearly: three work at once'}")
    if megabytes > MOST_MEGABYTES:
        wrong.append(f"{megabytes:.0f} MB")
    print("\n".join(wrong) or "all refused by name")
    return 1 if wrong else 0


def _copy(folder: Path, number: int) -> Path:
    source = sorted(SAMPLES.glob("*.jpg"))[number % len(list(SAMPLES.glob("*.jpg")))]
    path = folder / f"good-{number:02d}.jpg"
    path.write_bytes(source.read_bytes())
    return path


if __name__ == "__main__":
    sys.exit(main())
