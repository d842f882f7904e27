"""The way of one clip, from its files to one outcome: read, plan, gates, generate, deliver. Free of Dagster.

`ClipPipeline.process_clip` decides and returns; `report` writes the outcome to the event log, the bucket and the registry.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from i2v_assets.pipeline.context import PipelineContext, RunScope
from i2v_assets.pipeline.deliver import Delivery
from i2v_assets.pipeline.film_budget import FilmBudget
from i2v_assets.pipeline.gates import Gate, Hold, gate
from i2v_assets.pipeline.generate import Generated, generate_takes
from i2v_assets.pipeline.offers import plan_offers
from i2v_assets.pipeline.outcome import (
    ClipFailed,
    ClipOutcome,
    ClipPlanned,
    ClipRefused,
    ClipWaiting,
)
from i2v_assets.pipeline.plan import ClipPlanner, Planned, approve_planned
from i2v_assets.pipeline.read_media import MediaReader
from i2v_assets.pipeline.report import ClipReporter
from i2v_assets.pipeline.takes import Take, reroll_allowed, rerolled
from i2v_assets.pipeline.voice_film import generate_film
from i2v_assets.planning.plan import Plan, Refusal, Waiting, expected_price
from i2v_assets.planning.time_window import parse_window
from i2v_assets.uploads.types import Candidate, UploadHold, UploadKind
from resources.errors import ErrorCode, I2VError, Verdict, where_raised
from resources.generation.types import Cancelled, Delivered, Failed, GenerationRequest, Held, Outcome
from resources.ledger.approvals import ApprovalWay
from resources.ledger.records import State
from resources.logs import log_context
from resources.problem import Problem
from resources.registry.guards import still_wanted
from resources.registry.registry import ClipRow, ClipState
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

PAID = {State.SUBMITTED, State.SUCCEEDED, State.SUBMITTING, State.UNKNOWN}
"""States in which money may have moved: no gate holds what is paid for."""

_FOR_APPROVAL = {WaitReason.APPROVAL, WaitReason.HEAP}

_HOLDS_NO_OTHER = {WaitReason.LOST, WaitReason.PERSON}
"""Waits of one take that end with a person: the clip shows another of its takes meanwhile."""

_UNREACHABLE = {ErrorCode.STORAGE_UNAVAILABLE, ErrorCode.LEDGER_UNAVAILABLE}


class ClipPipeline:
    """Takes clips from their files to their outcomes; each clip is one coroutine that leaves the others alone."""

    def __init__(self, context: PipelineContext, reporter: ClipReporter, run: RunScope) -> None:
        self._context = context
        self._run = run
        self._reporter = reporter
        self._delivery = Delivery(context)
        reader = MediaReader(context.bucket, context.registry, context.scratch, context.pool)
        offers = partial(plan_offers, context.offers)
        past = partial(context.ledger.past_costs, context.settings.service)
        self._planner = ClipPlanner(reader, offers, context.options, context.ledger.was_sent, past)
        self._plans: dict[str, Plan] = {}
        self._window = parse_window(context.settings.generate_only, context.settings.zone)
        self._film_budget = FilmBudget(context.ledger, context.settings, run.budget_run or run.run_id)

    async def process_clip(self, row: ClipRow) -> ClipOutcome:
        """Return what became of one clip. An error of the project is an outcome of this clip, never of another."""
        with log_context(clip=row.clip):
            try:
                return await self._process(row)
            except I2VError as error:
                log.warning("Clip %s: %s", row.clip, error.message)
                return _stopped_by(row, error)
            except Exception as error:
                log.exception("Clip %s: unforeseen error", row.clip)
                return await self._stopped_by_bug(row, error)
            finally:
                self._note_price(row, ())  # no other clip waits for the price of one that has ended

    async def _stopped_by_bug(self, row: ClipRow, error: Exception) -> ClipOutcome:
        """Return the outcome of an error that nobody foresaw: before money the clip ends; after a submit it holds.

        The error's own words are left out: they may name another clip's file, or hold what must not be shown.
        """
        problem = Problem(
            f"This clip stopped because of a bug in i2v-assets ({where_raised(error)}).",
            remedy="Please report it with the run log. Its files are not the cause as far as is known.",
        )
        plan = self._plans.get(row.clip)
        planned = [each.fingerprint for each in plan.requests] if plan is not None else []
        money = await asyncio.to_thread(self._context.ledger.money_of, row, *planned)
        if money.may_have_been_paid:
            return ClipWaiting(row, WaitReason.DOWNLOAD, problem, plan, code=ErrorCode.INTERNAL)
        return ClipFailed(row, WaitReason.NEVER, problem, plan, code=ErrorCode.INTERNAL)

    async def _process(self, row: ClipRow) -> ClipOutcome:
        candidate = Candidate.from_content(row.content)
        files = await self._planner.read(candidate)
        reported = self._reporter.files(row.clip, candidate, files)
        if not self._run.plan:
            await reported
            return ClipPlanned(row)
        _, planned = await asyncio.gather(reported, self._planner.takes(row, candidate, files))
        if planned.stopped is not None:
            return _not_planned(row, planned.stopped)
        self._plans[row.clip] = planned.plans[0]
        self._note_price(row, planned.plans)
        await self._reporter.planned(planned)
        if not self._run.make:
            return ClipPlanned(row, planned)
        return await self._held_by_gate(planned) or await self._make(planned)

    # Gates

    def _note_price(self, row: ClipRow, plans: Sequence[Plan]) -> None:
        if self._context.heaps is not None:
            self._context.heaps.planned(row.clip, expected_price(plans) if plans else None)

    async def _held_by_gate(self, planned: Planned) -> ClipWaiting | None:
        if planned.row.stopped_by is not None:
            return None  # nothing of it can be paid, and what was paid for is delivered
        if self._run.by_hand and planned.row.delivered_version != planned.row.version:
            await asyncio.to_thread(self._approve, planned)
        for plan in planned.plans:
            hold = await self._hold(planned, plan)
            if hold is not None:
                if hold.waiting_for in _FOR_APPROVAL:
                    await asyncio.to_thread(self._void_other_approvals, planned)
                return _waiting(planned, plan, self._held(planned, plan, hold))
        return None

    def _held(self, planned: Planned, plan: Plan, hold: Hold) -> Held:
        return Held(self._request(planned.row, plan), hold.waiting_for, hold.reason, hold.remedy)

    def _approve(self, planned: Planned) -> None:
        """Record that the person who materialized the clip agreed to its plan at its price."""
        by = f"run {self._run.run_id}"
        approve_planned(self._context.ledger, planned, by=by, way=ApprovalWay.MATERIALIZE)

    def _void_other_approvals(self, planned: Planned) -> None:
        prices = {plan.fingerprint: plan.at_most_microdollars for plan in (*planned.plans, *planned.rerolls)}
        self._context.ledger.void_others(planned.row.clip, prices, doubt=planned.doubt)

    async def _hold(self, planned: Planned, plan: Plan) -> Hold | None:
        """Return what holds one take, a reroll too."""
        row, brief = planned.row, planned.candidate.brief
        heap = await self._context.heaps.heap_of(row.clip) if self._context.heaps is not None else None
        unchanged = row.delivered_version == row.version
        needs_approval = self._context.settings.require_approval or bool(brief.needs_approval)
        upload_hold = await self._upload_hold(planned)
        if not (unchanged or needs_approval or self._window or upload_hold or heap or plan.asks):
            return None  # no gate could hold it, so nothing has to be looked up
        approved = partial(
            self._context.ledger.is_approved,
            plan.fingerprint,
            plan.at_most_microdollars,
            clip=row.clip,
            model_id=plan.model_id,
            doubt=upload_hold.mark if upload_hold is not None else "",
        )
        return gate(
            Gate(
                clip=row.clip,
                plan_hash=planned.hash or "",
                submitted=all(state in PAID for state in await self._states(plan)),
                approved=await asyncio.to_thread(approved),
                by_hand=self._run.by_hand,
                needs_approval=needs_approval,
                delivered_as=row.fingerprint if unchanged and plan.take == 1 else None,
                fingerprint=plan.fingerprint,
                asked_for=plan.take > (brief.takes or 1) and plan not in planned.rerolls,
                window=self._window,
                upload_hold=upload_hold,
                asks=plan.asks,
                heap=heap,
                bucket_commands=self._context.settings.takes_bucket_commands,
            ),
            datetime.now(UTC),
        )

    async def _upload_hold(self, planned: Planned) -> UploadHold | None:
        """Return why the upload waits for a person, as the latest scan saw it: files may have come since the run began."""
        if planned.candidate.kind is not UploadKind.LOOSE:
            return planned.candidate.hold
        latest = await asyncio.to_thread(self._context.registry.get, planned.row.clip)
        if latest is None or latest.version != planned.row.version or latest.content == planned.row.content:
            return planned.candidate.hold
        return Candidate.from_content(latest.content).hold

    # Generate and deliver

    async def _make(self, planned: Planned) -> ClipOutcome:
        generated = await self._generate(planned.row, planned.plans)
        try:
            stopped = _not_made(planned, generated)
            if stopped is not None:
                return stopped
            if (waits := await self._add_rerolls(planned, generated)) is not None:
                return waits
            if await self._is_outdated(planned.row):
                return ClipWaiting(planned.row, WaitReason.REPLACED, Problem("A newer version of it was delivered."))
            return await self._delivery.deliver(planned, generated.takes)
        finally:
            generated.discard()

    async def _generate(self, row: ClipRow, plans: Sequence[Plan]) -> Generated:
        """Bring the takes of a clip to their outcomes, all at once."""

        def one(plan: Plan) -> Awaitable[Generated]:
            if plan.pieces:
                return generate_film(self._context, self._film_budget, plan, partial(self._request, row))
            return generate_takes(self._context, [plan], [self._request(row, plan)])

        made = Generated([], [])
        for more in await asyncio.gather(*(one(plan) for plan in plans)):
            made.add(more)
        return made

    async def _states(self, plan: Plan) -> tuple[State | None, ...]:
        """Return the states of a take's requests; None for one that the ledger does not know."""
        rows = [await asyncio.to_thread(self._context.ledger.get, each.fingerprint) for each in plan.requests]
        return tuple(row.state if row is not None else None for row in rows)

    async def _is_outdated(self, row: ClipRow) -> bool:
        """Return whether a newer version of the upload was delivered while this one was made."""
        now = await asyncio.to_thread(self._context.registry.get, row.clip)
        return now is not None and now.version != row.version and now.delivered_version == now.version

    def _request(self, row: ClipRow, plan: Plan) -> GenerationRequest:
        by = self._retry_by(row)
        request = GenerationRequest(
            plan.clip, plan.take, plan.fingerprint, plan.inputs, plan.route, plan.at_most_microdollars, retry_by=by,
            wanted=still_wanted(row, self._run.run_id), adopt_only=row.stopped_by is not None,
            quote=plan.quote, billed=plan.billed,
        )  # fmt: skip
        if self._window is not None:  # it may wait for a slot until the window is over
            request = replace(request, not_after=self._window.closes(datetime.now(UTC)))
        return request

    def _retry_by(self, row: ClipRow) -> str | None:
        """Return who asks for another attempt: a person who runs a failed clip again, or the retry schedule.

        Each of them asks for one. If the run crashed afterwards, that attempt may have been made: a person is not taken to
        ask twice (an automatic retry is no run by hand), and the schedule only if the clip got no answer.
        """
        if self._run.by_hand:
            return f"run {self._run.run_id}"
        answered = self._run.retried and row.state is ClipState.FAILED
        return "retry schedule" if self._run.dispatched and row.retries and not answered else None

    # Rerolls

    async def _add_rerolls(self, planned: Planned, generated: Generated) -> ClipWaiting | ClipFailed | None:
        """Generate rerolls one at a time: each only because those before it were measured and are poor.

        Return how the clip waits for the rest of one that is paid for in part, or that this rest is tried again; None: it
        shows the takes that are there.
        """
        refused = any(isinstance(outcome, Failed) and outcome.final for outcome in generated.outcomes)
        for plan in planned.rerolls:
            if not await self._wants_reroll(planned, plan, generated.takes, refused=refused):
                return None
            hold = await self._hold(planned, plan)
            if hold is not None:
                log.info(
                    "Clip %s: take %d, which its score asks for, waits: %s", planned.row.clip, plan.take, hold.reason
                )
                return await self._wait_for_rest(planned, plan, self._held(planned, plan, hold))
            outcome = await self._reroll(planned.row, planned.candidate, plan, generated)
            if not isinstance(outcome, Delivered):
                return await self._wait_for_rest(planned, plan, outcome)
        return None

    async def _wants_reroll(self, planned: Planned, plan: Plan, takes: Sequence[Take], *, refused: bool) -> bool:
        """Return whether a reroll is generated: the takes are poor, and none was refused. The gates are asked besides."""
        row, brief = planned.row, planned.candidate.brief
        if all(state in PAID for state in await self._states(plan)):
            return True  # it only has to be fetched
        delivered = row.delivered_version == row.version and row.fingerprint == planned.plans[0].fingerprint
        settled = delivered and not self._run.by_hand and not await self._is_paid_in_part(plan)
        if not reroll_allowed(brief, row, refused=refused, settled=settled):
            return False
        return brief.reroll is not None and await self._delivery.best_score(row, takes) < brief.reroll.below

    async def _is_paid_in_part(self, plan: Plan) -> bool:
        """Return whether a take of pieces was begun: money may have moved for at least one of them."""
        return bool(plan.pieces) and any(state in PAID for state in await self._states(plan))

    async def _wait_for_rest(
        self, planned: Planned, plan: Plan, found: Outcome | None
    ) -> ClipWaiting | ClipFailed | None:
        """Return how the clip goes on with a reroll that has no video; None if it does not.

        Of a clip that a person stopped nothing more is paid, so its reroll stays as it is.
        """
        if planned.row.stopped_by is not None or not await self._is_paid_in_part(plan):
            return None
        if isinstance(found, Failed):
            return self._tries_again(planned.row, plan, found)
        if not isinstance(found, Held) or found.kind in _HOLDS_NO_OTHER:
            return None
        if found.kind in _FOR_APPROVAL:
            await asyncio.to_thread(self._void_other_approvals, planned)
        return _waiting(planned, plan, found)

    def _tries_again(self, row: ClipRow, plan: Plan, found: Failed) -> ClipFailed | None:
        """Return the failure of a piece of a reroll, which is tried again like any other; None if that is over.

        Then, and beside a video that was delivered before, the clip shows the takes that are there.
        """
        last = found.final or not found.attempts_left or row.retries >= self._context.settings.retries_per_clip
        if last or row.delivered_version == row.version:
            return None
        problem = Problem(f"Take {plan.take}, which its score asks for: {found.reason}", remedy=found.remedy)
        return ClipFailed(row, WaitReason.RETRY, problem, plan, found.code, found.http_status, found.request_id)

    async def _reroll(self, row: ClipRow, candidate: Candidate, plan: Plan, generated: Generated) -> Outcome | None:
        """Generate one more take and return its outcome; None if it was not begun.

        Without a video its number stays taken only if money may have moved.
        """
        registry, extra = self._context.registry, plan.take - (candidate.brief.takes or 1)

        def note(change: Callable[..., bool], extra_takes: int) -> Awaitable[bool]:
            return asyncio.to_thread(change, row.clip, version=row.version, take=plan.take, extra_takes=extra_takes)

        if plan.take not in rerolled(row) and not await note(registry.add_reroll, extra - 1):
            return None  # the upload changed, or a person asked for a take: the next run goes on from there
        more = await self._generate(row, [plan])
        if more.takes:
            generated.add(more)
            return more.outcomes[0]
        rows = [await asyncio.to_thread(self._context.ledger.get, each.fingerprint) for each in plan.requests]
        if not any(row is not None and (row.state in PAID or row.submitted_at is not None) for row in rows):
            await note(registry.take_back_reroll, extra)
        return more.outcomes[0]


