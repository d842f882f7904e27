"""Drive one request by its row in the ledger: whatever state it is in, take the next step from there."""

import asyncio
import logging
import time

from resources.errors import ErrorCode, I2VError, Verdict
from resources.generation import witness
from resources.generation.context import Context, InFlightRequest
from resources.generation.download import fetch, find_existing_video, retry_lost_download
from resources.generation.poll import wait_for_end
from resources.generation.submit import Next, submit
from resources.generation.types import (
    CONTENT_REMEDY,
    Cancelled,
    Failed,
    GenerationRequest,
    Held,
    Outcome,
    is_content_policy_refusal,
    lost,
    unknown,
)
from resources.ledger.errors import FinalOutcome, IllegalTransition, LedgerError, StaleClaim, UnknownRequest
from resources.ledger.records import RequestRow, State
from resources.logs import log_context, note_request
from resources.storage.errors import StorageError
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

ELSEWHERE_SECONDS = (1.0, 5.0)
"""Between two looks at a row that another process works on: the first, and the longest, jittered."""
STALE_LOOKS = 20
"""How often a row may change meanwhile before that counts as a fault."""


async def follow(ctx: Context, flight: InFlightRequest) -> Outcome:
    """Return the outcome of one request; an error of the ledger or the bucket holds this request alone."""
    order = flight.order
    try:
        with log_context(clip=order.clip, run=ctx.run_id):
            return await _follow(ctx, flight)
    except LedgerError as error:
        if error.verdict is Verdict.RETRYABLE:
            return Held.by(error, order, WaitReason.STORAGE, request_id=flight.request_id)
        return _failed(flight, error)
    except StorageError as error:
        if error.verdict is Verdict.RETRYABLE:
            return Held.by(error, order, WaitReason.STORAGE, request_id=flight.request_id)
        return _failed(flight, error)
    except I2VError as error:
        return _failed(flight, error)


def _failed(flight: InFlightRequest, error: I2VError) -> Failed:
    return Failed.by(error, flight.order, request_id=flight.request_id)


async def _follow(ctx: Context, flight: InFlightRequest) -> Outcome:
    row = await ctx.in_ledger(ctx.ledger.plan, ctx.new_request(flight.order))
    elsewhere_since, nap = time.monotonic(), ELSEWHERE_SECONDS[0]
    stale = 0
    retried = resubmitted = False
    while True:
        note_request(row.request_id)
        ctx.on_change(row, None)
        step: Outcome | Next | None = None
        try:
            match row.state:
                case State.PLANNED:
                    step = await submit(ctx, flight)
                case State.SUBMITTING:
                    step = await _submitting(ctx, row)
                case State.SUBMITTED:
                    step = await _adopt_and_wait(ctx, flight, row)
                case State.SUCCEEDED:
                    step = await _collect(ctx, flight, row)
                case State.UNKNOWN:
                    step = await _unknown(ctx, flight, row, resubmitted)
                    resubmitted = True
                case State.FAILED | State.CANCELLED:
                    step = await _ended_before(ctx, flight, row, retried)
                    retried = True
        except (StaleClaim, UnknownRequest, IllegalTransition) as error:
            # The row was moved by somebody, or forgotten by a database that failed over: look again.
            stale += 1
            if stale > STALE_LOOKS or isinstance(error, FinalOutcome):
                raise
            step = Next.RETRY
        if step is None:  # another process has it
            if time.monotonic() - elsewhere_since > ctx.options.deadline_seconds:
                return Held(
                    flight.order, WaitReason.DEADLINE, "Another run works on it, longer than this run waits.",
                    "Nothing has to be done: that run delivers it.", request_id=row.request_id,
                )  # fmt: skip
            await asyncio.sleep(nap * ctx.rng.uniform(0.5, 1.5))
            nap = min(nap * 1.5, ELSEWHERE_SECONDS[1])
        elif not isinstance(step, Next):
            await witness.note_end(ctx, row, step)
            return step
        row = await _row(ctx, flight)


async def _row(ctx: Context, flight: InFlightRequest) -> RequestRow:
    order = flight.order
    changed, flight.changed = flight.changed, None
    if changed is not None:
        return changed
    row = await ctx.in_ledger(ctx.ledger.get, order.fingerprint)
    if row is None:  # a promoted copy of the database lacks it; what this process sent for it is not sent again
        log.warning("The ledger's row %s is gone; it is planned again.", order.fingerprint[:12])
        row = await ctx.in_ledger(ctx.ledger.plan, ctx.new_request(order))
    return row


async def _submitting(ctx: Context, row: RequestRow) -> Next | None:
    """Record the id if this process has it; a claim whose owner died becomes `unknown`."""
    step = await _written_again(ctx, row)
    if step is None:
        await ctx.in_ledger(ctx.ledger.expire, grace_seconds=ctx.options.grace_seconds)
    return step


async def _written_again(ctx: Context, row: RequestRow) -> Next | None:
    """Record an id that this process was answered and the ledger does not have: a failover or a full disk lost it."""
    sent = ctx.sent.of(row.fingerprint, row.attempt)
    if sent is None or sent.request_id is None:
        return None
    if row.owner is not None and row.owner in (ctx.owner, sent.owner):
        written = await ctx.in_ledger(
            ctx.ledger.submitted, row.fingerprint,
            attempt=row.attempt, owner=row.owner, request_id=sent.request_id,
        )  # fmt: skip
        if written.state is not State.SUBMITTED:
            ctx.sent.forget(row.fingerprint, sent.attempt)
            return None
    elif row.state is State.UNKNOWN:
        await ctx.in_ledger(ctx.ledger.resolve, row.fingerprint, by=sent.owner, request_id=sent.request_id)
    else:
        return None
    ctx.sent.recorded(row.fingerprint, sent.attempt)
    return Next.RELOAD


