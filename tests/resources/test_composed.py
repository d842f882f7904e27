"""Normal forms of long texts."""

import unicodedata

import pytest

from resources.composed import composed


@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFKD"])
def test_text_of_any_length_is_brought_into_its_form(form) -> None:
    text = "cafe\u0301 \ufb01 \u732b " * 500
    assert composed(text, form) == unicodedata.normalize(form, text)


def test_no_character_of_a_long_text_keeps_more_accents_than_a_language_needs() -> None:
    text = "e" + "\u0316\u0301" * 2_000_000 + "x" * 5
    assert len(composed(text)) <= 36
