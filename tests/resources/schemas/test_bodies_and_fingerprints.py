"""From inputs to bodies in both dialects, and what a fingerprint does and does not depend on."""

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import Verdict
from resources.schemas.endpoints import (
    ENDPOINTS,
    LIMITS,
    BodyInvalid,
    family_route,
    ids_for,
    input_schema,
    to_body,
)
from resources.schemas.families import default_families
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.families.wan_2_7_image import NAME as WAN_I2V
from resources.schemas.families.wan_2_7_text import NAME as WAN_T2V
from resources.schemas.inputs import MAX_SEED, Family, GenerationInputs, Medium, MediumKind, Route, fingerprint

SECRET_URL = "https://bucket.example/x?X-Amz-Signature=topsecret"


def medium(kind: str, letter: str = "a", key: str = "k") -> Medium:
    return Medium(kind=MediumKind(kind), sha256=letter * 64, key=key, size_bytes=1, content_type=f"{kind}/x")


def url_of(one: Medium) -> str:
    return f"https://in.example/{one.sha256[:1]}"


def inputs(family: Family, **changes: object) -> GenerationInputs:
    base: dict[Family, dict[str, object]] = {
        HAPPYHORSE_I2V: {"images": (medium("image"),), "watermark": False},
        WAN_T2V: {"audios": (medium("audio", "b"),), "aspect_ratio": "9:16"},
        WAN_I2V: {"images": (medium("image"),), "audios": (medium("audio", "b"),)},
        SEEDANCE_PRO: {
            "images": (medium("image"), medium("image", "c")),
            "videos": (medium("video", "d"),),
            "audios": (medium("audio", "b"),),
            "generate_audio": True,
        },
    }
    plain = {"prompt": "Drift slowly.", "duration": 5, "resolution": "720p", "seed": 7}
    return GenerationInputs.model_validate({"family": family, **plain, **base[family], **changes})


BODIES: dict[str, dict[str, object]] = {
    "happyhorse/happyhorse-1-0/image-to-video": {
        "resolution": "720P",
        "image_url": "https://in.example/a",
        "watermark": False,
    },
    "happyhorse/happyhorse-1.0/image-to-video": {
        "resolution": "720P",
        "image_url": "https://in.example/a",
        "watermark": False,
    },
    "wan-ai/wan-2-7/text-to-video": {"audio_url": "https://in.example/b", "aspect_ratio": "9:16"},
    "wan-ai/wan-2.7/text-to-video": {"audio_url": "https://in.example/b", "aspect_ratio": "9:16"},
    "wan-ai/wan-2.7/image-to-video": {"image_url": "https://in.example/a", "audio_url": "https://in.example/b"},
    "bytedance/seedance-v2/pro": {
        "image_url": ["https://in.example/a", "https://in.example/c"],
        "video_url": ["https://in.example/d"],
        "audio_url": ["https://in.example/b"],
        "generate_audio": True,
    },
    "bytedance/seedance-2.0/pro": {
        "images": ["https://in.example/a", "https://in.example/c"],
        "videos": ["https://in.example/d"],
        "audios": ["https://in.example/b"],
        "generate_audio": True,
    },
}


@pytest.mark.parametrize("model_id", ENDPOINTS)
def test_each_id_gets_the_body_of_its_own_dialect(model_id: str) -> None:
    endpoint = ENDPOINTS[model_id]
    common = {"prompt": "Drift slowly.", "duration": 5, "resolution": "720p", "seed": 7}
    assert to_body(endpoint, inputs(endpoint.family), url_of) == {**common, **BODIES[model_id]}


@pytest.mark.parametrize("model_id", ENDPOINTS)
def test_a_body_fits_the_schema_that_the_catalogue_prints(model_id: str) -> None:
    endpoint = ENDPOINTS[model_id]
    schema, body = input_schema(endpoint), to_body(endpoint, inputs(endpoint.family), url_of)
    assert set(schema["required"]) <= set(body) <= set(schema["properties"])
    assert "source" not in json.dumps(schema)
    assert "anyOf" not in json.dumps(schema)


