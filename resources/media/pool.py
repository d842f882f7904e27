"""The one pool of processes in which strangers' bytes are decoded, with limits and without secrets.

Three kinds of work go through it: header and still, measure, prepare (`resources.media.limits`). Every process works on
one file at a time, so a file that ends its process ends nothing else. A worker is kept for quick files: one that turns
out slow is ended after two seconds and begins again among the slow ones, behind everything else.
"""

import asyncio
import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from resources.media.errors import MeasuringFailed, OverLimit
from resources.media.limits import LONGEST_SECONDS, PIXELS_OF_4K, QUICK_SECONDS, WorkLimits
from resources.media.quality.model import Expectation, Measures
from resources.media.worker_process import ProcessDied, WorkerProcess, error_of

if TYPE_CHECKING:
    from resources.media.is_video import Examined

R = TypeVar("R")

_IDLE_SECONDS = 20.0
"""After which a process without work ends; the next file starts another, in half a second."""


@dataclass
class _Job:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    limits: WorkLimits
    name: str
    on_slow: Callable[[], None]
    future: "Future[Any]" = field(default_factory=Future)


class MediaPool:
    """Runs functions of the project on files in processes of their own.

    Args:
        workers: Processes for any work.
        quick_workers: Processes that are kept for quick files.
        cores: Processes that make quick files quicker; those of the machine unless it is given.

    A process that dies without having hit a limit gets its file once more, alone among such files: if it dies again,
    the work fails with ``MeasuringFailed``, which refuses nothing. A limit that was hit raises ``OverLimit``.
    """

    def __init__(self, workers: int = 2, quick_workers: int = 1, cores: int | None = None) -> None:
        self._ready = threading.Condition()
        self._quick: deque[_Job] = deque()
        self._normal: deque[_Job] = deque()
        self._slow: deque[_Job] = deque()
        self._idle = Counter[tuple[bool, bool]]()
        """Lanes without work, by whether they are kept for quick files and whether their process runs."""
        self._at_quick = 0
        """Lanes that work on a quick file."""
        self._cores = cores or _cores()
        self._closed = False
        self._alone = threading.Lock()
        self._kinds = [False] * workers + [True] * quick_workers
        self._lanes: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the processes after the running work; what waits is cancelled."""
        with self._ready:
            self._closed = True
            for waiting in (self._quick, self._normal, self._slow):
                while waiting:
                    waiting.popleft().future.cancel()
            self._ready.notify_all()
        for lane in self._lanes:
            lane.join()

    def submit(
        self,
        work: Callable[..., R],
        *arguments: Any,
        limits: WorkLimits,
        name: str = "the file",
        on_slow: Callable[[], None] = lambda: None,
    ) -> "Future[R]":
        """Queue a function of a module (it and its arguments are pickled) and return its future.

        Args:
            work: the function.
            arguments: its arguments.
            limits: what it may cost.
            name: the file's name for people.
            on_slow: called when a quick file turns out slow.

        Raises:
            MeasuringFailed: the pool is closed.
        """
        # A process has a folder of its own, so that a relative path would be another file there.
        arguments = tuple(each.absolute() if isinstance(each, Path) else each for each in arguments)
        job = _Job(work, arguments, limits, name, on_slow)
        with self._ready:
            if self._closed:
                raise MeasuringFailed("The pool is closed.", remedy="Open a new one.")
            if not self._lanes:
                self._lanes = [threading.Thread(target=self._lane, args=(kind,), daemon=True) for kind in self._kinds]
                for lane in self._lanes:
                    lane.start()
            (self._quick if limits.quick else self._normal).append(job)
            self._ready.notify_all()
        return job.future

    def run(self, work: Callable[..., R], *arguments: Any, limits: WorkLimits, name: str = "the file") -> R:
        """Run a function of a module in a process and return its result.

        Raises:
            OverLimit: the file hit a limit; MeasuringFailed: the process died twice on it; MediaBug: an unforeseen error.
        """
        return self.submit(work, *arguments, limits=limits, name=name).result()

    async def run_async(
        self,
        work: Callable[..., R],
        *arguments: Any,
        limits: WorkLimits,
        name: str = "the file",
        on_slow: Callable[[], None] = lambda: None,
    ) -> R:
        """Do the same for an event loop; none of its threads waits.

        Raises:
            OverLimit: the file hit a limit; MeasuringFailed: the process died twice on it; MediaBug: an unforeseen error.
        """
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the run has ended, and its loop is closed
                loop.call_soon_threadsafe(on_slow)

        return await asyncio.wrap_future(self.submit(work, *arguments, limits=limits, name=name, on_slow=tell))

    async def measure(self, video: Path, expectation: Expectation) -> Measures:
        """Return all figures of a local video.

        Raises:
            MeasuringFailed: the process died twice on it; OverLimit: it takes too much.
            Unreadable: the voice or the source image cannot be read.
        """
        from resources.media.quality.measuring import measure

        limits = measuring_limits(video, expectation)
        return await self.run_async(measure, video, expectation, limits=limits, name="The video")

    async def examine(self, path: Path) -> "Examined":
        """Return what a local file is. A limit refuses no download: what begins like a video then counts as one.

        It is kept under its own key, and whatever decodes it next reports it and holds its clip.
        """
        from resources.media.is_video import examine, examine_start

        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            limits = scaled("look at", size_bytes=size, pixels=PIXELS_OF_4K)
            return await self.run_async(examine, path, limits=limits, name="The video")
        except (OverLimit, MeasuringFailed):
            return await asyncio.to_thread(examine_start, path)

    # Lanes

    def _lane(self, quick_only: bool) -> None:
        process = WorkerProcess()
        try:
            while (job := self._take(process, quick_only)) is not None:
                try:
                    if job.future.set_running_or_notify_cancel():
                        self._do(process, job)
                finally:
                    with self._ready:
                        self._at_quick -= job.limits.quick
        finally:
            process.end()

    def _take(self, process: WorkerProcess, quick_only: bool) -> _Job | None:
        with self._ready:
            while True:
                if self._closed:
                    return None
                if waiting := self._next(quick_only, process.runs):
                    job = waiting.popleft()
                    self._at_quick += job.limits.quick
                    if self._quick:  # whoever left one to this lane looks again
                        self._ready.notify_all()
                    return job
                lane = quick_only, process.runs
                self._idle[lane] += 1
                notified = self._ready.wait(timeout=_IDLE_SECONDS)
                self._idle[lane] -= 1
                if not notified:
                    process.end()
                    self._ready.notify_all()  # whoever left a job to it looks again

    def _next(self, quick_only: bool, runs: bool) -> "deque[_Job] | None":
        """Return the queue whose job a lane takes; it leaves one to an idle lane whose process runs if its own does not.

        A process takes a third of a second of CPU to start, ten times what a quick file takes. Lanes for any work leave quick
        files to the idle ones that are kept for them, and start no more processes for them than the machine has cores: each has
        50 MB of its own.
        """
        idle = self._idle[False, True]
        running = 0 if runs else idle
        helps = runs or self._at_quick + self._idle[True, True] + idle < self._cores
        if quick_only:
            return self._quick if helps and len(self._quick) > running else None
        if len(self._normal) > running:
            return self._normal
        if helps and len(self._quick) > running + self._idle[True, True] + (0 if runs else self._idle[True, False]):
            return self._quick
        return self._slow if len(self._slow) > running else None

    def _do(self, process: WorkerProcess, job: _Job) -> None:
        limits = _quick_part(job.limits) if job.limits.quick else job.limits
        try:
            job.future.set_result(_run(process, job, limits))
        except ProcessDied as death:
            if death.limit == "cpu" and limits.cpu_seconds < job.limits.cpu_seconds:
                self._once_more_slowly(job)
            else:
                self._after_death(process, job, death)
        except Exception as error:  # noqa: BLE001 - the caller's
            job.future.set_exception(error)

    def _once_more_slowly(self, job: _Job) -> None:
        """Begin a file again behind all others, with its whole limit."""
        later = _Job(job.work, job.arguments, _not_quick(job.limits), job.name, lambda: None)
        later.future.add_done_callback(lambda done: _pass_on(done, job.future))
        with self._ready:
            if self._closed:
                later.future.cancel()
            else:
                self._slow.append(later)
                self._ready.notify_all()
        job.on_slow()

    def _after_death(self, process: WorkerProcess, job: _Job, death: ProcessDied) -> None:
        if not death.limit:
            with self._alone:
                try:
                    job.future.set_result(_run(process, job, job.limits))
                    return
                except ProcessDied as again:
                    death = again
                except Exception as error:  # noqa: BLE001 - the caller's
                    job.future.set_exception(error)
                    return
        job.future.set_exception(error_of(death.limit, None, job.name, job.limits))


_shared: dict[int, MediaPool] = {}
_sharing = threading.Lock()


def shared_pool() -> MediaPool:
    """Return this program's one pool. It is never closed: its processes end when they have no work, and with the program."""
    with _sharing:
        return _shared.setdefault(os.getpid(), MediaPool())  # a forked child has none of its parent's threads


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(process: WorkerProcess, job: _Job, limits: WorkLimits) -> Any:
    return process.run(job.work, job.arguments, limits=limits, name=job.name)


