"""Numbers with their noun."""

import pytest

from resources.messages import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "clip", "", "0 clips"),
        (1, "clip", "", "1 clip"),
        (2, "clip", "", "2 clips"),
        (1200, "more attempt", "", "1,200 more attempts"),
        (1, "clip waits", "clips wait", "1 clip waits"),
        (2, "clip waits", "clips wait", "2 clips wait"),
    ],
)
def test_the_noun_follows_the_number(number: int, noun: str, plural: str, text: str) -> None:
    assert counted(number, noun, plural) == text
