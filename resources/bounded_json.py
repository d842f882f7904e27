"""Read JSON that others wrote: its nesting is counted before it is parsed, so every Python refuses the same documents."""

import json
import re
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 64
"""Deepest nesting unless the reader sets its own limit: several times what any document of this project or of the service
has. Python's own parser raises RecursionError somewhere between 1,000 and 100,000 levels, depending on its version."""

_STEP = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_OPENING = frozenset("[{")
_CLOSING = frozenset("]}")


class TooDeep(ValueError):
    """JSON that nests deeper than its reader allows."""


def read_json(
    data: str | bytes,
    *,
    max_depth: int = MAX_DEPTH,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    constant: Callable[[str], Any] | None = None,
) -> Any:
    """Return the value of a JSON document.

    Args:
        data: the document; bytes are UTF-8, with or without a byte order mark.
        max_depth: levels of lists and objects that it may have.
        pairs: builds an object from its keys and values, as `object_pairs_hook` of `json.loads`.
        constant: called with ``NaN``, ``Infinity`` or ``-Infinity``, as `parse_constant` of `json.loads`.

    Raises:
        TooDeep: it nests deeper.
        ValueError: it is not JSON, not UTF-8, or holds a number of too many digits.
    """
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    if is_deeper(text, max_depth):
        raise TooDeep(f"It nests deeper than {max_depth} levels.")
    return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)


def is_deeper(text: str, levels: int) -> bool:
    """Return whether brackets outside strings nest deeper than that; linear, without recursion."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for step in _STEP.finditer(text):
        first = step[0][0]
        if first in _OPENING:
            depth += 1
            if depth > levels:
                return True
        elif first in _CLOSING:
            depth -= 1
    return False
