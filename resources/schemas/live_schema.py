"""Read a live ``input_schema``: which field means what, and the limits that it states. Pure.

A schema is a stranger's text. It is bounded in size, depth and number of fields, every ``$ref`` has to point into the
schema itself, and only the words that are known here are kept. Its patterns are only ever run in the limited process
(`live_check`).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resources.errors import I2VError
from resources.schemas.inputs import Family, MediumKind
from resources.schemas.limits import (
    DEFAULT_DURATION,
    MEGABYTE,
    Dialect,
    Limits,
    MediaLimits,
    PromptLimits,
)
from resources.schemas.live_seconds import LONGEST_DURATION, durations, seconds_of
from resources.schemas.readings import joined, readings, types_of

MAX_SCHEMA_BYTES = 256_000
"""Largest schema: the longest of the public ones that are known have some 10 kB."""

MAX_DEPTH = 12
"""Deepest nesting, references included: a list of objects with lists has 6."""

MAX_FIELDS = 200
"""Most fields: the public ones have at most 30."""

MAX_VALUES = 2_000
"""Most values that a schema lists, references counted each time: a list of voices has some hundreds."""

MAX_PATTERN = 500
"""Longest pattern in characters; a longer one is left to the service."""

MAX_FILES = 16
"""Files in a list without a stated number, as the vendor's own nodes have it."""

LARGEST_NUMBER = 2**64
"""Largest number that is believed: seeds go up to it, and no limit does. Larger ones and NaN are left to the service."""

SMALLEST_STEP = 1e-6
"""Smallest `multipleOf` that is checked: no field of a model is finer."""

LONGEST_PROMPT = 20_000
"""Recommended characters of a prompt where a schema states no number."""


class SchemaUnusable(I2VError):
    """A live schema cannot be used: too large, too deep, with a remote reference, or without a prompt."""


_FORMATS: Final = {f"{kind.value}_uri{s}": (kind, bool(s)) for kind in MediumKind for s in ("", "s")}

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt": ("prompt", "text_prompt", "positive_prompt", "text"),
    "negative_prompt": ("negative_prompt", "negative"),
    "duration": ("duration", "duration_seconds", "seconds", "video_length", "video_duration", "length"),
    "resolution": ("resolution", "video_resolution", "quality"),
    "aspect_ratio": ("aspect_ratio", "ratio", "aspect"),
    "seed": ("seed", "random_seed"),
    "watermark": ("watermark", "add_watermark", "with_watermark"),
    "generate_audio": ("generate_audio", "enable_audio", "with_audio", "sound", "enable_sound", "generate_sound"),
    "prompt_expansion": (
        "enable_prompt_expansion", "prompt_expansion", "prompt_extend", "enhance_prompt", "prompt_optimizer",
        "enable_prompt_optimizer",
    ),
}  # fmt: skip
"""The project's words and the names that fields of that meaning have, in the order in which they are looked for."""

_KEPT: Final = frozenset(
    [
        "type",
        "enum",
        "const",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
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
    ]
)
_TYPES: Final = {"float": "number", "double": "number", "int": "integer", "str": "string", "bool": "boolean",
                 "list": "array", "dict": "object"}  # fmt: skip
_KNOWN_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
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
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
"""What a brief can name under `inputs`; other optional fields are not read."""
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.: /x*-]{1,40}\Z")
_TIER = re.compile(r"(\d{3,4}p|[248]k)\Z", re.IGNORECASE)
_END = re.compile(r"(^|_)(end|last|tail|final)(_|$)")
_NEVER_BY_ORDER = re.compile(r"(^|_)(mask|depth|pose|control)(_|$)")


@dataclass(frozen=True, slots=True)
class LiveMedia:
    """One media field of a live schema.

    Attributes:
        name: Its name.
        kind: The kind of its files.
        many: True for a list.
        required: True if the schema requires it.
        min_count: Fewest files if it is used.
        max_count: Most files.
        last: True for the image with which the video ends.
        by_order: False if a file is only ever put there by name, such as a mask.
    """

    name: str
    kind: MediumKind
    many: bool
    required: bool
    min_count: int
    max_count: int
    last: bool
    by_order: bool


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """A live schema as the project reads it.

    Attributes:
        sha256: Hash of the schema as the service sent it.
        properties: Its fields, references resolved, without words that are not known.
        required: Fields that it requires.
        by_word: The field of each of the project's words that it has.
        media: Its media fields, in its order.
    """

    sha256: str
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    by_word: Mapping[str, str]
    media: tuple[LiveMedia, ...]

    @property
    def plain(self) -> dict[str, Any]:
        """The schema for a validator: nothing unknown is allowed."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }

    def field(self, word: str) -> Mapping[str, Any]:
        """Return the field of one of the project's words as that word needs it; empty if there is none."""
        return joined(_fitting(word, self.properties.get(self.by_word.get(word, ""), {})))

    def unread(self, word: str) -> str | None:
        """Return the name of a field that means a word by its name, if no such field has a form that can be read."""
        names = (name for name in self.properties if word not in self.by_word and name.lower() in WORDS[word])
        return next(names, None)

    def of(self, kind: MediumKind) -> tuple[LiveMedia, ...]:
        """Return the media fields of one kind."""
        return tuple(field for field in self.media if field.kind is kind)


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """One model id that is used by its live schema.

    Attributes:
        model_id: The id on the wire.
        family: The family, which is the id itself.
        schema: Its live schema.
        dialect: Always ``live``.
    """

    model_id: str
    family: Family
    schema: LiveSchema
    dialect: Dialect = "live"

    @property
    def tier(self) -> str:
        """The resolution that the id itself names, such as ``1080p``; empty if it names none."""
        last = self.model_id.rpartition("/")[2].lower()
        return last if _TIER.match(last) else ""


