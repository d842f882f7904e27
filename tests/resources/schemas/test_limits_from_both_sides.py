"""Every limit of every endpoint, touched from inside and crossed from outside."""

import pytest
from pydantic import ValidationError

from resources.schemas.endpoints import ENDPOINTS, LIMITS, Endpoint, input_schema, prompt_problem
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V_FAMILY
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V_FAMILY
from resources.schemas.inputs import MAX_SEED, Family

HORSE = ("happyhorse/happyhorse-1-0/image-to-video", "happyhorse/happyhorse-1.0/image-to-video")
WAN_T2V = ("wan-ai/wan-2-7/text-to-video", "wan-ai/wan-2.7/text-to-video")
WAN_I2V = ("wan-ai/wan-2.7/image-to-video",)
SEED_DOC = ("bytedance/seedance-v2/pro",)
SEED_CAT = ("bytedance/seedance-2.0/pro",)
SEEDANCE = SEED_DOC + SEED_CAT
ALL = tuple(ENDPOINTS)
URL = "https://bucket.example/x?sig=1"


def body(model_id: str) -> dict[str, object]:
    least: dict[str, object] = {"prompt": "Drift slowly."}
    if "image_url" in input_schema(ENDPOINTS[model_id])["required"]:
        least["image_url"] = URL
    return least


def row(ids: tuple[str, ...], field: str, good: list[object], bad: list[object]) -> list[tuple[str, str, object, bool]]:
    return [
        (model_id, field, value, fits)
        for model_id in ids
        for fits, values in ((True, good), (False, bad))
        for value in values
    ]


TABLE = [
    *row(HORSE, "duration", [3, 15], [2, 16, "5", 5.5, True, None]),
    *row(WAN_T2V + WAN_I2V, "duration", [2, 15], [1, 16, "5"]),
    *row(SEEDANCE, "duration", [4, 15], [3, 16, "5"]),
    *row(ALL, "seed", [0, MAX_SEED], [-1, MAX_SEED + 1, "1", 1.5]),
    *row(HORSE, "resolution", ["720P", "1080P"], ["720p", "480P", "1080p", "", 720]),
    *row(WAN_T2V + WAN_I2V, "resolution", ["720p", "1080p"], ["720P", "480p", "4k"]),
    *row(SEED_DOC, "resolution", ["480p", "720p"], ["1080p", "4k", "720P"]),
    *row(SEED_CAT, "resolution", ["480p", "720p", "1080p", "4k"], ["720P", "2k"]),
    *row(WAN_T2V, "aspect_ratio", ["16:9", "9:16", "1:1", "4:3", "3:4"], ["21:9", "adaptive", "16x9"]),
    *row(SEEDANCE, "aspect_ratio", ["adaptive", "16:9", "9:16", "4:3", "3:4", "1:1", "21:9"], ["9:21", ""]),
    *row(HORSE + WAN_I2V, "aspect_ratio", [], ["16:9"]),
    *row(HORSE, "prompt", ["a" * 5000, "中" * 2500], ["a" * 5001, "中" * 2501, "", "  "]),
    *row(WAN_T2V + WAN_I2V, "prompt", ["a" * 5000, "中" * 2500], ["a" * 5001, "中" * 2501, ""]),
    *row(
        SEEDANCE,
        "prompt",
        ["word " * 1000, "中" * 500, "word " * 1001, "中" * 501, "a" * 6001],  # its length is only recommended
        ["", "  "],
    ),
    *row(WAN_T2V + WAN_I2V, "negative_prompt", ["n" * 500], ["n" * 501]),
    *row(HORSE + SEEDANCE, "negative_prompt", [], ["blur"]),
    *row(HORSE, "watermark", [True, False], ["false", 0]),
    *row(WAN_T2V + WAN_I2V + SEEDANCE, "watermark", [], [False]),
    *row(WAN_T2V + WAN_I2V, "enable_prompt_expansion", [True, False], [1]),
    *row(SEEDANCE, "generate_audio", [True, False], ["true"]),
    *row(
        HORSE + WAN_I2V,
        "image_url",
        [URL, "http://127.0.0.1:1/x", "data:image/png;base64,AA"],
        ["", "ftp://x/y", "file:///etc/passwd", "x.png", [URL]],
    ),
    *row(WAN_T2V, "image_url", [], [URL]),
    *row(WAN_T2V + WAN_I2V, "audio_url", [URL], ["x.mp3", [URL]]),
    *row(WAN_I2V, "end_image_url", [URL], ["x.png"]),
    *row(SEED_DOC, "image_url", [[], [URL] * 9], [[URL] * 10, ["x"], URL]),
    *row(SEED_DOC, "video_url", [[], [URL] * 3], [[URL] * 4]),
    *row(SEED_DOC, "audio_url", [[], [URL] * 3], [[URL] * 4]),
    *row(SEED_CAT, "images", [[], [URL] * 9], [[URL] * 10, ["x"], URL]),
    *row(SEED_CAT, "videos", [[], [URL] * 3], [[URL] * 4]),
    *row(SEED_CAT, "audios", [[], [URL] * 3], [[URL] * 4]),
    *row(SEED_CAT, "image_url", [], [[URL]]),
    *row(SEED_DOC, "images", [], [[URL]]),
    *row(ALL, "webhook", [], [URL]),
]


