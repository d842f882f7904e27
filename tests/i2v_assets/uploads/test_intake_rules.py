"""New trees, trees that documents feed, hot folders, marks and what cannot be read: when a loose image is ordered."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from i2v_assets.uploads.grouping import Grouping, group_uploads
from i2v_assets.uploads.memory import IntakeMemory, KnownTree, ObjectClaim
from i2v_assets.uploads.tree import UnreadableText
from i2v_assets.uploads.types import HoldReason
from resources.storage.bucket import ObjectInfo

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def look(
    ages: Mapping[str, float],
    texts: Mapping[str, str | bytes | UnreadableText] | None = None,
    memory: IntakeMemory | None = None,
) -> Grouping:
    """Group files of these ages in seconds."""
    objects = [ObjectInfo(f"uploads/{name}", 10, "e", NOW - timedelta(seconds=age)) for name, age in ages.items()]
    given = {f"uploads/{name}": text for name, text in (texts or {}).items()}
    return group_uploads(objects, NOW, 30, given, {}, memory=memory)


def made(found: Grouping) -> set[str]:
    return {each.clip for each in found.candidates if each.hold is None}


def held(found: Grouping) -> dict[str, HoldReason]:
    return {each.clip: each.hold.reason for each in found.candidates if each.hold is not None}


def test_a_new_tree_rests_before_its_images_are_ordered_and_the_top_does_not() -> None:
    ages = {"t/1.jpg": 100, "t/sub/2.jpg": 5, "s/3.jpg": 100, "4.jpg": 100, "5.jpg": 5}
    assert made(look(ages)) == {"s--3", "4"}
    assert made(look(ages | {"t/sub/2.jpg": 31})) == {"t--1", "t--sub--2", "s--3", "4"}


def test_a_tree_that_never_rests_asks_once_and_goes_by_image_once_it_delivered() -> None:
    ages = {"t/1.jpg": 700, "t/2.jpg": 3}
    known = KnownTree(first_seen=NOW - timedelta(seconds=601))
    assert held(look(ages, memory=IntakeMemory(trees={"t": known}))) == {"t--1": HoldReason.HOT_FOLDER}
    loose = replace(known, fed_by="loose")
    assert made(look(ages, memory=IntakeMemory(trees={"t": loose}))) == {"t--1"}
    delivered = IntakeMemory(trees={"t": known}, delivered_loose=lambda: frozenset({"uploads/t/0.jpg"}))
    assert made(look(ages, memory=delivered)) == {"t--1"}


def test_a_new_image_of_a_tree_that_documents_feed_waits_an_hour_and_is_then_held() -> None:
    memory = IntakeMemory(trees={"t": KnownTree(LONG_AGO, LONG_AGO, "documents", LONG_AGO)})
    found = look({"t/1.jpg": 3500, "t/2.jpg": 3700}, memory=memory)
    assert [each.clip for each in found.settling] == ["t--1"]
    assert held(found) == {"t--2": HoldReason.NO_DOCUMENT}
    text = {"t/_defaults.yaml": "loose_images: order"}
    assert made(look({"t/1.jpg": 60, "t/_defaults.yaml": 60}, text, memory)) == {"t--1"}


def test_what_was_claimed_stays_claimed_under_other_bytes_and_is_dropped_where_it_was_paid() -> None:
    claim = ObjectClaim("uploads/t/looks.csv", "e", LONG_AGO, gone_since=NOW - timedelta(hours=2))
    for each in (claim, replace(claim, etag="other"), replace(claim, etag="other", paid=True)):
        found = look({"t/1.jpg": 60}, memory=IntakeMemory(claims={"uploads/t/1.jpg": each}))
        assert held(found) == {"t--1": HoldReason.CLAIMED}
        assert "t/looks.csv, gone since 2026-01-01 10:00 UTC" in found.candidates[0].hold.words  # type: ignore[union-attr]
    paid = look({"t/1.jpg": 60}, memory=IntakeMemory(claims={"uploads/t/1.jpg": replace(claim, paid=True)}))
    assert not paid.candidates
    assert paid.present == {"t--1"}
    film = replace(claim, document="sequences/film.yaml", gone_since=None)
    assert not look({"t/1.jpg": 60}, memory=IntakeMemory(claims={"uploads/t/1.jpg": film})).present


@pytest.mark.parametrize(
    ("age", "text", "holds"),
    [
        (3500, "{}", True),
        (3700, "{}", False),
        (60, '{"expires": "2026-01-01T11:59:30Z"}', False),
        (3700, '{"expires": "2026-01-02T00:00:00Z"}', False),
        (60, "no json", True),
    ],
)
def test_a_mark_holds_its_folder_until_it_ends(age: float, text: str, holds: bool) -> None:
    ages = {"t/a/1.jpg": 9000, "t/a/b/brief.yaml": 9000, "t/a/b/2.jpg": 9000, "t/a/_uploading-x.json": age}
    texts = {"t/a/_uploading-x.json": text, "t/a/b/brief.yaml": "prompt: x"}
    found = look(ages | {"s/3.jpg": 9000}, texts)
    assert made(found) == ({"s--3"} if holds else {"s--3", "t--a--1", "t--a--b"})


def test_a_mark_at_the_top_holds_only_the_stems_that_it_lists() -> None:
    texts = {"_uploading-x.json": '{"files": ["Hero.mp3"]}'}
    assert made(look({"hero.jpg": 60, "cup.jpg": 60, "t/a.jpg": 60, "_uploading-x.json": 60}, texts)) == {"cup", "t--a"}


def test_a_document_that_cannot_be_read_is_refused_by_itself_and_holds_its_scope() -> None:
    archived = UnreadableText("it is archived.", "Restore it.")
    ages = dict.fromkeys(["b/brief.yaml", "b/x.jpg", "l/looks.csv", "l/1.jpg", "n/notes.txt", "n/2.jpg", "new.jpg"], 60)
    found = look(ages, {"b/brief.yaml": archived, "l/looks.csv": archived, "n/notes.txt": archived})
    assert made(found) == {"new"}
    assert {each.key for each in found.refused} == {
        "uploads/b/brief.yaml",
        "uploads/l/looks.csv",
        "uploads/n/notes.txt",
    }
    assert all("archived" in each.words for each in found.refused)


@pytest.mark.parametrize(
    "name", ["IMG/3.JPG", "img\\3.jpg", "img%2F3.jpg", "img/3", "'img/3.jpg'", "C:\\x\\img\\3.jpg"]
)
def test_a_name_in_a_list_that_nearly_fits_holds_its_file_alone(name: str) -> None:
    ages = dict.fromkeys(["t/looks.csv", "t/img/3.jpg", "other/3.jpg"], 60)
    found = look(ages, {"t/looks.csv": f"clip,image\na,{name}\n"})
    assert "t--img--3" not in made(found)
    assert "other--3" in made(found)


def test_a_row_that_is_refused_keeps_its_files_from_being_loose() -> None:
    ages = dict.fromkeys(["looks.csv", "1.jpg", "2.jpg", "3.jpg", "4.jpg"], 60)
    text = "clip,image,duration\na,1.jpg,\na,2.jpg,\nb,3.jpg,five\n"
    assert made(look(ages, {"looks.csv": text})) == {"a", "4"}


def test_an_empty_brief_is_half_an_upload() -> None:
    empty = ObjectInfo("uploads/t/brief.yaml", 0, "e", LONG_AGO)
    image = ObjectInfo("uploads/t/1.jpg", 9, "e", LONG_AGO)
    found = group_uploads([empty, image], NOW, 30, {"uploads/t/brief.yaml": ""}, {})
    assert not found.candidates
    assert "empty (0 bytes)" in found.refused[0].words
