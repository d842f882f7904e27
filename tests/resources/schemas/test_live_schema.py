"""A live schema is a stranger's text: read within bounds, and believed for the limits that it states."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.media.errors import MediaError
from resources.media.limits import WorkLimits
from resources.media.pool import shared_pool
from resources.sandbox.recorded import MODELS, recorded_entries
from resources.schemas.inputs import MediumKind
from resources.schemas.live_body import Wishes, write_body
from resources.schemas.live_check import violations
from resources.schemas.live_limits import limits_of, usual_duration
from resources.schemas.live_schema import LiveEndpoint, read_schema
from resources.schemas.live_seconds import seconds_of
from resources.schemas.live_words import SchemaUnusable

ENTRIES = {Path(entry["model_id"]).as_posix(): entry for entry in recorded_entries()}


def endpoint(model_id: str) -> LiveEndpoint:
    return LiveEndpoint(model_id, model_id, read_schema(ENTRIES[model_id]["input_schema"]))


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"prompt": {"type": "string"}, **fields}, "required": ["prompt"]}


def test_there_are_twenty_recorded_schemas_of_different_shapes() -> None:
    shapes = {json.dumps(entry["input_schema"], sort_keys=True) for entry in ENTRIES.values()}
    assert len(shapes) >= 20 - 4, "the four sizes of one model share a shape"
    assert len(list(MODELS.glob("*.json"))) == len(ENTRIES) >= 20


@pytest.mark.parametrize("model_id", ENTRIES)
def test_every_recorded_schema_is_read(model_id: str) -> None:
    live = endpoint(model_id)
    assert live.schema.by_word["prompt"] == "prompt"
    assert limits_of(live).max_duration >= usual_duration(live) >= limits_of(live).min_duration


FACTS = [
    ("alibaba/happyhorse-1.1/image-to-video", (3, 15, ()), ("720p", "1080p"), "1080p", (1, 1)),
    ("bytedance/seedance-2.5/image-to-video/4k", (4, 30, ()), ("4k",), "4k", (1, 1)),
    ("bytedance/seedance-2.5/first-last-frame/720p", (4, 30, ()), ("720p",), "720p", (2, 2)),
    ("bytedance/seedance-2.5/reference-to-video/4k", (4, 30, ()), ("4k",), "4k", (0, 9)),
    ("wan-ai/wan-3.0/image-to-video", (2, 30, ()), ("480p", "720p", "1080p"), "720p", (1, 2)),
    ("kling/kling-video-o3/standard/reference-to-video", (5, 10, (5, 10)), (), "", (0, 16)),
    ("minimax/minimax-h3/image-to-video", (6, 10, (6, 10)), ("768p", "1080p"), "768p", (1, 1)),
    ("blackforestlabs/flux-3/image-to-video", (5, 20, ()), ("720p", "1080p"), "720p", (1, 1)),
    ("lightricks/ltx-2.5/audio-to-video/pro", (1, 600, ()), (), "", (0, 1)),
]


@pytest.mark.parametrize(("model_id", "durations", "tiers", "default", "images"), FACTS)
def test_limits_are_those_that_the_schema_states(
    model_id: str, durations: tuple[Any, ...], tiers: tuple[str, ...], default: str, images: tuple[int, int]
) -> None:
    limits = limits_of(endpoint(model_id))
    assert (limits.min_duration, limits.max_duration, limits.durations) == durations
    assert (limits.resolutions, limits.default_resolution) == (tiers, default)
    assert (limits.images.min_count, limits.images.max_count) == images
    assert limits.images.advice is not None
    assert limits.images.advice.kind == "advice"


BODIES = [
    (
        "kling/kling-3.0/pro/image-to-video",
        {"duration": 7, "seed": 3, "generate_audio": False},
        {"cfg_scale": 0.7},
        2,
        {"prompt": "p", "start_image": 1, "end_image": 2, "duration": 7, "cfg_scale": 0.7, "sound": False},
    ),
    ("blackforestlabs/flux-3/image-to-video", {"duration": 7, "aspect_ratio": "16:9"}, {}, 1,
     {"prompt": "p", "image": 1, "aspect_ratio": "16:9", "duration": "7"}),
    ("blackforestlabs/flux-3/first-last-frame-to-video", {"duration": 5}, {}, 2,
     {"prompt": "p", "end_image": 2, "start_image": 1, "duration": 5}),
    ("alibaba/happyhorse-1.1/image-to-video", {"resolution": "720p", "watermark": False}, {}, 1,
     {"prompt": "p", "image": 1, "resolution": "720P", "watermark": False}),
    ("alibaba/happyhorse-1.1/reference-to-video", {}, {}, 3,
     {"prompt": "p", "image_url_1": 1, "image_url_2": 2, "image_url_3": 3}),
    ("kling/kling-video-o3/standard/reference-to-video", {"generate_audio": True, "duration": 10}, {}, 2,
     {"prompt": "p", "image_urls": [1, 2], "duration": "10", "sound": "on"}),
    ("wan-ai/wan-3.0/image-to-video", {"prompt_expansion": False, "generate_audio": True}, {}, 1,
     {"prompt": "p", "enable_audio": True, "prompt_extend": False, "image_url": 1}),
    ("wan-ai/wan-3.0/image-to-video", {}, {"end_image_url": "1.png"}, 2,
     {"prompt": "p", "image_url": 2, "end_image_url": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("model_id", "values", "inputs", "images", "body"), BODIES)
def test_the_projects_words_are_written_as_the_schema_has_them(
    model_id: str, values: dict[str, Any], inputs: dict[str, Any], images: int, body: dict[str, Any]
) -> None:
    files = {MediumKind.IMAGE: [f"{number}.png" for number in range(1, images + 1)]}
    made = write_body(endpoint(model_id), Wishes("p", files, values, inputs))
    assert made.problems == ()
    plain = {
        name: [int(each["$medium"].split()[1]) for each in value]
        if isinstance(value, list)
        else int(str(value["$medium"]).split()[1])
        if isinstance(value, dict)
        else value
        for name, value in made.body.items()
    }
    assert plain == body
    assert list(plain) == [name for name in ENTRIES[model_id]["input_schema"]["properties"] if name in plain]


@pytest.mark.parametrize(
    ("inputs", "images", "words"),
    [
        ({"fps": 24}, 1, "`fps`"),
        ({"end_image": "b.png"}, 1, "'b.png'"),
        ({"end_image": ["1.png", "2.png"]}, 2, "takes 1"),
        ({}, 3, "no field for image 3"),
    ],
)
def test_nothing_that_was_said_is_dropped(inputs: dict[str, Any], images: int, words: str) -> None:
    files = {MediumKind.IMAGE: [f"{number}.png" for number in range(1, images + 1)]}
    made = write_body(endpoint("kling/kling-3.0/pro/image-to-video"), Wishes("p", files, {}, inputs))
    assert words in "; ".join(made.problems)


UNUSABLE = [
    (None, "no input schema"),
    ([], "no input schema"),
    ({}, "no field"),
    ({"properties": {"image": {"type": "string", "format": "image_uri"}}}, "no prompt"),
    ({"properties": {"prompt": {"type": "string"}, "a\nb": {}}, "required": ["a\nb"]}, "not a plain word"),
    (schema(x={"$ref": "https://elsewhere.example/schema.json"}), "never fetched"),
    (schema(x={"$ref": "file:///etc/passwd"}), "never fetched"),
    (schema(x={"$ref": "other.json#/x"}), "never fetched"),
    (schema(x={"$ref": "#/$defs/nowhere"}), "does not have"),
    (schema(x={"$ref": "#/properties/x"}), "nested too deep"),
    (schema(**{f"x{number}": {"type": "string"} for number in range(300)}), "301 fields"),
    (schema(x={"type": "string", "description": "x" * 300_000}), "characters"),
]


@pytest.mark.parametrize(("raw", "words"), UNUSABLE, ids=[words for _, words in UNUSABLE])
def test_a_schema_beyond_the_bounds_is_refused(raw: object, words: str) -> None:
    with pytest.raises(SchemaUnusable, match=words):
        read_schema(raw)


@pytest.mark.parametrize("word", ["items", "properties", "anyOf", "allOf"])
def test_depth_is_bounded_whatever_nests(word: str) -> None:
    part: Any = {"type": "string"}
    for _ in range(500):
        part = {"anyOf": {word: [part]}, "allOf": {word: [part]}, "properties": {word: {"x": part}}}.get(
            word, {word: part}
        )
    with pytest.raises(SchemaUnusable, match="too deep"):
        read_schema(schema(x=part))


def test_many_references_to_one_part_do_not_multiply() -> None:
    defs: dict[str, Any] = {"a0": {"type": "string"}}
    for number in range(1, 10):
        inner = {f"p{n}": {"$ref": f"#/$defs/a{number - 1}"} for n in range(10)}
        defs[f"a{number}"] = {"type": "object", "properties": inner}
    with pytest.raises(SchemaUnusable, match="too deep"):
        read_schema({**schema(x={"$ref": "#/$defs/a9"}), "$defs": defs})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
WORDS = st.sampled_from(
    [
        "type",
        "enum",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "items",
        "format",
        "default",
        "required",
        "properties",
        "anyOf",
        "$ref",
        "nullable",
        "pattern",
        "maxLength",
    ]
)


@given(st.dictionaries(st.sampled_from(["prompt", "duration", "resolution", "image", "seed"]),
                       st.dictionaries(WORDS, JSON, max_size=5), max_size=5))  # fmt: skip
def test_any_json_is_read_or_refused_with_a_reason(properties: dict[str, Any]) -> None:
    try:
        live = LiveEndpoint("a/b", "a/b", read_schema({"properties": {"prompt": {"type": "string"}, **properties}}))
    except SchemaUnusable:
        return
    limits = limits_of(live)
    assert limits.min_duration <= usual_duration(live) <= limits.max_duration
    write_body(live, Wishes("p", {}, {"duration": 5, "seed": 1, "resolution": "720p"}))


def test_types_of_a_field_are_read_in_each_form_that_generators_of_schemas_write() -> None:
    for part, expected in DURATIONS:
        live = LiveEndpoint("a/b", "a/b", read_schema({**schema(duration=part), "$defs": DEFS}))
        assert "duration" in live.schema.by_word, part
        limits = limits_of(live)
        read = (limits.min_duration, limits.max_duration, limits.durations, usual_duration(live))
        assert read == expected, part


DEFS = {
    "Seconds": {"type": "string", "enum": ["5 seconds", "30 seconds"]},
    "Size": {"type": "string", "enum": ["720p", "4K"]},
}
DURATIONS: list[tuple[dict[str, Any], tuple[int, int, tuple[int, ...], int]]] = [
    ({"anyOf": [{"type": "integer", "minimum": 3, "maximum": 30}, {"type": "string", "enum": ["auto"]}]}, (3, 30, (), 5)),
    ({"anyOf": [{"type": "string", "enum": ["auto"]}, {"type": "null"}, {"type": "integer"}], "default": 8}, (1, 600, (), 8)),
    ({"allOf": [{"$ref": "#/$defs/Seconds"}], "default": "30 seconds"}, (5, 30, (5, 30), 30)),
    ({"oneOf": [{"const": 6}, {"const": 12}, {"const": "auto"}]}, (6, 12, (6, 12), 6)),
    ({"type": ["integer", "string"], "minimum": 4}, (4, 600, (), 5)),
    ({"type": ["integer", "null"], "maximum": 3}, (1, 3, (), 3)),
    ({"enum": ["8 sec", "8secs", "9s", "10 Seconds"]}, (8, 10, (), 8)),
    ({"const": 8}, (8, 8, (), 8)),
    ({"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 20}, (6, 19, (), 6)),
    ({"type": "integer", "multipleOf": 4, "maximum": 20}, (4, 20, (4, 8, 12, 16, 20), 4)),
    ({"type": "number", "multipleOf": 0.1, "maximum": 20}, (1, 20, (), 5)),
    ({"type": "number", "multipleOf": 2.5, "minimum": 3.2, "maximum": 10}, (5, 10, (5, 10), 5)),
    ({"allOf": [{"type": "integer"}, {"minimum": 7}, {"anyOf": [{"maximum": 9}]}]}, (7, 9, (), 7)),
]  # fmt: skip


@pytest.mark.parametrize(
    "part", [{"allOf": [{"$ref": "#/$defs/Size"}], "default": "720p"}, {"anyOf": [{"$ref": "#/$defs/Size"}, {}]}]
)
def test_a_resolution_is_read_through_its_branches(part: dict[str, Any]) -> None:
    live = LiveEndpoint("a/b", "a/b", read_schema({**schema(resolution=part), "$defs": DEFS}))
    assert limits_of(live).resolutions == ("720p", "4k")
    assert write_body(live, Wishes("p", {}, {"resolution": "4k"})).body["resolution"] == "4K"


def test_files_are_read_through_their_branches() -> None:
    part = {"allOf": [{"$ref": "#/$defs/Files"}]}
    files = {"type": "array", "items": {"type": "string", "format": "image_uri"}, "maxItems": 3}
    (media,) = read_schema({**schema(images=part), "$defs": {"Files": files}}).media
    assert (media.many, media.max_count) == (True, 3)


def test_branches_of_branches_do_not_multiply() -> None:
    two = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    live = read_schema(schema(duration={"allOf": [two] * 200}))
    assert live.by_word["duration"] == "duration"


@pytest.mark.parametrize("part", [{"type": "integer", "minimum": 100_000}, {"type": "number", "exclusiveMinimum": 600},
                                  {"type": "number", "multipleOf": 700}])  # fmt: skip
def test_a_model_of_which_the_shortest_video_is_too_long_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(SchemaUnusable, match="600"):
        read_schema(schema(duration=part))


NOT_SOUND = st.sampled_from([1e400, -1e400, float("nan"), 10**400, -(10**400), 1e300, 5e-324, 0, -1])
NUMBERS = st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
                           "minItems", "maxItems", "default", "const"])  # fmt: skip
OF_A_TYPE = st.sampled_from(
    [
        {"type": "integer"},
        {"type": "number"},
        {"type": "array", "items": {"format": "image_uri"}},
        {"type": "string"},
        {},
    ]
)


@given(st.dictionaries(st.sampled_from(["prompt", "duration", "seed", "negative_prompt", "images", "resolution"]),
                       st.tuples(OF_A_TYPE, st.dictionaries(NUMBERS, NOT_SOUND, max_size=4),
                                 st.lists(NOT_SOUND, max_size=2)), min_size=1))  # fmt: skip
@settings(max_examples=200)
def test_no_number_of_a_schema_is_too_large_to_be_read(parts: dict[str, Any]) -> None:
    fields = {name: {**kind, **numbers, "enum": listed} for name, (kind, numbers, listed) in parts.items()}
    try:
        live = LiveEndpoint("a/b", "a/b", read_schema({"properties": {"text": {"type": "string"}, **fields}}))
    except SchemaUnusable:
        return
    limits = limits_of(live)
    assert 1 <= limits.min_duration <= usual_duration(live) <= limits.max_duration <= 600
    made = write_body(live, Wishes("p", {}, {"duration": 5, "seed": 1, "resolution": "720p"}))
    violations(json.dumps(live.schema.plain), json.dumps(made.body))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -5, 0, 601, 10**400, True, "0", "5x", "", None, [5], {}])
def test_what_is_no_number_of_seconds(value: object) -> None:
    assert seconds_of(value) is None


class TestTheCheck:
    def test_a_body_that_fits_has_no_words(self) -> None:
        live = endpoint("kling/kling-3.0/pro/image-to-video")
        body = {"prompt": "x", "start_image": {"$medium": "image 1"}, "elements": [{"name": "hat", "weight": 0.5}]}
        assert violations(json.dumps(live.schema.plain), json.dumps(body)) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"cfg_scale": 2}, "cfg_scale: the schema says maximum 1"),
            ({"cfg_scale": "high"}, 'cfg_scale: the schema says type "number"'),
            ({"elements": [{"weight": 1}]}, "'name' is a required property"),
            ({"elements": [{"name": "a", "hat": 1}]}, "'hat' was unexpected"),
            ({"fps": 24}, "'fps' was unexpected"),
        ],
    )
    def test_what_does_not_fit_is_told_in_the_schemas_words(self, changes: dict[str, Any], words: str) -> None:
        live = endpoint("kling/kling-3.0/pro/image-to-video")
        body = {"prompt": "x", "start_image": {"$medium": "image 1"}, **changes}
        assert words in "; ".join(violations(json.dumps(live.schema.plain), json.dumps(body)))

    def test_a_pattern_that_takes_for_ever_ends_with_its_process(self) -> None:
        evil = read_schema(schema(code={"type": "string", "pattern": "^(a+)+$"}))
        body = json.dumps({"prompt": "x", "code": "a" * 60 + "!"})
        limits = WorkLimits("check", 1.0, wall_seconds=20.0)
        with pytest.raises(MediaError):
            shared_pool().run(violations, json.dumps(evil.plain), body, limits=limits)

    def test_a_pattern_that_is_none_is_left_to_the_service(self) -> None:
        odd = read_schema(schema(code={"type": "string", "pattern": "(["}))
        assert violations(json.dumps(odd.plain), json.dumps({"prompt": "x", "code": "y"})) == []
