"""Add rerolls to a clip: one more take at a time, while its best score is below what its brief asks for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from i2v_assets.pipeline.context import PipelineContext, RunScope
from i2v_assets.pipeline.deliver import Delivery
from i2v_assets.pipeline.generate import PAID, TakeMaker
from i2v_assets.pipeline.outcome import HOLDS_NO_OTHER, ClipFailed, ClipWaiting
from i2v_assets.pipeline.pass_gates import GateKeeper
from i2v_assets.pipeline.plan import Planned
from i2v_assets.pipeline.takes import Generated, Take, reroll_allowed, rerolled
from i2v_assets.planning.plan import Plan
from i2v_assets.uploads.types import Candidate
from resources.generation.types import Delivered, Failed, Held, Outcome
from resources.problem import Problem
from resources.registry.registry import ClipRow
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rerolls:
    """Generates the rerolls of clips."""

    context: PipelineContext
    run: RunScope
    gates: GateKeeper
    takes: TakeMaker
    delivery: Delivery

    async def add(self, planned: Planned, generated: Generated) -> ClipWaiting | ClipFailed | None:
        """Generate rerolls one at a time: each only because those before it were measured and are poor.

        Return how the clip waits for the rest of one that is paid for in part, or that this rest is tried again; None: it
        shows the takes that are there.
        """
        refused = any(isinstance(outcome, Failed) and outcome.final for outcome in generated.outcomes)
        for plan in planned.rerolls:
            if not await self._wants_reroll(planned, plan, generated.takes, refused=refused):
                return None
            held = await self.gates.held_take(planned, plan)
            if held is not None:
                log.info(
                    "Clip %s: take %d, which its score asks for, waits: %s", planned.row.clip, plan.take, held.reason
                )
                return await self._wait_for_rest(planned, plan, held)
            outcome = await self._reroll(planned.row, planned.candidate, plan, generated)
            if not isinstance(outcome, Delivered):
                return await self._wait_for_rest(planned, plan, outcome)
        return None

    async def _wants_reroll(self, planned: Planned, plan: Plan, takes: Sequence[Take], *, refused: bool) -> bool:
        """Return whether a reroll is generated: the takes are poor, and none was refused. The gates are asked besides."""
        row, brief = planned.row, planned.candidate.brief
        if await self.takes.is_paid(plan):
            return True  # it only has to be fetched
        delivered = row.delivered_version == row.version and row.fingerprint == planned.plans[0].fingerprint
        settled = delivered and not self.run.by_hand and not await self.takes.is_paid_in_part(plan)
        if not reroll_allowed(brief, row, refused=refused, settled=settled):
            return False
        return brief.reroll is not None and await self.delivery.best_score(row, takes) < brief.reroll.below

    async def _wait_for_rest(
        self, planned: Planned, plan: Plan, found: Outcome | None
    ) -> ClipWaiting | ClipFailed | None:
        """Return how the clip goes on with a reroll that has no video; None if it does not.

        Of a clip that a person stopped nothing more is paid, so its reroll stays as it is.
        """
        if planned.row.stopped_by is not None or not await self.takes.is_paid_in_part(plan):
            return None
        if isinstance(found, Failed):
            return self._tries_again(planned.row, plan, found)
        if not isinstance(found, Held) or found.kind in HOLDS_NO_OTHER:
            return None
        await self.gates.void_other_approvals(planned, found)
        return ClipWaiting.for_take(planned, plan, found)

    def _tries_again(self, row: ClipRow, plan: Plan, found: Failed) -> ClipFailed | None:
        """Return the failure of a piece of a reroll, which is tried again like any other; None if that is over.

        Then, and beside a video that was delivered before, the clip shows the takes that are there.
        """
        last = found.final or not found.attempts_left or row.retries >= self.context.settings.retries_per_clip
        if last or row.delivered_version == row.version:
            return None
        problem = Problem(f"Take {plan.take}, which its score asks for: {found.reason}", remedy=found.remedy)
        return ClipFailed(row, WaitReason.RETRY, problem, plan, found.code, found.http_status, found.request_id)

    async def _reroll(self, row: ClipRow, candidate: Candidate, plan: Plan, generated: Generated) -> Outcome | None:
        """Generate one more take and return its outcome; None if it was not begun.

        Without a video its number stays taken only if money may have moved.
        """
        registry, extra = self.context.registry, plan.take - (candidate.brief.takes or 1)

        def note(change: Callable[..., bool], extra_takes: int) -> Awaitable[bool]:
            return asyncio.to_thread(change, row.clip, version=row.version, take=plan.take, extra_takes=extra_takes)

        if plan.take not in rerolled(row) and not await note(registry.add_reroll, extra - 1):
            return None  # the upload changed, or a person asked for a take: the next run goes on from there
        more = await self.takes.generate(row, [plan])
        if more.takes:
            generated.add(more)
            return more.outcomes[0]
        rows = [await asyncio.to_thread(self.context.ledger.get, each.fingerprint) for each in plan.requests]
        if not any(row is not None and (row.state in PAID or row.submitted_at is not None) for row in rows):
            await note(registry.take_back_reroll, extra)
        return more.outcomes[0]
