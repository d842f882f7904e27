"""The same meanings in the spellings of many generators of schemas: files, switches, lengths, and where the fields stand."""

import json
from typing import Any

import pytest

from resources.schemas.inputs import MediumKind
from resources.schemas.live_body import Wishes, write_body
from resources.schemas.live_check import violations
from resources.schemas.live_limits import limits_of, usual_duration
from resources.schemas.live_schema import LiveEndpoint, read_schema, switch_of
from resources.schemas.live_words import SchemaUnusable

IMAGE = {"type": "string", "format": "image_uri"}
TEXT = {"type": "string"}


def live(**fields: Any) -> LiveEndpoint:
    raw = {"type": "object", "properties": {"prompt": TEXT, **fields}, "required": ["prompt"]}
    return LiveEndpoint("a/model", "a/model", read_schema(raw))


def body_of(endpoint: LiveEndpoint, images: int = 1, **values: object) -> dict[str, Any]:
    files = {MediumKind.IMAGE: [f"{number}.jpg" for number in range(images)]}
    written = write_body(endpoint, Wishes("slow", files, values))
    assert written.problems == ()
    return written.body


@pytest.mark.parametrize(
    ("name", "part", "kind", "many"),
    [
        ("image", {"type": "string", "format": "image-uri"}, MediumKind.IMAGE, False),
        ("image", {"type": "string", "format": "imageUri"}, MediumKind.IMAGE, False),
        ("image", {"type": "string", "format": "IMAGE_URL"}, MediumKind.IMAGE, False),
        ("refs", {"type": "array", "format": "image-uris", "items": TEXT}, MediumKind.IMAGE, True),
        ("refs", {"type": "array", "items": {"type": "string", "format": "video_url"}}, MediumKind.VIDEO, True),
        ("first_frame", {"type": "string", "format": "uri"}, MediumKind.IMAGE, False),
        ("startImageUrl", {"type": "string", "format": "uri"}, MediumKind.IMAGE, False),
        ("image_url", TEXT, MediumKind.IMAGE, False),
        ("image_urls", {"type": "array", "items": TEXT}, MediumKind.IMAGE, True),
        ("voice_url", {"type": ["string", "null"]}, MediumKind.AUDIO, False),
        ("reference_video_urls", {"type": "array", "items": TEXT}, MediumKind.VIDEO, True),
    ],
)
def test_a_field_for_files_is_known_however_it_is_spelled(
    name: str, part: dict[str, Any], kind: MediumKind, many: bool
) -> None:
    (found,) = live(**{name: part}).schema.media
    assert (found.kind, found.many) == (kind, many)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("webhook_url", {"type": "string", "format": "uri"}),
        ("callback", {"type": "string", "format": "uri"}),
        ("image", TEXT),
        ("image_style", TEXT),
        ("image_url", {"type": "string", "enum": ["a", "b"]}),
        ("audio", {"type": "boolean"}),
    ],
)
def test_what_takes_no_file(name: str, part: dict[str, Any]) -> None:
    assert live(**{name: part}).schema.media == ()


def test_a_field_takes_one_file_or_a_list_of_them() -> None:
    several = {"type": "array", "items": IMAGE, "minItems": 2, "maxItems": 4}
    for branches in ([IMAGE, several], [several, IMAGE]):
        endpoint = live(images={"anyOf": branches})
        assert (limits_of(endpoint).images.max_count, endpoint.schema.media[0].min_count) == (4, 1)
        assert isinstance(body_of(endpoint, 1)["images"], dict)
        assert len(body_of(endpoint, 3)["images"]) == 3


@pytest.mark.parametrize("on_off", [("on", "off"), ("yes", "no"), ("true", "false"), ("Enabled", "Disabled")])
def test_switches_of_sound_are_written_in_the_models_words(on_off: tuple[str, str]) -> None:
    on, off = on_off
    endpoint = live(with_audio={"type": "string", "enum": [off, on]})
    assert body_of(endpoint, 0, generate_audio=True)["with_audio"] == on
    assert body_of(endpoint, 0, generate_audio=False)["with_audio"] == off
    assert switch_of("with_audio", off) is False


def test_a_switch_that_turns_the_sound_off() -> None:
    endpoint = live(muteAudio={"type": "boolean", "default": False})
    assert body_of(endpoint, 0, generate_audio=True)["muteAudio"] is False
    assert body_of(endpoint, 0, generate_audio=False)["muteAudio"] is True
    assert (switch_of("muteAudio", True), switch_of("muteAudio", None)) == (False, None)


def test_names_in_one_word() -> None:
    endpoint = live(
        imageUrl=IMAGE, lastFrameUrl=IMAGE, durationSeconds={"type": "integer", "enum": [4, 6]}, aspectRatio=TEXT
    )
    assert body_of(endpoint, 0, duration=6, aspect_ratio="1:1")["durationSeconds"] == 6
    assert [media.last for media in endpoint.schema.media] == [False, True]


def test_a_length_in_frames_is_not_a_duration() -> None:
    for words in ({"description": "Number of frames"}, {"title": "Frames"}):
        assert "duration" not in live(length={"type": "integer", "maximum": 121, **words}).schema.by_word
    seconds = {"type": "integer", "maximum": 9, "description": "Seconds, at 24 frames each"}
    assert limits_of(live(length=seconds)).max_duration == 9