@pytest.mark.parametrize(("model_id", "field", "value", "fits"), TABLE)
def test_a_value_on_the_limit_fits_and_one_past_it_does_not(
    model_id: str, field: str, value: object, fits: bool
) -> None:
    candidate = {**body(model_id), field: value}
    if fits:
        assert getattr(ENDPOINTS[model_id].body.model_validate(candidate), field) == value
    else:
        with pytest.raises(ValidationError):
            ENDPOINTS[model_id].body.model_validate(candidate)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.model_id)
def test_every_field_of_every_body_is_in_the_table(endpoint: Endpoint) -> None:
    covered = {field for model_id, field, _, fits in TABLE if model_id == endpoint.model_id and fits}
    assert covered == set(endpoint.body.model_fields)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.model_id)
def test_every_field_names_its_source(endpoint: Endpoint) -> None:
    for name, part in endpoint.body.model_json_schema()["properties"].items():
        assert part["source"], name


DEFAULTS = {
    "duration": dict.fromkeys(ALL, 5),
    "resolution": dict.fromkeys(HORSE, "1080P")
    | dict.fromkeys(WAN_T2V + WAN_I2V, "1080p")
    | dict.fromkeys(SEEDANCE, "720p"),
    "watermark": {HORSE[0]: True, HORSE[1]: False},
    "aspect_ratio": dict.fromkeys(WAN_T2V, "16:9") | dict.fromkeys(SEEDANCE, "adaptive"),
    "seed": dict.fromkeys(HORSE + WAN_T2V + WAN_I2V, 0) | dict.fromkeys(SEEDANCE, None),
    "generate_audio": dict.fromkeys(SEEDANCE, True),
    "enable_prompt_expansion": dict.fromkeys(WAN_T2V + WAN_I2V, True),
}


