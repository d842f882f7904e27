import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from i2v_assets.clip_folder.manifest import (
    SANDBOX_NOTE,
    Manifest,
    ManifestError,
    media_of,
    read_manifest,
)
from resources.redact import looks_secret, redact
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.inputs import GenerationInputs, Medium, MediumKind

SIGNED = "https://b.s3.example.com/k.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0a0b"


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.items() for item in part for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []


def test_reading_gives_back_what_was_written_byte_for_byte(manifest: Manifest) -> None:
    data = manifest.to_json()
    assert read_manifest(data) == manifest
    assert read_manifest(data).to_json() == data


def test_canonical_text_is_sorted_and_ends_with_one_newline(manifest: Manifest) -> None:
    text = manifest.to_json().decode()
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    plain = json.loads(text)
    assert list(plain) == sorted(plain)
    assert list(plain["video"]) == sorted(plain["video"])
    assert "fährt langsam heran ✨" in text


def test_one_moment_has_one_spelling(fields: dict[str, Any]) -> None:
    there = datetime(2026, 3, 1, 19, 0, tzinfo=timezone(timedelta(hours=9)))
    moved = {**fields, "times": {**fields["times"], "created": there}}
    assert Manifest.model_validate(moved).to_json() == Manifest.model_validate(fields).to_json()
    with pytest.raises(ValidationError):
        Manifest.model_validate({**fields, "times": {"created": datetime(2026, 3, 1), "delivered": there}})  # noqa: DTZ001


def test_no_value_looks_like_an_address_or_a_credential(fields: dict[str, Any]) -> None:
    """Every text field that the project or the service fills is fed a secret, and none comes through."""
    secrets = [
        SIGNED,
        "Bearer abc.def",
        "X-Amz-Signature=00ff",
        "data:image/png;base64,AAAA",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln",
    ]
    for secret in secrets:
        dirty = {
            **fields,
            "clip": f"a {secret}",
            "reasons": (f"because {secret} said so",),
            "model_id": secret,
            "family": secret,
            "request_id": secret,
            "preset": secret,
            "findings": (secret,),
            "versions": {"x": secret},
            "media": ({**fields["media"][0], "key": secret, "name": secret},),
            "video": {**fields["video"], "key": secret},
            "dub": {"group": secret, "language": secret},
        }
        for text in _strings(json.loads(Manifest.model_validate(dirty).to_json())):
            assert not looks_secret(text), text
            assert not re.search(r"://|(?i:x-amz|bearer |;base64,)", text), text


def test_a_prompt_is_kept_as_it_was_sent(fields: dict[str, Any]) -> None:
    prompt = "the sign reads http://shop.example"
    assert read_manifest(Manifest.model_validate({**fields, "prompt": prompt}).to_json()).prompt == prompt


@given(st.text(max_size=80), st.text(max_size=20))
def test_scrubbing_leaves_nothing_and_is_stable(before: str, after: str) -> None:
    text = redact(f"{before} {SIGNED} {after}")
    assert not looks_secret(text)
    assert redact(text) == text


def test_sandbox_videos_are_marked_and_cannot_be_unmarked(fields: dict[str, Any]) -> None:
    sandbox = Manifest.model_validate({**fields, "service": "sandbox"})
    assert sandbox.sandbox
    assert sandbox.note == SANDBOX_NOTE
    with pytest.raises(ValidationError, match="sandbox"):
        Manifest.model_validate({**fields, "service": "sandbox", "sandbox": False})
    with pytest.raises(ValidationError, match="sandbox"):
        Manifest.model_validate({**fields, "sandbox": True})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a manifest"),
        (b"{}", "clip: Field required"),
        (b'{"schema_version": 2}', "schema version 2"),
    ],
)
def test_unreadable_manifests_say_why(data: bytes, words: str) -> None:
    with pytest.raises(ManifestError, match=words) as caught:
        read_manifest(data, name="x/manifest.json")
    assert "x/manifest.json" in str(caught.value)
    assert caught.value.remedy


def test_an_unknown_field_is_named(manifest: Manifest) -> None:
    plain = {**json.loads(manifest.to_json()), "surprise": 1}
    with pytest.raises(ManifestError, match="surprise"):
        read_manifest(json.dumps(plain).encode())


def test_media_keep_the_name_that_they_were_uploaded_under() -> None:
    medium = Medium(
        kind=MediumKind.IMAGE, sha256="c" * 64, key="uploads/a.jpg", size_bytes=3, content_type="image/jpeg"
    )
    inputs = GenerationInputs(
        family=HAPPYHORSE_I2V, prompt="drift", images=(medium,), duration=5, resolution="1080p", seed=1
    )
    assert [(m.name, m.key) for m in media_of(inputs)] == [("a.jpg", "uploads/a.jpg")]
    assert media_of(inputs, {"uploads/a.jpg": "uploads/Ä b.jpg"})[0].name == "Ä b.jpg"


def test_times_are_utc(manifest: Manifest) -> None:
    assert manifest.times.delivered == datetime(2026, 3, 1, 10, 4, 30, tzinfo=UTC)
    assert b'"2026-03-01T10:04:30Z"' in manifest.to_json()