def read_schema(raw: object) -> LiveSchema:
    """Read an ``input_schema`` of the catalogue.

    Raises:
        SchemaUnusable: it cannot be used; says why.
    """
    if not isinstance(raw, Mapping):
        raise SchemaUnusable("The catalogue has no input schema of it.", remedy=_OTHER)
    try:
        text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError):
        raise SchemaUnusable("Its input schema is nested too deep.", remedy=_OTHER) from None
    if len(text) > MAX_SCHEMA_BYTES:
        raise SchemaUnusable(
            f"Its input schema has {len(text)} characters; at most {MAX_SCHEMA_BYTES} are read.", remedy=_OTHER
        )
    properties = raw.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        raise SchemaUnusable("Its input schema lists no field.", remedy=_OTHER)
    if len(properties) > MAX_FIELDS:
        raise SchemaUnusable(
            f"Its input schema has {len(properties)} fields; at most {MAX_FIELDS} are read.", remedy=_OTHER
        )
    listed = raw.get("required")
    wanted = [str(name) for name in listed if str(name) in properties] if isinstance(listed, list) else []
    if not all(_NAME.match(name) for name in wanted):
        raise SchemaUnusable("Its input schema requires a field whose name is no plain word.", remedy=_OTHER)
    reader = _Reader(raw)
    fields = {str(name): reader.clean(part, 1) for name, part in properties.items() if _NAME.match(str(name))}
    required = tuple(dict.fromkeys(wanted))
    media = tuple(_media(name, found, name in required) for name, part in fields.items() if (found := _as_media(part)))
    words = dict(_words(fields))
    if "prompt" not in words:
        raise SchemaUnusable("Its input schema has no prompt.", remedy=_OTHER)
    schema = LiveSchema(hashlib.sha256(text.encode()).hexdigest(), fields, required, words, media)
    if "duration" in words and durations(schema.field("duration"))[0] > LONGEST_DURATION:
        raise SchemaUnusable(
            f"Its `{words['duration']}` takes no whole seconds up to {LONGEST_DURATION}.", remedy=_OTHER
        )
    return schema


_OTHER = "Name another model: `i2v models` shows which there are."


class _Reader:
    """Resolves references within one schema and keeps the words that are known."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts = 0
        self._values = 0

    def clean(self, part: object, depth: int) -> dict[str, Any]:
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > 20 * MAX_FIELDS:
            raise SchemaUnusable("Its input schema is nested too deep.", remedy=_OTHER)
        if not isinstance(part, Mapping):
            return {}
        if "$ref" in part:
            target = self._target(part["$ref"])
            beside = {name: value for name, value in part.items() if name != "$ref"}
            return {**self.clean(target, depth + 1), **self.clean(beside, depth + 1)}
        kept = {name: self._word(name, value, depth) for name, value in part.items() if name in _KEPT}
        if part.get("nullable") is True and isinstance(kept.get("type"), str):
            kept["type"] = [kept["type"], "null"]
        return _without_null({name: value for name, value in kept.items() if value is not None})

    def _target(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise SchemaUnusable("Its input schema refers to another document, which is never fetched.", remedy=_OTHER)
        found: object = self._root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            raise SchemaUnusable("Its input schema refers to a part that it does not have.", remedy=_OTHER)
        return found

    def _count(self, values: object) -> None:
        self._values += len(values) if isinstance(values, list) else 0
        if self._values > MAX_VALUES:
            raise SchemaUnusable(f"Its input schema lists more than {MAX_VALUES} values.", remedy=_OTHER)

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


def _format(part: Mapping[str, Any]) -> tuple[MediumKind, bool] | None:
    """Return the kind of a media field, and whether it is a list."""
    inside = part.get("items")
    found = _FORMATS.get(str(part.get("format", "")))
    if part.get("type") == "array":
        found = found or (_FORMATS.get(str(inside.get("format", ""))) if isinstance(inside, Mapping) else None)
        return (found[0], True) if found else None
    return found


def _as_media(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the reading of a field that takes files; None if none does."""
    return next((each for each in readings(part) if _format(each) is not None), None)


