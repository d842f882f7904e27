"""Films of which a later shot cannot be made: nothing of them is paid, although that shot has no first frame yet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from i2v_assets.clip_folder.manifest import ManifestError
from i2v_assets.films.held import HOLD_FOR, hold_film, is_held, release_changed, release_film
from i2v_assets.films.scan import scan_film
from i2v_assets.pipeline import film_foresight
from i2v_assets.pipeline.generate import TakeMaker
from i2v_assets.pipeline.plan import ClipPlanner
from resources.ledger.ledger import Ledger
from resources.ledger.records import caps_of
from resources.registry.registry import Registry
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.errors import ObjectMissing, StorageUnavailable

KLING = "kling/kling-3.0/pro/image-to-video"
FILM = """
image: cat.jpg
defaults: {{duration: 3}}
continuity: last_frame
shots:
  - Slow push in
  - The camera moves on
  - {third}
"""
THIRD = {
    "prompt": (f"prompt: {'slow ' * 1100}", "characters"),
    "duration": ("{prompt: It rests, duration: 40}", "3 to 15 s"),
    "resolution": ("{prompt: It rests, resolution: 4k}", "4k"),
    "model": ("{prompt: It rests, model: nobody/knows/it}", "has no model nobody/knows/it now"),
    "field": (f"{{prompt: It rests, model: {KLING}, inputs: {{fps: 24}}}}", "`inputs` sets `fps`"),
    "value": (f"{{prompt: It rests, model: {KLING}, inputs: {{cfg_scale: 9}}}}", "the schema says maximum 1"),
    "inputs": ("{prompt: It rests, inputs: {fps: 24}}", "no inputs beside the keys"),
    "broken": ("{prompt: It rests, end_image: broken.jpg, model: wan-2.7}", "broken.jpg"),
    "voice": ("{prompt: It rests, music: broken.mp3}", "broken.mp3"),
}  # fmt: skip
"""The third shot of each film, and words of what is wrong with it."""


def _put_all(world: Any, samples: Path) -> None:
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/voice.mp3", samples / "voiceover-en.mp3")
    world.put("sequences/broken.jpg", b"\xff\xd8\xff\xe0 no picture")
    world.put("sequences/broken.mp3", b"no sound")
    for name, (third, _) in THIRD.items():
        world.put(f"sequences/{name}.yaml", FILM.format(third=third))


def test_nothing_is_paid_of_a_film_whose_third_shot_cannot_be_made(films: Any, world: Any, samples: Path) -> None:
    _put_all(world, samples)
    assert set(films.until_still()) == {"make_clips_job"}
    assert films.paid() == {}
    for name, (_, words) in THIRD.items():
        note = " ".join(films.text(f"clips/{name}--01/WAITING.txt").split())
        assert f"Shot 3 of its film ({name}--03)" in note, name
        assert words in note, name
        assert "Nothing was paid yet." in note
        assert f"Shot 3 of its film ({name}--03)" in films.text(f"sequences/{name}/WAITING.txt")
    assert world.tick("dispatch") == [], "what would be refused is not planned again until it is corrected"

    for name in set(THIRD) - {"field"}:
        world.bucket.delete(f"sequences/{name}.yaml")
    world.put("sequences/field.yaml", FILM.format(third="It rests"))
    assert films.until_still() == [], "the first shot has not changed"
    (first,) = world.tick("dispatch")
    assert first.success
    assert films.until_still() == ["make_clips_job", "make_clips_job", "film_job"]
    assert films.paid() == {"field--01": 1, "field--02": 1, "field--03": 1}


def test_a_missing_file_of_a_later_shot_refuses_the_film(films: Any, world: Any, samples: Path) -> None:
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/gone.yaml", FILM.format(third="{prompt: It rests, end_image: gone.jpg}"))
    world.put("sequences/wrong.yaml", FILM.format(third="{prompt: It rests, end_image: cat.mp3}"))
    world.put("sequences/cat.mp3", samples / "voiceover-en.mp3")
    assert films.until_still() == []
    assert "gone--03 needs sequences/gone.jpg" in films.text("sequences/gone/REFUSED.txt")
    assert "wrong--03 names sequences/cat.mp3, which is not" in films.text("sequences/wrong/REFUSED.txt")


def test_a_sound_that_cannot_be_joined_is_known_before(films: Any, world: Any, samples: Path) -> None:
    _put_all(world, samples)
    for name in THIRD:
        world.bucket.delete(f"sequences/{name}.yaml")
    for name, track in (("damaged", "broken.mp3"), ("picture", "cat.jpg")):
        world.put(f"sequences/{name}.yaml", FILM.format(third=f"It rests\nmusic: {track}"))
    films.until_still()
    assert films.paid() == {}
    for name, track in (("damaged", "broken.mp3"), ("picture", "cat.jpg")):
        assert f"sequences/{track}" in films.text(f"clips/{name}--01/WAITING.txt")


def test_a_crossfade_that_is_longer_than_a_later_shots_voice_is_known_before(
    films: Any, world: Any, samples: Path
) -> None:
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/voice.mp3", samples / "voiceover-en.mp3")
    third = "{prompt: She speaks, audio: voice.mp3, duration: match_audio, crossfade: 10}"
    world.put("sequences/short.yaml", FILM.replace("duration: 3", "duration: 15").format(third=third))
    films.until_still()
    assert films.paid() == {}
    note = " ".join(films.text("clips/short--01/WAITING.txt").split())
    assert "Shot 3 of its film (short--03) will have 9 s, but its crossfades need 10 s." in note


def test_a_shot_that_is_shorter_than_its_crossfades_is_not_paid_itself(films: Any, world: Any, samples: Path) -> None:
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/voice.mp3", samples / "voiceover-en.mp3")
    apart = FILM.replace("last_frame", "none").replace("duration: 3", "duration: 15")
    third = "{prompt: She speaks, audio: voice.mp3, duration: match_audio, crossfade: 10}"
    world.put("sequences/apart.yaml", apart.format(third=third))
    films.until_still()
    assert films.paid() == {}
    assert "Shot 3 of its film (apart--03) will have 9 s" in " ".join(films.text("clips/apart--03/WAITING.txt").split())


def test_a_shot_that_no_budget_has_room_for_holds_its_film_until_the_cap_is_raised(
    films: Any, world: Any, samples: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "3")
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/dear.yaml", FILM.format(third="{prompt: It rests, duration: 15}"))
    films.until_still()
    note = " ".join(films.text("clips/dear--01/WAITING.txt").split())
    assert "Shot 3 of its film (dear--03) may cost" in note
    assert "Raise I2V_SANDBOX_BUDGET_USD_PER_DAY." in note
    assert films.paid() == {}
    assert world.tick("dispatch") == []
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "300")
    (first,) = world.tick("dispatch")
    assert first.success
    assert films.paid() == {"dear--01": 1}


def test_shots_of_one_film_in_several_runs_wait_for_each_other(
    films: Any, world: Any, samples: Path, monkeypatch: Any
) -> None:
    """A run plans the shots of the film that are in other runs too."""
    monkeypatch.setenv("I2V_CLIPS_PER_RUN", "1")
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    separate = FILM.replace("last_frame", "none").format(third="{prompt: It rests, duration: 40}")
    world.put("sequences/split.yaml", separate)
    films.until_still()
    assert films.paid() == {}
    with Ledger.open(load_settings().ledger_address) as ledger:
        states = {row.clip: (row.state.value, row.waiting_for) for row in Registry(ledger.database).list()}
    assert states == {
        "split--01": ("waiting", "film"),
        "split--02": ("waiting", "film"),
        "split--03": ("refused", None),
    }


def test_an_outage_is_not_a_fault_of_a_films_file(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("sequences/apart.yaml", FILM.format(third="It rests").encode())

    def fail(*_: object, **__: object) -> bytes:
        raise StorageUnavailable("The bucket does not answer.")

    monkeypatch.setattr(Bucket, "read", fail)
    with Ledger.open(load_settings().ledger_address) as ledger, pytest.raises(StorageUnavailable):
        scan_film(world.bucket, Registry(ledger.database), {}, "apart")


def test_a_film_that_cannot_be_scanned_holds_its_shots_but_never_what_is_paid(
    films: Any, world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ManifestError("clips/old/manifest.json is damaged.", remedy="Put it back.")

    async def is_paid(*_: object) -> bool:
        return True

    monkeypatch.setattr(film_foresight, "scan_film", fail)
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/held.yaml", "image: cat.jpg\nshots: [Slow push in]")
    (held,) = world.tick("sequences")
    assert held.success
    assert films.paid() == {}
    assert "clips/old/manifest.json is damaged." in films.text("clips/held--01/WAITING.txt")

    def unavailable(*_: object) -> None:
        raise StorageUnavailable("The bucket does not answer.")

    monkeypatch.setattr(film_foresight, "scan_film", unavailable)
    monkeypatch.setattr(TakeMaker, "is_paid", is_paid)
    world.put("sequences/paid.yaml", "image: cat.jpg\nshots: [Slow push out]")
    (paid,) = world.tick("sequences")
    assert paid.success
    assert world.bucket.head("clips/paid--01/video.mp4") is not None


def test_an_error_at_another_shots_files_ends_no_shot(
    films: Any, world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = ClipPlanner.decide

    async def fail_at_the_third(planner: ClipPlanner, clip: str, *given: Any, **more: Any) -> Any:
        if clip == "film--03":
            raise ObjectMissing("sequences/sign.jpg was removed.", remedy="Upload it again.")
        return await decide(planner, clip, *given, **more)

    monkeypatch.setattr(ClipPlanner, "decide", fail_at_the_third)
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    world.put("sequences/film.yaml", FILM.format(third="It rests"))
    films.until_still()
    assert films.paid() == {}
    note = films.text("clips/film--01/WAITING.txt")
    assert "sequences/sign.jpg was removed." in note
    assert "Upload it again." in note


def test_a_film_is_held_until_it_changes_or_can_be_made_and_at_most_for_an_hour(world: Any) -> None:
    film, at = "sequences/film.yaml", datetime(2026, 3, 10, 12, tzinfo=UTC)
    caps = caps_of(load_settings())
    with Ledger.open(load_settings().ledger_address) as ledger:
        memory = Registry(ledger.database).memory
        hold_film(memory, film, "mark", at)
        release_changed(memory, film, "mark")
        assert is_held(memory, film, caps, at + HOLD_FOR)
        assert not is_held(memory, film, caps, at + HOLD_FOR + timedelta(seconds=1)), (
            "what lies outside the film changes too"
        )
        release_changed(memory, film, "another")
        assert not is_held(memory, film, caps, at)
        hold_film(memory, film, "mark", at)
        release_film(memory, film)
        assert not is_held(memory, film, caps, at)
        hold_film(memory, film, None, at)
        release_changed(memory, film, "mark")
        assert is_held(memory, film, caps, at), "its mark could not be found, so the film is not known to have changed"


def test_a_hold_whose_cause_has_ended_ends_when_the_film_is_planned_again(
    films: Any, world: Any, samples: Path
) -> None:
    """What held the film lies outside it: a setting, a preset, the catalogue."""
    film, now = "sequences/film.yaml", datetime.now(UTC)
    with Ledger.open(load_settings().ledger_address) as ledger:
        memory = Registry(ledger.database).memory
        hold_film(memory, film, None, now)
        world.put("sequences/cat.jpg", samples / "pet.jpg")
        world.put(film, "image: cat.jpg\nshots: [Slow push in]")
        (made,) = world.tick("sequences")
        assert made.success
        assert not is_held(memory, film, caps_of(load_settings()), now)
