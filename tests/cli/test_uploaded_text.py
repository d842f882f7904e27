"""Uploads whose words or names are written in other ways than most, as the command sees them."""

from typing import Any

import pytest

WORDS = "Le café dérive"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("latin/brief.yaml", f"prompt: {WORDS}\n"),
        ("latin/_defaults.yaml", f"prompt: {WORDS}\n"),
        ("list.csv", f"clip,image,prompt\nx1,latin/hero.jpg,{WORDS}\n"),
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


def test_words_that_an_earlier_version_kept_damaged_are_read_again(world: Any) -> None:
    world.upload("latin/hero.jpg", world.image().read_bytes())
    world.upload("latin/brief.yaml", f"prompt: {WORDS}\n".encode("latin-1"))
    key = "uploads/latin/brief.yaml"
    with world.books() as (_, registry):
        registry.remember_texts({key: (world.bucket.head(key).etag, "prompt: Le caf\ufffd d\ufffdrive\n")})
    world.admit()
    assert world("status", "--json").json["clips"] == []