def _media(name: str, part: Mapping[str, Any], required: bool) -> LiveMedia:
    found = _format(part)
    if found is None:
        raise AssertionError("not a media field")
    kind, many = found
    fewest = max(int(part.get("minItems", 0)), 1 if required else 0) if many else 1
    most = max(min(int(part.get("maxItems", MAX_FILES)), 100), fewest) if many else 1
    word = name.lower()
    return LiveMedia(
        name, kind, many, required, fewest, most,
        last=kind is MediumKind.IMAGE and not many and _END.search(word) is not None,
        by_order=_NEVER_BY_ORDER.search(word) is None,
    )  # fmt: skip


def _words(fields: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    by_lower = {name.lower(): name for name in reversed(list(fields))}
    for word, names in WORDS.items():
        found = [by_lower[name] for name in names if name in by_lower]
        fitting = [name for name in found if _fitting(word, fields[name])]
        if fitting:
            yield word, fitting[0]


def _fitting(word: str, part: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the readings of a field of that name which have the type that the word needs; none if it takes files."""
    found = readings(part)
    if any(_format(each) is not None for each in found):
        return ()
    return tuple(each for each in found if _fits(word, each))


def _fits(word: str, reading: Mapping[str, Any]) -> bool:
    kinds, values = types_of(reading), reading.get("enum")
    number, text = bool(kinds & {"integer", "number"}), "string" in kinds
    match word:
        case "prompt" | "negative_prompt":
            return text and values is None
        case "duration":
            return number if values is None else any(seconds_of(value) for value in values)
        case "resolution":
            return text if values is None else any(_TIER.match(str(value)) for value in values)
        case "seed":
            return number
        case "aspect_ratio":
            return text or (not kinds and any(isinstance(value, str) for value in values or ()))
        case _:
            return "boolean" in kinds or {str(value).lower() for value in values or ()} == {"on", "off"}


def limits_of(endpoint: LiveEndpoint, *, ends: bool = False) -> Limits:
    """Return the limits that a live schema states, in the project's own form.

    Args:
        endpoint: The id with its schema.
        ends: The image that the video ends on is given apart from the others, so that its field is not counted.
    """
    schema, source = endpoint.schema, f"live schema of {endpoint.model_id}"
    low, high, choices = durations(schema.field("duration"))
    tiers = tuple(str(value).lower() for value in schema.field("resolution").get("enum", ()) if _TIER.match(str(value)))
    fixed = (endpoint.tier,) if endpoint.tier else ()
    default = str(schema.field("resolution").get("default", "")).lower()
    shapes = schema.field("aspect_ratio")
    longest = schema.field("prompt").get("maxLength")
    return Limits(
        prompt=PromptLimits(
            int(longest or LONGEST_PROMPT), "characters", 1, source, kind="hard" if longest else "advice"
        ),
        min_duration=low,
        max_duration=high,
        durations=choices,
        resolutions=tiers or fixed,
        default_resolution=default if default in tiers else (tiers or fixed or ("",))[0],
        aspect_ratios=tuple(str(value) for value in shapes.get("enum", ()) if _PLAIN_VALUE.match(str(value))),
        default_aspect_ratio=str(shapes["default"]) if _PLAIN_VALUE.match(str(shapes.get("default", ""))) else None,
        max_negative_prompt=int(schema.field("negative_prompt").get("maxLength", LONGEST_PROMPT))
        if "negative_prompt" in schema.by_word
        else 0,
        end_image=any(media.last for media in schema.media),
        images=_media_limits(
            tuple(each for each in schema.of(MediumKind.IMAGE) if not (ends and each.last)),
            ("JPEG", "PNG", "WEBP"),
            50,
            source,
        ),
        audios=_media_limits(schema.of(MediumKind.AUDIO), ("WAV", "MP3"), None, source),
        videos=_media_limits(schema.of(MediumKind.VIDEO), ("MP4", "MOV"), 100, source),
        watermark="watermark" in schema.by_word,
        generate_audio="generate_audio" in schema.by_word,
        prompt_expansion="prompt_expansion" in schema.by_word,
        source=source,
    )


def usual_duration(endpoint: LiveEndpoint) -> int:
    """Return the duration if nothing names one: the schema's own default, else the project's, within the limits."""
    part = endpoint.schema.field("duration")
    low, high, choices = durations(part)
    stated = seconds_of(part.get("default")) or DEFAULT_DURATION
    wanted = min(max(stated, low), high)
    return wanted if not choices or wanted in choices else min(choices, key=lambda each: abs(each - wanted))


def _media_limits(
    fields: tuple[LiveMedia, ...], formats: tuple[str, ...], usual_megabytes: int | None, source: str
) -> MediaLimits:
    if not fields:
        return MediaLimits()
    advice = None
    if usual_megabytes is not None:
        words = f"model API pages: up to {usual_megabytes} MB are recommended"
        advice = MediaLimits(max_bytes=usual_megabytes * MEGABYTE, source=words, kind="advice")
    return MediaLimits(
        min_count=sum(field.min_count for field in fields if field.required),
        max_count=sum(field.max_count for field in fields),
        formats=formats,
        source=f"{source}; the formats are those that the service accepts elsewhere",
        advice=advice,
    )
