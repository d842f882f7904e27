"""`i2v verify` of signed copies, of files that were renamed, and beside manifests of something else."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from i2v_assets.films.join import join_film
from i2v_assets.films.scan import scan_film
from resources.provenance.credentials import UNSIGNED, Certificate, read, sign
from resources.provenance.documents import Generation
from resources.settings import load_settings

AUTHORITY = Path(__file__).parents[2] / "resources" / "provenance" / "conftest.py"
SAMPLES = Path(__file__).parents[3] / "i2v_assets" / "samples"
BRIEF = b"prompt: Slow push in\nresolution: 720p\n"


def issued(folder: Path, common: str = "Studio") -> Certificate:
    """A certificate of an authority of its own."""
    authority = runpy.run_path(str(AUTHORITY))["Authority"](f"Authority of {common}")
    certificate: Certificate = authority.issue(folder, common)
    return certificate


@pytest.fixture
def ours(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    certificate = issued(tmp_path / "ours")
    monkeypatch.setenv("I2V_C2PA_CERTIFICATE", str(certificate.chain))
    monkeypatch.setenv("I2V_C2PA_KEY", str(certificate.key))
    return certificate


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Takes the certificate away, as on a machine that only looks at videos."""

    def gone() -> None:
        monkeypatch.delenv("I2V_C2PA_CERTIFICATE")
        monkeypatch.delenv("I2V_C2PA_KEY")

    return gone


def made(world: Any, clip: str = "hero") -> Path:
    """A delivered clip, and its video under a name of nothing in the bucket."""
    world.upload(f"{clip}/brief.yaml", BRIEF)
    world.upload(f"{clip}/a.jpg", world.image().read_bytes())
    world.make(clip)
    path = Path(f"copy-of-{clip}-for-somebody.mp4")
    world.bucket.download(f"clips/{clip}/video.mp4", path)
    return path


def test_a_signed_copy_is_proven_under_any_name_and_without_its_manifest(world: Any, ours: Certificate) -> None:
    copy = made(world)
    ran = world("verify", "hero")
    assert ran.code == 0, ran.out
    ran = world("verify", str(copy))
    assert ran.code == 0, ran.out
    assert "signed by Studio, drawn by the sandbox" in ran.out
    assert "as in the ledger: family, prompt" in " ".join(ran.out.split())  # by the manifest of the clip in the bucket

    world.bucket.delete_many(["clips/hero/manifest.json"])
    for what in (str(copy), "hero"):
        ran = world("verify", what)
        assert ran.code == 0, ran.out + ran.err
        assert "signed by Studio, drawn by the sandbox" in ran.out
        assert "this take has no manifest" in ran.out

    data = bytearray(copy.read_bytes())
    data[-100] ^= 1
    copy.write_bytes(bytes(data))
    ran = world("verify", str(copy))
    assert ran.code == 1
    assert "WRONG altered: the Content Credentials do not fit this file" in ran.out


def test_without_a_certificate_the_bucket_says_which_file_is_the_signed_copy(
    world: Any, ours: Certificate, nobody: Any
) -> None:
    copy = made(world)
    manifest = json.loads(world.bucket.read("clips/hero/manifest.json"))
    nobody()
    ran = world("verify", str(copy))
    assert ran.code == 0, ran.out
    assert "cannot be judged without a certificate here, so this proves only integrity" in " ".join(ran.out.split())
    assert "altered" not in ran.out

    # Whoever alters a file can sign it again and write a manifest for it: neither is a witness.
    unsigned = Path("unsigned.mp4")
    world.bucket.download(manifest["video"]["key"], unsigned)
    forged = Path("forged.mp4")
    said = Generation("hero.mp4", "1", "m", manifest["fingerprint"], "", manifest["video"]["sha256"], True)
    manifest["video"]["signed_sha256"] = sign(unsigned, forged, said, [], issued(Path("theirs"), "Stranger"))
    Path("forged.manifest.json").write_text(json.dumps(manifest))
    ran = world("verify", "forged.mp4")
    assert ran.code == 1, ran.out
    assert "nor the signed copy that the bucket's manifest names" in " ".join(ran.out.split())


