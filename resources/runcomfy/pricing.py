"""The price of a generation, from the catalogue's base price and its unit: pure, in whole micro-dollars.

An unreadable price stops the payment, so an unknown unit is an error and never a guess.
"""

from resources.money import dollars
from resources.plurals import counted
from resources.runcomfy.errors import UnknownPriceUnit
from resources.runcomfy.wire import CatalogueEntry
from resources.schemas.inputs import GenerationInputs

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


_REMEDY = "I2V_ALLOW_UNKNOWN_PRICE=true submits all the same."
