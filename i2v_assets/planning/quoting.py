"""Put the true price into a plan: what is expected and the most that it may cost. Pure."""

from collections.abc import Callable, Sequence

from i2v_assets.planning.plan import Plan, PlanOffer
from resources.prices.billed import Billed
from resources.prices.quote import PastCost, Quote, make_quote
from resources.runcomfy.pricing import base_words
from resources.schemas.inputs import GenerationInputs

PastCosts = Callable[[Billed], Sequence[PastCost]]
"""Returns settled costs of requests like one, newest first; of the whole family if there are none."""


def first_quote(base: int, inputs: GenerationInputs, billed: Billed, offer: PlanOffer, headroom: float) -> Quote:
    """Return the quote of a request of which nothing was learned yet."""
    return make_quote(base, base_words(offer.entry, inputs), billed, offer.terms, (), headroom=headroom)


def with_past(plan: Plan, offer: PlanOffer | None, past: Sequence[PastCost], headroom: float) -> Plan:
    """Return a plan at the price that past costs teach; unchanged if its price is unknown."""
    if offer is None or plan.quote is None or plan.billed is None:
        return plan
    first = plan.quote
    quote = make_quote(first.base, first.base_reason, plan.billed, offer.terms, past, headroom=headroom)
    return plan.model_copy(update={"quote": quote, "price_microdollars": quote.expected})
