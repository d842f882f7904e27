"""Differences between the live catalogue and the code, in plain words; pure.

Only what both sides state is compared: the catalogue may omit a limit, and that proves nothing. What it adds is a
difference, because it may change the video or its price.
"""

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from resources.prices.billed import PRICE_UNITS
from resources.redact import redact_line
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.endpoints import Endpoint, LiveEndpoint, input_schema
from resources.schemas.live_words import MAX_FIELDS, MAX_VALUES

_LIMITS = {
    "minimum": "smallest value",
    "maximum": "largest value",
    "minLength": "shortest text",
    "maxLength": "longest text",
    "minItems": "fewest entries",
    "maxItems": "most entries",
}
_TYPES = {"int": "integer", "float": "number", "double": "number", "str": "string", "bool": "boolean", "list": "array"}
_LIKE = 0.5
"""How similar two names must be to count as a renamed field; `image_url` and `image_urls` are, `seed` and `fps` are
not."""

_NOTHING_SENT: tuple[object, ...] = (None, [], "")


def differences(endpoint: Endpoint | LiveEndpoint, entry: CatalogueEntry | None) -> tuple[str, ...]:
    """Return each difference between an endpoint in the code and its live entry, in plain words.

    Args:
        endpoint: The endpoint as the code knows it.
        entry: The live entry, None if the id is no longer listed. Without a schema only the price unit is compared, and so if
            the endpoint is used by its live schema: then there is nothing that it could differ from.
    """
    if entry is None:
        return (f"{endpoint.model_id} is no longer in the catalogue",)
    found: list[str] = []
    if entry.base_price_microdollars is None:
        found.append("the price cannot be read")
    if entry.price_unit not in PRICE_UNITS:
        found.append(f"the price is per {_show(entry.price_unit)}; known are {', '.join(PRICE_UNITS)}")
    if entry.input_schema is not None and not isinstance(endpoint, LiveEndpoint):
        found += _compare_fields(input_schema(endpoint), entry.input_schema)
    return tuple(found)


def _compare_fields(known: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    old, new = known["properties"], _properties(live)
    if not new:
        return ["the schema lists no field"]
    if len(new) > MAX_FIELDS:
        return [f"the schema has {len(new)} fields; at most {MAX_FIELDS} are compared"]
    missing, added = [name for name in old if name not in new], [name for name in new if name not in old]
    required_names = live.get("required")
    required = [name for name in required_names if isinstance(name, str)] if isinstance(required_names, list) else []
    found: list[str] = []
    for name in list(missing):
        heir = _heir(name, old[name], {other: new[other] for other in added})
        if heir:
            missing.remove(name)
            added.remove(heir)
            found.append(f"{name} is now called {_show(heir)}")
    found += [f"{name} no longer exists" for name in missing]
    found += [f"{_show(name)} is new{' and required' if name in required else ''}" for name in added]
    found += [
        f"{name} is now required" for name in required if name in old and name in new and name not in known["required"]
    ]
    for name in old:
        if name in new:
            found += _compare_field(name, old[name], new[name])
    return found


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(name): _plain(part) for name, part in properties.items() if isinstance(part, dict)}


def _plain(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field without the ways in which schemas say "or null"."""
    for word in ("anyOf", "oneOf"):
        branches = part.get(word)
        if isinstance(branches, list):
            real = [branch for branch in branches if isinstance(branch, dict) and branch.get("type") != "null"]
            if len(real) == 1:
                return {**real[0], **{name: value for name, value in part.items() if name != word}}
    return dict(part)


def _type(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    return _TYPES.get(kind, kind) if isinstance(kind, str) else ""


def _heir(name: str, old: Mapping[str, Any], added: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the added field that looks like the missing one under a new name."""

    def likeness(other: str) -> float:
        same_media = "format" in old and _medium(old) == _medium(added[other])
        return 1.0 if same_media else SequenceMatcher(None, name, other).ratio()

    likely = [other for other in added if _type(added[other]) == _type(old) and likeness(other) > _LIKE]
    return max(likely, key=likeness) if likely else None


def _medium(part: Mapping[str, Any]) -> str:
    return str(part.get("format", "")).removesuffix("s")


def _compare_field(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    if _type(new) and _type(new) != _type(old) and {_type(old), _type(new)} != {"integer", "number"}:
        found.append(f"{name} is now {_show(_type(new))}, was {_type(old)}")
    if "format" in old and "format" in new and _medium(old) != _medium(new):
        found.append(f"{name} now takes {_show(new['format'])}, was {old['format']}")
    for word, words in _LIMITS.items():
        if isinstance(new.get(word), int | float) and new[word] != old.get(word):
            was = f", was {old[word]}" if word in old else ", was not limited"
            if word in old or not _idle(word, new[word]):
                found.append(f"{words} of {name} is now {_show(new[word])}{was}")
    if isinstance(new.get("enum"), list) and "enum" in old:
        found += _compare_values(name, old["enum"], new["enum"])
    if "default" in new and not _same(new["default"], old.get("default")):
        was = _show(old["default"]) if "default" in old else "none"
        found.append(f"default of {name} is now {_show(new['default'])}, was {was}")
    return found


def _same(live: object, known: object) -> bool:
    if live in _NOTHING_SENT and known in _NOTHING_SENT:
        return True
    return live == known and isinstance(live, bool) is isinstance(known, bool)


def _idle(word: str, value: float) -> bool:
    """Return True for a limit that excludes nothing the project sends: "at least one character", "at least no entry"."""
    return word in {"minLength", "minItems"} and value <= (1 if word == "minLength" else 0)


def _compare_values(name: str, old: list[Any], new: list[Any]) -> list[str]:
    if len(new) > MAX_VALUES:
        return [f"{name} lists {len(new)} values; at most {MAX_VALUES} are compared"]
    removed, added = [value for value in old if value not in new], [value for value in new if value not in old]
    found = [f"{name} no longer takes {_show(value)}" for value in removed]
    return found + [f"{name} also takes {_show(value)}" for value in added if value is not None]


def _show(value: object) -> str:
    return redact_line(value, limit=60)
