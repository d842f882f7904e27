"""Catalogue entries drawn at random, as a service could send them: right words with wrong values, wrong words, giants."""

import random
from collections.abc import Callable
from typing import Any

_FIELDS = ("prompt", "image_url", "image_urls", "duration", "resolution", "seed", "aspect_ratio", "negative_prompt",
           "watermark", "generate_audio", "video_url", "audio_url", "last_frame", "mask", "x y", "é", "")  # fmt: skip
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 2.5, 1e308, float("nan"), float("inf"), -float("inf"), 10**30, 2**70, "", "x" * 5000, "image_uri",
    "720p", "5s", "auto", "16:9", "\ud800", "\0", "#/properties/prompt", "#", [], {}, [None], {"type": "string"}, [[]],
)  # fmt: skip
_USUAL: dict[str, Callable[[random.Random, int], Any]] = {
    "type": lambda dice, _: dice.choice(["string", "integer", "number", "boolean", "array", "object", ["string", "null"]]),
    "format": lambda dice, _: dice.choice(["image_uri", "image_uris", "video_uri", "audio_uris"]),
    "enum": lambda dice, _: dice.choices(_ODD, k=3),
    "items": lambda dice, depth: _part(dice, depth - 1),
    "properties": lambda dice, depth: {"a": _part(dice, depth - 1)},
    "anyOf": lambda dice, depth: [_part(dice, depth - 1) for _ in range(3)],
    "oneOf": lambda dice, depth: [_part(dice, depth - 1) for _ in range(2)],
    "allOf": lambda dice, depth: [_part(dice, depth - 1) for _ in range(2)],
    "$ref": lambda dice, _: dice.choice(["#/properties/prompt", "#/properties/duration", "#/$defs/a", "https://a.invalid/b"]),
}  # fmt: skip
_OTHERS = ("const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
           "pattern", "minItems", "maxItems", "uniqueItems", "required", "additionalProperties", "default", "description",
           "nullable", "title")  # fmt: skip
_GIANTS: tuple[Callable[[], dict[str, Any]], ...] = (
    lambda: {f"f{at}": {"type": "string", "description": "costs $1, 2x"} for at in range(5_000)},
    lambda: {"resolution": {"type": "string", "enum": [f"{at:04}p" for at in range(9_000)]}},
    lambda: {"x" * 300_000: {"type": "string"}},
    lambda: {"duration": _nested("anyOf", 10)},
    lambda: {"resolution": _nested("allOf", 9)},
    lambda: {f"f{at}": {"$ref": "#/properties/prompt"} for at in range(190)},
)


def hostile_entry(seed: int) -> dict[str, Any]:
    """Return the body of one entry; one of twenty is a giant."""
    dice = random.Random(seed)
    entry = {"base_price_usd": 0.2, "price_unit": "second", "input_schema": _schema(dice)}
    for name in (
        "base_price_usd",
        "price_unit",
        "pricing_note",
        "display_name",
        "output_type",
        "categories",
        "model_id",
    ):
        if dice.random() < 0.2:
            entry[name] = dice.choice(_ODD)
    return entry


def _schema(dice: random.Random) -> Any:
    if dice.random() < 0.05:
        return dice.choice(_ODD)
    fields = {name: _part(dice, 4) for name in dice.sample(_FIELDS, dice.randrange(1, 9))}
    if dice.random() < 0.05:
        fields |= dice.choice(_GIANTS)()
    if dice.random() < 0.9:
        fields["prompt"] = {"type": "string"}
    schema = {"type": "object", "properties": fields, "$defs": {"a": _part(dice, 3)}}
    if dice.random() < 0.5:
        schema["required"] = dice.choice([list(fields)[:3], dice.choice(_ODD)])
    return schema


def _part(dice: random.Random, depth: int) -> Any:
    if depth <= 0 or dice.random() < 0.07:
        return dice.choice(_ODD)
    words = dice.sample([*_USUAL, *_OTHERS], dice.randrange(5))
    return {
        word: _USUAL[word](dice, depth) if word in _USUAL and dice.random() < 0.7 else dice.choice(_ODD)
        for word in words
    }


def _nested(word: str, depth: int) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "string", "enum": ["1080p"]}
    for _ in range(depth):
        part = {word: [part, part]}
    return part
