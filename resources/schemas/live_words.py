"""Reduce a stranger's schema to the words that are known here: references resolved, bounded in depth and number. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from resources.errors import I2VError

MAX_DEPTH = 12
"""Deepest nesting, references included: a list of objects with lists has 6."""

MAX_FIELDS = 200
"""Most fields: the public ones have at most 30."""

MAX_VALUES = 2_000
"""Most values that a schema lists, references counted each time: a list of voices has some hundreds."""

MAX_PATTERN = 500
"""Longest pattern in characters; a longer one is left to the service."""

LARGEST_NUMBER = 2**64
"""Largest number that is believed: seeds go up to it, and no limit does. Larger ones and NaN are left to the service."""

SMALLEST_STEP = 1e-6
"""Smallest `multipleOf` that is checked: no field of a model is finer."""


class SchemaUnusable(I2VError):
    """A live schema cannot be used: too large, too deep, with a remote reference, or without a prompt."""


_NUMBERS: Final = frozenset(
    [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
    ]
)
_KEPT: Final = _NUMBERS | {
    "type",
    "enum",
    "const",
    "pattern",
    "uniqueItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "default",
    "format",
    "description",
    "title",
}
_LIMITING: Final = (_KEPT - {"default", "format", "description", "title"}) | {
    "not", "if", "then", "else", "contains", "prefixItems", "patternProperties", "propertyNames", "minProperties",
    "maxProperties", "dependencies", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems",
}  # fmt: skip
"""Words that limit a value, also those that are left to the service."""
_TYPES: Final = {"float": "number", "double": "number", "int": "integer", "str": "string", "bool": "boolean",
                 "list": "array", "dict": "object"}  # fmt: skip
_KNOWN_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})

OTHER_MODEL = "Name another model: `i2v models` shows which there are."


@dataclass(frozen=True, slots=True)
class WholeSchema:
    """What a schema says of all of its fields.

    Attributes:
        properties: The fields as they are written.
        required: The names of those that it requires.
        rules: What it says of them together, cleaned.
    """

    properties: Mapping[str, object]
    required: tuple[str, ...]
    rules: Mapping[str, Any]


class SchemaReader:
    """Resolves references within one schema and keeps the words that are known."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts = 0
        self._values = 0
        self._unread = 0  # limits that were left to the service

    def whole(self) -> WholeSchema:
        """Return the fields of the schema, which may stand behind a reference, or in parts that all apply.

        Raises:
            SchemaUnusable: it is nested too deep, or refers to another document or to nothing.
        """
        said: dict[str, list[object]] = {}
        required: list[str] = []
        rules: list[dict[str, Any]] = []
        parts: list[tuple[object, int]] = [(self._root, 1)]
        while parts:
            part, depth = parts.pop(0)
            if depth > MAX_DEPTH or len(parts) > MAX_FIELDS:
                raise SchemaUnusable("Its input schema is nested too deep.", remedy=OTHER_MODEL)
            if not isinstance(part, Mapping):
                continue
            if "$ref" in part:
                parts.append((self._target(part["$ref"]), depth + 1))
            inside, listed, all_of = part.get("properties"), part.get("required"), part.get("allOf")
            for name, of_field in inside.items() if isinstance(inside, Mapping) else ():
                before = said.setdefault(str(name), [])
                before += [of_field] if of_field not in before else []
            required += map(str, listed) if isinstance(listed, list) else []
            parts += [(each, depth + 1) for each in all_of] if isinstance(all_of, list) else []
            rules += [self.clean({word: part[word]}, depth) for word in ("anyOf", "oneOf") if part.get(word)]
        # All that is said of a field applies; where it is read, the last wins, which is what the schema itself says.
        properties = {name: each[0] if len(each) == 1 else {"allOf": each[::-1]} for name, each in said.items()}
        known = dict.fromkeys(name for name in required if name in properties)
        sound = [rule for rule in rules if rule]
        return WholeSchema(properties, tuple(known), {"allOf": sound} if sound else {})

    def clean(self, part: object, depth: int) -> dict[str, Any]:
        """Return one part of the schema with the known words alone.

        Raises:
            SchemaUnusable: it is nested too deep, or refers to another document or to nothing.
        """
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > 20 * MAX_FIELDS:
            raise SchemaUnusable("Its input schema is nested too deep.", remedy=OTHER_MODEL)
        if not isinstance(part, Mapping):
            return {}
        if "$ref" in part:
            target = self._target(part["$ref"])
            beside = {name: value for name, value in part.items() if name != "$ref"}
            return {**self.clean(target, depth + 1), **self.clean(beside, depth + 1)}
        kept: dict[str, Any] = {}
        for name, value in part.items():
            unread = self._unread
            found = self._word(name, value, depth) if name in _KEPT else None
            self._unread += found is None and name in _LIMITING
            # Branches that were made wider may hold together, where the service means one of them.
            kept["anyOf" if name == "oneOf" and self._unread > unread else name] = found
        if part.get("nullable") is True and isinstance(kept.get("type"), str):
            kept["type"] = [kept["type"], "null"]
        return _without_null({name: value for name, value in kept.items() if value is not None})

    def _target(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise SchemaUnusable(
                "Its input schema refers to another document, which is never fetched.", remedy=OTHER_MODEL
            )
        found: object = self._root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            raise SchemaUnusable("Its input schema refers to a part that it does not have.", remedy=OTHER_MODEL)
        return found

    def _count(self, values: object) -> None:
        self._values += len(values) if isinstance(values, list) else 0
        if self._values > MAX_VALUES:
            raise SchemaUnusable(f"Its input schema lists more than {MAX_VALUES} values.", remedy=OTHER_MODEL)

    def _word(self, name: str, value: object, depth: int) -> Any:
        match name:
            case "type":
                return _type(value)
            case "enum" | "required":
                self._count(value)
                return [each for each in value if _is_sound(each)] or None if isinstance(value, list) else None
            case "items":
                return self.clean(value, depth + 1) or None
            case "additionalProperties":
                return (
                    self.clean(value, depth + 1)
                    if isinstance(value, Mapping)
                    else value
                    if isinstance(value, bool)
                    else None
                )
            case "properties":
                inside = value.items() if isinstance(value, Mapping) else ()
                return {str(key): self.clean(part, depth + 1) for key, part in inside}
            case "anyOf" | "oneOf" | "allOf":
                return [self.clean(part, depth + 1) for part in value] if isinstance(value, list) and value else None
            case "pattern":
                return value if isinstance(value, str) and len(value) <= MAX_PATTERN else None
            case _ if name in _NUMBERS:
                if not isinstance(value, int | float) or isinstance(value, bool) or not _is_sound(value):
                    return None
                return value if name != "multipleOf" or value >= SMALLEST_STEP else None
            case _:
                return value if _is_sound(value) else None


def _is_sound(value: object) -> bool:
    """Return False for a number that no limit of a model is: NaN, infinite or beyond every seed."""
    return not isinstance(value, int | float) or abs(value) <= LARGEST_NUMBER


def _type(value: object) -> Any:
    names = [_TYPES.get(str(each), str(each)) for each in (value if isinstance(value, list) else [value])]
    known = [name for name in names if name in _KNOWN_TYPES]
    return (known if len(known) > 1 else known[0]) if known else None


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """Return a field without its null branch: the project sends a value or leaves the field out."""
    for word in ("anyOf", "oneOf"):
        branches = part.get(word)
        if isinstance(branches, list):
            real = [branch for branch in branches if branch.get("type") != "null"]
            if len(real) == 1:
                rest = {name: value for name, value in part.items() if name != word}
                part = {**real[0], **rest}
    kinds = part.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        rest_of = [kind for kind in kinds if kind != "null"]
        part["type"] = rest_of[0] if len(rest_of) == 1 else rest_of
    if isinstance(part.get("enum"), list):
        part["enum"] = [value for value in part["enum"] if value is not None] or part["enum"]
    return part
