"""Read a live ``input_schema``: which field means what, and the limits that it states. Pure.

A schema is a stranger's text. It is bounded in size, depth and number of fields, every ``$ref`` has to point into the
schema itself, and only the words that are known here are kept. Its patterns are only ever run in the limited process
(`live_check`).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from resources.schemas.inputs import Family, MediumKind
from resources.schemas.limits import (
    Dialect,
)
from resources.schemas.live_seconds import LONGEST_DURATION, durations, seconds_of
from resources.schemas.live_words import MAX_FIELDS, OTHER_MODEL, SchemaReader, SchemaUnusable
from resources.schemas.readings import joined, readings, types_of

MAX_SCHEMA_BYTES = 256_000
"""Largest schema: the longest of the public ones that are known have some 10 kB."""

_MAX_TEXT = 2_000
"""Characters of a field's own words that are read, of all of its readings together: a known one says at most 60."""

MAX_FILES = 16
"""Files in a list without a stated number, as the vendor's own nodes have it."""

_FORMAT = re.compile(r"(image|video|audio)(?:uri|url)(s?)\Z")
"""A format that means a file, without its spelling: ``image_uri``, ``image-url``, ``imageUris``."""
_ADDRESS = re.compile(r"(?:uri|url)(s?)\Z")
"""A format, or the end of a name, that means an address. Of what, the field's name says."""
_NOUNS: Final = (
    (MediumKind.VIDEO, re.compile(r"(?:^|_)(?:videos?|clips?)(?:_|$)")),
    (MediumKind.AUDIO, re.compile(r"(?:^|_)(?:audios?|voices?|sounds?|speech|music)(?:_|$)")),
    (MediumKind.IMAGE, re.compile(r"(?:^|_)(?:images?|imgs?|pictures?|photos?|frames?)(?:_|$)")),
)

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt": ("prompt", "text_prompt", "positive_prompt", "text"),
    "negative_prompt": ("negative_prompt", "negative"),
    "duration": ("duration", "duration_seconds", "seconds", "video_length", "video_duration", "length"),
    "resolution": ("resolution", "video_resolution", "quality"),
    "aspect_ratio": ("aspect_ratio", "ratio", "aspect"),
    "seed": ("seed", "random_seed"),
    "watermark": ("watermark", "add_watermark", "with_watermark"),
    "generate_audio": (
        "generate_audio", "enable_audio", "with_audio", "audio_enabled", "add_audio", "sound", "enable_sound",
        "generate_sound", "with_sound", "audio", "mute", "mute_audio", "no_audio", "disable_audio", "without_audio",
        "silent",
    ),
    "prompt_expansion": (
        "enable_prompt_expansion", "prompt_expansion", "prompt_extend", "enhance_prompt", "prompt_optimizer",
        "enable_prompt_optimizer",
    ),
}  # fmt: skip
"""The project's words and the names that fields of that meaning have, in the order in which they are looked for."""

INVERTED: Final = frozenset({"mute", "mute_audio", "no_audio", "disable_audio", "without_audio", "silent"})
"""Names of switches that are on when what their word means is off."""
SWITCHES: Final = (("on", "off"), ("true", "false"), ("yes", "no"), ("enabled", "disabled"), ("1", "0"))
"""How switches that are not booleans are written: on, and off."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
"""What a brief can name under `inputs`; other optional fields are not read."""
TIER = re.compile(r"(\d{3,4}p|[248]k)\Z", re.IGNORECASE)
"""A resolution as a schema or an id names it, such as ``1080p``."""
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
        alone: True if a single file is written without its list.
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
    alone: bool = False


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """A live schema as the project reads it.

    Attributes:
        sha256: Hash of the schema as the service sent it.
        properties: Its fields, references resolved, without words that are not known.
        required: Fields that it requires.
        by_word: The field of each of the project's words that it has.
        media: Its media fields, in its order.
        rules: What it says of its fields together, such as that one of two is needed.
    """

    sha256: str
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    by_word: Mapping[str, str]
    media: tuple[LiveMedia, ...]
    rules: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plain(self) -> dict[str, Any]:
        """The schema for a validator: nothing unknown is allowed."""
        return {
            **self.rules,
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }

    def field(self, word: str) -> Mapping[str, Any]:
        """Return the field of one of the project's words as that word needs it; empty if there is none."""
        name = self.by_word.get(word, "")
        return joined(_fitting(word, name, self.properties.get(name, {})))

    def unread(self, word: str) -> str | None:
        """Return the name of a field that means a word by its name, if no such field has a form that can be read."""
        names = (name for name in self.properties if word not in self.by_word and snake(name) in WORDS[word])
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
        return last if TIER.match(last) else ""


