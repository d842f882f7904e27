"""Films of existing clips, and the notes on films that cannot be made."""

import json
from pathlib import Path
from typing import Any

import pytest

from i2v_assets.films import join as film_join
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry, Upload
from resources.settings import load_settings


def test_films_of_existing_clips(films: Any, world: Any, samples: Path) -> None:
    world.put("uploads/_defaults.yaml", "resolution: 720p\nduration: 3\nprompt: Slow push in\n")
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    world.put("sequences/one.yaml", "shots: [{clip: cat}, {clip: cat, crossfade: 1}]")
    world.put("sequences/bad.yaml", "shots: [{clp: cat}]")
    world.put("sequences/one.json", '{"shots": [{"clip": "cat"}]}')
    world.tick("sequences")
    assert "which does not exist" in films.text("sequences/one/REFUSED.txt")
    assert "Did you mean `clip`?" in films.text("sequences/bad/REFUSED.txt")
    assert any("one.yaml" in world.bucket.read(found.key).decode() for found in world.bucket.list("clips/_refused/"))
    world.tick("uploads")
    assert films.until_still() == ["film_job"]
    manifest = films.json("sequences/one/manifest.json")
    assert manifest["video"]["seconds"] == pytest.approx(2 * manifest["shots"][0]["seconds"] - 1, abs=0.05)
    assert films.paid() == {"cat": 1}
    assert sorted(world.instance.get_dynamic_partitions("sequences")) == ["bad", "one"]

    # The gallery shows it beside its clip.
    world.run("gallery_job")
    shown = world.metadata("gallery")
    assert (shown["clips"], shown["delivered"], shown["films"]) == (
        2,
        1,
        2,
    )  # with the file whose film is another one already
    index = films.text("gallery/data/index.js")
    assert '"one"' in index
    assert "../sequences/one/" in index
    assert '"bad"' in index

    # A crossfade that changes joins the same shots anew, and pays for nothing.
    world.put("sequences/one.yaml", "shots: [{clip: cat}, {clip: cat, crossfade: 0.5}]")
    assert films.until_still() == ["film_job"]
    again = films.json("sequences/one/manifest.json")
    assert again["video"]["seconds"] == pytest.approx(manifest["video"]["seconds"] + 0.5, abs=0.05)
    assert films.paid() == {"cat": 1}

    world.put("sequences/one.yaml", "shots: [{clip: cat}, {clip: cat, crossfade: 4}]")
    assert world.tick("sequences") == []
    assert "has 3.00 s, but its crossfades need 4 s" in films.text("sequences/one/REFUSED.txt")
    assert world.bucket.head("sequences/one/video.mp4") is not None, "what was joined before stays"


def test_crossfades_longer_than_a_clip_are_refused_before_new_shots_are_paid(
    films: Any, world: Any, samples: Path
) -> None:
    world.put("uploads/_defaults.yaml", "resolution: 720p\nduration: 3\nprompt: Slow push in\n")
    world.put("uploads/cat.jpg", samples / "pet.jpg")
    world.tick("uploads")
    film = "defaults: {resolution: 720p, duration: 8}\nimage: uploads/cat.jpg\n"
    world.put("sequences/one.yaml", film + "shots: [{clip: cat}, {prompt: It moves on, crossfade: 3.5}]")
    assert world.tick("sequences") == []
    refused = films.text("sequences/one/REFUSED.txt")
    assert "Shot 1 (cat) has 3.00 s, but its crossfades need 3.5 s." in refused
    assert "Shorten the crossfades" in refused
    assert films.paid() == {"cat": 1}

    # As long as the clip is the longest that fits.
    world.put("sequences/one.yaml", film + "shots: [{clip: cat}, {prompt: It moves on, crossfade: 3}]")
    assert films.until_still() == ["make_clips_job", "film_job"]
    assert films.paid() == {"cat": 1, "one--02": 1}
    assert films.json("sequences/one/manifest.json")["video"]["seconds"] == pytest.approx(8, abs=0.05)


