"""The one pool of processes in which strangers' bytes are decoded, with limits and without secrets.

Three kinds of work go through it: header and still, measure, prepare (`resources.media.limits`). Every process works on
one file at a time, so a file that ends its process ends nothing else. A worker is kept for quick files: one that turns
out slow is ended after two seconds and begins again among the slow ones, behind everything else.
"""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

from resources.media import errors, worker
from resources.media.errors import MeasuringFailed, MediaBug, MediaError, OverLimit
from resources.media.limits import WorkLimits, quick_part, scaled
from resources.media.quality.model import Expectation, Measures

R = TypeVar("R")

_LOOK_SECONDS = 0.2
"""Between two looks at a process: its memory where the system does not limit it, and its time."""

_IDLE_SECONDS = 20.0
"""After which a process without work ends; the next file starts another, in half a second."""

_LONGEST_ANSWER = 64_000_000
"""Bytes of the largest answer: pictures of one clip are below a megabyte."""

_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "LC_ALL": "C.UTF-8"}
"""All that a process knows: one thread for each library, and nothing of the parent's environment."""

_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}
"""How libraries end that do not look whether they got their memory."""

_PLAIN = {("builtins", "set"), ("builtins", "frozenset"), ("builtins", "bytearray"), ("pathlib", "PosixPath")}
_PLAIN |= {("pathlib._local", "PosixPath"), ("fractions", "Fraction")}


class _PlainData(pickle.Unpickler):
    """Reads answers: the project's own facts and plain values; a decoder that was taken over can send nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        own = module.startswith("resources.media.") or module == "resources.schemas.inputs"
        if "." not in name and (own or (module, name) in _PLAIN):
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


class _Died(Exception):
    """A process ended before it answered.

    Attributes:
        limit: The limit that it hit, "cpu" or "memory"; empty if nothing is known.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


@dataclass
class _Job:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    limits: WorkLimits
    name: str
    on_slow: Callable[[], None]
    future: "Future[Any]" = field(default_factory=Future)


class _Process:
    """One worker process; it starts with its first job."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether it has been started: the next job costs it no start."""
        return self._process is not None

    def run(self, job: _Job, limits: WorkLimits) -> Any:
        """Return the result of a job.

        Raises:
            _Died: the process ended first; MediaError: the job's own error.
        """
        process = self._process = self._process or _started()
        packed = pickle.dumps((job.work, job.arguments))
        try:
            _send(process, (limits.cpu_seconds, limits.memory_bytes, packed))
            kind, value = self._answer(process, limits)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError, TypeError):
            limit = _limit_hit(process, self._largest, limits)
            self.end()
            raise _Died(limit) from None
        if kind == "result":
            return value
        self._discard_if_full(kind)
        raise _error_of(kind, value, job.name, limits)

    def _answer(self, process: "subprocess.Popen[bytes]", limits: WorkLimits) -> tuple[str, Any]:
        """Wait for the answer; end a process that takes too long, or too much where the system does not limit it."""
        self._largest = 0
        watched = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process, limits, watched), daemon=True)
        watcher.start()
        try:
            return cast("tuple[str, Any]", _received(process))
        finally:
            watched.set()
            watcher.join()

    def _watch(self, process: "subprocess.Popen[bytes]", limits: WorkLimits, done: threading.Event) -> None:
        until = time.monotonic() + limits.wall
        while not done.wait(_LOOK_SECONDS):
            self._largest = max(self._largest, memory_of(process.pid))
            over = self._largest > limits.memory_bytes and sys.platform != "linux"
            if over or time.monotonic() > until:
                process.kill()
                return

    def _discard_if_full(self, kind: str) -> None:
        if kind == "memory":  # what is left of it may be in pieces
            self.end()

    def end(self) -> None:
        """End the process; the next job starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with _quietly():
                        pipe.close()
            process.wait()


class MediaPool:
    """Runs functions of the project on files in processes of their own.

    Args:
        workers: Processes for any work.
        quick_workers: Processes that are kept for quick files.

    A process that dies without having hit a limit gets its file once more, alone among such files: if it dies again,
    the work fails with ``MeasuringFailed``, which refuses nothing. A limit that was hit raises ``OverLimit``.
    """

    def __init__(self, workers: int = 2, quick_workers: int = 1) -> None:
        self._ready = threading.Condition()
        self._quick: deque[_Job] = deque()
        self._normal: deque[_Job] = deque()
        self._slow: deque[_Job] = deque()
        self._idle = Counter[tuple[bool, bool]]()
        """Lanes without work, by whether they are kept for quick files and whether their process runs."""
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
            loop.call_soon_threadsafe(on_slow)

        return await asyncio.wrap_future(self.submit(work, *arguments, limits=limits, name=name, on_slow=tell))

    async def measure(self, video: Path, expectation: Expectation) -> Measures:
        """Return all figures of a local video.

        Raises:
            MeasuringFailed: the process died twice on it; OverLimit: it takes too much.
            Unreadable: the voice or the source image cannot be read.
        """
        from resources.media.quality.measuring import measure

        size_bytes = (await asyncio.to_thread(video.stat)).st_size
        limits = measuring_limits(size_bytes, expectation)
        return await self.run_async(measure, video, expectation, limits=limits, name="The video")

    # Lanes

    def _lane(self, quick_only: bool) -> None:
        process = _Process()
        try:
            while (job := self._take(process, quick_only)) is not None:
                if job.future.set_running_or_notify_cancel():
                    self._do(process, job)
        finally:
            process.end()

    def _take(self, process: _Process, quick_only: bool) -> _Job | None:
        with self._ready:
            while True:
                if self._closed:
                    return None
                if waiting := self._next(quick_only, process.runs):
                    return waiting.popleft()
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
        files to the idle ones that are kept for them.
        """
        running = 0 if runs else self._idle[False, True]
        if quick_only:
            return self._quick if len(self._quick) > running else None
        if len(self._normal) > running:
            return self._normal
        if len(self._quick) > running + self._idle[True, True] + (0 if runs else self._idle[True, False]):
            return self._quick
        return self._slow if len(self._slow) > running else None

    def _do(self, process: _Process, job: _Job) -> None:
        limits = quick_part(job.limits) if job.limits.quick else job.limits
        try:
            job.future.set_result(process.run(job, limits))
        except _Died as death:
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

    def _after_death(self, process: _Process, job: _Job, death: _Died) -> None:
        if not death.limit:
            with self._alone:
                try:
                    job.future.set_result(process.run(job, job.limits))
                    return
                except _Died as again:
                    death = again
                except Exception as error:  # noqa: BLE001 - the caller's
                    job.future.set_exception(error)
                    return
        job.future.set_exception(_error_of(death.limit, None, job.name, job.limits))