def read_schema(raw: object) -> LiveSchema:
    """Read an ``input_schema`` of the catalogue.

    Raises:
        SchemaUnusable: it cannot be used; says why.
    """
    if not isinstance(raw, Mapping):
        raise SchemaUnusable("The catalogue has no input schema of it.", remedy=OTHER_MODEL)
    try:
        text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError):
        raise SchemaUnusable("Its input schema is nested too deep.", remedy=OTHER_MODEL) from None
    if len(text) > MAX_SCHEMA_BYTES:
        raise SchemaUnusable(
            f"Its input schema has {len(text)} characters; at most {MAX_SCHEMA_BYTES} are read.", remedy=OTHER_MODEL
        )
    reader = SchemaReader(raw)
    whole = reader.whole()
    if not whole.properties:
        raise SchemaUnusable("Its input schema lists no field.", remedy=OTHER_MODEL)
    if len(whole.properties) > MAX_FIELDS:
        raise SchemaUnusable(
            f"Its input schema has {len(whole.properties)} fields; at most {MAX_FIELDS} are read.", remedy=OTHER_MODEL
        )
    if not all(_NAME.match(name) for name in whole.required):
        raise SchemaUnusable("Its input schema requires a field whose name is not a plain word.", remedy=OTHER_MODEL)
    fields = {name: reader.clean(part, 1) for name, part in whole.properties.items() if _NAME.match(name)}
    media = tuple(
        _media(name, found, name in whole.required) for name, part in fields.items() if (found := _as_media(name, part))
    )
    words = dict(_words(fields))
    if "prompt" not in words:
        raise SchemaUnusable("Its input schema has no prompt.", remedy=OTHER_MODEL)
    schema = LiveSchema(hashlib.sha256(text.encode()).hexdigest(), fields, whole.required, words, media, whole.rules)
    if "duration" in words and durations(schema.field("duration"))[0] > LONGEST_DURATION:
        raise SchemaUnusable(
            f"Its `{words['duration']}` takes no whole seconds up to {LONGEST_DURATION}.", remedy=OTHER_MODEL
        )
    return schema


def snake(name: str) -> str:
    """Return a name in lower case with its words apart: ``endImageUrl`` is ``end_image_url``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").replace(".", "_").lower()


def _format(name: str, part: Mapping[str, Any]) -> tuple[MediumKind, bool] | None:
    """Return the kind of a media field, and whether it is a list."""
    inside = part.get("items")
    found = _kind(name, part)
    if part.get("type") == "array":
        found = found or (_kind(name, inside) if isinstance(inside, Mapping) else None)
        return (found[0], True) if found else None
    return found


def _kind(name: str, part: Mapping[str, Any]) -> tuple[MediumKind, bool] | None:
    """Return the kind of file that a format means, and whether it means several.

    An address without a kind is one of what its field is called, and so is a plain text whose name ends in ``_url``.
    """
    spelled = re.sub(r"[^a-z]", "", str(part.get("format", "")).lower())
    if (match := _FORMAT.match(spelled)) is not None:
        return MediumKind(match[1]), bool(match[2])
    words = snake(name)
    plain = not spelled and types_of(part) == {"string"} and not part.get("enum")
    address = _ADDRESS.match(spelled) or (_ADDRESS.search(words) if plain else None)
    kind = next((kind for kind, noun in _NOUNS if noun.search(words)), None)
    return (kind, bool(_ADDRESS.match(spelled) and address[1])) if address is not None and kind is not None else None


def _as_media(name: str, part: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the readings of a field that take files."""
    return tuple(each for each in readings(part) if _format(name, each) is not None)


def _media(name: str, found: Sequence[Mapping[str, Any]], required: bool) -> LiveMedia:
    """Return a media field; of one that takes a file or a list, the list, whose only file is written without it."""
    formats = [_format(name, each) for each in found]
    lists = [part for part, each in zip(found, formats, strict=True) if each is not None and each[1]]
    kind = next(each[0] for each in formats if each is not None)
    part, many, alone = (lists or found)[0], bool(lists), 0 < len(lists) < len(found)
    fewest = max(int(part.get("minItems", 0)), 1 if required else 0) if many and not alone else 1
    most = max(min(int(part.get("maxItems", MAX_FILES)), 100), fewest) if many else 1
    word = snake(name)
    return LiveMedia(
        name, kind, many, required, fewest, most,
        last=kind is MediumKind.IMAGE and not many and _END.search(word) is not None,
        by_order=_NEVER_BY_ORDER.search(word) is None,
        alone=alone,
    )  # fmt: skip


def _words(fields: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    by_words = {snake(name): name for name in reversed(list(fields))}
    for word, names in WORDS.items():
        found = [by_words[name] for name in names if name in by_words]
        fitting = [name for name in found if _fitting(word, name, fields[name])]
        if fitting:
            yield word, fitting[0]


def _fitting(word: str, name: str, part: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the readings of a field of that name which have the type that the word needs; none if it takes files."""
    found = readings(part)
    if any(_format(name, each) is not None for each in found):
        return ()
    if word == "duration" and counts_frames(part):
        return ()
    return tuple(each for each in found if _fits(word, each))


def switch_of(name: str, value: object) -> bool | None:
    """Return what the value of a switch with this name says of the thing that its word means; None if it says nothing."""
    pair = next((pair for pair in SWITCHES if str(value).lower() in pair), None)
    if pair is None:
        return None
    on = str(value).lower() == pair[0]
    return not on if snake(name) in INVERTED else on


def counts_frames(part: Mapping[str, Any]) -> bool:
    """Return True if the length that a field takes is one of frames, by what it says of itself."""
    texts = (str(each.get(name, "")) for each in readings(part) for name in ("title", "description"))
    text = " ".join(texts)[:_MAX_TEXT].lower()
    return "frame" in text and "second" not in text


def _fits(word: str, reading: Mapping[str, Any]) -> bool:
    kinds, values = types_of(reading), reading.get("enum")
    number, text = bool(kinds & {"integer", "number"}), "string" in kinds
    match word:
        case "prompt" | "negative_prompt":
            return text and values is None
        case "duration":
            return number if values is None else any(seconds_of(value) for value in values)
        case "resolution":
            return text if values is None else any(TIER.match(str(value)) for value in values)
        case "seed":
            return number
        case "aspect_ratio":
            return text or (not kinds and any(isinstance(value, str) for value in values or ()))
        case _:
            written = {str(value).lower() for value in values or ()}
            return "boolean" in kinds or any(written == set(pair) for pair in SWITCHES)
