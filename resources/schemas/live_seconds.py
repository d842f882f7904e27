"""Whole seconds as a live schema states them: one value, a list, or a range. Pure."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

LONGEST_DURATION: Final = 600
"""Longest duration in seconds where a schema states none: no known model makes more than 30."""

_SECONDS = re.compile(r"([0-9]{1,3}) ?(?:s|secs?|seconds?)?\Z", re.IGNORECASE)
_EXACT: Final = 1e-6
"""How near a number of steps has to be to a whole one, for steps such as 0.1 that are not exact numbers."""


def seconds_of(value: object) -> int | None:
    """Return whole seconds of a value, such as 5, "5", "5s" or "5 seconds"; None if it is not such a number, or longer than the longest."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 0 < value <= LONGEST_DURATION and value == int(value) else None
    match = _SECONDS.match(value) if isinstance(value, str) else None
    return int(match[1]) if match and 0 < int(match[1]) <= LONGEST_DURATION else None


def durations(part: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return the shortest and longest duration of a field, and the only ones if it does not take all between them."""
    listed = sorted({found for value in part.get("enum", ()) if (found := seconds_of(value)) is not None})
    if not listed:
        low, high = _range(part)
        step = part.get("multipleOf", 1)
        if low > LONGEST_DURATION or step == 1:
            return low, high, ()
        steps = (each / step for each in range(low, high + 1))
        listed = [low + at for at, each in enumerate(steps) if abs(each - round(each)) < _EXACT]
        if not listed:
            return LONGEST_DURATION + 1, LONGEST_DURATION + 1, ()
    gaps = len(listed) != listed[-1] - listed[0] + 1
    return listed[0], listed[-1], tuple(listed) if gaps else ()


def _range(part: Mapping[str, Any]) -> tuple[int, int]:
    low = max(1, math.ceil(part.get("minimum", 1)), math.floor(part.get("exclusiveMinimum", 0)) + 1)
    high = min(
        LONGEST_DURATION,
        math.floor(part.get("maximum", LONGEST_DURATION)),
        math.ceil(part.get("exclusiveMaximum", LONGEST_DURATION + 1)) - 1,
    )
    return low, max(low, high)