MISFITS = [
    (HAPPYHORSE_I2V, {"images": ()}, "takes 1 image files, not 0"),
    (HAPPYHORSE_I2V, {"images": (medium("image"),) * 2}, "takes 1 image files, not 2"),
    (HAPPYHORSE_I2V, {"audios": (medium("audio"),)}, "takes 0 audio files"),
    (HAPPYHORSE_I2V, {"images": (medium("audio"),)}, "one of the image files is of the kind audio"),
    (HAPPYHORSE_I2V, {"watermark": None}, "watermark must be set"),
    (HAPPYHORSE_I2V, {"aspect_ratio": "1:1"}, "no aspect_ratio"),
    (HAPPYHORSE_I2V, {"negative_prompt": "x"}, "no negative_prompt"),
    (HAPPYHORSE_I2V, {"resolution": "4k"}, "resolution must be one of 720p, 1080p"),
    (HAPPYHORSE_I2V, {"duration": 16}, "duration"),
    (HAPPYHORSE_I2V, {"prompt": "a" * 5001}, "prompt"),
    (WAN_T2V, {"images": (medium("image"),)}, "takes 0 image files"),
    (WAN_T2V, {"audios": ()}, "takes 1 audio files"),
    (WAN_T2V, {"watermark": True}, "no watermark"),
    (WAN_T2V, {"generate_audio": True}, "no generate_audio"),
    (WAN_I2V, {"audios": (medium("audio"),) * 2}, "takes 0 to 1 audio files"),
    (SEEDANCE_PRO, {"prompt_expansion": True}, "no prompt_expansion"),
    (SEEDANCE_PRO, {"images": (medium("image"),) * 10}, "takes 0 to 9 image files"),
]


