"""One process that decodes strangers' bytes, seen from its parent: its start, its answers, and why it died.

It knows nothing but where the project's code is (`resources.media.worker`), and only plain data is taken from it.
"""

import contextlib
import io
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from resources.media import errors, worker
from resources.media.errors import MeasuringFailed, MediaBug, MediaError, OverLimit
from resources.media.limits import WorkLimits

_LOOK_SECONDS = 0.2
"""Between two looks at a process: its memory where the system does not limit it, and its time."""

_LONGEST_ANSWER = 64_000_000
"""Bytes of the largest answer: pictures of one clip are below a megabyte."""

_READ_BYTES = 1_000_000
"""Bytes of an answer that are read at once: nearly every answer comes whole."""

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


class ProcessDied(Exception):
    """A process ended before it answered.

    Attributes:
        limit: The limit that it hit, "cpu" or "memory"; empty if nothing is known.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class WorkerProcess:
    """One process; it starts with its first job."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._largest = 0

    @property
    def runs(self) -> bool:
        """Whether it has been started: the next job costs it no start."""
        return self._process is not None

    def run(self, work: Callable[..., Any], arguments: tuple[Any, ...], *, limits: WorkLimits, name: str) -> Any:
        """Return the result of a function of a module; ``name`` is the file's, for people.

        Raises:
            ProcessDied: the process ended first; MediaError: the function's own error.
        """
        process = self._process = self._process or _started()
        packed = pickle.dumps((work, arguments))
        try:
            _send(process, (limits.cpu_seconds, limits.memory_bytes, packed))
            kind, value = self._answer(process, limits)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError, TypeError):
            limit = _limit_hit(process, self._largest, limits)
            self.end()
            raise ProcessDied(limit) from None
        if kind == "result":
            return value
        if kind == "memory":  # what is left of it may be in pieces
            self.end()
        raise error_of(kind, value, name, limits)

    def _answer(self, process: "subprocess.Popen[bytes]", limits: WorkLimits) -> tuple[str, Any]:
        """Wait for the answer; end a process that takes too long, or too much where the system does not limit it."""
        self._largest = 0
        pipe = cast("IO[bytes]", process.stdout).fileno()
        arrival = select.poll()
        arrival.register(pipe, select.POLLIN)
        until, data, wanted = time.monotonic() + _wall(limits), bytearray(), worker.LENGTH.size
        look_at = time.monotonic() + _LOOK_SECONDS
        while len(data) < wanted:
            if arrival.poll(max(look_at - time.monotonic(), 0.0) * 1000):
                part = os.read(pipe, _READ_BYTES)
                if not part:
                    raise EOFError
                data += part
                if len(data) >= worker.LENGTH.size:
                    wanted = worker.LENGTH.size + _length(data)
            if time.monotonic() >= look_at:
                self._look(process, limits, until)
                look_at = time.monotonic() + _LOOK_SECONDS
        return cast("tuple[str, Any]", _PlainData(io.BytesIO(data[worker.LENGTH.size : wanted])).load())

    def _look(self, process: "subprocess.Popen[bytes]", limits: WorkLimits, until: float) -> None:
        self._largest = max(self._largest, memory_of(process.pid))
        over = self._largest > limits.memory_bytes and sys.platform != "linux"
        if over or time.monotonic() > until:
            process.kill()  # the end of its pipe is read next

    def end(self) -> None:
        """End the process; the next job starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()


def _wall(limits: WorkLimits) -> float:
    """Return the seconds of time that work may take: its CPU on a machine with eight neighbours, and a start."""
    return limits.wall_seconds or 8 * limits.cpu_seconds + 30


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


def _length(data: bytearray) -> int:
    length: int = worker.LENGTH.unpack_from(data)[0]
    if length > _LONGEST_ANSWER:
        raise EOFError
    return length


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


def error_of(kind: str, value: Any, name: str, limits: WorkLimits) -> MediaError:
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
        f" more than {_wall(limits):g} s.",
        remedy="It is tried again. If it stays so, export the file again.",
    )


_SMALLER = "Export it again as an ordinary file: a JPEG of at most 4096 pixels, a WAV or MP3, or an MP4 (H.264)."
