"""The step that costs money: claim, one POST, and a record of what its answer proves.

The order of things is the promise. Everything that can fail for free comes first: price, inputs, body. Then the claim
commits the row in `submitting`; then its record is put into the bucket (see `witness`); then the POST goes out, once; then
what it proved is recorded in both. From the claim to the
record nothing is cancelled from outside: a stop waits for it a few seconds (see ``stopping``).
"""

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, TypeVar

from resources.errors import ErrorCode, I2VError, Verdict
from resources.generation import witness
from resources.generation.context import Context, Hold, InFlightRequest, Sent
from resources.generation.named_ids import known_request
from resources.generation.not_found import outage_hold
from resources.generation.prices import Priced, paused, priced
from resources.generation.types import CONTENT_REMEDY, Failed, Held, Outcome, is_content_policy_refusal
from resources.ledger.errors import LedgerError, StaleClaim
from resources.ledger.records import AtCapacity, Claimed, OverBudget, RequestRow, State, Unwanted, utc_now
from resources.runcomfy.errors import (
    InsufficientBalance,
    MissingToken,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unauthorized,
    UnknownModel,
)
from resources.runcomfy.wire import Submission
from resources.schemas.endpoints import BodyInvalid, Endpoint, LiveEndpoint, to_body
from resources.schemas.inputs import Medium
from resources.storage.errors import InputReplaced, ObjectMissing, StorageError
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)
T = TypeVar("T")

SLOT_WAIT = (0.5, 5.0)
"""Seconds between two looks for a free slot of the fleet: the first, and the longest, jittered."""
FRESH_SECONDS = 30.0
"""A body whose presigned addresses are older is made again before it is sent."""


class Next(Enum):
    """How an order goes on when it has not ended."""

    RELOAD = auto()
    """The row has changed: look at it."""
    RETRY = auto()
    """Nothing happened: the same once more."""


async def submit(ctx: Context, flight: InFlightRequest) -> Outcome | Next:
    """Take a planned order to the service.

    Returns:
        Next.RELOAD once the row is no longer `planned`, or the outcome that ends this run's work on it.
    """
    answer = await _submit(ctx, flight)
    await witness.free(ctx, flight.order.fingerprint)  # not in a `finally`: a claim may be under way without this task
    return answer


async def _submit(ctx: Context, flight: InFlightRequest) -> Outcome | Next:
    order = flight.order
    give_up = time.monotonic() + ctx.options.deadline_seconds
    undelivered, slot_wait, made_at = 0, SLOT_WAIT[0], 0.0
    body: dict[str, object] = {}
    made_for: Endpoint | LiveEndpoint | None = None
    while True:
        if (hindrance := _hindrance(ctx, flight)) is not None:  # before anything is asked for it
            return hindrance
        if time.monotonic() > give_up:
            return Held(
                order, WaitReason.SERVICE, "No free slot at the service within the time that a run waits.",
                "The next run goes on; I2V_MAX_IN_FLIGHT limits the requests at once.",
            )  # fmt: skip
        if (foreign := await witness.refuse_foreign(ctx, flight)) is not None:
            return foreign
        offer = await priced(ctx, order, give_up)
        if isinstance(offer, Held):
            return offer
        if time.monotonic() - made_at > FRESH_SECONDS or offer.endpoint != made_for:
            made = await _body(ctx, flight, offer)
            if not isinstance(made, dict):
                return made
            body, made_at, made_for = made, time.monotonic(), offer.endpoint
            if await witness.find_video(ctx, flight, offer.price_microdollars):
                return Next.RELOAD
        answer = await _turn(ctx, flight, offer, body, give_up)
        if isinstance(answer, AtCapacity):
            await asyncio.sleep(slot_wait * ctx.rng.uniform(0.5, 1.5))
            slot_wait = min(slot_wait * 1.5, SLOT_WAIT[1])
        elif isinstance(answer, NotSent):
            undelivered += 1
            if undelivered >= ctx.options.submit_tries:
                return Failed.by(answer, order)
            await asyncio.sleep(2**undelivered * 0.5 * ctx.rng.uniform(0.75, 1.25))
        elif answer is not Next.RETRY:
            return answer


async def _turn(
    ctx: Context, flight: InFlightRequest, offer: Priced, body: dict[str, object], give_up: float
) -> Outcome | Next | AtCapacity | NotSent:
    """One of the few submits at once, when the pace allows it and nothing was heard meanwhile that speaks against it."""
    async with ctx.submits:
        if not await ctx.pacer.clear(give_up):
            return paused(flight.order)
        now = await priced(ctx, flight.order, give_up, anew=True)  # what it costs may have changed while it waited
        if isinstance(now, Held):
            return now
        if now.endpoint != offer.endpoint:
            return Next.RETRY  # its body is another one
        hindrance = _hindrance(ctx, flight)
        if hindrance is not None:
            return hindrance
        return await _uninterrupted(ctx, _claim_and_post(ctx, flight, now, body))