def test_a_default_that_the_schema_does_not_list_is_not_sent() -> None:
    endpoint = live(
        duration={"type": "integer", "enum": [5, 10], "default": 7},
        resolution={"enum": ["480p", "720p"], "default": "1080p"},
        aspect_ratio={"enum": ["16:9", "9:16"], "default": "auto"},
    )
    limits = limits_of(endpoint)
    assert (usual_duration(endpoint), limits.default_resolution, limits.default_aspect_ratio) == (5, "480p", None)


FIELDS = {"prompt": TEXT, "image": IMAGE}


@pytest.mark.parametrize(
    "raw",
    [
        {"$ref": "#/$defs/Input", "$defs": {"Input": {"properties": FIELDS, "required": ["image"]}}},
        {"allOf": [{"$ref": "#/definitions/A"}, {"required": ["image"]}], "definitions": {"A": {"properties": FIELDS}}},
        {"allOf": [{"properties": {"image": IMAGE}, "required": ["image"]}], "properties": {"prompt": TEXT}},
    ],
)
def test_the_fields_may_stand_behind_a_reference(raw: dict[str, Any]) -> None:
    schema = read_schema(raw)
    assert set(schema.properties) == {"prompt", "image"}
    assert schema.required == ("image",)
    assert schema.media[0].required


def test_parts_that_hold_themselves_do_not_multiply() -> None:
    again = {"allOf": [{"$ref": "#/$defs/A"}] * 50}
    for raw in ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, {**again, "$defs": {"A": again}}):
        with pytest.raises(SchemaUnusable, match="nested too deep"):
            read_schema(raw)


def test_what_a_schema_says_of_its_fields_together_is_checked() -> None:
    raw = {
        "properties": {"prompt": TEXT, "image": IMAGE, "style": TEXT},
        "anyOf": [{"required": ["image"]}, {"required": ["style"]}],
    }
    plain = json.dumps(read_schema(raw).plain)
    assert violations(plain, '{"prompt": "x", "style": "y"}') == []
    assert "anyOf" in violations(plain, '{"prompt": "x"}')[0]


def test_one_of_several_holds_only_as_far_as_it_is_understood() -> None:
    """A `not` is not read, so what it keeps apart may hold together: such a `oneOf` refuses nothing that the service takes."""
    needs, lacks = {"required": ["image"]}, {"not": {"required": ["image"]}}
    for branches in ([needs, lacks], [{"required": ["style"]}, {"required": ["prompt"], **lacks}]):
        for rule in ({"oneOf": branches}, {"allOf": [{"oneOf": branches}]}):
            raw = {"properties": {"prompt": TEXT, "style": TEXT, "image": IMAGE}, **rule}
            plain = json.dumps(read_schema(raw).plain)
            for body in ({"prompt": "x", "image": "a.jpg", "style": "y"}, {"prompt": "x"}):
                assert violations(plain, json.dumps(body)) == []


def test_one_of_several_that_is_understood_holds() -> None:
    raw = {
        "properties": {"prompt": TEXT, "style": TEXT, "image": IMAGE},
        "oneOf": [{"required": ["image"]}, {"required": ["style"], "x-order": 2}],
    }
    plain = json.dumps(read_schema(raw).plain)
    assert violations(plain, '{"prompt": "x", "style": "y"}') == []
    assert violations(plain, '{"prompt": "x", "style": "y", "image": "a.jpg"}')


def test_a_field_of_one_of_several_is_not_stricter_than_the_service() -> None:
    odd = {"type": "integer", "not": {"enum": [5]}, "minimum": 3, "maximum": 9}
    endpoint = live(duration={"oneOf": [{"type": "integer", "enum": [5]}, odd]})
    assert violations(json.dumps(endpoint.schema.plain), '{"prompt": "x", "duration": 5}') == []


BASES = {
    "$defs": {
        "Base": {"properties": {"prompt": TEXT, "duration": {"type": "integer", "minimum": 1, "maximum": 60}}},
        "Ten": {"properties": {"duration": {"maximum": 10}}},
    }
}


@pytest.mark.parametrize(
    ("own", "parts", "expected"),
    [
        ({"enum": [5, 10]}, ["Base"], (5, 10, (5, 10), 5)),
        ({"type": "integer", "minimum": 5, "maximum": 12}, ["Base"], (5, 12, (), 5)),
        ({"minimum": 0, "maximum": 90}, ["Base"], (1, 60, (), 5)),
        ({"default": 7}, ["Base", "Ten"], (1, 10, (), 7)),
        ({"enum": [5, 10, 15]}, ["Base", "Ten"], (5, 10, (5, 10), 5)),
    ],
)
def test_all_that_is_said_of_a_field_holds(own: dict[str, Any], parts: list[str], expected: tuple[Any, ...]) -> None:
    schema = read_schema(
        {**BASES, "properties": {"duration": own}, "allOf": [{"$ref": f"#/$defs/{each}"} for each in parts]}
    )
    endpoint = LiveEndpoint("a/model", "a/model", schema)
    limits = limits_of(endpoint)
    lengths = limits.min_duration, limits.max_duration, limits.durations, usual_duration(endpoint)
    assert lengths == expected
    assert violations(json.dumps(schema.plain), '{"prompt": "x", "duration": 61}')


def test_frames_are_not_seconds_wherever_it_is_said() -> None:
    said = {"properties": {"duration": {"type": "integer", "description": "Number of frames."}}}
    raw = {"properties": {"prompt": TEXT, "duration": {"default": 81}}, "allOf": [said]}
    assert "duration" not in read_schema(raw).by_word
