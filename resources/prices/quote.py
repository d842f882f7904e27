"""What a request will cost: the base, what is expected, and the most that is agreed to, learned from settled costs. Pure.

The base is what the catalogue says. It is neither the bill nor a minimum (docs/runcomfy-api.md, section 6), so what earlier
requests with the same parameters really cost decides. Amounts are whole micro-dollars; nothing is rounded down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resources.messages import counted
from resources.money import dollars
from resources.prices.billed import Billed, PriceTerms
from resources.prices.trend import WINDOWS, AgedCost, level_of

WINDOW = WINDOWS[0]
"""Settled costs with the same parameters that are looked at, the latest."""
ENOUGH = 10
"""Settled costs from which the highest of them is trusted without the headroom."""
LONE_WINDOW = 20
"""How long a cost that no other comes near keeps the most that is agreed to up."""
MARGIN = 11, 10
"""The most that is agreed to is 11/10 of the highest known cost."""


class Quote(BaseModel):
    """What one request will cost, in micro-dollars, each amount with its reason in words.

    Attributes:
        base: By the catalogue's base price.
        expected: What requests like it cost lately.
        at_most: What is reserved and agreed to; a request that costs more is a surprise that a person has to see.
        terms: The mark of the catalogue's terms that it was made under.
        known: How many settled costs of exactly these parameters it was learned from.
        highest: The highest cost that it was learned from; 0 if there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: int = Field(ge=0)
    base_reason: str
    expected: int = Field(ge=0)
    expected_reason: str
    at_most: int = Field(ge=0)
    at_most_reason: str
    terms: str = ""
    known: int = 0
    highest: int = 0


@dataclass(frozen=True, slots=True)
class PastCost:
    """One settled cost.

    Attributes:
        key: The key of its parameters.
        base: Its base then.
        terms: The mark of the terms then.
        cost: The cost.
        age: How many requests, of any kind, were claimed since.
    """

    key: str
    base: int
    terms: str
    cost: int
    age: int = 0