def _hindrance(ctx: Context, flight: InFlightRequest) -> Held | None:
    """What speaks against submitting at all."""
    order = flight.order
    if ctx.stopping:
        return Held(order, WaitReason.STOPPED, "The run was stopped before this was submitted.", "Run it again.")
    if ctx.halt is not None:
        return replace(ctx.halt, order=order)
    if ctx.outage is not None:
        return outage_hold(flight, ctx.outage)
    if order.adopt_only:
        return Held(order, WaitReason.STOPPED, "It was never submitted.", "Run the clip.")
    if not order.approved:
        return Held(
            order, WaitReason.APPROVAL, "It needs an approval before it is paid for.",
            "`i2v plan` shows it and its hash, `i2v approve HASH` lets it go; or materialize the clip by hand.",
        )  # fmt: skip
    if order.not_after is not None and ctx.clock() >= order.not_after:
        return Held(
            order, WaitReason.WINDOW, "The hours in which paid work may start ended while it waited for its turn.",
            "It starts by itself when they begin again; I2V_GENERATE_ONLY is the setting.",
        )  # fmt: skip
    return None


async def _uninterrupted(ctx: Context, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end even when the clip's own task is cancelled meanwhile; stopping knows of it."""
    task = asyncio.create_task(coroutine)
    ctx.posts.add(task)
    task.add_done_callback(ctx.posts.discard)
    return await asyncio.shield(task)


async def _body(ctx: Context, flight: InFlightRequest, offer: Priced) -> dict[str, object] | Outcome:
    """The request body, with addresses made now, so that they outlive the service's queue."""
    order = flight.order
    urls: dict[str, str] = {}
    try:
        for medium in order.inputs.media:
            if medium.key not in urls:
                urls[medium.key] = await _address(ctx, medium)
        return to_body(offer.endpoint, order.inputs, lambda medium: urls[medium.key])
    except InputReplaced as error:
        return Held.by(error, order, WaitReason.REPLACED)
    except ObjectMissing as error:
        return replace(Failed.by(error, order), remedy="Upload the file again.")
    except StorageError as error:
        if error.verdict is Verdict.RETRYABLE:
            return Held.by(error, order, WaitReason.STORAGE)
        return Failed.by(error, order, verdict=Verdict.FINAL)
    except BodyInvalid as error:
        return Failed.by(error, order, verdict=Verdict.FINAL)


async def _address(ctx: Context, medium: Medium) -> str:
    """Return where the service fetches a medium: a presigned address of its copy, or the bytes if they are few.

    Either way it gets the bytes that were hashed.

    Raises:
        ObjectMissing: it is not in the bucket, so that a submit would pay for a failure.
        InputReplaced: it is not what was hashed.
    """
    if medium.size_bytes <= ctx.options.inline_input_bytes:
        data = await ctx.in_bucket(ctx.bucket.read, medium.key, max_bytes=ctx.options.inline_input_bytes)
        if hashlib.sha256(data).hexdigest() != medium.sha256:
            raise InputReplaced(medium.key)
        return f"data:{medium.content_type};base64,{base64.b64encode(data).decode()}"
    key = await ctx.in_bucket(ctx.bucket.store_input, medium, ctx.scratch)
    url = await ctx.in_bucket(ctx.bucket.presign_get, key, ctx.options.presign_seconds, "", medium.content_type)
    return url.get_secret_value()


async def _claim_and_post(
    ctx: Context, flight: InFlightRequest, offer: Priced, body: dict[str, object]
) -> Outcome | Next | AtCapacity | NotSent:
    """Claim the row, POST once, record what that proved."""
    order = flight.order
    await ctx.prove_writable()
    asked_at, asked_utc, nonce = time.monotonic(), utc_now(), witness.new_nonce()
    claim = await ctx.in_ledger(
        ctx.ledger.claim,
        order.fingerprint,
        owner=ctx.owner,
        run_id=ctx.budget_run,
        lease_seconds=ctx.options.lease_seconds,
        price_microdollars=offer.price_microdollars,
        model_id=offer.endpoint.model_id,
        caps=ctx.options.caps,
        max_in_flight=ctx.options.max_in_flight,
        nonce=nonce,
        quoted=offer.quoted,
        wanted=order.wanted or (lambda _connection: None),
    )
    if isinstance(claim, AtCapacity):
        return claim
    if isinstance(claim, Unwanted):
        return Held(order, claim.reason, claim.text, claim.remedy)
    if isinstance(claim, OverBudget):
        return Held(
            order, WaitReason.BUDGET, claim.text, "It starts by itself when the cap allows it, or raise the cap."
        )
    if not isinstance(claim, Claimed):
        row = claim.row
        mine = row.state is State.SUBMITTING and row.owner == ctx.owner
        if not mine or (row.fingerprint, row.attempt) in ctx.posted:
            return Next.RELOAD  # otherwise: this claim was committed although its answer was lost, and nothing was sent
        committed = await ctx.in_ledger(ctx.ledger.nonce, row.fingerprint, row.attempt)
        nonce = committed or nonce
    if ctx.stopping:
        await _return(ctx, claim.row, "the run was stopped before anything was sent")
        return Next.RETRY
    recorded = await witness.record_claim(ctx, flight, claim.row, nonce)
    if recorded is not True:
        return recorded or Next.RELOAD
    if ctx.stopping:
        await _return(ctx, claim.row, "the run was stopped before anything was sent")
        return Next.RETRY
    if (earlier := ctx.sent.of(order.fingerprint, claim.row.attempt)) is not None:
        return await sent_before(ctx, flight, claim.row, earlier)
    hold = await _hold(ctx, claim.row, asked_at, asked_utc)
    if hold is None:
        return Next.RELOAD
    return await _post(ctx, flight, claim.row, offer, body, hold)


async def sent_before(ctx: Context, flight: InFlightRequest, row: RequestRow, earlier: Sent) -> Next:
    """Write down what this process sent and the ledger has forgotten, instead of sending it again."""
    log.warning(
        "Clip %s: the ledger has forgotten what this process sent (a database that failed over?); nothing is sent again.",
        flight.order.clip,
    )
    if earlier.request_id is not None:
        return await _accepted(ctx, flight, row, Submission(earlier.request_id))
    await _unknown(ctx, row, "this process sent it before, was not answered, and the ledger had forgotten the claim")
    return Next.RELOAD


async def _hold(ctx: Context, row: RequestRow, asked_at: float, asked_utc: datetime) -> Hold | None:
    """Until when this claim may be acted upon; None where it is no longer ours.

    A process that is held up (a frozen machine, a database that hangs) may come back when its lease has run out and
    somebody has decided to send again. Normally this is a comparison; a claim that is old by now is renewed, which
    whoever took it away prevents.
    """
    lease = ctx.options.lease_seconds
    if row.lease_until is not None:
        hold = Hold.of(asked_utc + timedelta(seconds=lease), lease, since=asked_at)
        if hold.good(utc_now(), time.monotonic()):
            return hold
    asked_at, asked_utc = time.monotonic(), utc_now()
    renewed = await ctx.in_ledger(
        ctx.ledger.renew, row.fingerprint, attempt=row.attempt, owner=ctx.owner, lease_seconds=lease
    )
    if renewed is None or renewed.lease_until is None:
        log.warning(
            "Request %s was claimed, and taken away before it was sent; nothing was sent.", row.fingerprint[:12]
        )
        return None
    return Hold.of(asked_utc + timedelta(seconds=lease), lease, since=asked_at)


async def _post(
    ctx: Context, flight: InFlightRequest, row: RequestRow, offer: Priced, body: dict[str, object], hold: Hold
) -> Outcome | Next | NotSent:
    """The one POST of this attempt, and the record of what it proved."""
    ctx.posted.add((row.fingerprint, row.attempt))
    witness.under_way(ctx, row, sent=True)
    ctx.sent.begin(row.fingerprint, row.attempt, ctx.owner)
    try:
        submission = await _send(ctx, row, offer, body, hold)
    except (NotSent, MissingToken) as error:
        await _return(ctx, row, error.message)
        ctx.not_sent(row)
        witness.under_way(ctx, row, sent=False)
        return error if isinstance(error, NotSent) else _halted(ctx, flight, error)
    except RateLimited as error:
        planned = await ctx.in_ledger(
            ctx.ledger.refused_for_now, row.fingerprint, attempt=row.attempt, owner=ctx.owner, reason=error.message
        )
        ctx.on_change(planned, error)
        ctx.not_sent(row)
        witness.under_way(ctx, row, sent=False)
        await ctx.pacer.refused(error)
        return Next.RETRY
    except Rejected as error:
        ctx.sent.forget(row.fingerprint, row.attempt)
        return await _refused(ctx, flight, row, error)
    except OutcomeUnknown as error:
        await _unknown(ctx, row, error.message)
        return Next.RELOAD
    except BaseException as error:  # a cancelled task or a fault of our own: it may have been sent
        await _unknown(ctx, row, f"the submit was cut short ({type(error).__name__})")
        raise
    ctx.pacer.answered()
    return await _accepted(ctx, flight, row, submission)


async def _send(ctx: Context, row: RequestRow, offer: Priced, body: dict[str, object], hold: Hold) -> Submission:
    """Send the POST. An answer that is not an acceptance but names a request stands only if the service does not know that.

    Raises:
        NotSent, MissingToken, RateLimited, Rejected, OutcomeUnknown: as `RunComfyClient.submit`.
    """
    try:
        return await ctx.client.submit(
            offer.endpoint.model_id, body, may_send=lambda: hold.good(utc_now(), time.monotonic())
        )
    except OutcomeUnknown as error:
        if not error.named_ids:
            raise
        known = await known_request(ctx, row, error.named_ids)
        if known is not None:
            return Submission(known)
        if error.refusal is not None:
            raise error.refusal from None
        raise


async def _accepted(ctx: Context, flight: InFlightRequest, row: RequestRow, submission: Submission) -> Next:
    """Record the request id in the ledger and in the bucket, at the same time; this process's memory and the log know it too."""
    ctx.sent.answered(row.fingerprint, row.attempt, ctx.owner, submission.request_id)
    noted = ctx.write_beside(witness.note_sent(ctx, row, submission.request_id))
    try:
        recorded = await ctx.in_ledger(
            ctx.ledger.submitted,
            row.fingerprint,
            attempt=row.attempt,
            owner=ctx.owner,
            request_id=submission.request_id,
        )
    except BaseException as error:  # a stop that could wait no longer, too
        why = error.message if isinstance(error, LedgerError) else type(error).__name__
        log.error(  # noqa: TRY400 - the chain would say no more
            "Request %s was accepted for clip %s, but the ledger could not record it (%s). When it can be written again:"
            " i2v ledger resolve %s --request-id %s",
            submission.request_id, flight.order.clip, why, row.fingerprint, submission.request_id,
        )  # fmt: skip
        await asyncio.wait({noted}, timeout=witness.SENT_SECONDS)
        raise
    await asyncio.wait({noted}, timeout=witness.SENT_SECONDS)
    ctx.sent.recorded(row.fingerprint, row.attempt)
    if recorded.state is State.UNKNOWN:  # another request has this id: a person has to find out
        ctx.sent.forget(row.fingerprint, row.attempt)
        log.error("Clip %s: %s.", flight.order.clip, recorded.reason)
        return Next.RELOAD
    flight.request_id, flight.attempt, flight.paid = submission.request_id, row.attempt, True
    flight.changed = recorded
    return Next.RELOAD


async def _refused(ctx: Context, flight: InFlightRequest, row: RequestRow, error: Rejected) -> Outcome:
    """The service said no: to the account, to the model id, to the content, or to this request."""
    order = flight.order
    if isinstance(error, Unauthorized | InsufficientBalance):
        # Nothing is wrong with the clip: its row stays ready for the time when the account is in order.
        await _return(ctx, row, error.message)
        witness.under_way(ctx, row, sent=False)
        return _halted(ctx, flight, error)
    if isinstance(error, UnknownModel):
        await _return(ctx, row, error.message)
        witness.under_way(ctx, row, sent=False)
        return Held.by(error, order, WaitReason.SERVICE)
    final = is_content_policy_refusal(error.message)
    await ctx.in_ledger(
        ctx.ledger.refused,
        row.fingerprint,
        attempt=row.attempt,
        owner=ctx.owner,
        reason=error.message,
        final=final,
    )
    failed = replace(Failed.by(error, order), final=final, attempts_left=row.attempt < ctx.options.max_attempts)
    return replace(failed, remedy=CONTENT_REMEDY, code=ErrorCode.CONTENT_REFUSED) if final else failed


def _halted(ctx: Context, flight: InFlightRequest, error: I2VError) -> Held:
    return ctx.stop_submitting(Held.by(error, flight.order, WaitReason.ACCOUNT))


async def _return(ctx: Context, row: RequestRow, reason: str) -> None:
    """Back to `planned`: nothing was accepted."""
    await ctx.in_ledger(
        ctx.ledger.never_delivered, row.fingerprint, attempt=row.attempt, owner=ctx.owner, reason=reason
    )


async def _unknown(ctx: Context, row: RequestRow, reason: str) -> None:
    try:
        await ctx.in_ledger(
            ctx.ledger.outcome_unknown, row.fingerprint, attempt=row.attempt, owner=ctx.owner, reason=reason
        )
    except StaleClaim:  # the lease ran out meanwhile, and the ledger says the same already
        log.info("Request %s counts as unknown already.", row.fingerprint[:12])
