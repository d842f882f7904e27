"""A film that comes after its images were paid for asks first, as every other document does."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from i2v_assets.cli.main import app
from i2v_assets.films.scan import FilmCache, scan_films
from i2v_assets.uploads.ingest import scan_uploads
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry
from resources.settings import load_settings

SHORT = "defaults: {resolution: 720p, duration: 3}\n"


def put_defaults(world: Any) -> None:
    world.put("uploads/_defaults.yaml", "resolution: 720p\nduration: 3\nprompt: Slow push in\n")


def charges(films: Any) -> int:
    return sum(films.paid().values())


PAID_AS = {
    "a loose image": {},
    "an image with its sidecar": {"uploads/cat.yaml": "prompt: Push in\n"},
    "a row of a list": {"uploads/list.csv": "clip,image,prompt\nrow,cat.jpg,Push in\n"},
    "a shot of another film": {"sequences/first.yaml": SHORT + "shots: [{prompt: Push in, images: uploads/cat.jpg}]"},
}


@pytest.mark.parametrize("before", PAID_AS.values(), ids=PAID_AS)
def test_a_film_over_an_image_that_was_paid_for_asks_and_one_action_releases_it(
    films: Any, world: Any, samples: Path, before: dict[str, str]
) -> None:
    put_defaults(world)
    for key, text in before.items():
        world.put(key, text)
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    films.until_still()
    world.tick("uploads")
    (paid_as,) = films.paid()

    for prompt in ("It turns", "It looks up"):  # a late film that is corrected is still late
        world.put("sequences/late.yaml", f"{SHORT}image: uploads/cat.jpg\nshots: [{prompt}, It rests]\n")
        films.until_still()
        assert charges(films) == 1
        waits = films.text("sequences/late/WAITING.txt")
        assert "Shot 1 (late--01) is waiting" in waits
        assert f"cat.jpg was paid for already, as the clip {paid_as}" in waits
        assert "sequences/late.yaml came later" in waits
        assert "The missing shots may cost up to $" in waits
        assert "i2v approve sequences/late" in waits
        note = films.text("clips/late--01/WAITING.txt")
        assert "It will cost about" in note
        assert f"`clip: {paid_as}`" in note

    approved = CliRunner().invoke(app, ["approve", "sequences/late", "--yes"])
    assert approved.exit_code == 0, approved.output
    world.tick("dispatch")
    films.until_still()
    assert films.paid() == {paid_as: 1, "late--01": 1, "late--02": 1}
    assert len(films.json("sequences/late/manifest.json")["shots"]) == 2


def test_a_film_that_names_the_paid_clip_itself_does_not_ask(films: Any, world: Any, samples: Path) -> None:
    put_defaults(world)
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    film = f"{SHORT}image: uploads/cat.jpg\nshots: [{{clip: cat}}, It moves on]\ncontinuity: none\n"
    world.put("sequences/one.yaml", film)
    world.tick("uploads")
    assert world.tick("sequences"), "the image is not taken from the clip that the film names"
    films.until_still()
    assert films.paid() == {"cat": 1, "one--02": 1}


def test_a_loose_clip_that_is_not_paid_yet_is_taken_over_at_once(films: Any, world: Any, samples: Path) -> None:
    put_defaults(world)
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        registry = Registry(ledger.database)
        assert scan_uploads(world.bucket, registry, settings).admission.new == ("cat",)
        world.put("sequences/one.yaml", f"{SHORT}image: uploads/cat.jpg\nshots: [It turns]\n")
        scan_films(world.bucket, registry, {}, FilmCache(), sandbox=True)
        row = registry.get("cat")
        assert row is not None
        assert row.state is ClipState.WITHDRAWN
    films.until_still()
    world.tick("uploads")
    assert films.paid() == {"one--01": 1}


def test_an_upload_that_is_admitted_while_films_are_scanned_stays(
    films: Any, world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        registry = Registry(ledger.database)
        world.put("uploads/cat.jpg", samples / "pet.jpg")
        assert scan_uploads(world.bucket, registry, settings).admission.new == ("cat",)
        before = registry.sources()
        world.put("uploads/dog.jpg", samples / "pet.jpg")
        assert scan_uploads(world.bucket, registry, settings).admission.new == ("dog",)
        world.put("sequences/one.yaml", f"{SHORT}image: uploads/cat.jpg\nshots: [It turns]\n")
        monkeypatch.setattr(registry, "sources", lambda: before)
        scan_films(world.bucket, registry, {}, FilmCache(), sandbox=True)
        states = {clip: row.state for clip, row in registry.many(["cat", "dog"]).items()}
        assert states == {"cat": ClipState.WITHDRAWN, "dog": ClipState.DUE}


def test_an_edit_of_the_film_that_was_there_first_does_not_ask(films: Any, world: Any, samples: Path) -> None:
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    film = SHORT + "shots: [{prompt: It turns, images: uploads/cat.jpg}]"
    world.put("sequences/first.yaml", film)
    films.until_still()
    world.put("sequences/second.yaml", film.replace("turns", "rests"))
    films.until_still()
    assert films.paid() == {"first--01": 1}
    CliRunner().invoke(app, ["approve", "second", "--yes"])
    world.tick("dispatch")
    films.until_still()
    world.put("sequences/first.yaml", film.replace("turns", "looks up"))
    films.until_still()
    assert films.paid() == {"first--01": 2, "second--01": 1}
