"""A film whose joins fail is tried on, after growing gaps, and always has a note; notes of films that are gone go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from i2v_assets.defs.films_sensor import LONGEST_GAP, consecutive_failures, gap_after
from resources.storage.errors import StorageUnavailable

FILM = "image: cat.jpg\ndefaults: {resolution: 720p, duration: 3}\nshots: [Slow push in]\n"
OK, FAILED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def test_failures_in_a_row_are_counted_and_a_success_ends_the_count() -> None:
    assert [consecutive_failures(each) for each in ([], [OK], [FAILED, OK, FAILED], [FAILED] * 4)] == [0, 0, 1, 4]


def test_gaps_grow_and_never_end() -> None:
    gaps = [gap_after(count) for count in range(1, 40)]
    assert gaps[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == LONGEST_GAP


def test_a_join_that_could_not_reach_the_bucket_is_noted_by_the_sensor_and_tried_again(
    films: Any, world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_arguments: object, **_keywords: object) -> None:
        raise StorageUnavailable("The bucket does not answer.")

    now = [datetime.now(UTC)]
    monkeypatch.setattr("i2v_assets.defs.films_sensor.utc_now", lambda: now[0])
    world.put("sequences/cats.yaml", FILM)
    world.put("sequences/cat.jpg", samples / "pet.jpg")
    assert all(result.success for result in world.tick("sequences"))
    with monkeypatch.context() as broken:
        broken.setattr("i2v_assets.films.join.join_film", unreachable)
        broken.setattr("i2v_assets.defs.films._note_failure", lambda *_: None)
        for failures in range(1, 5):  # more than the three of before
            (result,) = world.tick("sequences")
            assert not result.success
            assert world.tick("sequences") == [], "the gap"
            note = films.text("sequences/cats/FAILED.txt")
            assert "The bucket does not answer." in note
            assert "tried again by itself after" in note
            now[0] = datetime.now(UTC) + gap_after(failures)
    assert films.until_still() == ["film_job"]
    assert world.bucket.head("sequences/cats/FAILED.txt") is None
    assert world.bucket.head("sequences/cats/video.mp4") is not None

    now[0] += timedelta(hours=1)
    for key in ("video.mp4", "manifest.json"):  # successes of the same version do not use up the tries
        world.bucket.delete(f"sequences/cats/{key}")
    for _ in range(4):
        assert films.until_still() == ["film_job"]
        world.bucket.delete("sequences/cats/video.mp4")


def test_notes_of_films_that_are_gone_go(films: Any, world: Any, samples: Path) -> None:
    world.put("uploads/sequences/broken.jpg", b"no image")
    world.put("uploads/sequences/typo/brief.yaml", "promt: x\n")
    world.tick("uploads")
    kept = {info.key for info in world.bucket.list("clips/_refused/")}
    world.put("sequences/cats.yaml", FILM)
    world.put("sequences/cats.json", "{}")
    world.tick("sequences")
    assert world.bucket.head("sequences/cats/REFUSED.txt") is not None
    assert len({info.key for info in world.bucket.list("clips/_refused/")} - kept) == 1
    world.bucket.delete("sequences/cats.yaml")
    world.bucket.delete("sequences/cats.json")
    world.tick("sequences")
    assert world.bucket.head("sequences/cats/REFUSED.txt") is None
    assert {info.key for info in world.bucket.list("clips/_refused/")} == kept
