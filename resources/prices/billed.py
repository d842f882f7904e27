"""What decides the price of a request, whether it cost that, and which model answered. Pure, in whole micro-dollars.

The base price and its unit of a catalogue entry, and the factors that its note and tooltips name; and, of a request, the
family and the parameters that services are known to bill by. One function makes those from a request's inputs, so that an
endpoint with other billed parameters adds them here, in ``more``. An unreadable price stops the payment, so an unknown unit
is an error and never a guess.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from resources.ledger.records import RequestRow
from resources.messages import counted
from resources.money import dollars
from resources.runcomfy.errors import UnknownPriceUnit
from resources.runcomfy.model_names import same_model
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.inputs import GenerationInputs
from resources.schemas.live_words import MAX_FIELDS

_RANK = ("resolution", "sound", "more", "images", "input_seconds", "duration")
"""Parameters by how much a difference in them changes the factor, the most first: a resolution has a factor of its own
(1.5 x for 1080p), while another duration is already in the base."""


MAX_MORE, MAX_WORD = 20, 40
"""Further parameters that count, and the characters of each name and value: a key is indexed, which Postgres does up to 2,700
bytes."""


_FREE = re.compile(r"seed|prompt|text|caption|lyrics|title", re.IGNORECASE)
"""Inputs that are words or chance: no service bills by what they say."""


class Billed(BaseModel):
    """The family and the billed parameters of one request.

    Attributes:
        family: The endpoint family.
        resolution: The tier in lower case; empty if the endpoint has none.
        duration: Whole seconds of the video.
        sound: ``given`` by a file, ``on`` if the model makes it, ``off`` if it was switched off.
        input_seconds: Whole seconds of the reference videos together, rounded up; None if they were not measured.
        images: Number of input images.
        more: Further billed parameters of an endpoint, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    resolution: str = ""
    duration: int = 0
    sound: Literal["given", "on", "off"] = "on"
    input_seconds: int | None = 0
    images: int = 0
    more: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Return it as text: the same for the same parameters, and readable by `Billed.of_key`."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @classmethod
    def of_key(cls, key: str) -> Self:
        """Return what a key was made from.

        Raises:
            ValidationError: it is not a key of this version.
        """
        return cls.model_validate_json(key)

    @property
    def words(self) -> str:
        """Return the parameters in words, such as ``1080p, 5 s``."""
        parts = [self.resolution, f"{self.duration} s" if self.duration else ""]
        parts.append({"given": "with a voice", "on": "", "off": "without sound"}[self.sound])
        if self.input_seconds != 0:
            seconds = "of unknown length" if self.input_seconds is None else f"of {self.input_seconds} s"
            parts.append(f"with videos {seconds}")
        parts.append(f"with {self.images} images" if self.images > 1 else "")
        parts += [f"{name} {value}" for name, value in self.more]
        return ", ".join(part for part in parts if part)

    def distance(self, other: "Billed") -> tuple[float, ...]:
        """Return how far other parameters of the same family are from these; smaller tuples are nearer."""
        return tuple(_apart(getattr(self, name), getattr(other, name)) for name in _RANK)


def _apart(one: object, other: object) -> float:
    if isinstance(one, int) and isinstance(other, int):
        return abs(one - other)
    return 0.0 if one == other else 1.0


def _of_body(body: Mapping[str, object]) -> dict[str, object]:
    """Return what the body of a live schema may be billed by: its switches, numbers and choices, but no seed and no words.

    The service does not say which of them are billed, so each is a parameter of its own.
    """
    return {
        name: value
        for name, value in body.items()
        if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MAX_WORD)
        if not _FREE.search(name)
    }


def billed_of(
    inputs: GenerationInputs, video_seconds: Sequence[float] | None = None, more: Mapping[str, object] | None = None
) -> Billed:
    """Return what decides the price of a request.

    Args:
        inputs: The request.
        video_seconds: The lengths of its reference videos; None if they were not measured.
        more: Further parameters that its endpoint bills by, with their values.
    """
    if not inputs.videos:
        seconds: int | None = 0
    else:
        seconds = None if video_seconds is None else math.ceil(sum(video_seconds))
    return Billed(
        family=str(inputs.family),
        resolution=inputs.resolution,
        duration=inputs.duration,
        sound="given" if inputs.audios else "off" if inputs.generate_audio is False else "on",
        input_seconds=seconds,
        images=len(inputs.images),
        more=tuple(
            sorted(
                (name[:MAX_WORD], str(value)[:MAX_WORD])
                for name, value in {**_of_body(inputs.body or {}), **(more or {})}.items()
            )
        )[:MAX_MORE],
    )


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