def test_a_film_over_a_refused_clip_pays_for_no_other_shot(films: Any, world: Any, samples: Path) -> None:
    brief = "prompt: It turns\nduration: 3\nresolution: 720p\n"
    world.put("uploads/hero/brief.yaml", brief.replace("720p", "4k"))
    world.put("uploads/hero/cat.jpg", samples / "pet.jpg")
    world.tick("uploads")
    film = "defaults: {resolution: 720p, duration: 3}\nimage: cat.jpg\ncontinuity: none\n"
    world.put("sequences/one.yaml", f"{film}shots: [{{clip: hero}}, It moves on]")
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    assert films.until_still() == []
    assert "Shot 1 names the clip hero, which was refused: brief: `resolution` is 4k" in films.text(
        "sequences/one/REFUSED.txt"
    )
    assert "See clips/hero/REFUSED.txt" in films.text("sequences/one/REFUSED.txt")
    assert films.paid() == {}
    world.put("uploads/hero/brief.yaml", brief)
    world.tick("uploads")
    films.until_still()
    assert films.paid() == {"hero": 1, "one--02": 1}
    assert len(films.json("sequences/one/manifest.json")["shots"]) == 2


def test_the_last_image_and_the_sounds_of_a_shot_are_its_files(films: Any, world: Any, samples: Path) -> None:
    shot = "{prompt: It turns, images: cat.jpg, end_image: end.jpg, music: rain.mp3}"
    world.put("sequences/one.yaml", f"defaults: {{resolution: 720p, duration: 3}}\nshots: [{shot}]")
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    assert world.tick("sequences") == []
    refused = films.text("sequences/one/REFUSED.txt")
    assert "sequences/end.jpg" in refused
    assert "sequences/rain.mp3" in refused
    world.put("sequences/end.jpg", samples / "environment.jpg")
    world.put("sequences/rain.mp3", samples / "ambience.mp3")
    films.until_still()
    assert films.paid() == {"one--01": 1}
    with Ledger.open(load_settings().ledger_address) as ledger:
        (row,) = ledger.list()
    assert json.loads(row.inputs_json)["end_image"]["key"] == "sequences/end.jpg"
    assert [under["role"] for under in films.json("clips/one--01/manifest.json")["under"]] == ["music"]

    world.put("sequences/two.yaml", f"defaults: {{end_image: end.jpg}}\nshots: [{shot}]")
    world.tick("sequences")
    assert "`defaults` sets `end_image`, which belongs to one shot." in films.text("sequences/two/REFUSED.txt")


def test_an_unexpected_error_is_reported_like_any_other_failure(
    films: Any, world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("sequences/one.yaml", "defaults: {resolution: 720p, duration: 3}\nimage: cat.jpg\nshots: [Slow push in]")
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    whole = film_join._manifest

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("generator raised StopIteration at https://bucket.example/x?X-Amz-Signature=abc")

    monkeypatch.setattr(film_join, "_manifest", broken)
    world.tick("sequences")
    assert not any(result.success for result in world.tick("sequences"))
    failed = films.text("sequences/one/FAILED.txt")
    assert "Its shots are kept. Joining costs nothing." in failed
    assert "unexpected error (RuntimeError)" in failed
    assert "X-Amz" not in failed
    assert films.paid() == {"one--01": 1}
    assert world.bucket.head("clips/one--01/video.mp4") is not None

    monkeypatch.setattr(film_join, "_manifest", whole)
    world.run("film_job", partition_key="one")
    assert world.bucket.head("sequences/one/FAILED.txt") is None
    assert films.json("sequences/one/manifest.json")["shots"][0]["clip"] == "one--01"
    assert films.paid() == {"one--01": 1}


def test_scans_of_uploads_and_films_do_not_affect_each_other_s_clips(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        registry = Registry(ledger.database)
        registry.admit([Upload("film--01", "sequences/film.yaml#01", "v", "{}")], present=(), below="sequences/")
        registry.admit([Upload("hero", "uploads/hero.jpg", "v", "{}")], present=("hero",))
        registry.admit([], present=(), below="sequences/other")
        assert set(registry.sources()) == {"film--01", "hero"}
        assert registry.admit([], present=(), below="sequences/").withdrawn == ("film--01",)
        assert registry.admit([], present=()).withdrawn == ("hero",)
