"""Compares the live catalogue with what the code knows and what was agreed to. Pure."""

from collections.abc import Sequence

from resources.ledger.catalogue_memory import AgreedOffer


def troubles(
    differences: Sequence[str],
    price_microdollars: int | None,
    price_unit: str,
    agreed: AgreedOffer | None,
) -> tuple[str, ...]:
    """What of a family's live entry nobody has agreed to yet, in words; empty where the route is open.

    Args:
        differences: between the entry and what the code knows.
        price_microdollars: the live price per unit, None where it cannot be read.
        price_unit: the live unit.
        agreed: what was agreed to last; None at the first sight, when the live price is the first one known.
    """
    accepted = set(agreed.accepted) if agreed else set()
    found = [difference for difference in differences if difference not in accepted]
    if agreed is not None and (agreed.price_microdollars, agreed.price_unit) != (price_microdollars, price_unit):
        found.append(
            f"the price is now {_price(price_microdollars, price_unit)}, "
            f"was {_price(agreed.price_microdollars, agreed.price_unit)}"
        )
    return tuple(found)


def _price(microdollars: int | None, unit: str) -> str:
    return "unknown" if microdollars is None else f"{microdollars / 1_000_000:g} USD per {unit}"
