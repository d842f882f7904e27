"""Flat readings of a field of a live schema: what it is by each of its branches. For reading, never for validation. Pure."""

import json
import math
from collections.abc import Mapping
from itertools import islice, product
from typing import Any, Final

MAX_READINGS: Final = 64
"""Most readings of one field, so that branches of branches do not multiply; known fields have at most 4."""

_BRANCHED: Final = ("allOf", "anyOf", "oneOf")
_NARROWER: Final = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}


def readings(part: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return a field once for each of its alternatives (``anyOf``, ``oneOf``), with its own keys and those of ``allOf``.

    The field's own keys win, but of a limit that is stated twice the narrower one counts. A ``const`` is a list of one value,
    and a default is a plain value.
    """
    return tuple(_plain(each) for each in _flat(part))


def types_of(reading: Mapping[str, Any]) -> frozenset[str]:
    """Return the types that a reading allows; empty if it states none."""
    kinds = reading.get("type", ())
    return frozenset(kinds if isinstance(kinds, list) else (kinds,) if kinds else ())


def joined(fitting: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    """Return the readings that mean the same as one: all values that they list, or the first if none lists any."""
    listing = [each for each in fitting if each.get("enum")]
    if not listing:
        return fitting[0] if fitting else {}
    values = {json.dumps(value, sort_keys=True): value for each in listing for value in each["enum"]}
    return {**listing[0], "enum": list(values.values())}


def _flat(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    own = {name: value for name, value in part.items() if name not in _BRANCHED}
    choices: list[list[Mapping[str, Any]]] = [_flat(branch) for branch in part.get("allOf", ())]
    for word in ("anyOf", "oneOf"):
        alternatives = [reading for branch in part.get(word, ()) for reading in _flat(branch)]
        choices += [alternatives] if alternatives else []
    merged: list[Mapping[str, Any]] = []
    for chosen in islice(product(*choices), MAX_READINGS):
        together: dict[str, Any] = {}
        for each in chosen:
            together = _both(together, each)
        merged.append(_both(together, own))
    return merged


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two parts that both apply say together; of other keys than limits, the second wins."""
    together = {**one, **other}
    for word in one.keys() & other.keys():
        if word in _NARROWER:
            together[word] = _NARROWER[word](one[word], other[word])
        elif word == "enum":
            together[word] = [value for value in other[word] if value in one[word]] or other[word]
    return together


def _plain(reading: Mapping[str, Any]) -> Mapping[str, Any]:
    plain = dict(reading)
    if "const" in plain and not plain.get("enum"):
        plain["enum"] = [plain["const"]]
    if plain.get("enum"):
        low, high = plain.get("minimum", -math.inf), plain.get("maximum", math.inf)
        inside = [value for value in plain["enum"] if not isinstance(value, int | float) or low <= value <= high]
        plain["enum"] = inside or plain["enum"]
    if isinstance(plain.get("default"), list | dict):
        del plain["default"]
    return plain
