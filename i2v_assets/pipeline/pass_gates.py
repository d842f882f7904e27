"""Ask the gates about a planned clip: approvals and what is paid already are looked up only if a gate could hold it."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from i2v_assets.pipeline.context import PipelineContext, RunScope
from i2v_assets.pipeline.film_foresight import FilmForesight
from i2v_assets.pipeline.gates import FilmProblem, Gate, Hold, gate
from i2v_assets.pipeline.generate import TakeMaker
from i2v_assets.pipeline.outcome import ClipWaiting
from i2v_assets.pipeline.plan import ClipPlanner, Planned, approve_planned
from i2v_assets.planning.plan import Plan
from i2v_assets.uploads.types import Candidate, UploadHold, UploadKind
from resources.generation.types import Held
from resources.ledger.approvals import ApprovalWay


class GateKeeper:
    """Holds the clips of one run whose plans wait for a person, an hour or others."""

    def __init__(self, context: PipelineContext, run: RunScope, planner: ClipPlanner, takes: TakeMaker) -> None:
        self._context = context
        self._run = run
        self._takes = takes
        self._foresight = FilmForesight(context, planner) if context.films is not None else None

    async def held_clip(self, planned: Planned) -> ClipWaiting | None:
        """Return how a clip waits for a gate, or None if it may be made."""
        if planned.row.stopped_by is not None:
            return None  # nothing of it can be paid, and what was paid for is delivered
        if self._run.by_hand and planned.row.delivered_version != planned.row.version:
            await asyncio.to_thread(self._approve, planned)
        for plan in planned.plans:
            held = await self.held_take(planned, plan)
            if held is not None:
                await self.void_other_approvals(planned, held)
                return ClipWaiting.for_take(planned, plan, held)
        return None

    async def held_take(self, planned: Planned, plan: Plan) -> Held | None:
        """Return what holds one take, a reroll too."""
        hold = await self._hold(planned, plan)
        if hold is None:
            return None
        return Held(self._takes.request(planned.row, plan), hold.waiting_for, hold.reason, hold.remedy)

    async def void_other_approvals(self, planned: Planned, held: Held) -> None:
        """Take back what a person approved of another plan of this clip, if it waits for an approval of this one."""
        if held.kind.is_approvable:
            await asyncio.to_thread(self._void, planned)

    def _approve(self, planned: Planned) -> None:
        """Record that the person who materialized the clip agreed to its plan at its price."""
        by = f"run {self._run.run_id}"
        approve_planned(self._context.ledger, planned, by=by, way=ApprovalWay.MATERIALIZE)

    def _void(self, planned: Planned) -> None:
        prices = {plan.fingerprint: plan.at_most_microdollars for plan in (*planned.plans, *planned.rerolls)}
        self._context.ledger.void_others(planned.row.clip, prices, doubt=planned.doubt)

    async def _hold(self, planned: Planned, plan: Plan) -> Hold | None:
        row, brief = planned.row, planned.candidate.brief
        heap = await self._context.heaps.heap_of(row.clip) if self._context.heaps is not None else None
        refused_shot = await self._context.films.refused_shot(row.clip) if self._context.films is not None else ""
        unchanged = row.delivered_version == row.version
        needs_approval = self._context.settings.require_approval or bool(brief.needs_approval)
        upload_hold = await self._upload_hold(planned)
        film_problem = await self._film_problem(planned, plan, refused_shot)
        holds = needs_approval or self._takes.window or upload_hold or heap or refused_shot or film_problem or plan.asks
        if not (unchanged or holds):
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
                submitted=await self._takes.is_paid(plan),
                approved=await asyncio.to_thread(approved),
                by_hand=self._run.by_hand,
                needs_approval=needs_approval,
                delivered_as=row.fingerprint if unchanged and plan.take == 1 else None,
                fingerprint=plan.fingerprint,
                asked_for=plan.take > (brief.takes or 1) and plan not in planned.rerolls,
                window=self._takes.window,
                upload_hold=upload_hold,
                asks=plan.asks,
                heap=heap,
                refused_shot=refused_shot,
                film_problem=film_problem,
                bucket_commands=self._context.settings.takes_bucket_commands,
            ),
            datetime.now(UTC),
        )

    async def _film_problem(self, planned: Planned, plan: Plan, refused_shot: str) -> FilmProblem | None:
        """Return why nothing of the film that defines a clip is paid for yet; asked only if nothing of the clip is made or paid."""
        made = planned.row.delivered_version == planned.row.version
        if self._foresight is None or refused_shot or self._run.by_hand or made:
            return None
        if await self._takes.is_paid(plan):
            return None
        return await self._foresight.problem_of(planned.row)

    async def _upload_hold(self, planned: Planned) -> UploadHold | None:
        """Return why the upload waits for a person, as the latest scan saw it: files may have come since the run began."""
        if planned.candidate.kind is not UploadKind.LOOSE:
            return planned.candidate.hold
        latest = await asyncio.to_thread(self._context.registry.get, planned.row.clip)
        if latest is None or latest.version != planned.row.version or latest.content == planned.row.content:
            return planned.candidate.hold
        return Candidate.from_content(latest.content).hold
