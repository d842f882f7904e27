"""The process that decodes strangers' bytes; `worker_process.py` runs this file as a script, and nothing imports it.

It starts with an empty environment and no descriptor but its two pipes, so it holds no secret. Each job brings its own
limits: CPU by ``RLIMIT_CPU``, memory by ``RLIMIT_DATA`` (Linux). What it sends back is plain data: `worker_process.py`
accepts no other.
"""

import contextlib
import importlib
import math
import os
import pickle
import resource
import struct
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, Any

LENGTH = struct.Struct(">Q")
"""Before every message: its length."""

KEPT_BYTES = 200_000_000
"""Memory for data up to which nothing is given back: with all of its libraries a process has 105 MB, after a picture of 64
megapixels 120. Giving back after each file took 1 to 4 ms, and as much of the next file's time as it takes to get it again."""


def main() -> None:
    """Answer jobs until the parent closes the pipe."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # what a library prints must not end up between the answers
    sys.path[:] = _next(jobs)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (message := _next(jobs)) is not None:
        cpu_seconds, data_bytes, packed = message
        _limit(cpu_seconds, data_bytes)
        _send(answers, _answer(packed))
        resource.setrlimit(resource.RLIMIT_CPU, (_hard(resource.RLIMIT_CPU), _hard(resource.RLIMIT_CPU)))


def _next(jobs: IO[bytes]) -> Any:
    head = jobs.read(LENGTH.size)
    return pickle.loads(jobs.read(LENGTH.unpack(head)[0])) if len(head) == LENGTH.size else None  # noqa: S301 - the parent's


def _send(answers: IO[bytes], answer: object) -> None:
    data = pickle.dumps(answer)
    answers.write(LENGTH.pack(len(data)) + data)
    answers.flush()


def _hard(what: int) -> int:
    return resource.getrlimit(what)[1]


def _limit(cpu_seconds: float, data_bytes: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = math.ceil(used.ru_utime + used.ru_stime + cpu_seconds)
    hard = _hard(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    if sys.platform == "linux":  # elsewhere it does not count what malloc maps; the parent watches
        hard = _hard(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, hard))


def _answer(packed: bytes) -> tuple[str, Any]:
    """Return what became of a job: its result, or the error in words."""
    from resources.media.errors import MediaError

    room = bytearray(4_000_000)  # given back before an error is put into words: there may be no memory left
    try:
        work, arguments = pickle.loads(packed)  # noqa: S301 - the parent's
        _one_thread()
        return "result", work(*arguments)
    except MediaError as error:
        if _out_of_memory(error):
            return "memory", None
        return "error", (type(error).__name__, error.message, error.remedy)
    except Exception as error:  # noqa: BLE001 - told to the parent, which ends this clip alone
        del room
        if _out_of_memory(error):
            return "memory", None
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "bug", f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    finally:
        _trim()


def _out_of_memory(error: BaseException) -> bool:
    """Return True if an error says that memory ran out; libraries wrap it into errors of their own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or getattr(seen, "errno", None) == 12:  # ENOMEM
            return True
        words = "" if hasattr(seen, "remedy") else str(seen).lower()
        if "out of memory" in words or "memory allocation" in words or "insufficient memory" in words:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _one_thread() -> None:
    """Keep the libraries that are loaded to one thread: CPU and memory are then those of the file, not of the machine."""
    containers: Any = importlib.import_module("resources.media.containers")
    containers.decoder_threads = 1


def _trim() -> None:
    """Give freed memory back if there is much of it, so that the next file starts with nearly all of its own."""
    with contextlib.suppress(Exception):
        if int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize() <= KEPT_BYTES:
            return
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)


def _end_with_parent() -> None:
    """End when the parent does, even while a decoder is busy: the pipe is looked at from a thread of its own."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(2.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    main()