@pytest.mark.parametrize(("family", "changes", "words"), MISFITS)
def test_inputs_that_a_body_cannot_carry_are_refused_and_never_dropped(
    family: Family, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(BodyInvalid, match=words) as caught:
        to_body(ENDPOINTS[ids_for(family)[0]], inputs(family, **changes), url_of)
    assert caught.value.verdict is Verdict.FINAL


def test_a_tier_of_the_catalogue_id_is_refused_by_the_documented_one() -> None:
    documented, catalogue = (ENDPOINTS[i] for i in ids_for(SEEDANCE_PRO))
    large = inputs(SEEDANCE_PRO, resolution="4k")
    assert to_body(catalogue, large, url_of)["resolution"] == "4k"
    with pytest.raises(BodyInvalid, match="480p, 720p"):
        to_body(documented, large, url_of)


def test_inputs_of_another_family_are_refused() -> None:
    with pytest.raises(BodyInvalid, match="are for"):
        to_body(ENDPOINTS["wan-ai/wan-2-7/text-to-video"], inputs(HAPPYHORSE_I2V), url_of)


def test_no_error_repeats_an_address() -> None:
    endpoint = ENDPOINTS[ids_for(HAPPYHORSE_I2V)[0]]
    with pytest.raises(BodyInvalid) as caught:
        to_body(endpoint, inputs(HAPPYHORSE_I2V, duration=16), lambda _: SECRET_URL + " x")
    assert "topsecret" not in repr(caught.value) + caught.value.text
    assert caught.value.__cause__ is None


def test_ids_come_documented_first() -> None:
    assert ids_for(SEEDANCE_PRO) == ("bytedance/seedance-v2/pro", "bytedance/seedance-2.0/pro")
    assert ids_for(WAN_I2V) == ("wan-ai/wan-2.7/image-to-video",)
    assert {family_route(family) for family in LIMITS} == set(Route)
    assert set(LIMITS) == {endpoint.family for endpoint in ENDPOINTS.values()} == set(default_families())


texts = st.text(min_size=1, max_size=60).filter(lambda text: text.strip() != "")
seeds = st.integers(1, MAX_SEED)


@given(prompt=texts, seed=seeds, key=st.text(max_size=20), take=st.integers(1, 9))
def test_a_fingerprint_ignores_where_the_bytes_lie(prompt: str, seed: int, key: str, take: int) -> None:
    here = inputs(HAPPYHORSE_I2V, prompt=prompt, seed=seed)
    there = here.model_copy(update={"images": (medium("image", "a", key=key),)})
    assert fingerprint("sandbox", here, take) == fingerprint("sandbox", there, take)


@given(data=st.data())
def test_a_fingerprint_ignores_the_order_in_which_fields_were_written(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(list(LIMITS)))
    plain = inputs(family).model_dump()
    shuffled = dict(data.draw(st.permutations(list(plain.items()))))
    assert fingerprint("sandbox", GenerationInputs.model_validate(shuffled), 1) == fingerprint(
        "sandbox", inputs(family), 1
    )


@pytest.mark.parametrize("family", LIMITS)
def test_a_fingerprint_ignores_the_dialect_and_the_addresses(family: Family) -> None:
    """Whichever id answers, and however often the inputs are presigned, the work stays the same work."""
    given_inputs = inputs(family)
    before = fingerprint("runcomfy", given_inputs, 1)
    for model_id in ids_for(family):
        to_body(ENDPOINTS[model_id], given_inputs, lambda _: SECRET_URL)
    assert fingerprint("runcomfy", given_inputs, 1) == before


CHANGES: list[dict[str, object]] = [
    {"prompt": "Drift slowly!"},
    {"seed": 8},
    {"duration": 6},
    {"resolution": "1080p"},
    {"watermark": True},
    {"images": (medium("image", "c"),)},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_fingerprint_changes_with_whatever_changes_the_video(change: dict[str, object]) -> None:
    assert fingerprint("sandbox", inputs(HAPPYHORSE_I2V, **change), 1) != fingerprint(
        "sandbox", inputs(HAPPYHORSE_I2V), 1
    )


def test_a_fingerprint_tells_services_takes_roles_and_order_apart() -> None:
    base = inputs(SEEDANCE_PRO)
    turned = base.model_copy(update={"images": base.images[::-1]})
    prints = {
        fingerprint("sandbox", base, 1),
        fingerprint("runcomfy", base, 1),
        fingerprint("sandbox", base, 2),
        fingerprint("sandbox", turned, 1),
    }
    assert len(prints) == 4


def test_the_fingerprint_of_known_work_never_moves() -> None:
    """A moved fingerprint would pay for every delivered clip again."""
    assert fingerprint("sandbox", inputs(HAPPYHORSE_I2V), 1) == PINNED


PINNED = "bc20685eecd01d84c5b11a2079c65d9402e492902c071a6ae4f280e7f411a3cd"


def _pinned(kind: str, digit: str) -> Medium:
    types = {"image": "image/jpeg", "audio": "audio/mpeg", "video": "video/mp4"}
    return Medium(kind=MediumKind(kind), sha256=digit * 64, key="uploads/x", size_bytes=1000, content_type=types[kind])


BEFORE_PREPARATIONS: list[tuple[str, Literal["runcomfy", "sandbox"], int, dict[str, Any]]] = [
    (
        "599e0140147b1fc69515e06a523a8504063625739f138dcd77d45d330c270366",
        "sandbox",
        1,
        {"family": HAPPYHORSE_I2V, "prompt": "Drift slowly.", "images": (_pinned("image", "a"),), "duration": 5,
         "resolution": "1080p", "seed": 7, "watermark": False},
    ),
    (
        "c09ef045ed15976e023e177a4e3b7a05d2e6e9bff782830fada2278572b03765",
        "runcomfy",
        2,
        {"family": HAPPYHORSE_I2V, "prompt": "Drift slowly.", "images": (_pinned("image", "a"),), "duration": 5,
         "resolution": "1080p", "seed": 7, "watermark": False},
    ),
    (
        "4b555c95025a63d8832eb0766988fce820618a08f92c5e64f56716368e8c895c",
        "sandbox",
        1,
        {"family": WAN_T2V, "prompt": "A presenter speaks.", "audios": (_pinned("audio", "b"),), "duration": 6,
         "resolution": "1080p", "aspect_ratio": "16:9", "seed": 8, "prompt_expansion": True},
    ),
    (
        "ac179b54f97aab90102e10f2833c3a07d88812250f928b5352985a7537fc79de",
        "sandbox",
        1,
        {"family": WAN_I2V, "prompt": "Ä ✨", "images": (_pinned("image", "a"),),
         "audios": (_pinned("audio", "b"),), "duration": 6, "resolution": "720p", "seed": 9, "negative_prompt": "blur",
         "prompt_expansion": False},
    ),
    (
        "c8a4bdc6b5323bc92d45868d70b53c53dffaf4dce7870dbbe01c7bfadb00c208",
        "sandbox",
        3,
        {"family": SEEDANCE_PRO, "prompt": "Use image 1.",
         "images": (_pinned("image", "a"), _pinned("image", "d")), "audios": (_pinned("audio", "b"),),
         "videos": (_pinned("video", "c"),), "duration": 4, "resolution": "480p", "aspect_ratio": "adaptive", "seed": 10,
         "generate_audio": True},
    ),
]  # fmt: skip
"""Computed by the version before files were prepared."""


@pytest.mark.parametrize(("expected", "service", "take", "given_inputs"), BEFORE_PREPARATIONS)
def test_what_needs_no_preparation_keeps_the_fingerprint_of_before(
    expected: str, service: Literal["runcomfy", "sandbox"], take: int, given_inputs: dict[str, Any]
) -> None:
    made = GenerationInputs(**given_inputs)
    assert fingerprint(service, made, take) == expected
    assert "prepar" not in made.model_dump_json()
    assert "original" not in made.model_dump_json()


def test_a_prepared_file_counts_as_its_original_and_what_was_done() -> None:
    def of(**changed: Any) -> str:
        prepared = {"original_sha256": "e" * 64, "original_size_bytes": 9, "original_key": "uploads/x.heic"}
        medium = _pinned("image", "a").model_copy(update=prepared | {"preparation": "image/1"} | changed)
        return fingerprint("sandbox", inputs(HAPPYHORSE_I2V, images=(medium,)), 1)

    assert of() == of(sha256="f" * 64, size_bytes=7, key="inputs/other.png"), "another encoder is the same request"
    assert len({of(), of(preparation="image/2"), of(original_sha256="f" * 64)}) == 3
    read = GenerationInputs.model_validate_json(
        inputs(HAPPYHORSE_I2V, images=(_pinned("image", "a"),)).model_dump_json()
    )
    assert read.images[0].uploaded_sha256 == "a" * 64
