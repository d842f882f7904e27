"""Wind down the requests in flight when a run is stopped.

A person's stop cancels what is still queued at the service, and says truthfully of each request what became of it. A
deploy, an eviction or a crash cancels nothing: what is paid for runs on and is adopted. Either way a submit whose
answer is due is waited for a few seconds, since an unread answer leaves an unknown outcome behind.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

from resources.errors import I2VError
from resources.generation.cancel import CANCEL_TEXTS, cancel_request, record_cancel
from resources.generation.context import Context, InFlightRequest
from resources.generation.types import Cancelled, Held, Outcome, unknown
from resources.ledger.errors import LedgerError
from resources.ledger.records import State
from resources.runcomfy.errors import ServiceError
from resources.runcomfy.wire import CancelOutcome
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

StopKind = Literal["person", "other"]
RECORD_SECONDS = 1.0
"""Of the time for stopping, what is left for writing down what happened."""

_FETCHED_LATER = "Nothing is lost: when it succeeds, the schedule `adopt_orphans` or the next run fetches it."


async def get_stop_reason(stop_kind: Callable[[], StopKind], seconds: float) -> StopKind:
    """Return why the run is stopped, asked of the host in a thread; without an answer in time, ``other``."""
    task = asyncio.create_task(asyncio.to_thread(stop_kind))
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        log.warning("Stop reason not available in time; leaving submitted requests running.")
        return "other"
    if (error := task.exception()) is not None:
        log.warning("Stop reason not available (%s); leaving submitted requests running.", type(error).__name__)
        return "other"
    return task.result()


async def wind_down(ctx: Context, kind: StopKind, began: float) -> list[Outcome]:
    """Return an outcome for every request in flight, within `stop_seconds` of ``began`` (monotonic)."""
    ends = began + ctx.options.stop_seconds
    gate = asyncio.Semaphore(ctx.options.cancels)
    asked: dict[str, asyncio.Task[Outcome]] = {}

    def ask_all() -> None:
        for name, flight in ctx.flights.items():
            if kind == "person" and flight.request_id is not None and name not in asked:
                asked[name] = asyncio.create_task(_cancel(ctx, flight, flight.request_id, gate))

    ask_all()
    while ctx.posts and (left := ends - RECORD_SECONDS - time.monotonic()) > 0:
        await asyncio.wait(set(ctx.posts), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        ask_all()
    posts = set(ctx.posts)
    for post in posts:
        post.cancel()  # its row becomes `unknown` by its own hand
    waiting = posts | set(asked.values())
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=max(ends - time.monotonic(), 0.1))
        for task in late & set(asked.values()):
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=RECORD_SECONDS)
    return [await _outcome(ctx, flight, asked.get(name)) for name, flight in ctx.flights.items()]


async def _cancel(ctx: Context, flight: InFlightRequest, request_id: str, gate: asyncio.Semaphore) -> Outcome:
    """Cancel one request at the service, and return what became of it; a service that fails leaves it unconfirmed."""
    order = flight.order
    async with gate:
        try:
            said = await cancel_request(ctx.client, request_id)
        except ServiceError as error:
            log.warning("Request %s: the cancel failed (%s).", request_id, error.message)
            said = CancelOutcome.UNCONFIRMED
    text = CANCEL_TEXTS[said]
    try:
        await ctx.in_ledger(
            record_cancel, ctx.ledger, order.fingerprint, flight.attempt, said, by="a person", owner=ctx.owner
        )
    except LedgerError as error:
        log.warning("Clip %s: the stop could not be recorded (%s).", order.clip, error.message)
    else:
        if said is CancelOutcome.CANCELLED:
            return Cancelled(order, "cancelled", text, "Run the clip again.", request_id=request_id)
    confirmed: Literal["not_cancellable", "unconfirmed"] = (
        "not_cancellable" if said is CancelOutcome.NOT_CANCELLABLE else "unconfirmed"
    )
    return Cancelled(order, confirmed, text, _FETCHED_LATER, request_id=request_id)


async def _outcome(ctx: Context, flight: InFlightRequest, asked: "asyncio.Task[Outcome] | None") -> Outcome:
    order = flight.order
    if asked is not None:
        if asked.done() and not asked.cancelled() and asked.exception() is None:
            return asked.result()
        said = CancelOutcome.UNCONFIRMED
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await ctx.in_ledger(
                    record_cancel, ctx.ledger, order.fingerprint, flight.attempt, said, by="a person", owner=ctx.owner
                )
        except (I2VError, TimeoutError):
            log.warning("Clip %s: the stop could not be recorded.", order.clip)
        return Cancelled(order, "unconfirmed", CANCEL_TEXTS[said], _FETCHED_LATER, request_id=flight.request_id)
    if flight.request_id is not None:
        return Held(
            order, WaitReason.STOPPED, "The run was stopped; the request runs on at the service.", _FETCHED_LATER,
            request_id=flight.request_id,
        )  # fmt: skip
    if any(fingerprint == order.fingerprint for fingerprint, _ in ctx.posted):
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                row = await ctx.in_ledger(ctx.ledger.get, order.fingerprint)
        except (I2VError, TimeoutError):
            row = None
        if row is not None and row.state in (State.SUBMITTING, State.UNKNOWN):
            return unknown(order, row)
    return Held(order, WaitReason.STOPPED, "The run was stopped before it was done.", "Run it again.")