_REMEDY = "I2V_ALLOW_UNKNOWN_PRICE=true submits all the same."

PRICE_UNITS = ("second", "output", "image")
"""The known units of the catalogue."""


def price_microdollars(entry: CatalogueEntry, inputs: GenerationInputs) -> int:
    """Return the price of one generation in micro-dollars.

    ``second`` is a second of the requested video, ``output`` one video, ``image`` an input image (at least one).

    Raises:
        UnknownPriceUnit: the entry has no readable price, or its unit is none of these.
    """
    base = entry.base_price_microdollars
    if base is None:
        raise UnknownPriceUnit(f"The catalogue gives no readable price for {entry.model_id}.", remedy=_REMEDY)
    if entry.price_unit == "second":
        return base * inputs.duration
    if entry.price_unit == "output":
        return base
    if entry.price_unit == "image":
        return base * max(1, len(inputs.images))
    raise UnknownPriceUnit(
        f"The catalogue prices {entry.model_id} per {entry.price_unit[:40]!r};"
        f" known units are {', '.join(PRICE_UNITS)}.",
        remedy=_REMEDY,
    )


def base_words(entry: CatalogueEntry, inputs: GenerationInputs) -> str:
    """Return how the base price is reckoned, in words; empty if it cannot be read."""
    if entry.base_price_microdollars is None:
        return ""
    per = dollars(entry.base_price_microdollars)
    if entry.price_unit == "second":
        return f"{per} a second by the catalogue, for {inputs.duration} s."
    if entry.price_unit == "image":
        return f"{per} an image by the catalogue, for {counted(max(1, len(inputs.images)), 'image')}."
    return f"{per} an output by the catalogue."


# What a request cost, and which model answered, beside what was agreed to

PRICE, MODEL = "price", "model"

Details = Mapping[str, str | int | None]


def price_and_model(rows: Sequence[RequestRow]) -> Iterator[tuple[str, bool, Details]]:
    """Yield each check that has something to compare: its name, whether it passes, and its details.

    Each is about the first of the requests that does not pass, else about the first that was compared.
    """
    priced = [row for row in rows if told_cost(row) is not None and row.price_microdollars]
    if priced:
        row = next((each for each in priced if each.price_surprise), priced[0])
        yield PRICE, not row.price_surprise, price_details(row)
    named = [row for row in rows if row.answered_model_id is not None and row.model_id is not None]
    if named:
        row = next((each for each in named if is_substituted(each)), named[0])
        yield MODEL, not is_substituted(row), _model_details(row)


def is_substituted(row: RequestRow) -> bool:
    """Return whether another model answered than was paid for."""
    return row.model_id != row.answered_model_id and not same_model(row.model_id, row.answered_model_id)


def told_cost(row: RequestRow) -> int | None:
    """Return the cost as the service reported it, also if another one counts."""
    return row.cost_microdollars if row.told_microdollars is None else row.told_microdollars


def price_details(row: RequestRow) -> Details:
    """Return what a request cost beside what was reserved for it, and what to do if it is too much."""
    over = row.price_surprise
    return {
        "take": row.take,
        "cost": dollars(told_cost(row)),
        "at most": dollars(row.price_microdollars),
        "surprise": dollars(over) if over else None,
        "what to do": _agree(row, "More of its kind waits until a person has agreed to the price") if over else None,
    }


def _model_details(row: RequestRow) -> Details:
    why = "More of this family waits until a person has agreed to it"
    return {
        "take": row.take,
        "paid for": row.model_id,
        "answered": row.answered_model_id,
        "what to do": _agree(row, why) if is_substituted(row) else None,
    }


def _agree(row: RequestRow, why: str) -> str:
    return (
        f"{why}. Compare it with the service's console, then: i2v models --accept {row.family}. If the bill has another"
        f" cost: i2v ledger cost {row.fingerprint[:12]} USD"
    )
