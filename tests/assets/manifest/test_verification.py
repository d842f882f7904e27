from dataclasses import dataclass, replace

import pytest

from i2v_assets.manifest import Manifest
from i2v_assets.verification import verify


@dataclass(frozen=True)
class Row:
    fingerprint: str = "f" * 64
    service: str = "runcomfy"
    state: str = "succeeded"
    request_id: str | None = "6b1d6a36-3a50-4b7e-8a5f-52e9ce6ad0c1"
    model_id: str | None = "bytedance/seedance-2.0/pro"
    cost_microdollars: int | None = 1_150_000
    video_sha256: str | None = "b" * 64


@dataclass(frozen=True)
class Signed:
    valid: bool = True
    fingerprint: str | None = "f" * 64
    delivered_sha256: str | None = "b" * 64


def test_the_downloaded_file_is_proven(manifest: Manifest) -> None:
    result = verify(manifest, "b" * 64, Row())
    assert result.ok, result.lines
    assert any("byte for byte" in line for line in result.lines)
    assert any("unsigned" in line for line in result.lines)
    assert "does not prove" in result.lines[-1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(Row(), fingerprint="0" * 64), "fingerprint"),
        (replace(Row(), service="sandbox"), "service"),
        (replace(Row(), state="failed"), "request is failed"),
        (replace(Row(), request_id="other"), "names request"),
        (replace(Row(), request_id=None), "names request"),
        (replace(Row(), model_id="other"), "names model"),
        (replace(Row(), cost_microdollars=1), "paid"),
        (replace(Row(), video_sha256="0" * 64), "names video"),
        (replace(Row(), video_sha256=None), "no download"),
        (None, "no such fingerprint"),
    ],
)
def test_each_disagreement_is_found(manifest: Manifest, row: Row | None, words: str) -> None:
    result = verify(manifest, "b" * 64, row)
    assert not result.ok
    wrong = [line for line in result.lines if line.startswith("WRONG")]
    assert any(words in line for line in wrong), result.lines


def test_an_altered_file_is_found(manifest: Manifest) -> None:
    result = verify(manifest, "d" * 64, Row())
    assert not result.ok
    assert any("not what was downloaded" in line for line in result.lines)


def test_a_cost_reported_later_is_no_contradiction(fields: dict[str, object]) -> None:
    early = Manifest.model_validate({**fields, "cost_microdollars": None})
    assert verify(early, "b" * 64, Row()).ok
    assert verify(early, "b" * 64, replace(Row(), cost_microdollars=None)).ok


def test_a_signed_copy_is_proven_by_its_signature(fields: dict[str, object]) -> None:
    video = {**fields["video"], "signed_sha256": "d" * 64, "signed_size_bytes": 5}  # type: ignore[dict-item]
    signed = Manifest.model_validate({**fields, "video": video})
    assert verify(signed, "d" * 64, Row(), credential=Signed()).ok
    for credential in (Signed(valid=False), Signed(delivered_sha256="0" * 64), Signed(fingerprint=None), None):
        assert not verify(signed, "d" * 64, Row(), credential=credential).ok
    assert not verify(signed, "9" * 64, Row(), credential=Signed()).ok


def test_a_sandbox_video_says_so(fields: dict[str, object]) -> None:
    sandbox = Manifest.model_validate({**fields, "service": "sandbox"})
    result = verify(sandbox, "b" * 64, replace(Row(), service="sandbox"))
    assert result.ok
    assert any("Sandbox video" in line for line in result.lines)
