"""A shot that starts from the one before is identified by that shot, never by the bytes of its frame."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from i2v_assets.cli.main import app
from i2v_assets.films import resolve as resolving
from i2v_assets.films.scan import BucketFilmSource
from i2v_assets.uploads.types import UploadFile
from resources.ledger.ledger import Ledger
from resources.media.frames import last_frame
from resources.registry.tables import clips
from resources.settings import load_settings
from resources.storage import keys

FILM = """
image: cat.jpg
defaults: {resolution: 720p, duration: 3}
shots: [Slow push in, The camera moves on, It comes to rest]
"""
ONCE_EACH = {"cats--01": 1, "cats--02": 1, "cats--03": 1}


def put_film(world: Any, samples: Path) -> None:
    world.put("sequences/cats.yaml", FILM)
    world.put("sequences/cat.jpg", samples / "pet.jpg")


def forget_clips() -> None:
    """Lose the registry, which may be made again at any time."""
    with Ledger.open(load_settings().ledger_address) as ledger, ledger.database.write() as connection:
        connection.execute(clips.delete())


def command(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def fingerprints(films: Any) -> list[str]:
    return [shot["fingerprint"] for shot in films.json("sequences/cats/manifest.json")["shots"]]


def test_another_decoders_frame_is_no_other_payment(films: Any, world: Any, samples: Path) -> None:
    put_film(world, samples)
    films.until_still()
    made = fingerprints(films)
    frames = [info.key for info in world.bucket.list("inputs/frames/")]
    assert sorted(frames) == sorted(keys.first_frame_key(each, "end") for each in made[:2])
    assert [info.key for info in world.bucket.list("sequences/cats/frames/")] == []
    other = io.BytesIO()
    Image.new("RGB", (640, 480), "grey").save(other, "PNG")
    for key in frames:
        world.bucket.write(key, other.getvalue(), "image/png")
    forget_clips()
    films.until_still()
    assert films.paid() == ONCE_EACH
    assert fingerprints(films) == made


def test_films_that_were_delivered_before_the_rule_stay_delivered(
    films: Any, world: Any, samples: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as before:
        before.setattr(BucketFilmSource, "last_frame", _kept_beside_the_film(tmp_path))
        before.setattr(resolving, "UploadFile", lambda *fields: UploadFile(*fields[:5]))
        put_film(world, samples)
        films.until_still()
    made, film = fingerprints(films), world.bucket.read("sequences/cats/video.mp4")
    with Ledger.open(load_settings().ledger_address) as ledger:
        row = ledger.get(made[1])
        assert row is not None
        assert "first_frame" not in json.loads(row.inputs_json), "as the ledger of before has it"
    assert list(world.bucket.list("sequences/cats/frames/"))

    assert films.until_still() == []
    forget_clips()
    films.until_still()
    assert films.paid() == ONCE_EACH
    assert fingerprints(films) == made
    assert world.bucket.read("sequences/cats/video.mp4") == film
    said = command("retake", "cats--02")
    assert "cats--03 starts from its last frame and is made anew for about $" in said
    films.until_still()
    assert "cats--03" in command("choose", "cats--02", "2")


def _kept_beside_the_film(folder: Path) -> Any:
    """What earlier versions did: cut the frame into the film's folder, under the hash of the video."""

    def cut(self: Any, film: str, video: Any) -> Any:
        key = keys.frame_key(film, video.sha256)
        if self._bucket.head(key) is None:
            self._bucket.download(video.key, folder / "shot.mp4")
            self._bucket.upload(last_frame(folder / "shot.mp4", folder / "last.png"), key, "image/png")
        return self._bucket.head(key)

    return cut


def test_a_retake_names_every_shot_that_follows(films: Any, world: Any, samples: Path) -> None:
    put_film(world, samples)
    films.until_still()
    said = command("retake", "cats--01")
    assert "cats--02, cats--03 start from the last frame before them and are made anew for about $" in said
    assert "Once it is the clip's video" in said
    films.until_still()
    assert films.paid() == {"cats--01": 2, "cats--02": 1, "cats--03": 1}