def make_quote(
    base: int, base_reason: str, billed: Billed, terms: PriceTerms, past: Sequence[PastCost], *, headroom: float
) -> Quote:
    """Return the quote of a request.

    Args:
        base: Its price by the catalogue.
        base_reason: How that is reckoned.
        billed: What decides its price.
        terms: What the catalogue says about the price now.
        past: Settled costs of the family, the last settled first; those of other parameters are used if none has the same.
        headroom: At most this many times the base, while fewer than `ENOUGH` costs are known.
    """
    usable = [cost for cost in past if cost.base > 0]
    exact = [cost for cost in usable if cost.key == billed.key][:WINDOW]
    now = [cost for cost in exact if cost.terms == terms.mark]
    like, like_words = (exact, billed.words) if exact else _nearest(billed, usable)
    # Under the terms of now, or as before if nothing was billed under them yet.
    costs = [AgedCost(-(-base * cost.cost // cost.base), cost.age) for cost in now or like]
    amounts = [cost.amount for cost in costs]
    expected, expected_reason = _expected(base, costs, like_words, exact=bool(exact), same_terms=bool(now or not exact))
    highest = _highest(amounts)
    at_most, at_most_reason = _at_most(base, highest, len(amounts), terms, headroom, known=len(now))
    if costs and expected > highest and _with_margin(expected) > at_most:
        at_most, at_most_reason = _with_margin(expected), "What is expected, plus 10 %."
    return Quote(
        base=base,
        base_reason=base_reason,
        expected=expected,
        expected_reason=expected_reason,
        at_most=at_most,
        at_most_reason=at_most_reason,
        terms=terms.mark,
        known=len(now),
        highest=highest,
    )


def known_quotes(
    unit_microdollars: int, price_unit: str, terms: PriceTerms, past: Sequence[PastCost], *, headroom: float
) -> list[tuple[Billed, Quote]]:
    """Return the quote of each kind of request that past costs know, in the order of its parameters."""
    found: list[tuple[Billed, Quote]] = []
    for key in dict.fromkeys(cost.key for cost in past):
        try:
            billed = Billed.of_key(key)
        except ValidationError:  # written by another version
            continue
        units = {"second": billed.duration, "image": max(1, billed.images)}.get(price_unit, 1)
        found.append((billed, make_quote(unit_microdollars * units, "", billed, terms, past, headroom=headroom)))
    return sorted(found, key=lambda each: each[0].key)


def _nearest(billed: Billed, past: Iterable[PastCost]) -> tuple[list[PastCost], str]:
    """Return the costs of the nearest parameters that are known, and those parameters in words."""
    by_key: dict[str, list[PastCost]] = {}
    for cost in past:
        by_key.setdefault(cost.key, []).append(cost)
    known: list[tuple[tuple[float, ...], str, Billed]] = []
    for key in by_key:
        try:
            known.append((billed.distance(other := Billed.of_key(key)), key, other))
        except ValidationError:  # written by another version
            continue
    if not known:
        return [], ""
    _, key, nearest = min(known, key=lambda each: each[:2])
    return by_key[key][:WINDOW], nearest.words


def _expected(base: int, costs: list[AgedCost], words: str, *, exact: bool, same_terms: bool) -> tuple[int, str]:
    if not costs:
        return base, "The base: no request like it has been billed yet."
    found = level_of(sorted(costs, key=lambda cost: cost.age))
    reason = f"{words} was billed at {_times(found.amount, base)} in {counted(found.used, 'earlier request')}"
    if found.rise:
        way = "rises" if found.rise > 0 else "falls"
        reason = (
            f"{words} was billed at a price that {way} by {abs(found.rise):.2%} with each request, as"
            f" {counted(found.used, 'earlier request')} show: {_times(found.amount, base)} now"
        )
    if found.changed:
        reason += ", the latest: its price has changed"
    if not exact:
        reason += "; these are the nearest known parameters"
    elif not same_terms:
        reason += ", before the catalogue's base price or note changed"
    return found.amount, f"{reason}."


def _highest(amounts: list[int]) -> int:
    return max((amount for at, amount in enumerate(amounts) if at < LONE_WINDOW or _in_company(at, amounts)), default=0)


def _at_most(base: int, highest: int, count: int, terms: PriceTerms, headroom: float, *, known: int) -> tuple[int, str]:
    learned = _with_margin(highest)
    if known >= ENOUGH:
        return learned, f"The highest of {counted(count, 'earlier request')}, {dollars(highest)}, plus 10 %."
    factor = max(headroom, terms.named_factor)
    careful = -(-base * round(factor * 1000) // 1000)
    if learned > careful:
        return learned, f"The highest of {counted(count, 'earlier request')}, {dollars(highest)}, plus 10 %."
    why = "the catalogue's note names such a factor" if terms.named_factor > headroom else "I2V_PRICE_HEADROOM"
    return careful, f"{factor:.3g} x the base until {ENOUGH} such requests are billed, {known} are ({why})."


def _with_margin(amount: int) -> int:
    return -(-amount * MARGIN[0] // MARGIN[1])


def _in_company(at: int, amounts: list[int]) -> bool:
    """Return True if another cost comes near this one: a level, and not a single outlier."""
    return any(other != at and amount * MARGIN[0] >= amounts[at] * MARGIN[1] for other, amount in enumerate(amounts))


def _times(amount: int, base: int) -> str:
    return f"{amount / base:.3g} x" if base else dollars(amount)


MOST_TIMES_PLANNED = 5
"""A reported cost above this many times the reservation is doubted: the base price is not the bill, since resolution and
sound may raise it (docs/runcomfy-api.md, section 6), but no known surcharge comes near to five times the price."""


class Belief(NamedTuple):
    """What counts as the cost (None: it is not known), and why the report is doubted; empty if it is believed.

    What was reported beyond it still counts against the caps, as what may be charged, until a person has agreed to it.
    """

    microdollars: int | None
    doubt: str


def believe(reported: int, planned: int | None, *, succeeded: bool) -> Belief:
    """Return what a reported cost counts as.

    A success for nothing, or more than `MOST_TIMES_PLANNED` times the most that was planned, counts as that most. A run
    that failed or was cancelled may rightly cost nothing.

    Args:
        reported: what the service says, in micro-dollars.
        planned: what the claim reserved; None or 0 if the price was unknown.
        succeeded: the service made the video.
    """
    if reported == 0 and succeeded:
        return Belief(planned or None, f"the service reports a cost of {dollars(0)} for a video that it made")
    if planned and reported > MOST_TIMES_PLANNED * planned:
        return Belief(planned, f"the service reports a cost of {dollars(reported)}, planned were {dollars(planned)}")
    return Belief(reported, "")
