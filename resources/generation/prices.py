"""Which id to submit to and what it will cost, or why that cannot be said now."""

import asyncio
from dataclasses import dataclass

from resources.errors import I2VError, Verdict
from resources.generation.context import Context
from resources.generation.types import GenerationRequest, Held
from resources.money import dollars
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
    """The endpoint that answers, and the price to reserve; None where it is unknown and that is allowed."""

    endpoint: Endpoint | LiveEndpoint
    price_microdollars: int | None


async def priced(ctx: Context, order: GenerationRequest, give_up: float) -> Priced | Held:
    """The live price of an order, asked for until ``give_up`` (monotonic) at most."""
    for attempt in range(1, CATALOGUE_TRIES + 1):
        if not await ctx.pacer.clear(give_up):
            return paused(order)
        try:
            offer = await ctx.catalogue.resolve(order.inputs.family)
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
            price: int | None = None
            try:
                price = offer.price_microdollars(order.inputs)
            except UnknownPriceUnit as error:
                if not ctx.options.allow_unknown_price:
                    return Held.by(error, order, WaitReason.PRICE)
            if (changed := _changed(order, price, allow_unknown=ctx.options.allow_unknown_price)) is not None:
                return changed
            return Priced(offer.endpoint, price)
        if attempt < CATALOGUE_TRIES:
            await asyncio.sleep(0.5 * attempt * ctx.rng.uniform(0.75, 1.25))
    return Held.by(failure, order, WaitReason.SERVICE, remedy="It is tried again later.")


def paused(order: GenerationRequest) -> Held:
    """Return the hold of an order for which the service's pause is longer than the run waits."""
    return Held(
        order, WaitReason.SERVICE, "The service asked to be left alone for longer than this run waits.",
        "It goes on by itself; `i2v service resume` ends the pause.",
    )  # fmt: skip


def _changed(order: GenerationRequest, price: int | None, *, allow_unknown: bool) -> Held | None:
    """What was planned, and perhaps approved, at one price is not paid at a higher one.

    Minutes may lie between the plan and its turn: a catalogue that answers again, a full service, an outage.
    """
    planned = order.price_microdollars
    if planned is None:
        if allow_unknown:
            return None
        words = "The service's catalogue did not answer when this was planned, so nobody has seen its price."
    elif price is None:
        words = f"Its price can no longer be read, and was {dollars(planned)} when this was planned."
    elif price > planned:
        words = f"It costs {dollars(price)} now, and cost {dollars(planned)} when this was planned."
    else:
        return None
    remedy = "The next run plans it at the price of then; a price that needs an agreement or an approval asks for it."
    return Held(order, WaitReason.PRICE_CHANGED, words, remedy)
