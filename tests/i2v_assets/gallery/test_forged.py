"""A forged file of the bucket costs its clip or film an entry, never the gallery: SECURITY.md promises it."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2v_assets.clip_folder.manifest import Manifest
from i2v_assets.defs.gallery import language_sheets
from i2v_assets.gallery.build import build_gallery
from i2v_assets.gallery.collect import INDEX, Answers, TextCache, dub_groups, gather
from i2v_assets.gallery.collect_films import gather_films
from i2v_assets.gallery.entries import GalleryEntry, Status
from resources.registry.registry import ClipRow, ClipState
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing
from resources.wait_reason import WaitReason

NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
PLAN, MANIFEST = keys.clip_key("hero", keys.PLAN), keys.clip_key("cup", keys.MANIFEST)
FILM_PLAN, FILM_NOTE = keys.sequence_key("film", keys.PLAN), keys.sequence_key("film", "WAITING.txt")
FILM_MANIFEST = keys.sequence_key("reel", keys.MANIFEST)
WAITS = {"state": ClipState.WAITING, "waiting_for": WaitReason.APPROVAL.value}
GOOD: dict[str, Any] = {
    PLAN: {
        "plan_hash": "a" * 64,
        "takes": [{"route": "animate", "inputs": {"prompt": "Push in"}}],
        "problems": [{"what": "It is small.", "limit": "At least 300.", "remedy": "Send a larger one.", "file": "a.jpg"}],
    },
    MANIFEST: {
        "clip": "cup", "take": 1, "service": "sandbox", "route": "animate", "family": "f", "model_id": "m", "prompt": "p",
        "seed": 5, "duration": 5, "resolution": "720p", "fingerprint": "f" * 64, "price_microdollars": 7,
        "times": {"created": NOW.isoformat(), "delivered": NOW.isoformat()},
        "video": {"key": "videos/x.mp4", "sha256": "a" * 64, "size_bytes": 1, "width": 2, "height": 1, "seconds": 5.0},
    },
    FILM_PLAN: {
        "shots": [{"clip": "hero", "state": "waits", "reason": None, "price_usd": 1.5}],
        "answer": {"kind": "WAITING.txt", "title": "t", "next": "n", "problems": [{"what": "It waits."}]},
    },
    FILM_MANIFEST: {
        "film": "reel", "version": "a" * 64, "made_at": NOW.isoformat(), "tracks": [], "note": None,
        "shots": [{"clip": "cup", "video_key": "videos/x.mp4", "sha256": "a" * 64, "fingerprint": "f" * 64, "seconds": 5.0,
                   "starts_at": 0, "transition": "cut", "starts_from_last_frame": False, "cost_microdollars": 7}],
        "video": {"key": "sequences/reel/video.mp4", "sha256": "a" * 64, "size_bytes": 1, "width": 2, "height": 1,
                  "fps": 24, "frames": 120, "seconds": 5.0, "loudness_lufs": -14.0},
        "versions": {"ffmpeg": "8"},
    },
}  # fmt: skip


class Files:
    """A bucket in memory."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        if key not in self.objects:
            raise ObjectMissing(key)
        return self.objects[key]

    def write(self, key: str, data: bytes, _: str) -> None:
        self.objects[key] = data


def row(clip: str, **changes: Any) -> ClipRow:
    values: dict[str, Any] = {each.name: None for each in fields(ClipRow)}
    values |= {"clip": clip, "source": f"uploads/{clip}.jpg", "version": "1", "content": "{}", "retries": 0}
    return ClipRow(**{**values, "admitted_at": NOW, "updated_at": NOW, **changes})


def built(documents: dict[str, bytes], state: dict[str, Any] = WAITS) -> dict[str, GalleryEntry]:
    """Build the whole gallery, twice, as two runs do; return its entries."""
    documents = {key: text for key, text in documents.items() if key != INDEX} | {INDEX: documents.get(INDEX, b"")}
    store = cast(Bucket, Files(documents))
    present = [*documents, FILM_NOTE, keys.clip_key("cup", keys.VIDEO), keys.sequence_key("reel", keys.VIDEO)]
    listed = {key: ObjectInfo(key, 1, "etag", NOW) for key in present if key != INDEX}
    known = Answers((row("hero", **state),), (), {}, {}, "sandbox", 2)
    for _ in range(2):
        cache = TextCache(store, listed)
        entries = gather(known, listed, cache, NOW).entries
        films, _ = gather_films(listed, cache, "sandbox")
        build_gallery((*entries, *films), NOW, zone=ZoneInfo("Asia/Tokyo"))
        cache.save()
    return {entry.key: entry for entry in (*entries, *films)}


def as_bytes(document: object) -> bytes:
    return json.dumps(document).encode()


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inside:
        yield from places(value, (*path, key))


