"""An answer to a submit that is not an acceptance but names a request: the service is asked for it before anything else."""

import asyncio
import logging
import time
from enum import Enum, auto

from resources.generation.context import Context
from resources.generation.poll import NotFoundDebounce
from resources.ledger.records import RequestRow
from resources.runcomfy.errors import Forbidden, MissingToken, RateLimited, RequestGone, ServiceError

log = logging.getLogger(__name__)

DOUBTS = 5
"""So many rounds without a clear answer end the asking; the id then counts as the request's, and is polled."""


class _Seen(Enum):
    KNOWN = auto()
    NOT_KNOWN = auto()
    DOUBTFUL = auto()


async def known_request(ctx: Context, row: RequestRow, ids: tuple[str, ...]) -> str | None:
    """Return the first of the ids that the service knows, or may know; None if it surely knows none of them.

    Nothing is sent meanwhile. The ids are in the ledger before the first question, for whoever finds the row should this
    process end here.
    """
    named = ", ".join(ids)
    await ctx.in_ledger(
        ctx.ledger.note, row.fingerprint, ctx.owner, f"the answer names request {named}; it is asked for"
    )
    debounce, doubts = NotFoundDebounce(), 0
    while True:
        seen = {request_id: await _ask(ctx, request_id) for request_id in ids}
        known = [request_id for request_id, state in seen.items() if state is _Seen.KNOWN]
        if known:
            return known[0]
        doubtful = [request_id for request_id, state in seen.items() if state is _Seen.DOUBTFUL]
        if doubtful:
            doubts += 1
            if doubts >= DOUBTS:
                return doubtful[0]
        elif debounce.believes(time.monotonic()):
            log.info("Request %s: the service knows no %s, which its answer named.", row.fingerprint[:12], named)
            return None
        await asyncio.sleep(debounce.pause(ctx.rng))


async def _ask(ctx: Context, request_id: str) -> _Seen:
    async with ctx.polls:
        await ctx.pacer.clear_for_poll(time.monotonic() + ctx.options.deadline_seconds)
        try:
            await ctx.client.result(request_id)
        except (RequestGone, Forbidden):
            return _Seen.NOT_KNOWN
        except RateLimited as error:
            await ctx.pacer.refused(error)
        except (ServiceError, MissingToken) as error:
            log.info("Request %s: whether the service knows it was not answered (%s).", request_id, error.message)
        else:
            return _Seen.KNOWN
    return _Seen.DOUBTFUL