_shared: dict[int, MediaPool] = {}
_sharing = threading.Lock()


def shared_pool() -> MediaPool:
    """Return this program's one pool. It is never closed: its processes end when they have no work, and with the program."""
    with _sharing:
        return _shared.setdefault(os.getpid(), MediaPool())  # a forked child has none of its parent's threads


def _not_quick(limits: WorkLimits) -> WorkLimits:
    return WorkLimits(limits.what, limits.cpu_seconds, limits.memory_bytes, limits.wall_seconds)


def _pass_on(done: "Future[Any]", future: "Future[Any]") -> None:
    if done.cancelled():
        future.set_exception(MeasuringFailed("The pool was closed.", remedy="Run it again."))
    elif (error := done.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result())


def measuring_limits(size_bytes: int, expectation: Expectation) -> WorkLimits:
    """Return what measuring a video of this size may cost, as it was asked for."""
    pixels = {"4k": 8_300_000, "1080p": 2_100_000}.get(expectation.resolution or "", 1_000_000)
    return scaled("measure", size_bytes=size_bytes, pixels=pixels, seconds=expectation.duration or 15.0)


# Processes


class _quietly:  # noqa: N801 - used as a word
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def _started() -> "subprocess.Popen[bytes]":
    """Start a process that knows nothing but where the project's code is."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", worker.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        close_fds=True,
        cwd="/",
        start_new_session=True,  # Ctrl-C ends the run, which ends its processes
    )
    _send(process, [part or str(Path.cwd()) for part in sys.path])
    return process


def _send(process: "subprocess.Popen[bytes]", message: object) -> None:
    data = pickle.dumps(message)
    pipe = cast("IO[bytes]", process.stdin)
    pipe.write(worker.LENGTH.pack(len(data)) + data)
    pipe.flush()


def _received(process: "subprocess.Popen[bytes]") -> object:
    import io

    pipe = cast("IO[bytes]", process.stdout)
    head = pipe.read(worker.LENGTH.size)
    if len(head) < worker.LENGTH.size:
        raise EOFError
    length = worker.LENGTH.unpack(head)[0]
    if length > _LONGEST_ANSWER:
        raise EOFError
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return _PlainData(io.BytesIO(data)).load()


def _limit_hit(process: "subprocess.Popen[bytes]", largest: int, limits: WorkLimits) -> str:
    """Return the limit that ended a process, "cpu" or "memory"; empty if none did."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:  # it sent nonsense and lives
        return ""
    if -code == signal.SIGXCPU:
        return "cpu"
    if largest > limits.memory_bytes or (-code in _CRASHES and largest > 0.75 * limits.memory_bytes):
        return "memory"
    return ""


def memory_of(pid: int) -> int:
    """Return the bytes that a process has mapped for data (Linux) or keeps in memory (elsewhere); 0 if it is gone."""
    try:
        if sys.platform == "linux":
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[5])
            return pages * os.sysconf("SC_PAGE_SIZE")
        shown = subprocess.run(["/bin/ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(shown.stdout.strip() or 0) * 1024
    except (OSError, ValueError, IndexError):
        return 0


def _error_of(kind: str, value: Any, name: str, limits: WorkLimits) -> MediaError:
    """Return the error that a job's caller gets."""
    if kind == "error":
        class_name, message, remedy = (str(part) for part in value)
        found = getattr(errors, class_name, MediaError)
        return cast("MediaError", found(message, remedy=remedy))
    if kind == "memory":
        gigabytes = f"{limits.memory_bytes / 1024**3:g} GB"
        return OverLimit(f"{name} needs more than {gigabytes} to {limits.what}.", remedy=_SMALLER)
    if kind == "cpu":
        return OverLimit(f"{name} needs more than {limits.cpu_seconds:g} s of CPU to {limits.what}.", remedy=_SMALLER)
    if kind == "bug":
        return MediaBug(
            f"{name} could not be read because of a bug in i2v-assets ({value}).",
            remedy="Report it with the file. Exporting the file again may avoid it.",
        )
    return MeasuringFailed(
        f"The process that worked on {name[0].lower() + name[1:] if name[:4] == 'The ' else name} died twice, or took"
        f" more than {limits.wall:g} s.",
        remedy="It is tried again. If it stays so, export the file again.",
    )


_SMALLER = "Export it again as an ordinary file: a JPEG of at most 4096 pixels, a WAV or MP3, or an MP4 (H.264)."
