"""With a certificate, a clip's folder shows the signed copy; the service's own bytes stay where they are."""

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import c2pa
import pytest

from resources.provenance.credentials import read

AUTHORITY = Path(__file__).parents[2] / "resources" / "provenance" / "conftest.py"


@pytest.fixture
def certificate(service_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    issued = runpy.run_path(str(AUTHORITY))["Authority"]("A test authority").issue(tmp_path, "Studio")
    monkeypatch.setenv("I2V_C2PA_CERTIFICATE", str(issued.chain))
    monkeypatch.setenv("I2V_C2PA_KEY", str(issued.key))
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    return issued


def test_the_shown_video_is_the_signed_copy(
    certificate: Any, world: Any, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("uploads/_defaults.yaml", "resolution: 720p\nduration: 3\nprompt: Slow push in\n")
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    world.tick("uploads")
    manifest = json.loads(world.bucket.read("clips/cat/manifest.json"))
    shown, delivered = world.bucket.read("clips/cat/video.mp4"), world.bucket.read(manifest["video"]["key"])
    assert hashlib.sha256(shown).hexdigest() == manifest["video"]["signed_sha256"]
    assert len(shown) == manifest["video"]["signed_size_bytes"]
    assert hashlib.sha256(delivered).hexdigest() == manifest["video"]["sha256"]
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(shown)
    credential = read(copy, certificate)
    assert credential is not None
    assert credential.valid
    assert credential.sandbox
    assert credential.ingredients == ("cat.jpg",)
    assert credential.delivered_sha256 == manifest["video"]["sha256"]
    assert world.metadata("clip_video", "cat")["provenance"].startswith("signed")

    _a_film_is_signed_too(certificate, world, tmp_path, manifest)

    # A key that does not fit: the video is paid for, so it is delivered, and says that it is unsigned.
    certificate.key.write_text("no key")
    world.put("uploads/cup.webp", samples / "product.webp")
    world.tick("uploads")
    told = world.metadata("clip_video", "cup")["provenance"]
    assert told.startswith("unsigned")
    assert "I2V_C2PA_KEY" in told
    assert json.loads(world.bucket.read("clips/cup/manifest.json"))["video"]["signed_sha256"] is None
    world.put("sequences/two.yaml", "shots: [{clip: cup}]")
    world.tick("sequences")
    assert world.metadata("film", "two")["provenance"].startswith("unsigned")
    assert json.loads(world.bucket.read("sequences/two/manifest.json"))["video"]["signed_sha256"] is None


def _a_film_is_signed_too(certificate: Any, world: Any, tmp_path: Path, clip: Any) -> None:
    """The signed copy of its shot is the ingredient, with the manifest that it carries."""
    world.put("sequences/one.yaml", "shots: [{clip: cat}, {clip: cat}]")
    assert all(result.success for result in world.tick("sequences"))
    manifest = json.loads(world.bucket.read("sequences/one/manifest.json"))
    film = tmp_path / "film.mp4"
    world.bucket.download("sequences/one/video.mp4", film)
    assert hashlib.sha256(film.read_bytes()).hexdigest() == manifest["video"]["signed_sha256"]
    credential = read(film, certificate)
    assert credential is not None
    assert credential.valid, credential.problems
    assert credential.sandbox
    assert credential.title == "SANDBOX one.mp4"
    assert credential.ingredients == ("cat.mp4",)
    assert credential.shots_sha256 == (clip["video"]["sha256"],) * 2
    assert (credential.fingerprint, credential.delivered_sha256) == (manifest["version"], manifest["video"]["sha256"])
    with film.open("rb") as stream, c2pa.Reader("video/mp4", stream) as reader:
        assert len(json.loads(reader.json())["manifests"]) == 2
    assert world.metadata("film", "one")["provenance"].startswith("signed")
