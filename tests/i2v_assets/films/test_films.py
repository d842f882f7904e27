"""A three-shot film over a real bucket, real runs and a sandbox that counts its charges, watched at its seams."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from resources.devservers.start import RunningSandbox
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.settings import load_settings

FILM = """
image: cat.jpg
defaults: {resolution: 720p, duration: 3}
shots:
  - Slow push in
  - The camera moves on
  - prompt: It comes to rest
    crossfade: 0.5
continuity: last_frame
music: {file: noise.mp3, gain_db: -20}
"""


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [
            np.asarray(Image.fromarray(frame.to_ndarray(format="rgb24")).resize((64, 64)), dtype=float)
            for frame in container.decode(video=0)
        ]


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


@pytest.fixture
def sandbox(make_sandbox: Callable[..., RunningSandbox]) -> RunningSandbox:
    """Draws each request from its own image: seams are looked at."""
    return make_sandbox(render="full")


def test_a_film_with_continuity(films: Any, world: Any, samples: Path, tmp_path: Path) -> None:
    world.put("sequences/cats.yaml", FILM)
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.tick("sequences")
    refused = films.text("sequences/cats/REFUSED.txt")
    assert "sequences/noise.mp3" in refused
    assert films.paid() == {}  # nothing is paid for a film that cannot be joined
    world.put("sequences/noise.mp3", samples / "ambience.mp3")

    assert all(result.success for result in world.tick("sequences"))
    plan = films.json("sequences/cats/plan.json")
    assert [shot["clip"] for shot in plan["shots"]] == ["cats--01", "cats--02", "cats--03"]
    assert world.tick("sequences")  # shot 2 starts now, from the last frame of shot 1
    plan = films.json("sequences/cats/plan.json")
    assert [shot["state"] for shot in plan["shots"]] == ["delivered", "due", "planned"]
    assert plan["shots"][2]["price_is_estimated"]
    assert plan["shots"][2]["price_usd"] > 0
    assert "is missing 2 of 3 shots" in films.text("sequences/cats/WAITING.txt")
    assert films.until_still() == ["make_clips_job", "film_job"]
    assert films.paid() == {"cats--01": 1, "cats--02": 1, "cats--03": 1}

    manifest = films.json("sequences/cats/manifest.json")
    for note in ("WAITING.txt", "REFUSED.txt", "FAILED.txt"):
        assert world.bucket.head(f"sequences/cats/{note}") is None
    assert world.bucket.head("sequences/cats/poster.jpg") is not None
    assert manifest["sandbox"] is True
    seconds = [shot["seconds"] for shot in manifest["shots"]]
    assert manifest["video"]["seconds"] == pytest.approx(sum(seconds) - 0.5, abs=0.05)
    _watch_the_seams(world, manifest, tmp_path)
    shown = world.metadata("film", "cats")
    assert list(shown["shot_data_versions"].values()) == [shot["sha256"][:16] for shot in manifest["shots"]]

    # The middle shot is made again: what follows it is remade, what precedes it is not.
    with Ledger.open(load_settings().ledger_address) as ledger:
        registry = Registry(ledger.database)
        registry.add_take("cats--02", take=2)
        assert films.until_still() == ["make_clips_job"], "the film shows the first take still"
        assert registry.choose("cats--02", 2)
    assert films.until_still() == ["make_clips_job", "make_clips_job", "film_job"]
    assert films.paid() == {"cats--01": 1, "cats--02": 2, "cats--03": 2}
    again = films.json("sequences/cats/manifest.json")
    second, third = (shot["fingerprint"] for shot in again["shots"][1:])
    with Ledger.open(load_settings().ledger_address) as ledger:
        row = ledger.get(third)
        assert row is not None
        assert json.loads(row.inputs_json)["first_frame"] == {"of": second, "at": "end"}
    same = [one["sha256"] == other["sha256"] for one, other in zip(manifest["shots"], again["shots"], strict=True)]
    assert same == [True, False, False]
    _watch_the_seams(world, again, tmp_path)


def _watch_the_seams(world: Any, manifest: Any, folder: Path) -> None:
    """Each shot begins with the picture that the one before ended with."""
    shots = []
    for shot in manifest["shots"]:
        path = folder / "shot.mp4"
        world.bucket.download(shot["video_key"], path)
        shots.append(_frames(path))
    for before, after in pairwise(shots):
        moved = _apart(before[0], before[-1])
        assert _apart(before[-1], after[0]) < min(moved / 2, 6.0)
    path = folder / "film.mp4"
    world.bucket.download("sequences/cats/video.mp4", path)
    film = _frames(path)
    assert len(film) == manifest["video"]["frames"]
    steps = [_apart(one, other) for one, other in pairwise(film)]
    seam = round(manifest["seams"][0]["at_seconds"] * manifest["video"]["fps"])
    assert max(steps[seam - 2 : seam + 1]) < 8.0
    assert all(seam["colour_step"] < 10 for seam in manifest["seams"])
