"""The way of one clip: files -> plan -> gates -> takes -> answer. Free of Dagster; it reports to `Events`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from i2v_assets.clip_folder.notes import Problem
from i2v_assets.pipeline.context import PipelineContext, Result, RunScope
from i2v_assets.pipeline.deliver import Delivery, record_reuse
from i2v_assets.pipeline.gates import Gate, Hold, gate
from i2v_assets.pipeline.metadata import Events
from i2v_assets.pipeline.offers import plan_offers
from i2v_assets.pipeline.plan import ClipPlanner, Planned
from i2v_assets.pipeline.read_media import MediaReader
from i2v_assets.pipeline.report import ClipReporter
from i2v_assets.pipeline.takes import Take, reroll_allowed, rerolled
from i2v_assets.planning.plan import total_price
from i2v_assets.planning.planner import Plan, Refusal, Waiting
from i2v_assets.planning.time_window import parse_window
from i2v_assets.uploads.types import Candidate
from resources.errors import I2VError, Verdict
from resources.generation.types import Cancelled, Delivered, Failed, GenerationRequest, Held, HeldKind, Outcome
from resources.ledger.errors import LedgerError
from resources.ledger.records import RequestRow, State
from resources.logs import log_context
from resources.registry.registry import ClipRow, ClipState

log = logging.getLogger(__name__)

PAID = {State.SUBMITTED, State.SUCCEEDED, State.SUBMITTING, State.UNKNOWN}
"""States in which money may have moved: no gate holds what is paid for."""


class ClipPipeline:
    """Takes clips from their files to their answers; each clip is one coroutine that leaves the others alone."""

    def __init__(self, context: PipelineContext, events: Events, run: RunScope) -> None:
        self._context = context
        self._run = run
        self._say = ClipReporter(context, events)
        self._delivery = Delivery(context, events)
        reader = MediaReader(context.bucket, context.registry, context.scratch)
        self._planner = ClipPlanner(reader, partial(plan_offers, context.offers), context.options)
        self._window = parse_window(context.settings.generate_only, context.settings.zone)

    async def make(self, row: ClipRow) -> Result:
        """One clip to its answer. Whatever goes wrong with it becomes its answer, never another clip's."""
        try:
            with log_context(clip=row.clip):
                return await self._make(row)
        except I2VError as error:
            log.warning("Clip %s: %s", row.clip, error.message)
            return await self._explain(row, error)

    async def _explain(self, row: ClipRow, error: I2VError) -> Result:
        problem = Problem(error.message, remedy=error.remedy)
        try:
            if error.verdict is Verdict.RETRYABLE:
                return await self._say.waits(row, "service", problem)
            return await self._say.failed(row, problem)
        except (
            I2VError
        ) as mute:  # the bucket or the ledger is gone: the dispatch sensor finds the clip without an answer
            log.warning("Clip %s: its answer could not be written: %s", row.clip, mute.message)
            return Result(row.clip, ClipState.FAILED, error.message, error.remedy)

    async def _make(self, row: ClipRow) -> Result:
        candidate = Candidate.from_content(row.content)
        files = await self._planner.read(candidate)
        await self._say.files(row.clip, candidate, files)
        if not self._run.plan:
            return Result(row.clip, row.state)
        planned = await self._planner.takes(row, candidate, files)
        if isinstance(planned.stopped, Refusal):
            problems = [
                Problem(p.what if p.file in p.what else f"{p.file}: {p.what}", p.limit, p.remedy)
                for p in planned.stopped.problems
            ]
            return await self._say.refused(row, problems)
        if isinstance(planned.stopped, Waiting):
            waits = planned.stopped
            return await self._say.waits(row, waits.kind, Problem(waits.words, remedy=waits.remedy))
        await self._say.planned(planned)
        if not self._run.make:
            return Result(row.clip, row.state)
        held = await self._gate(planned)
        return held or await self._generate(planned)

    async def _gate(self, planned: Planned) -> Result | None:
        row, plans = planned.row, planned.plans
        for plan in plans:
            hold = await self._hold(planned, plan)
            if hold is not None:
                problem = Problem(hold.reason, remedy=hold.remedy)
                price, most = total_price(plans), total_price([*plans, *planned.rerolls])
                return await self._say.waits(row, hold.waiting_for, problem, plan=plan, price=price, most=most)
        return None

    async def _hold(self, planned: Planned, plan: Plan) -> Hold | None:
        """What holds one take, a reroll too."""
        row, brief = planned.row, planned.candidate.brief
        unchanged = row.delivered_version == row.version
        needs_approval = self._context.settings.require_approval or bool(brief.needs_approval)
        if not (unchanged or needs_approval or self._window):
            return None  # no gate could hold it, so nothing has to be looked up
        known = await asyncio.to_thread(self._context.ledger.get, plan.fingerprint)
        price = plan.price_microdollars
        return gate(
            Gate(
                clip=row.clip,
                plan_hash=planned.hash or "",
                submitted=known is not None and known.state in PAID,
                approved=await asyncio.to_thread(self._context.ledger.is_approved, plan.fingerprint, price),
                by_hand=self._run.by_hand,
                needs_approval=needs_approval,
                delivered_as=row.fingerprint if unchanged and plan.take == 1 else None,
                fingerprint=plan.fingerprint,
                asked_for=plan.take > (brief.takes or 1) and plan not in planned.rerolls,
                window=self._window,
            ),
            datetime.now(UTC),
        )

    async def _generate(self, planned: Planned) -> Result:
        row, candidate, files, plans = planned.row, planned.candidate, planned.files, planned.plans
        outcomes = list(await asyncio.gather(*(self._order(row, plan) for plan in plans)))
        try:
            if any(isinstance(found, Held) for found in outcomes) or not any(
                isinstance(found, Delivered) for found in outcomes
            ):
                return await self._not_delivered(row, plans, outcomes)
            takes = await self._taken(plans, outcomes)
            refused = any(isinstance(found, Failed) and found.final for found in outcomes)
            for plan in planned.rerolls:  # one at a time: each only because those before it were measured and are poor
                if not await self._goes_on(planned, plan, takes, refused=refused):
                    break
                outcome = await self._reroll(row, candidate, plan)
                if not isinstance(outcome, Delivered):
                    break
                outcomes.append(outcome)
                takes += await self._taken([plan], [outcome])
            await self._delivery.deliver(row, candidate, files, takes)
            await record_reuse(self._context.ledger, row, takes)
            await self._say.recorded(row, ClipState.DELIVERED, plan=plans[0])
            return Result(row.clip, ClipState.DELIVERED)
        finally:
            for outcome in outcomes:
                if isinstance(outcome, Delivered) and outcome.local_path is not None:
                    outcome.local_path.unlink(missing_ok=True)

    async def _goes_on(self, planned: Planned, plan: Plan, takes: Sequence[Take], *, refused: bool) -> bool:
        """Whether a reroll is ordered: the takes are poor, nothing was refused, and every gate lets it through."""
        row, brief = planned.row, planned.candidate.brief
        known = await asyncio.to_thread(self._context.ledger.get, plan.fingerprint)
        if known is not None and known.state in PAID:
            return True  # it only has to be fetched
        delivered = row.delivered_version == row.version and row.fingerprint == planned.plans[0].fingerprint
        if not reroll_allowed(brief, row, refused=refused, settled=delivered and not self._run.by_hand):
            return False
        if brief.reroll is None or await self._delivery.best_score(row, takes) >= brief.reroll.below:
            return False
        hold = await self._hold(planned, plan)
        if hold is not None:
            log.info("Clip %s: take %d, which its score asks for, waits: %s", row.clip, plan.take, hold.reason)
        return hold is None

    async def _reroll(self, row: ClipRow, candidate: Candidate, plan: Plan) -> Outcome | None:
        """Order one more take; its number stays taken only where money may have moved for it."""
        registry, extra = self._context.registry, plan.take - (candidate.brief.takes or 1)

        def note(change: Callable[..., bool], extra_takes: int) -> Awaitable[bool]:
            return asyncio.to_thread(change, row.clip, version=row.version, take=plan.take, extra_takes=extra_takes)

        if plan.take not in rerolled(row) and not await note(registry.add_reroll, extra - 1):
            return None  # the upload changed, or a person asked for a take: the next run goes on from there
        outcome = await self._order(row, plan)
        if isinstance(outcome, Delivered):
            return outcome
        known = await asyncio.to_thread(self._context.ledger.get, plan.fingerprint)
        if known is None or (known.state not in PAID and known.submitted_at is None):
            await note(registry.take_back_reroll, extra)
        return outcome

    async def _order(self, row: ClipRow, plan: Plan) -> Outcome:
        by = self._retry_by(row)
        order = GenerationRequest(
            plan.clip, plan.take, plan.fingerprint, plan.inputs, plan.route, plan.price_microdollars, retry_by=by
        )
        if self._window is not None:  # it may wait for a slot until the window is over
            order = replace(order, not_after=self._window.closes(datetime.now(UTC)))
        return await self._context.generate(order)

    def _retry_by(self, row: ClipRow) -> str | None:
        """Who asks for another attempt: a person who runs a failed clip again, or the retry schedule; each for one.

        Where the run crashed afterwards, that attempt may have been made: a person is not taken to ask twice, and the
        schedule only where the clip got no answer.
        """
        if self._run.by_hand:
            return None if self._run.retried else f"run {self._run.run_id}"
        answered = self._run.retried and row.state is ClipState.FAILED
        return "retry schedule" if row.retries and not answered else None

    async def _taken(self, plans: Sequence[Plan], outcomes: Sequence[Outcome]) -> list[Take]:
        return [
            Take(plan, outcome, await asyncio.to_thread(self._paid, plan))
            for plan, outcome in zip(plans, outcomes, strict=True)
            if isinstance(outcome, Delivered)
        ]

    def _paid(self, plan: Plan) -> RequestRow:
        found = self._context.ledger.get(plan.fingerprint)
        if found is None:  # the engine delivered it, so only another program can have taken it out
            raise LedgerError(f"The ledger has lost {plan.fingerprint[:12]}.", remedy="Restore the ledger's database.")
        return found

    async def _not_delivered(self, row: ClipRow, plans: Sequence[Plan], outcomes: Sequence[Outcome]) -> Result:
        for plan, outcome in zip(plans, outcomes, strict=True):
            if isinstance(outcome, Held):
                holds = outcome.kind is not HeldKind.PRICE_CHANGED  # the plan's price is the very thing that does not
                price = sum(each.price_microdollars or 0 for each in plans) if holds else None
                problem = Problem(outcome.reason, remedy=outcome.remedy)
                return await self._say.waits(row, outcome.kind.value, problem, plan=plan, price=price, outcome=outcome)
        failures = [found for found in outcomes if isinstance(found, Failed | Cancelled)]
        problem = Problem(failures[0].reason, remedy=failures[0].remedy)
        return await self._say.failed(row, problem, failures, plans[0])
