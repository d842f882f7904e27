"""A bounded process pool for work on videos; it survives decoder crashes on damaged files."""

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Self, TypeVar

from resources.media.errors import MeasuringFailed
from resources.media.quality.measuring import measure
from resources.media.quality.model import Expectation, Measures

R = TypeVar("R")

DEFAULT_LIMIT_SECONDS = 120
"""Seconds until a process is killed: a 15 s clip at 4k takes some 10 s, so this is a hang."""


def _limited(limit_seconds: int, work: Callable[..., R], *args: object) -> R:
    # The default action of SIGALRM ends the process, even deep inside a decoder.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limit_seconds)
    try:
        return work(*args)
    finally:
        signal.alarm(0)


class MeasuringPool:
    """Runs functions on videos in at most ``workers`` processes.

    A process that dies (a decoder crash, no memory, the time limit) breaks every task in flight. The pool is then
    renewed, and each of those tasks runs once more, alone in a process of its own: the one that kills this process too
    is the cause and gets ``MeasuringFailed``; the others finish. The processes are spawned, never forked, because
    callers have threads; they start with the first task.
    """

    def __init__(self, workers: int = 2, limit_seconds: int = DEFAULT_LIMIT_SECONDS) -> None:
        self._workers = workers
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._closed = False
        # As many as processes: further tasks wait here, so a crash breaks only those that were in flight.
        self._waiters = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="measuring")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the processes after the running tasks."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        self._waiters.shutdown(wait=True, cancel_futures=True)
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def run(self, work: Callable[..., R], *args: object) -> R:
        """Run a function of a module (it and its arguments are pickled) in a process and return its result.

        Raises:
            MeasuringFailed: the process died twice on it.
        """
        executor = self._current()
        try:
            return executor.submit(_limited, self._limit_seconds, work, *args).result()
        except BrokenProcessPool:
            self._renew(executor)
        with self._alone, self._new(1) as single:
            try:
                return single.submit(_limited, self._limit_seconds, work, *args).result()
            except BrokenProcessPool:
                raise MeasuringFailed(
                    f"The process that worked on the video died or took more than {self._limit_seconds} s.",
                    remedy="Check the video itself. Running the check again measures it again.",
                ) from None

    async def run_async(self, work: Callable[..., R], *args: object) -> R:
        """Do the same for an event loop.

        The waiting happens in the pool's own threads, never in the loop's few shared ones.

        Raises:
            MeasuringFailed: the process died twice on it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._waiters, self.run, work, *args)

    async def measure(self, video: Path, expectation: Expectation) -> Measures:
        """Return all figures of a local video.

        Raises:
            MeasuringFailed: the process died twice on it.
            Unreadable: the voice or the source image cannot be read.
        """
        return await self.run_async(measure, video, expectation)

    def _new(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(max_workers=workers, mp_context=multiprocessing.get_context("spawn"))

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise MeasuringFailed("The pool is closed.", remedy="Open a new one.")
            if self._executor is None:
                self._executor = self._new(self._workers)
            return self._executor

    def _renew(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                self._executor = None
        broken.shutdown(wait=False, cancel_futures=True)


async def measure_in_pool(pool: MeasuringPool, video: Path, expectation: Expectation) -> Measures:
    """Return all figures of a local video, measured in one of the pool's processes.

    Raises:
        MeasuringFailed: the process died twice on it.
        Unreadable: the voice or the source image cannot be read.
    """
    return await pool.measure(video, expectation)
