"""What a catalogue entry says about its price: the base, and the factors that its note and tooltips name. Pure."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.live_words import MAX_FIELDS

LARGEST_NAMED = 20.0
"""Largest factor that a text may name: the dearest known tier (4K) is billed at under ten times the base. A larger number
in a text is not a factor of a price."""

MAX_TEXT = 2_000
"""Characters of a note or tooltip that are read; the longest known note has 300."""

_ABOUT_MONEY = re.compile(r"\$|usd|bill|charge|cost|price|pricing|rate|surcharge|credit|fee\b", re.IGNORECASE)
_NUMBER = r"(\d{1,4}(?:\.\d{1,4})?)"
_TIMES = re.compile(rf"(?<![\d.]){_NUMBER}\s*(?:x\b|×|times\b)|(?:\bx|×)\s*{_NUMBER}", re.IGNORECASE)
_PERCENT_MORE = re.compile(
    rf"(?:adds?|plus|\+|extra|additional|surcharge of|more by|by)\s*{_NUMBER}\s*%|{_NUMBER}\s*%\s*(?:more|extra|higher|surcharge|on top)",
    re.IGNORECASE,
)
_PERCENT_OF = re.compile(rf"{_NUMBER}\s*%\s*of\b", re.IGNORECASE)
_WORDS = (
    (re.compile(r"\b(?:doubles?d?|twice)\b", re.IGNORECASE), 2.0),
    (re.compile(r"\b(?:triples?d?|thrice)\b", re.IGNORECASE), 3.0),
    (re.compile(r"\b(?:quadruples?d?)\b", re.IGNORECASE), 4.0),
)
_DOLLARS = re.compile(rf"(?:\$|usd)\s*{_NUMBER}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """What an entry says about its price.

    Attributes:
        mark: Changes with the base, its unit and the note: what was learned under another mark is not trusted fully.
        named_factor: What the note and the tooltips name together; 1 if they name none.
    """

    mark: str = ""
    named_factor: float = 1.0


def terms_of(entry: CatalogueEntry) -> PriceTerms:
    """Return what a live entry says about its price."""
    note = entry.raw.get("pricing_note")
    note = note[:MAX_TEXT] if isinstance(note, str) else ""
    marked = json.dumps([entry.base_price_microdollars, entry.price_unit, " ".join(note.split())])
    base = (entry.base_price_microdollars or 0) / 1_000_000
    factor = _named(note, base)
    for text in _tooltips(entry.input_schema or {}):
        factor *= _named(text, base)  # each control raises what the others made of the price
    return PriceTerms(hashlib.sha256(marked.encode()).hexdigest()[:16], min(factor, LARGEST_NAMED))


def _tooltips(schema: Mapping[str, Any]) -> Iterator[str]:
    fields = schema.get("properties")
    for field in islice(fields.values(), MAX_FIELDS) if isinstance(fields, dict) else ():
        for name in ("description", "tooltip", "pricing_note"):
            text = field.get(name) if isinstance(field, dict) else None
            if isinstance(text, str) and _ABOUT_MONEY.search(text[:MAX_TEXT]):
                yield text[:MAX_TEXT]


def _named(text: str, base_usd: float) -> float:
    """Return the largest factor that a text about a price names, 1 if none."""
    found = [float(one or other) for one, other in _TIMES.findall(text)]
    found += [1 + float(one or other) / 100 for one, other in _PERCENT_MORE.findall(text)]
    found += [float(share) / 100 for share in _PERCENT_OF.findall(text)]
    found += [factor for word, factor in _WORDS if word.search(text)]
    if base_usd > 0:
        found += [float(amount) / base_usd for amount in _DOLLARS.findall(text)]
    return max((factor for factor in found if 1 < factor <= LARGEST_NAMED), default=1.0)
