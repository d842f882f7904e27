"""Uploads whose words or names are written in other ways than most, as the command sees them."""

import unicodedata
from typing import Any

import pytest

from i2v_assets.uploads.types import Candidate, HoldReason

WORDS = "Le café dérive"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("latin/brief.yaml", f"prompt: {WORDS}\n"),
        ("latin/_defaults.yaml", f"prompt: {WORDS}\n"),
    ],
)
def test_words_that_are_no_utf_8_are_refused_and_not_paid_for(world: Any, name: str, text: str) -> None:
    world.upload("latin/hero.jpg", world.image().read_bytes())
    world.upload(name, text.encode("latin-1"))
    for _ in range(2):  # the second look does not find it accepted in its memory either
        world.admit()
        told = world("status", "--json").json
        assert told["clips"] == []
        [refused] = told["refused_uploads"]
        assert "is not UTF-8 text" in refused["reason"]
        assert refused["remedy"] == "Save the file as UTF-8."
    world.upload(name, text.encode("utf-8-sig"))
    world.admit()
    told = world("status", "--json").json
    assert (len(told["clips"]), told["refused_uploads"]) == (1, [])


def test_a_list_that_is_no_utf_8_is_read_and_waits_for_a_person(world: Any) -> None:
    text = f"clip,image,prompt\nx1,latin/hero.jpg,{WORDS}\n"
    world.upload("latin/hero.jpg", world.image().read_bytes())
    world.upload("list.csv", text.encode("latin-1"))
    for _ in range(2):
        world.admit()
        with world.session() as (_, registry):
            [row] = registry.list()
        hold = Candidate.from_content(row.content).hold
        assert (row.clip, hold and hold.reason) == ("x1", HoldReason.ENCODING)
    world.upload("list.csv", text.encode("utf-8-sig"))
    world.admit()
    with world.session() as (_, registry):
        assert [Candidate.from_content(row.content).hold for row in registry.list()] == [None]


def test_words_that_an_earlier_version_kept_damaged_are_read_again(world: Any) -> None:
    world.upload("latin/hero.jpg", world.image().read_bytes())
    world.upload("latin/brief.yaml", f"prompt: {WORDS}\n".encode("latin-1"))
    key = "uploads/latin/brief.yaml"
    with world.session() as (_, registry):
        registry.memory.remember_texts({key: (world.bucket.head(key).etag, "prompt: Le caf\ufffd d\ufffdrive\n")})
    world.admit()
    assert world("status", "--json").json["clips"] == []


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("said", "uploaded"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_an_accent_is_one_letter_however_it_is_spelt(world: Any, said: str, uploaded: str) -> None:
    """macOS uploads names decomposed; keyboards write them composed."""
    world.upload(f"folder/{uploaded}.jpg", world.image().read_bytes())
    world.upload("folder/brief.yaml", f"images: [{said}.jpg]\n".encode())
    world.upload(f"_listed/{uploaded}.jpg", world.image().read_bytes())
    world.upload("list.csv", f"clip,image\nrow,_listed/{said}.jpg\n".encode())
    world.upload(f"{uploaded}.jpg", world.image().read_bytes())
    world.upload(f"{said}.mp3", b"a voiceover")
    world.admit()
    with world.session() as (_, registry):
        assert registry.refusals.now() == ()
        used = {row.clip: [file.key for file in Candidate.from_content(row.content).files] for row in registry.list()}
    assert used == {
        "folder": [f"uploads/folder/{uploaded}.jpg"],  # the key as it is
        "row": [f"uploads/_listed/{uploaded}.jpg"],
        "cafe": [f"uploads/{uploaded}.jpg", f"uploads/{said}.mp3"],
    }
