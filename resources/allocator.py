"""How the C library hands out memory to threads."""

import ctypes
import sys

_M_ARENA_MAX = -8
"""The option's number in glibc's malloc.h (mallopt(3))."""
ARENAS = 2
"""glibc gives threads up to eight arenas per core, each of which keeps what its busiest moment needed. A run's twenty
threads share the interpreter's lock, so they seldom meet in malloc: with two arenas a batch needs 15 MB less."""


def limit_malloc_arenas() -> None:
    """Let this process' threads share a few arenas; says nothing where the C library is not glibc.

    The same as MALLOC_ARENA_MAX in the environment, which is out of reach once the process runs. Threads that are there
    already keep theirs.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, ARENAS)
