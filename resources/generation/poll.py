"""From a request id to the service's verdict: polls at the moments that the forecast names, until the deadline."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from resources.errors import ErrorCode, Verdict
from resources.generation.context import Context, InFlightRequest
from resources.generation.not_found import hold_not_found
from resources.generation.poll_schedule import Forecast, PollTimer
from resources.generation.types import (
    CONTENT_REMEDY,
    Cancelled,
    Failed,
    Held,
    Outcome,
    is_content_policy_refusal,
)
from resources.ledger.lookouts import GIVE_UP_AFTER
from resources.ledger.records import RequestRow, utc_now
from resources.messages import counted
from resources.runcomfy.errors import (
    Forbidden,
    MissingToken,
    RateLimited,
    Rejected,
    RequestGone,
    ServiceError,
    Unauthorized,
)
from resources.runcomfy.model_names import same_model
from resources.runcomfy.wire import RequestState, ResultAnswer
from resources.wait_reason import WaitReason

ANSWERS = 3
"""So many such answers in a row are believed."""
SPREAD_SECONDS = 60.0
"""The least time from the first of them to the last: a deploy of the service, or a node that lags behind the one that
took the request, is over by then."""


@dataclass(slots=True)
class NotFoundDebounce:
    """Debounce "request not found" (404001): believe it only after 3 such answers spread over at least 60 s."""

    answers: int = 0
    first: float = 0.0

    def believes(self, now: float) -> bool:
        """Another such answer came (``now`` is monotonic): True when it is time to believe it."""
        if self.answers == 0:
            self.first = now
        self.answers += 1
        return self.answers >= ANSWERS and now - self.first >= SPREAD_SECONDS

    def forget(self) -> None:
        """Reset: the service knows the request after all."""
        self.answers = 0

    @staticmethod
    def pause(rng: random.Random) -> float:
        """Seconds until it is asked again, so that the last answer that is needed comes when the spread is over."""
        return SPREAD_SECONDS / (ANSWERS - 1) * rng.uniform(1.0, 1.25)


log = logging.getLogger(__name__)

NAP_SECONDS = 2.0
"""Sleeps are cut into pieces of this length, so that a forecast that moved is heard."""
REFUSALS = 3
"""So many refusals in a row are believed: one may be a hiccup of a gateway."""
REFUSAL_GAP = 3.0
"""Seconds between a refused poll and the next."""


async def wait_for_end(
    ctx: Context, flight: InFlightRequest, row: RequestRow
) -> tuple[ResultAnswer, RequestRow] | Outcome:
    """Poll a submitted request until its end, and record the end.

    Returns:
        The successful answer with the row in `succeeded`, or the outcome that ends this run's work on the request.
    """
    request_id = row.request_id or ""
    flight.request_id, flight.attempt = request_id, row.attempt
    ctx.sent.answered(row.fingerprint, row.attempt, row.owner or ctx.owner, request_id, recorded=True)
    forecast = await ctx.forecast(row.model_id or "", row.duration)
    submitted_at = row.submitted_at or utc_now()
    origin = time.monotonic() - max((utc_now() - submitted_at).total_seconds(), 0.0)
    give_up = time.monotonic() + ctx.options.deadline_seconds
    watch = PollTimer(forecast, min_gap=ctx.options.min_poll_seconds, rng=ctx.rng)
    flight.forecast = forecast
    refusals, doubt = 0, NotFoundDebounce()
    if flight.paid:
        await _sleep(forecast, watch, origin, time.monotonic(), give_up)
    while True:
        try:
            answer = await _ask(ctx, flight, request_id, give_up)
            refusals = 0
        except RequestGone:
            now = time.monotonic()
            if doubt.believes(now):
                return await _not_found(ctx, flight, row)
            if now >= give_up:
                return await _parked(ctx, flight, row)
            await asyncio.sleep(doubt.pause(ctx.rng))
            continue
        except (Rejected, MissingToken) as error:
            refusals += 1
            if refusals >= REFUSALS:
                return await _refused(ctx, flight, row, error)
            await asyncio.sleep(REFUSAL_GAP * ctx.rng.uniform(0.75, 1.25))
            continue
        noticed = time.monotonic()
        if answer is not None:
            doubt.forget()
            if row.not_found_since is not None:
                row = await ctx.in_ledger(ctx.ledger.found, row.fingerprint)
        if answer is not None and answer.state.over:
            return await _ended(ctx, flight, row, answer, watch=watch, age=noticed - origin)
        if answer is not None:
            row = await _unfinished(ctx, flight, row, answer, watch=watch, age=noticed - origin)
        if noticed >= give_up:
            return await _parked(ctx, flight, row)
        await _sleep(forecast, watch, origin, noticed, give_up)


async def _sleep(forecast: Forecast, watch: PollTimer, origin: float, polled: float, give_up: float) -> None:
    """Until the next poll is due, or the deadline; thinks again when the forecast has moved."""
    version = forecast.version
    due = polled + watch.next_gap(polled - origin)
    while (left := min(due, give_up) - time.monotonic()) > 0:
        await asyncio.sleep(min(left, NAP_SECONDS))
        forecast.refresh(time.monotonic())
        if forecast.version != version:
            version = forecast.version
            due = polled + watch.next_gap(polled - origin)


async def _ask(ctx: Context, flight: InFlightRequest, request_id: str, give_up: float) -> ResultAnswer | None:
    """Poll once; return None if there was no answer. /result also reports the state before the end, so one call does both."""
    async with ctx.polls:
        if not await ctx.pacer.clear_for_poll(give_up):
            return None
        flight.polls += 1
        try:
            answer = await ctx.client.result(request_id)
        except RateLimited as error:
            await ctx.pacer.refused(error)
            return None
        except ServiceError as error:
            if error.verdict is not Verdict.RETRYABLE:
                raise
            log.info("Request %s: a poll was not answered (%s); the wait goes on.", request_id, error.message)
            return None
        ctx.pacer.answered()
        return answer


async def _unfinished(
    ctx: Context, flight: InFlightRequest, row: RequestRow, answer: ResultAnswer, *, watch: PollTimer, age: float
) -> RequestRow:
    """Return the row, with the moment from which it is known to run."""
    if answer.state is RequestState.WAITING:
        watch.queued(age)
    elif watch.running(age):
        row = await _note_start(ctx, row, watch)
        ctx.on_change(row, None)
    flight.age = max(age - watch.started, 0.0)
    return row


async def _note_start(ctx: Context, row: RequestRow, watch: PollTimer) -> RequestRow:
    """Record once when the request began to run; return the row with it."""
    if row.started_at is not None:
        return row
    started = (row.submitted_at or utc_now()) + timedelta(seconds=watch.started)
    await ctx.in_ledger(ctx.ledger.started, row.fingerprint, started)
    return replace(row, started_at=started)


async def _ended(
    ctx: Context, flight: InFlightRequest, row: RequestRow, answer: ResultAnswer, *, watch: PollTimer, age: float
) -> tuple[ResultAnswer, RequestRow] | Outcome:
    """Record the verdict. The time of the end is the service's own, as a span, so that clocks need not agree."""
    order, request_id = flight.order, row.request_id
    took = age
    if answer.created_at is not None and answer.finished_at is not None:
        took = min(max((answer.finished_at - answer.created_at).total_seconds(), 0.0), age)
    ended_at = (row.submitted_at or datetime.now(UTC)) + timedelta(seconds=took)
    if answer.state is RequestState.SUCCEEDED:
        flight.notice = age - took if answer.finished_at is not None else None
        if flight.forecast is not None:
            flight.forecast.learn(max(took - watch.started, 0.05))
            flight.forecast.refresh(time.monotonic())
        await _note_start(ctx, row, watch)
        row = await ctx.in_ledger(
            ctx.ledger.succeeded,
            row.fingerprint,
            attempt=row.attempt,
            cost_microdollars=answer.cost_microdollars,
            at=ended_at,
            answered_model_id=answer.model_id,
            substituted=row.model_id != answer.model_id and not same_model(row.model_id, answer.model_id),
        )
        flight.request_id = None
        return answer, row
    reason = answer.error or f"The service says {answer.word}, and no reason."
    if answer.state is RequestState.CANCELLED:
        await ctx.in_ledger(
            ctx.ledger.cancelled,
            row.fingerprint,
            attempt=row.attempt,
            reason="cancelled at the service",
            cost_microdollars=answer.cost_microdollars,
            at=ended_at,
        )
        flight.request_id = None
        return Cancelled(
            order, "cancelled", "It was cancelled at the service.", "Run the clip again.", request_id=request_id
        )
    final = is_content_policy_refusal(reason)
    await ctx.in_ledger(
        ctx.ledger.failed,
        row.fingerprint,
        attempt=row.attempt,
        reason=reason,
        final=final,
        cost_microdollars=answer.cost_microdollars,
        at=ended_at,
    )
    flight.request_id = None
    code = ErrorCode.CONTENT_REFUSED if final else ErrorCode.GENERATION_FAILED
    remedy = CONTENT_REMEDY if final else "Run the clip again; if it fails again, change its prompt or media."
    verdict = Verdict.FINAL if final else Verdict.RETRYABLE
    left = row.attempt < ctx.options.max_attempts
    return Failed(
        order, reason, remedy, final=final, attempts_left=left, verdict=verdict, request_id=request_id, code=code
    )