async def _leave(ctx: Context, row: RequestRow, order: GenerationRequest) -> Held:
    """Leave a submitted request to whoever adopts it: the caller asked for its submission alone."""
    await ctx.in_ledger(ctx.ledger.release, ctx.owner, fingerprint=row.fingerprint)
    return Held(
        order, WaitReason.DEADLINE, "It is at the service; this run does not wait for it.",
        "The schedule `adopt_orphans` or the next run fetches it.", request_id=row.request_id,
    )  # fmt: skip


async def _adopt_and_wait(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Outcome | Next | None:
    if not flight.order.wait:
        return await _leave(ctx, row, flight.order)
    mine = row if _sent_here(ctx, flight, row) else await _adopt(ctx, row)
    if mine is None:
        return None
    ended = await wait_for_end(ctx, flight, mine)
    if not isinstance(ended, tuple):
        return ended
    answer, row = ended
    ctx.on_change(row, None)
    return await fetch(ctx, flight, row, answer)


def _sent_here(ctx: Context, flight: InFlightRequest, row: RequestRow) -> bool:
    """Return whether this flight has just sent the request: its claim's lease holds, and the heartbeats renew it."""
    ours = row.owner == ctx.owner and row.lease_until is not None
    return ours and flight.paid and (row.request_id, row.attempt) == (flight.request_id, flight.attempt)


async def _adopt(ctx: Context, row: RequestRow) -> RequestRow | None:
    mine = await ctx.in_ledger(
        ctx.ledger.adopt,
        row.fingerprint,
        owner=ctx.owner,
        run_id=ctx.run_id,
        lease_seconds=ctx.options.lease_seconds,
    )
    if mine is not None and mine.owner != row.owner:  # another process sent it
        ctx.write_beside(witness.repair(ctx, mine))
    return mine


async def _collect(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Outcome | Next | None:
    """Return a video that was made before from the bucket; fetch it from the service again only if the bucket lacks it."""
    if not flight.order.wait:
        return await _leave(ctx, row, flight.order)
    if row.delivered_at is None and not row.lost:
        mine = await _adopt(ctx, row)
        if mine is None:
            return None
        row = mine
    delivered = await find_existing_video(ctx, flight, row)
    if delivered is not None:
        return delivered
    if row.lost:
        again = await retry_lost_download(ctx, flight, row)
        if again is not None:
            return again
        return lost(flight.order, row.reason or "The video is gone.", row.request_id)
    return await fetch(ctx, flight, row, None)


async def _unknown(ctx: Context, flight: InFlightRequest, row: RequestRow, resubmitted: bool) -> Outcome | Next:
    order = flight.order
    if (written := await _written_again(ctx, row)) is not None:
        return written
    if await witness.settle_unknown(ctx, row):
        return Next.RELOAD
    if ctx.options.on_unknown == "resubmit" and not resubmitted and not order.adopt_only:
        again = await ctx.in_ledger(
            ctx.ledger.resubmit_unknown, row.fingerprint, cap=ctx.options.resubmit_cap, attempt=row.attempt
        )
        if again is not None:
            return Next.RELOAD
    return unknown(order, row)


async def _ended_before(ctx: Context, flight: InFlightRequest, row: RequestRow, retried: bool) -> Outcome | Next:
    """Return a remembered failure; one that is not final is tried again only if somebody asked for it."""
    order = flight.order
    reason = row.reason or f"It was {row.state} before."
    if row.final:
        remedy = CONTENT_REMEDY if is_content_policy_refusal(reason) else f"`i2v retake {order.clip}` makes a new take."
        code = ErrorCode.CONTENT_REFUSED if is_content_policy_refusal(reason) else ErrorCode.GENERATION_FAILED
        return Failed(order, reason, remedy, final=True, verdict=Verdict.FINAL, request_id=row.request_id, code=code)
    left = row.attempt < ctx.options.max_attempts
    if row.state is State.CANCELLED and order.wanted is not None and not order.adopt_only:
        unwanted = await ctx.in_ledger(ctx.ledger.ask, order.wanted)
        if unwanted is not None:
            return Held(order, unwanted.reason, unwanted.text, unwanted.remedy)
        if (
            row.request_id is None or row.clip != order.clip
        ):  # never sent, or stopped for another clip of the same bytes
            await ctx.in_ledger(ctx.ledger.retry, row.fingerprint, by=f"clip {order.clip}", attempt=row.attempt)
            return Next.RELOAD
    if order.retry_by is not None and not retried and not order.adopt_only:
        if left:
            await ctx.in_ledger(ctx.ledger.retry, row.fingerprint, by=order.retry_by, attempt=row.attempt)
            return Next.RELOAD
        reason = f"{reason} (Attempts: {row.attempt}, of at most {ctx.options.max_attempts} by I2V_MAX_ATTEMPTS.)"
    if row.state is State.CANCELLED:
        return Cancelled(
            order, "cancelled", reason, "Materialize the clip to make it again.", request_id=row.request_id
        )
    remedy = "Materialize the clip to try it again." if left else f"`i2v retry {order.clip}` tries it once more."
    return Failed(
        order, reason, remedy, attempts_left=left, verdict=Verdict.RETRYABLE, request_id=row.request_id
    )  # fmt: skip