# Outcomes without a video


def _not_planned(row: ClipRow, stopped: Refusal | Waiting) -> ClipOutcome:
    if isinstance(stopped, Refusal):
        return ClipRefused(row, tuple(replace(problem, what=problem.named) for problem in stopped.problems))
    return ClipWaiting(row, WaitReason(stopped.kind), Problem(stopped.words, remedy=stopped.remedy))


def _not_made(planned: Planned, generated: Generated) -> ClipOutcome | None:
    """Return why the clip has no video yet, or None if it has one.

    A take that is lost or failed, or that a person stopped before it was sent, does not hold the others: the clip shows one
    of those that are there.
    """
    row, plans = planned.row, tuple(planned.plans)
    held = [(plan, found) for plan, found in zip(plans, generated.outcomes, strict=True) if isinstance(found, Held)]
    alone = _HOLDS_NO_OTHER if row.stopped_by is None else {*_HOLDS_NO_OTHER, WaitReason.STOPPED}
    held.sort(key=lambda each: each[1].kind in alone)
    if held and not (generated.takes and held[0][1].kind in alone):
        return _waiting(planned, *held[0])
    failures = [found for found in generated.outcomes if isinstance(found, Failed | Cancelled)]
    if generated.takes or not failures:
        return None
    first, reason = failures[0], _after_failure(failures)
    problem = Problem(first.reason, remedy=first.remedy)
    if isinstance(first, Cancelled):
        return ClipFailed(row, reason, problem, plans[0], ErrorCode.GENERATION_FAILED, request_id=first.request_id)
    return ClipFailed(row, reason, problem, plans[0], first.code, first.http_status, first.request_id)