async def _refused(ctx: Context, flight: InFlightRequest, row: RequestRow, error: Rejected | MissingToken) -> Outcome:
    """Return the hold of a request whose polls are refused again and again."""
    order = flight.order
    kind = WaitReason.ACCOUNT if isinstance(error, Unauthorized | MissingToken | Forbidden) else WaitReason.SERVICE
    await ctx.release(row, f"polls are refused: {error.message}")
    held = Held.by(error, order, kind, request_id=row.request_id)
    if isinstance(error, Unauthorized | MissingToken):
        ctx.stop_submitting(replace(held, request_id=None))
    return held


async def _not_found(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Outcome:
    """Hold a request that the service does not know; give it up after `GIVE_UP_AFTER`."""
    if await ctx.in_ledger(ctx.ledger.given_up, row):
        return await _gone(ctx, flight, row)
    reason = f"The service does not know request {row.request_id}, which it accepted."
    return await hold_not_found(ctx, flight, row, reason)


async def _gone(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Failed:
    """Record and return the failure of a request that the service no longer knows."""
    order = flight.order
    reason = (
        f"The service has not known request {row.request_id} for {counted(GIVE_UP_AFTER.days, 'day')}; it may have been"
        " charged."
    )
    await ctx.in_ledger(ctx.ledger.failed, row.fingerprint, attempt=row.attempt, reason=reason, final=True)
    flight.request_id = None
    return Failed(
        order, reason, f"`i2v retake {order.clip}` makes a new take, which is paid for.", final=True,
        verdict=Verdict.FINAL, request_id=row.request_id, code=ErrorCode.REQUEST_GONE,
    )  # fmt: skip


async def _parked(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Held:
    reason = f"Not ended after {ctx.options.deadline_seconds:.0f} s of waiting; it is neither dropped nor cancelled."
    await ctx.release(row, f"left for later adoption: {reason}")
    return Held(
        flight.order, WaitReason.DEADLINE, reason, "The schedule `adopt_orphans` or the next run fetches it.",
        request_id=row.request_id,
    )  # fmt: skip