def with_other(document: Any, path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = with_other(document[path[0]], path[1:], value)
    return copy


ODD = st.sampled_from([5, True, 1e400, float("nan"), 10**400, "\ud800", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
                       [], {}, [5], [[]], {"what": 5}, [{"what": 5}], [{"what": "x", "files": "y"}], [{"clip": []}], None])  # fmt: skip
ANY = ODD | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FORGED = st.sampled_from([(key, path) for key, document in GOOD.items() for path in places(document)])


@given(FORGED, ANY, st.sampled_from([WAITS, {"state": ClipState.REFUSED}, {"state": ClipState.FAILED}]))
@settings(max_examples=300)
def test_any_json_at_any_place_leaves_the_gallery_built(
    place: tuple[str, Any], value: object, state: dict[str, Any]
) -> None:
    key, path = place
    documents = {**GOOD, key: with_other(GOOD[key], path, value)}
    entries = built({name: as_bytes(document) for name, document in documents.items()}, state)
    assert "hero" in entries
    assert isinstance(entries["hero"].prompt, str)
    assert all(
        isinstance(part, str) for each in entries["hero"].problems for part in (each.what, each.limit, each.remedy)
    )


@given(
    st.sampled_from([(), (PLAN,), (MANIFEST,), (FILM_PLAN,), (PLAN, 0), (PLAN, 1), (MANIFEST, 0), (MANIFEST, 1)]), ANY
)
@settings(max_examples=100)
def test_any_index_leaves_the_gallery_built(path: tuple[Any, ...], value: object) -> None:
    texts = {key: as_bytes(document) for key, document in GOOD.items()}
    index = with_other({key: ["etag", text.decode()] for key, text in texts.items()}, path, value)
    entries = built({**texts, INDEX: gzip.compress(as_bytes(index))})
    assert entries["hero"].prompt in ("Push in", "")


@pytest.mark.parametrize("index", [5, [], ["etag", 5], ["etag"], "etag", {"etag": 1}])
def test_what_the_index_does_not_hold_in_its_own_form_is_read_anew(index: object) -> None:
    texts = {key: as_bytes(document) for key, document in GOOD.items()}
    entries = built({**texts, INDEX: gzip.compress(as_bytes({PLAN: index}))})
    assert entries["hero"].prompt == "Push in"


# Named, because gzip writes the time into its bytes and the workers would collect different tests.
@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x1f\x8b", gzip.compress(b"{}")[:-4], gzip.compress(b"x" * 99)[:12] + b"\xff" * 20],
    ids=["empty", "cut in its head", "cut at its end", "overwritten"],
)
def test_a_damaged_index_is_made_anew(damaged: bytes) -> None:
    texts = {key: as_bytes(document) for key, document in GOOD.items()}
    assert built({**texts, INDEX: damaged})["hero"].prompt == "Push in"


def test_what_is_not_forged_is_shown() -> None:
    texts = {key: as_bytes(document) for key, document in GOOD.items()}
    entries = built(texts)
    hero = entries["hero"]
    assert (hero.prompt, hero.route, hero.command) == ("Push in", "animate", f"i2v approve {'a' * 16}")
    assert entries["cup"].status is Status.DELIVERED
    assert [shot.cost_microdollars for shot in entries["film:film"].shots] == [1_500_000]
    (problem,) = built(texts, {"state": ClipState.REFUSED})["hero"].problems
    assert (problem.what, problem.file) == ("It is small.", "a.jpg")
    assert entries["film:reel"].status is Status.DELIVERED


@pytest.mark.parametrize("forged", ["a" * 12 + "; rm", "$(reboot) " + "a" * 16, "-" * 64, {"a": 1}, 5])
def test_a_command_to_copy_holds_a_hash_and_nothing_else(forged: object) -> None:
    texts = {key: as_bytes(document) for key, document in GOOD.items()}
    assert built({**texts, PLAN: as_bytes({"plan_hash": forged})})["hero"].command == ""


def of_a_dub(group: str, language: str, clip: str) -> Manifest:
    return Manifest.model_validate({**GOOD[MANIFEST], "clip": clip, "dub": {"group": group, "language": language}})


@pytest.mark.parametrize("group", ["../x", "a b", "", "\n"])
def test_a_group_that_is_no_folder_has_no_contact_sheet(group: str) -> None:
    assert dub_groups([of_a_dub(group, "de", "a"), of_a_dub(group, "en", "b")]) == {}


@pytest.mark.parametrize("language", ["../../escaped", "/escaped", "de/en"])
def test_a_language_is_never_part_of_a_path_and_a_lost_video_costs_its_sheet_alone(language: str) -> None:
    store = Videos()
    manifests = {clip: of_a_dub("ad", each, clip) for clip, each in (("a", language), ("b", "en"))}
    cache = TextCache(cast(Bucket, store), {})
    assert language_sheets(cast(Bucket, store), manifests, cache) == 1
    assert len(store.paths) == 2
    assert len({path.parent for path in store.paths}) == 1
    assert "escaped" not in "".join(map(str, store.paths))
    assert store.objects == {}


class Videos(Files):
    """A bucket of which the last video is lost."""

    def __init__(self) -> None:
        super().__init__({})
        self.paths: list[Path] = []

    def download(self, key: str, path: Path) -> None:
        self.paths.append(path)
        if len(self.paths) > 1:
            raise ObjectMissing(key)
