"""Count the project files that one loose image runs through, from the uploads sensor's tick to `delivered`.

A real S3 server and a real sandbox run beside one process, in which a profiler (`sys.setprofile`, also in the threads that
start meanwhile) sees every call. It counts

* files: the project files in which at least one function was called;
* entries: calls of functions in the clip pipeline's file whose nearest project caller is not that file. Each time the
  event loop resumes the clip's coroutine after a wait is an entry, and so is a function that runs in a worker thread;
* calls out: calls from the pipeline's file into another project file, or into a dataclass' generated `__init__`. A
  resumed coroutine is not counted again.

Not counted: code that runs while a module is imported (alembic runs the migrations while it imports `env.py`, so a new ledger
gives the same figures as a migrated one), the sandbox, the embedded servers, and the measuring pool's processes.

At bc1fb0b: 107 files, 17 entries (13 of them resumed), 20 calls out (19 in the main thread: fits the redesign's 19). What was
built since (the second witness, quotes, the media pool, doubts) made it 149 files. Without half ideas in files of their own, and
without a call into a room that has nothing to do with one loose image, it is 95 files, 10 entries and 7 calls out.

Usage: python -m benchmarks.walk [--files]
"""

import argparse
import inspect
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FrameType

from resources.devservers.start import environment, start_s3, start_sandbox
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry
from resources.settings import load_settings
from resources.storage.bucket import Bucket

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "i2v_assets" / "samples" / "product.webp"
COUNTED, LEFT_OUT = ("i2v_assets/", "resources/"), ("resources/sandbox/", "resources/devservers/")
PIPELINE = "i2v_assets/pipeline/clip.py"
MOST_FILES, MOST_ENTRIES, MOST_RETURNS = 95, 10, 10
"""Limits: a reader follows one clip without climbing back. 107, 17 and 20 before the modules moved into rooms."""


class Walk:
    """Count files, entries and calls out; an instance is the profiler."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}  # in the order of their first call
        self.entries = self.resumed = self.calls_out = 0
        self._file_of: dict[CodeType, str | None] = {}
        self._seen: set[FrameType] = set()  # tells resumed calls from new ones

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Count one profiler event."""
        if event != "call":
            return
        file = self._file(frame.f_code)
        if file is None and not self._generated(frame):
            return
        caller = next(filter(None, (self._file(up.f_code) for up in _stack(frame.f_back))), None)
        crosses = file != caller and PIPELINE in {file, caller}
        if not crosses and (file is None or file in self.files):
            return
        if any(up.f_code.co_name == "<module>" and up.f_globals.get("__name__") != "__main__" for up in _stack(frame)):
            return  # a module is being imported
        if file is not None:
            self.files[file] = None
        if crosses:
            resumed = frame in self._seen
            self._seen.add(frame)
            self.entries += file == PIPELINE
            self.resumed += file == PIPELINE and resumed
            self.calls_out += caller == PIPELINE and not resumed

    def _file(self, code: CodeType) -> str | None:
        """Return the project file of a function; None for other code and for the bodies of modules and classes."""
        if code not in self._file_of:
            name = code.co_filename.removeprefix(f"{ROOT}/")
            counts = name.startswith(COUNTED) and not name.startswith(LEFT_OUT) and code.co_flags & inspect.CO_OPTIMIZED
            self._file_of[code] = name if counts else None
        return self._file_of[code]

    def _generated(self, frame: FrameType) -> bool:
        """Return whether the pipeline's file itself called code that a dataclass generated."""
        below = frame.f_back
        return frame.f_code.co_filename == "<string>" and below is not None and self._file(below.f_code) == PIPELINE

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Profile this thread and the threads that start meanwhile."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame, its caller, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def measure(folder: Path, stack: ExitStack) -> Walk:
    """Make one clip under the profiler and return the counts.

    Raises:
        SystemExit: the clip was not delivered.
    """
    sandbox = stack.enter_context(start_sandbox(folder / "sandbox", generation_seconds=0.2, render="cached"))
    s3 = stack.enter_context(start_s3(folder / "s3"))
    os.environ.update(environment(s3, sandbox, bucket="walk", data_dir=folder / "data", settle_seconds=0))
    settings = load_settings()
    bucket = Bucket.from_settings(settings)
    bucket.ensure()
    bucket.upload(SAMPLE, f"uploads/{SAMPLE.name}", "image/webp")
    import dagster as dg  # only now: the definitions read the settings as they are loaded

    from benchmarks.run_dagster import requested
    from i2v_assets.definitions import defs

    walk, instance = Walk(), stack.enter_context(dg.DagsterInstance.ephemeral())
    with walk.watching():
        for tags in requested(instance):
            defs.resolve_job_def("make_clips_job").execute_in_process(instance=instance, tags=dict(tags))
    with Ledger.open(settings.ledger_address) as ledger:
        states = [row.state for row in Registry(ledger.database).list()]
    if states != [ClipState.DELIVERED]:
        raise SystemExit(f"One delivered clip was expected, not {states}.")
    return walk


def main(words: Sequence[str] | None = None) -> int:
    """Print the counts, and the files if asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", action="store_true", help="list the files in the order of their first call")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, ExitStack() as stack:
        walk = measure(Path(folder), stack)
    if given.files:
        print("\n".join(walk.files))
    print(f"{len(walk.files)} project files; at most {MOST_FILES}")
    print(f"{walk.calls_out} times out of {PIPELINE} and back; at most {MOST_RETURNS}")
    print(
        f"{walk.entries} entries from its callers, {walk.resumed} of them by the event loop after a wait;"
        f" at most {MOST_ENTRIES}"
    )
    over = len(walk.files) > MOST_FILES or walk.entries > MOST_ENTRIES or walk.calls_out > MOST_RETURNS
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