@pytest.mark.parametrize(
    ("model_id", "field", "value"), [(i, field, v) for field, per_id in DEFAULTS.items() for i, v in per_id.items()]
)
def test_defaults_are_the_services_own(model_id: str, field: str, value: object) -> None:
    assert getattr(ENDPOINTS[model_id].body.model_validate(body(model_id)), field) == value


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.model_id)
def test_the_limits_as_data_are_the_limits_of_the_bodies(endpoint: Endpoint) -> None:
    """The preflight reads LIMITS, the wire reads the bodies: they may not drift apart."""
    limits, fields = LIMITS[endpoint.family], input_schema(endpoint)["properties"]
    assert (fields["duration"]["minimum"], fields["duration"]["maximum"]) == (limits.min_duration, limits.max_duration)
    assert tuple(v.lower() for v in fields["resolution"]["enum"]) == limits.resolutions_in(endpoint.dialect)
    assert fields["resolution"]["default"].lower() == limits.default_resolution
    assert tuple(fields.get("aspect_ratio", {}).get("enum", ())) == limits.aspect_ratios
    assert fields.get("aspect_ratio", {}).get("default") == limits.default_aspect_ratio
    assert fields.get("negative_prompt", {}).get("maxLength", 0) == limits.max_negative_prompt
    assert ("watermark" in fields, "generate_audio" in fields) == (limits.watermark, limits.generate_audio)
    assert ("enable_prompt_expansion" in fields) == limits.prompt_expansion
    for name, part in fields.items():
        kind = str(part.get("format", "")).split("_")[0]
        if kind and name != "end_image_url":
            at_most = part.get("maxItems", 1)
            assert {"image": limits.images, "audio": limits.audios, "video": limits.videos}[kind].max_count == at_most


def test_the_limits_of_media_are_the_documented_ones() -> None:
    horse, wan, face, seed = (LIMITS[f] for f in (HAPPYHORSE_I2V, WAN_T2V_FAMILY, WAN_I2V_FAMILY, SEEDANCE_PRO))
    image = horse.images
    assert (image.min_side, image.min_aspect, image.max_aspect, image.max_bytes) == (300, 0.4, 2.5, 10_000_000)
    assert image.formats == ("JPEG", "PNG", "WEBP")
    assert (wan.audios.min_seconds, wan.audios.max_seconds, wan.audios.max_bytes) == (3, 30, 15_000_000)
    assert (face.audios.min_seconds, face.audios.max_seconds) == (2, 30)
    assert (seed.audios.min_seconds, seed.audios.max_seconds, seed.audios.max_bytes) == (2, 15, 14_999_999)
    assert (seed.videos.min_seconds, seed.videos.max_seconds, seed.videos.formats) == (2, 15, ("MP4", "MOV"))
    assert [part.max_count for part in (seed.images, seed.videos, seed.audios)] == [9, 3, 3]
    assert (wan.images.max_count, horse.audios.max_count) == (0, 0)


@pytest.mark.parametrize("family", [HAPPYHORSE_I2V, WAN_T2V_FAMILY, WAN_I2V_FAMILY])
@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("a" * 5000, True),
        ("a" * 5001, False),
        ("中" * 2500, True),
        ("中" * 2501, False),
        ("中" * 2499 + "aa", True),
        ("中" * 2499 + "aaa", False),
        ("😀" * 5000, True),
        ("", False),
        (" \n", False),
    ],
)
def test_prompts_are_measured_in_characters_and_chinese_ones_count_twice(
    family: Family, prompt: str, fits: bool
) -> None:
    problem = prompt_problem(family, prompt)
    assert (problem is None) is fits
    if problem and prompt.strip():
        assert "5000 characters or 2500 Chinese characters" in problem


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("word " * 1000, True),
        ("word\n" * 1001, False),
        ("中" * 500, True),
        ("中" * 501, False),
        ("中" * 250 + " word" * 500, True),
        ("中" * 250 + " word" * 501, False),
        ("a" * 6000, True),
        ("a" * 6001, False),
        ("five5 " * 1000, True),
        ("ก" * 1000, True),
        ("ก" * 1001, False),
        ("ကာ" * 250 + "ខ្មែ" * 100 + " word" * 100, True),
        ("ကာ" * 250 + "ខ្មែ" * 100 + " word" * 101, False),
    ],
)
def test_seedance_prompts_are_measured_in_words(prompt: str, fits: bool) -> None:
    problem = prompt_problem(SEEDANCE_PRO, prompt)
    assert (problem is None) is fits
    assert problem is None or problem.endswith("recommended.")
