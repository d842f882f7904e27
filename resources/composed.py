"""Unicode's normal forms of text that others wrote, in linear time."""

import re
import sys
import unicodedata
from functools import cache
from typing import Literal

_LONG = 1024
"""Characters of a text that is brought into a form as it is: the longest key of an object in S3, in bytes."""


def composed(text: str, form: Literal["NFC", "NFKC", "NFKD"] = "NFC") -> str:
    """Return a text in one of Unicode's normal forms; NFC is the one that most keyboards type.

    In a long text no character keeps more than 30 accents, which no language needs: to sort them takes the square of
    their number, and a list of 4 MB would take days (the limit is that of Unicode's stream-safe form, UAX 15).
    """
    if len(text) > _LONG and not text.isascii():
        text = _many_accents().sub(r"\1", text)
    return unicodedata.normalize(form, text)


@cache
def _many_accents() -> re.Pattern[str]:
    accents = "".join(char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.combining(char))
    return re.compile(f"([{accents}]{{30}})[{accents}]+")