def _waiting(planned: Planned, plan: Plan, found: Held) -> ClipWaiting:
    """Return the clip's wait for one of its takes; a reroll that it waits for counts among those that are asked for."""
    plans = tuple(planned.plans) if plan in planned.plans else (*planned.plans, plan)
    return ClipWaiting(
        planned.row,
        found.kind,
        Problem(found.reason, remedy=found.remedy),
        plan,
        plans,
        tuple(reroll for reroll in planned.rerolls if reroll not in plans),
        found.code,
        found.http_status,
        found.request_id,
        found.order.fingerprint,
    )


def _after_failure(failures: Sequence[Failed | Cancelled]) -> WaitReason:
    """Return what follows when no take has a video."""
    if any(isinstance(found, Failed) and not found.final and found.attempts_left for found in failures):
        return WaitReason.RETRY
    if all(isinstance(found, Failed) and found.final for found in failures):
        return WaitReason.FINAL
    return WaitReason.NEVER


def _stopped_by(row: ClipRow, error: I2VError) -> ClipOutcome:
    problem = Problem(error.message, remedy=error.remedy)
    if error.verdict is Verdict.RETRYABLE:
        reason = WaitReason.STORAGE if error.code in _UNREACHABLE else WaitReason.SERVICE
        return ClipWaiting(
            row, reason, problem, code=error.code, http_status=error.http_status, request_id=error.request_id
        )
    return ClipFailed(
        row, WaitReason.RETRY, problem, code=error.code, http_status=error.http_status, request_id=error.request_id
    )
