"""What follows when the service says that it does not know a request which it accepted (404001)."""

import logging

from resources.generation.context import Context, InFlightRequest
from resources.generation.types import Held
from resources.ledger.lookouts import GIVE_UP_AFTER, Outage
from resources.ledger.records import RequestRow, utc_now
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)


async def hold_not_found(ctx: Context, flight: InFlightRequest, row: RequestRow, reason: str) -> Held:
    """Keep a request that the service does not know: its state and money stay, and it is asked for again.

    Returns:
        The hold: of this request, or of all if so many are missing that it is an outage of the service.
    """
    row, outage = await ctx.in_ledger(ctx.ledger.not_found, row.fingerprint, attempt=row.attempt, reason=reason)
    await ctx.in_ledger(ctx.ledger.release, ctx.owner, fingerprint=row.fingerprint)
    flight.request_id = None
    if outage is not None:
        ctx.outage = outage
        return outage_hold(flight, outage, row.request_id)
    since = row.not_found_since or utc_now()
    log.warning("Clip %s: %s", flight.order.clip, reason)
    return Held(
        flight.order, WaitReason.NOT_FOUND,
        f"{reason} It is not sent again, and its price stays counted.",
        f"It is asked for every hour until {since + GIVE_UP_AFTER:%Y-%m-%d %H:%M} UTC, which costs nothing.",
        request_id=row.request_id,
    )  # fmt: skip


def outage_hold(flight: InFlightRequest, outage: Outage, request_id: str | None = None) -> Held:
    """Return the hold of a request while the service does not know what it accepted."""
    return Held(
        flight.order, WaitReason.OUTAGE, outage.text, "It goes on by itself once the service knows its requests again.",
        request_id=request_id,
    )  # fmt: skip