def _not_quick(limits: WorkLimits) -> WorkLimits:
    return WorkLimits(limits.what, limits.cpu_seconds, limits.memory_bytes, limits.wall_seconds)


def _pass_on(done: "Future[Any]", future: "Future[Any]") -> None:
    if done.cancelled():
        future.set_exception(MeasuringFailed("The pool was closed.", remedy="Run it again."))
    elif (error := done.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result())


def _quick_part(limits: WorkLimits) -> WorkLimits:
    """Return the limits of the first attempt at a quick file."""
    return replace(limits, cpu_seconds=min(limits.cpu_seconds, QUICK_SECONDS))


_BASE_SECONDS = 20.0
"""A start, and a short clip."""
_SECONDS_A_MEGABYTE = 1.0
_SECONDS_A_MEGAPIXEL_SECOND = 1.0
"""Decoding, filtering and encoding 30 pictures of one megapixel takes 0.5 s of CPU."""


def scaled(what: str, *, size_bytes: int = 0, pixels: int = 0, seconds: float = 1.0) -> WorkLimits:
    """Return the limits of work that grows with the file, at most `LONGEST_SECONDS`.

    Args:
        what: "measure" or "convert".
        size_bytes: The file's size.
        pixels: The pixels of one picture.
        seconds: The length; 1 for a still.
    """
    grown = size_bytes / 1e6 * _SECONDS_A_MEGABYTE + pixels / 1e6 * max(seconds, 1.0) * _SECONDS_A_MEGAPIXEL_SECOND
    return WorkLimits(what, min(LONGEST_SECONDS, _BASE_SECONDS + grown))


_DRAWING_SECONDS = 20.0
"""CPU that pictures may take beside the decode that they share: those of 15 s at 4k take two seconds."""


def measuring_limits(video: Path, expectation: Expectation, *, draws: bool = False) -> WorkLimits:
    """Return what measuring a local video may cost, as it was asked for, with its pictures if it ``draws`` them."""
    pixels = {"4k": PIXELS_OF_4K, "1080p": 2_100_000}.get(expectation.resolution or "", 1_000_000)
    limits = scaled("measure", size_bytes=video.stat().st_size, pixels=pixels, seconds=expectation.duration or 15.0)
    return replace(limits, cpu_seconds=limits.cpu_seconds + _DRAWING_SECONDS) if draws else limits
