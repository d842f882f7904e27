"""Which id to submit to and what it will cost, or why that cannot be said now."""

import asyncio
from dataclasses import dataclass

from resources.errors import I2VError, Verdict
from resources.generation.context import Context
from resources.generation.types import GenerationRequest, Held
from resources.ledger.records import QuotedPrice
from resources.money import dollars
from resources.prices.billed import base_words, billed_of
from resources.prices.quote import make_quote
from resources.runcomfy.catalogue import Offer
from resources.runcomfy.errors import (
    FamilyUnavailable,
    InsufficientBalance,
    MissingToken,
    RateLimited,
    ServiceError,
    Unauthorized,
    UnknownPriceUnit,
    Unusable,
)
from resources.schemas.endpoints import Endpoint, LiveEndpoint
from resources.wait_reason import WaitReason

CATALOGUE_TRIES = 4
"""Tries of a question to the catalogue, 0.5 to 2 s apart, beyond the client's own."""


@dataclass(frozen=True, slots=True)
class Priced:
    """The endpoint that answers, and the price to reserve; None where it is unknown and that is allowed.

    ``quoted`` is what the price was quoted by, for the ledger to learn from; None if there is no price.
    """

    endpoint: Endpoint | LiveEndpoint
    price_microdollars: int | None
    quoted: QuotedPrice | None = None


async def priced(ctx: Context, order: GenerationRequest, give_up: float, *, anew: bool = False) -> Priced | Held:
    """The live price of an order, asked for until ``give_up`` (monotonic) at most.

    ``anew`` asks the catalogue now, whatever it said a moment ago: submits that are about to be sent share one question.
    """
    for attempt in range(1, CATALOGUE_TRIES + 1):
        if not await ctx.pacer.clear(give_up):
            return paused(order)
        try:
            offer = await ctx.catalogue.resolve(order.inputs.family, max_age_seconds=0 if anew else None)
        except RateLimited as error:
            await ctx.pacer.refused(error)
            failure: I2VError = error
        except (Unauthorized, InsufficientBalance, MissingToken) as error:
            return ctx.stop_submitting(Held.by(error, order, WaitReason.ACCOUNT))
        except (FamilyUnavailable, Unusable) as error:
            return Held.by(error, order, WaitReason.SERVICE)
        except ServiceError as error:
            failure = error
            if error.verdict is not Verdict.RETRYABLE:
                break
        else:
            return await _priced(ctx, order, offer)
        if attempt < CATALOGUE_TRIES:
            await asyncio.sleep(0.5 * attempt * ctx.rng.uniform(0.75, 1.25))
    return Held.by(failure, order, WaitReason.SERVICE, remedy="It is tried again later.")


async def _priced(ctx: Context, order: GenerationRequest, offer: Offer) -> Priced | Held:
    """The price of an order by an offer: the most that was agreed to, unless the quote of now is higher.

    An order without a quote was agreed to at its base price.
    """
    planned, allow_unknown = order.price_microdollars, ctx.options.allow_unknown_price
    billed, terms = order.billed or billed_of(order.inputs), offer.terms
    try:
        base = offer.price_microdollars(order.inputs)
    except UnknownPriceUnit as error:
        if not allow_unknown:
            return Held.by(error, order, WaitReason.PRICE)
        return _changed(order, None, allow_unknown=True) or Priced(offer.endpoint, None)
    if order.quote is None:
        quoted = QuotedPrice(billed.key, base, base, terms.mark)
        return _changed(order, base, allow_unknown=allow_unknown) or Priced(offer.endpoint, base, quoted)
    past = await ctx.in_ledger(ctx.ledger.past_costs, ctx.service, billed)
    words = base_words(offer.entry, order.inputs)
    quote = make_quote(base, words, billed, terms, past, headroom=ctx.options.price_headroom)
    same_terms = base <= order.quote.base and offer.terms.mark == order.quote.terms
    # What was billed since is covered by the plan unless something really cost more than it allows.
    most = max(quote.expected, quote.highest) if same_terms else quote.at_most
    changed = _changed(order, most, allow_unknown=allow_unknown, base=base)
    if changed is not None:  # if that is because of a surprise, a person has to agree to it first
        held = await ctx.in_ledger(ctx.ledger.disagreement, ctx.service, order.inputs.family, billed.key)
        return changed if held is None else Held(order, held.reason, held.text, held.remedy)
    quoted = QuotedPrice(billed.key, base, quote.expected, terms.mark)
    return Priced(offer.endpoint, quote.at_most if planned is None else planned, quoted)


def paused(order: GenerationRequest) -> Held:
    """Return the hold of an order for which the service's pause is longer than the run waits."""
    return Held(
        order, WaitReason.SERVICE, "The service asked to be left alone for longer than this run waits.",
        "It goes on by itself; `i2v service resume` ends the pause.",
    )  # fmt: skip


def _changed(
    order: GenerationRequest, price: int | None, *, allow_unknown: bool, base: int | None = None
) -> Held | None:
    """What was planned, and perhaps approved, at one price is not paid at a higher one.

    Minutes may lie between the plan and its turn: a catalogue that answers again, a full service, an outage.
    """
    planned = order.price_microdollars
    if planned is None:
        if allow_unknown:
            return None
        words = "The service's catalogue did not answer when this was planned, so its price is not known."
    elif price is None:
        words = f"Its price can no longer be read, and was {dollars(planned)} when this was planned."
    elif price > planned:
        words = f"It costs {dollars(price)} now, and cost {dollars(planned)} when this was planned."
        if order.quote is not None and base is not None and base > order.quote.base:
            words = f"It costs {dollars(base)} now, and cost {dollars(order.quote.base)} when this was planned."
        elif order.quote is not None:
            words = (
                f"It may cost {dollars(price)} by what others cost since, and {dollars(planned)} when this was planned."
            )
    else:
        return None
    remedy = "The next run plans it at the price of then; a price that needs an agreement or an approval asks for it."
    return Held(order, WaitReason.PRICE_CHANGED, words, remedy)
