"""How a process runs coroutines that must be able to clean up when a signal ends them, and what memory its threads take.

Plain ``asyncio.run`` cancels every task at once, and hosts such as Dagster raise from their own handlers in the middle of
whatever runs. Here SIGINT and SIGTERM cancel the main task, once; it stops its children in its own order.
"""

import asyncio
import ctypes
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_sync(
    make_coroutine: Callable[[], Awaitable[T]],
    *,
    interrupted: Callable[[], BaseException] = KeyboardInterrupt,
    heard: Callable[[signal.Signals], None] = lambda _: None,
) -> T:
    """Run a coroutine to its end on an event loop of its own.

    In another than the main thread signals cannot be caught: there it is plain ``asyncio.run``.

    Args:
        make_coroutine: Makes the coroutine, inside the loop.
        interrupted: Makes the exception to raise after a signal ended the coroutine (a host has its own).
        heard: Told the first signal, before anything is cancelled.

    Raises:
        BaseException: what ``interrupted`` makes, once the coroutine has cleaned up.
    """
    hits: list[signal.Signals] = []

    async def top() -> T:
        if threading.current_thread() is not threading.main_thread():
            return await make_coroutine()
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def hit(number: signal.Signals) -> None:
            if not hits and task is not None:  # a second signal would cut the clean-up short
                hits.append(number)
                heard(number)
                task.cancel()

        old = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            loop.add_signal_handler(number, hit, number)
        try:
            return await make_coroutine()
        finally:
            for number, handler in old.items():
                loop.remove_signal_handler(number)
                if handler is not None:  # None: set by C code, which Python cannot put back
                    signal.signal(number, handler)

    try:
        return asyncio.run(top())
    except asyncio.CancelledError:
        if hits:
            raise interrupted() from None
        raise


_M_ARENA_MAX = -8
"""The option's number in glibc's malloc.h (mallopt(3))."""
ARENAS = 2
"""glibc gives threads up to eight arenas per core, and each keeps the memory of its busiest moment. A run's twenty
threads share the interpreter's lock, so they seldom meet in malloc: with two arenas a batch needs 15 MB less."""


def limit_malloc_arenas() -> None:
    """Limit the malloc arenas of this process to `ARENAS`; do nothing if the C library is not glibc.

    This is MALLOC_ARENA_MAX, which cannot be set once the process runs. Existing threads keep their arenas.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, ARENAS)
