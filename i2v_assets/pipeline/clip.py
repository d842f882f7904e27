"""The way of one clip, from its files to one outcome: read, plan, gates, generate, deliver. Free of Dagster.

`ClipPipeline.process_clip` decides and returns; `report` writes the outcome to the event log, the bucket and the registry.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from i2v_assets.pipeline.context import PipelineContext, RunScope
from i2v_assets.pipeline.deliver import Delivery
from i2v_assets.pipeline.generate import TakeMaker
from i2v_assets.pipeline.outcome import (
    HOLDS_NO_OTHER,
    ClipFailed,
    ClipOutcome,
    ClipPlanned,
    ClipRefused,
    ClipWaiting,
)
from i2v_assets.pipeline.pass_gates import GateKeeper
from i2v_assets.pipeline.plan import ClipPlanner, Planned
from i2v_assets.pipeline.report import ClipReporter
from i2v_assets.pipeline.reroll import Rerolls
from i2v_assets.pipeline.takes import Generated
from i2v_assets.planning.plan import Plan, Refusal, Waiting, expected_price
from resources.errors import ErrorCode, I2VError, Verdict, where_raised
from resources.generation.types import Cancelled, Failed, Held
from resources.problem import Problem
from resources.registry.registry import ClipRow
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

_UNREACHABLE = {ErrorCode.STORAGE_UNAVAILABLE, ErrorCode.LEDGER_UNAVAILABLE}


class ClipPipeline:
    """Takes clips from their files to their outcomes; each clip is one coroutine that leaves the others alone."""

    def __init__(self, context: PipelineContext, reporter: ClipReporter, run: RunScope) -> None:
        self._context = context
        self._run = run
        self._reporter = reporter
        self._planner = ClipPlanner.of_run(context)
        self._takes = TakeMaker(context, run)
        self._gates = GateKeeper(context, run, self._planner, self._takes)
        self._delivery = Delivery(context)
        self._plans: dict[str, Plan] = {}

    async def process_clip(self, row: ClipRow) -> ClipOutcome:
        """Return what became of one clip. An error of the project is an outcome of this clip, never of another."""
        try:
            return await self._process(row)
        except I2VError as error:
            log.warning("Clip %s: %s", row.clip, error.message)
            return _stopped_by(row, error)
        except Exception as error:
            log.exception("Clip %s: unforeseen error", row.clip)
            return await self._stopped_by_bug(row, error)
        finally:
            self._note_planned(row.clip)  # no other clip waits for one that has ended

    async def _stopped_by_bug(self, row: ClipRow, error: Exception) -> ClipOutcome:
        """Return the outcome of an unexpected error: before money the clip ends; after a submit it holds.

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
        candidate, files = await self._planner.read(row)
        reporting = self._reporter.files(row.clip, candidate, files)
        if not self._run.plan:
            await reporting
            return ClipPlanned(row)
        reported, planned = await asyncio.gather(
            reporting, self._planner.takes(row, candidate, files), return_exceptions=True
        )
        if isinstance(planned, BaseException):
            raise planned
        self._note_planned(row.clip, planned)  # also if its files could not be reported: others wait for its price
        if isinstance(reported, BaseException):
            raise reported
        if planned.stopped is not None:
            return _not_planned(row, planned.stopped)
        self._plans[row.clip] = planned.plans[0]
        if not self._run.make:
            await self._reporter.planned(planned)
            return ClipPlanned(row, planned)
        return await self._held(planned) or await self._make(planned)

    async def _held(self, planned: Planned) -> ClipWaiting | None:
        """Report the plan and ask the gates. A run by hand agrees to what they ask, so it shows the plan before."""
        reporting = self._reporter.planned(planned)
        if self._run.by_hand:
            await reporting
            return await self._gates.held_clip(planned)
        reported, held = await asyncio.gather(reporting, self._gates.held_clip(planned), return_exceptions=True)
        if isinstance(reported, BaseException):
            raise reported
        if isinstance(held, BaseException):
            raise held
        return held

    def _note_planned(self, clip: str, planned: Planned | None = None) -> None:
        """Tell the clips that wait until all of their heap or film are planned; only the first note of a clip counts."""
        if (heaps := self._context.heaps) is not None:
            heaps.planned(clip, expected_price(planned.plans) if planned is not None and planned.plans else None)
        if (films := self._context.films) is not None:
            films.planned(clip, refused=planned is not None and isinstance(planned.stopped, Refusal))

    async def _make(self, planned: Planned) -> ClipOutcome:
        async with self._takes.making(planned) as generated:
            stopped = _not_made(planned, generated)
            if stopped is not None:
                return stopped
            if planned.rerolls:
                rerolls = Rerolls(self._context, self._run, self._gates, self._takes, self._delivery)
                if (waits := await rerolls.add(planned, generated)) is not None:
                    return waits
            if await self._is_outdated(planned.row):
                return ClipWaiting(planned.row, WaitReason.REPLACED, Problem("A newer version of it was delivered."))
            return await self._delivery.deliver(planned, generated.takes)

    async def _is_outdated(self, row: ClipRow) -> bool:
        """Return whether a newer version of the upload was delivered while this one was made."""
        now = await asyncio.to_thread(self._context.registry.get, row.clip)
        return now is not None and now.version != row.version and now.delivered_version == now.version


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
    alone = HOLDS_NO_OTHER if row.stopped_by is None else {*HOLDS_NO_OTHER, WaitReason.STOPPED}
    held.sort(key=lambda each: each[1].kind in alone)
    if held and not (generated.takes and held[0][1].kind in alone):
        return ClipWaiting.for_take(planned, *held[0])
    failures = [found for found in generated.outcomes if isinstance(found, Failed | Cancelled)]
    if generated.takes or not failures:
        return None
    first, reason = failures[0], _after_failure(failures)
    problem = Problem(first.reason, remedy=first.remedy)
    if isinstance(first, Cancelled):
        return ClipFailed(row, reason, problem, plans[0], ErrorCode.GENERATION_FAILED, request_id=first.request_id)
    return ClipFailed(row, reason, problem, plans[0], first.code, first.http_status, first.request_id)


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
