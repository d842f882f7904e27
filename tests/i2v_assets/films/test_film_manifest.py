"""A film's manifest: canonical text, strict reading, and the gallery's entries of joined and unfinished films."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from i2v_assets.clip_folder.manifest import ManifestError
from i2v_assets.clip_folder.notes import Answer, AnswerKind
from i2v_assets.films.manifest import SANDBOX_FILM_NOTE, FilmManifest, is_film_manifest, read_film_manifest
from i2v_assets.films.notes import _plain
from i2v_assets.gallery.collect_films import gather_films
from i2v_assets.gallery.entries import Status, entry_of_film
from resources.problem import Problem
from resources.storage.bucket import ObjectInfo

NOW = datetime(2026, 3, 31, 18, 0, tzinfo=UTC)
SHOT: dict[str, Any] = {
    "clip": "cat",
    "video_key": f"videos/{'a' * 64}.mp4",
    "sha256": "b" * 64,
    "fingerprint": "a" * 64,
    "seconds": 3.04,
    "starts_at": 0,
    "transition": "cut",
    "starts_from_last_frame": False,
    "cost_microdollars": 300_000,
}
SEAM = {
    "at_seconds": 3.04,
    "crossfade_seconds": 0,
    "before": "cat",
    "after": "cat",
    "colour_step": 1,
    "picture_step": 2,
}
PLAIN: dict[str, Any] = {
    "film": "one",
    "version": "c" * 64,
    "made_at": "2026-03-31T20:00:00+02:00",
    "shots": [SHOT, {**SHOT, "starts_at": 3.04}],
    "seams": [SEAM],
    "video": {
        "key": "sequences/one/video.mp4",
        "sha256": "d" * 64,
        "size_bytes": 5,
        "width": 1280,
        "height": 720,
        "fps": 24,
        "frames": 146,
        "seconds": 6.08,
    },
}


def test_the_text_is_canonical() -> None:
    manifest = FilmManifest.model_validate(PLAIN)
    data = manifest.to_json()
    assert data == json.dumps(json.loads(data), sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"
    assert read_film_manifest(data).to_json() == data
    assert json.loads(data)["made_at"] == "2026-03-31T18:00:00Z"
    assert is_film_manifest(data)
    assert not is_film_manifest(b'{"clip": "cat"}')
    assert not is_film_manifest(b"[]")
    assert not is_film_manifest(b"no json")


def test_a_clip_that_is_shown_twice_was_paid_for_once() -> None:
    assert FilmManifest.model_validate(PLAIN).cost_microdollars == 300_000


def test_a_film_of_the_sandbox_is_marked() -> None:
    assert FilmManifest.model_validate({**PLAIN, "sandbox": True}).note == SANDBOX_FILM_NOTE
    assert FilmManifest.model_validate(PLAIN).note is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seams": []}, "0 seams between 2 shots"),
        ({"shots": []}, "shots"),
        ({"else": 1}, "else"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_an_invalid_film_manifest_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read_film_manifest(json.dumps({**PLAIN, **changes}).encode())
    assert words in refused.value.message


class _Texts:
    """What the bucket says, without one."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def texts(self, wanted: Any) -> dict[str, str]:
        return {key: self._texts[key] for key in wanted if key in self._texts}


def _gathered(texts: dict[str, str]) -> Any:
    listed = {key: ObjectInfo(key, "etag", 1, NOW) for key in (*texts, "sequences/one/video.mp4")}
    return gather_films(listed, _Texts(texts), "runcomfy")  # type: ignore[arg-type]


def test_films_of_a_bucket() -> None:
    plan = {
        "shots": [
            {"clip": "two--01", "state": "delivered", "price_usd": 0.3},
            {"clip": "two--01", "state": "delivered", "price_usd": 0.3},
            {"clip": "two--02", "state": "waiting", "reason": "over budget", "price_usd": None},
        ]
    }
    refused = Answer(AnswerKind.REFUSED, "REFUSED: one", (Problem("`shts` is no key.", remedy="Correct it."),), "")
    waits = "WAITING: two is joined later.\n\nWhat: Shot 2 waits.\n\nWhat happens next: it is joined by itself.\n"
    entries, unreadable = _gathered(
        {
            "sequences/one/manifest.json": json.dumps(PLAIN),
            "sequences/one/REFUSED.txt": refused.text,
            "sequences/one/plan.json": json.dumps({"film": "one", "answer": _plain(refused)}),
            "sequences/two/WAITING.txt": waits,
            "sequences/two/plan.json": json.dumps(plan),
            "sequences/three/plan.json": "{}",
            "sequences/My Media/manifest.json": "{}",
        }
    )
    assert unreadable == ()
    one, two = entries
    assert (one.key, one.status, one.cost_microdollars) == ("film:one", Status.DELIVERED, 300_000)
    assert one.problems[0].remedy == "Correct it."  # the film that was joined before stays, and says what is in the way
    assert (two.key, two.status, two.film) == ("film:two", Status.WAITING, True)
    assert [shot.what for shot in two.shots] == ["delivered", "delivered", "waiting: over budget"]
    assert (two.cost_microdollars, two.estimated) == (300_000, True)
    assert two.folder == "sequences/two/"


def test_a_damaged_manifest_is_named_and_leaves_the_others() -> None:
    entries, unreadable = _gathered({"sequences/one/manifest.json": "{}"})
    assert entries == ()
    assert unreadable == ("sequences/one/manifest.json",)


def test_an_entry_marks_an_estimated_price() -> None:
    manifest = FilmManifest.model_validate({**PLAIN, "shots": [SHOT, {**SHOT, "cost_microdollars": None}]})
    assert entry_of_film(manifest).estimated
    assert not entry_of_film(FilmManifest.model_validate(PLAIN)).estimated
