"""A film whose shot speaks for longer than one request: its money and its proof are those of all pieces."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from i2v_assets.cli.main import app
from i2v_assets.films.manifest import FilmManifest
from resources.devservers.start import RunningSandbox
from resources.ledger.ledger import Ledger
from resources.media.preparation import Preparation
from resources.media.prepare import prepare_file
from resources.money import dollars
from resources.schemas.inputs import MediumKind
from resources.settings import load_settings

SPEECH = Path(__file__).parents[2] / "end_to_end" / "speech-60s.mp3"
FILM = """
shots:
  - {prompt: The person speaks calmly to the camera., images: face.png, audio: voice.wav, voice: split, resolution: 720p}
"""


@pytest.fixture(scope="session")
def two_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 18 s of the speech, which become 2 pieces."""
    path = tmp_path_factory.mktemp("speech") / "voice.wav"
    first = Preparation(kind=MediumKind.AUDIO, reasons=(), max_bytes=2_000_000, span_ms=(0, 18_000))
    prepare_file(SPEECH, path, first, "the speech")
    return path


def command(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "1000"})
    assert done.exit_code == code, done.output
    return done.output


def charged() -> int:
    with Ledger.open(load_settings().ledger_address) as ledger:
        spent = ledger.spend_of("talk--01").values()
        assert not any(each.reserved_microdollars for each in spent)
        return sum(each.settled_microdollars for each in spent)


def test_a_shot_of_pieces_is_told_and_proven_by_all_of_them(
    films: Any, world: Any, samples: Path, two_pieces: Path, sandbox: RunningSandbox
) -> None:
    world.put("sequences/talk.yaml", FILM)
    world.put("sequences/face.png", samples / "portrait.png")
    world.put("sequences/voice.wav", two_pieces)
    for fault in ({"kind": "wrong_first_frame"}, {"kind": "failed_result", "message": "Out of memory."}):
        httpx.post(f"{sandbox.url}/_sandbox/faults", json={"where": "submit", **fault}).raise_for_status()
    world.tick("sequences")
    paid = charged()
    assert paid > 0
    said = command("status", "talk--01")
    assert f"{dollars(paid)} was charged." in said, "the first piece is made, and paid for"
    assert "Nothing was" not in said
    film = command("status", "talk")
    assert f"{dollars(paid)}" in film

    command("cancel", "talk--01")
    assert f"{dollars(paid)} was charged." in command("status", "talk--01")

    command("retry", "talk--01")
    films.until_still()
    proof = command("verify", "sequences/talk")
    assert proof.count("shot 1 (talk--01), piece 1: ") == 3
    assert proof.count("shot 1 (talk--01), piece 2: ") == 3
    assert "Proven." in proof
    assert f"{dollars(charged())}" in command("status", "talk")

    # A manifest of before names no pieces: that of the clip does.
    manifest = films.json("sequences/talk/manifest.json")
    pieces = manifest["shots"][0].pop("pieces")
    assert len(pieces) == 2
    world.put("sequences/talk/manifest.json", FilmManifest.model_validate(manifest).to_json())
    assert "Proven." in command("verify", "sequences/talk")
    pieces[1]["sha256"] = "0" * 64
    manifest["shots"][0]["pieces"] = pieces
    world.put("sequences/talk/manifest.json", FilmManifest.model_validate(manifest).to_json())
    assert "piece 2: the ledger records no such bytes" in command("verify", "sequences/talk", code=1)
