"""What a catalogue entry says about its price."""

from typing import Any

import pytest

from resources.prices.billed import LARGEST_NAMED, terms_of
from resources.runcomfy.wire import CatalogueEntry


def entry(note: object = None, *, base: int | None = 100_000, tooltips: dict[str, Any] | None = None) -> CatalogueEntry:
    fields = {name: {"type": "string", "description": text} for name, text in (tooltips or {}).items()}
    schema = {"properties": fields} if tooltips is not None else None
    return CatalogueEntry("a/b", "", base, "second", schema, {"pricing_note": note})


@pytest.mark.parametrize(
    ("note", "factor"),
    [
        (None, 1.0),
        (7, 1.0),
        ("", 1.0),
        ("Play money: the sandbox's prices are invented.", 1.0),
        ("1080p is billed at 1.5x the 720p price.", 1.5),
        ("4K costs 4 times the base rate", 4.0),
        ("1080p ×2.5", 2.5),
        ("x3 for 4K", 3.0),
        ("Audio adds 25% to the per-second cost.", 1.25),
        ("40 % more with sound", 1.4),
        ("Audio doubles the price.", 2.0),
        ("1080p is 150% of 720p", 1.5),
        ("$0.10 a second at 720p and $0.15 at 1080p", 1.5),
        ("From $0.05", 1.0),
        ("Renders 100x faster", 1.0),
        ("1.5x at 1080p, 3x at 4K", 3.0),
    ],
)
def test_a_factor_is_read_out_of_the_note(note: object, factor: float) -> None:
    assert terms_of(entry(note)).named_factor == pytest.approx(factor)


def test_each_control_that_raises_the_price_raises_what_the_others_made_of_it() -> None:
    found = entry(
        "1080p is billed at 1.5x", tooltips={"sound": "Sound adds 25% to the per-second cost", "zoom": "Zooms in 4x"}
    )
    assert terms_of(found).named_factor == pytest.approx(1.875)
    many = entry("9x", tooltips={"a": "costs 9x", "b": "costs 9x"})
    assert terms_of(many).named_factor == LARGEST_NAMED


def test_the_mark_changes_with_the_base_the_unit_and_the_note() -> None:
    first = terms_of(entry("note"))
    assert terms_of(entry("  note\n")).mark == first.mark
    others = {
        terms_of(entry("another")).mark,
        terms_of(entry("note", base=1)).mark,
        terms_of(entry("note", base=None)).mark,
    }
    assert len(others | {first.mark}) == 4