def test_a_strangers_signature_and_none_are_named_as_what_they_are(world: Any, ours: Certificate) -> None:
    made(world)
    manifest = json.loads(world.bucket.read("clips/hero/manifest.json"))
    plain = Path("plain.mp4")
    world.bucket.download(manifest["video"]["key"], plain)
    ran = world("verify", "plain.mp4")
    assert ran.code == 0
    assert UNSIGNED in ran.out

    said = Generation("hero.mp4", "1", "m", manifest["fingerprint"], "", manifest["video"]["sha256"], True)
    sign(plain, Path("theirs.mp4"), said, [], issued(Path("theirs"), "Stranger"))
    ran = world("verify", "theirs.mp4")
    assert ran.code == 1
    words = " ".join(ran.out.split())
    assert "WRONG signed by Stranger, drawn by the sandbox; the signer is not the configured certificate" in words
    assert "altered" not in words


def test_a_signed_film_is_proven_under_any_name(world: Any, ours: Certificate, tmp_path: Path) -> None:
    made(world)
    world.bucket.write("sequences/voyage.yaml", b"shots: [{clip: hero}, {clip: hero}]", "text/yaml")
    with world.session() as (_, registry):
        found = scan_film(world.bucket, registry, {}, "voyage")
    assert found.version is not None
    join_film(world.bucket, found, found.version, tmp_path, load_settings(), tool="test")
    world.bucket.download("sequences/voyage/video.mp4", Path("trip.mp4"))
    ran = world("verify", "trip.mp4")
    assert ran.code == 0, ran.out
    assert "signed by Studio, joined from 2 shots, drawn by the sandbox" in ran.out


@pytest.mark.parametrize(
    "neighbour", [b'{"name": "a web app", "icons": []}', b"no JSON", b'{"schema_version": 1, "film": "x"}', None]
)
def test_a_foreign_manifest_beside_the_file_is_left_alone(world: Any, neighbour: bytes | None) -> None:
    copy = made(world)
    if neighbour is None:  # of another clip, in full order
        other = world.image("other.jpg")
        world.upload("other/brief.yaml", BRIEF + b"duration: 3\n")
        world.upload("other/a.jpg", other.read_bytes())
        world.make("other")
        neighbour = world.bucket.read("clips/other/manifest.json")
    Path("manifest.json").write_bytes(neighbour)
    ran = world("verify", str(copy))
    assert ran.code == 0, ran.out + ran.err
    assert "manifest.json beside it is not used" in ran.err
    assert "as in the ledger: family, prompt" in " ".join(ran.out.split())
    named = world("verify", str(copy), "--manifest", "manifest.json")
    assert named.code != 0  # who names it, means it


def test_a_falsified_prompt_is_found(world: Any) -> None:
    made(world)
    manifest = json.loads(world.bucket.read("clips/hero/manifest.json"))
    manifest["prompt"] = "Something else entirely"
    world.bucket.write("clips/hero/manifest.json", json.dumps(manifest).encode(), "application/json")
    ran = world("verify", "hero")
    assert ran.code == 1
    assert "prompt: Something else entirely; the ledger: Slow push in" in " ".join(ran.out.split())


def test_a_picture_that_was_not_sent_is_no_source(world: Any, ours: Certificate) -> None:
    """A lip-sync clip that does without its person is made of the voice alone."""
    world.upload("hello/brief.yaml", b"prompt: A voice in the dark\nresolution: 720p\nkeep_face: false\n")
    world.upload("hello/a.png", world.image("a.png").read_bytes())
    world.upload("hello/a.wav", (SAMPLES / "voiceover-de.wav").read_bytes())
    world.make("hello")
    told = json.loads(world.bucket.read("clips/hello/manifest.json"))
    assert [medium["kind"] for medium in told["media"]] == ["audio"]
    copy = Path("copy.mp4")
    world.bucket.download("clips/hello/video.mp4", copy)
    credential = read(copy, ours)
    assert credential is not None
    assert credential.ingredients == ()
    ran = world("verify", "hello")
    assert ran.code == 0, ran.out
