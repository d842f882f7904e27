from dataclasses import dataclass, replace

import pytest

from i2v_assets.films.manifest import FilmManifest
from i2v_assets.manifest import Manifest
from i2v_assets.verification import verify, verify_film


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
    shots_sha256: tuple[str, ...] = ()


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


SHOT = {
    "clip": "cat",
    "video_key": "videos/x.mp4",
    "sha256": "b" * 64,
    "fingerprint": "f" * 64,
    "seconds": 3,
    "starts_at": 0,
    "transition": "cut",
    "starts_from_last_frame": False,
}
VIDEO = {
    "key": "sequences/one/video.mp4",
    "sha256": "d" * 64,
    "size_bytes": 5,
    "width": 1280,
    "height": 720,
    "fps": 24,
    "frames": 72,
    "seconds": 3,
}
FILM = FilmManifest.model_validate(
    {"film": "one", "version": "c" * 64, "made_at": "2026-03-31T18:00:00Z", "shots": [SHOT], "video": VIDEO}
)
SIGNED_FILM = FILM.model_copy(update={"video": FILM.video.model_copy(update={"signed_sha256": "e" * 64})})
OF_FILM = Signed(fingerprint="c" * 64, delivered_sha256="d" * 64, shots_sha256=("b" * 64,))


def test_a_film_is_proven_with_its_shots() -> None:
    rows = {"f" * 64: Row()}
    result = verify_film(FILM, "d" * 64, rows)
    assert result.ok, result.lines
    assert any("byte for byte what was joined" in line for line in result.lines)
    assert not verify_film(FILM, "0" * 64, rows).ok  # altered
    assert not verify_film(FILM, "d" * 64, {}).ok  # a shot that nobody paid for
    assert not verify_film(FILM, "d" * 64, {"f" * 64: replace(Row(), video_sha256="0" * 64)}).ok
    assert not verify_film(FILM, "d" * 64, {"f" * 64: replace(Row(), state="failed")}).ok
    assert not verify_film(FILM, "d" * 64, {"f" * 64: replace(Row(), service="sandbox")}).ok


def test_a_signed_film_is_proven_by_its_signature() -> None:
    rows = {"f" * 64: Row()}
    assert verify_film(SIGNED_FILM, "e" * 64, rows, credential=OF_FILM).ok
    for broken in (
        None,
        replace(OF_FILM, valid=False),
        replace(OF_FILM, fingerprint="0" * 64),
        replace(OF_FILM, delivered_sha256="0" * 64),
        replace(OF_FILM, shots_sha256=()),
    ):
        assert not verify_film(SIGNED_FILM, "e" * 64, rows, credential=broken).ok
    assert not verify_film(SIGNED_FILM, "0" * 64, rows, credential=OF_FILM).ok
