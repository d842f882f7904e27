"""Says what became of a clip, in all places at once: the event log, the bucket, the registry."""

import asyncio
from collections.abc import Sequence

from i2v_assets.clip_folder import notes
from i2v_assets.clip_folder.notes import Problem
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.pipeline.context import PipelineContext, Result
from i2v_assets.pipeline.metadata import Events, Markdown, Metadata, files_metadata, plan_metadata
from i2v_assets.pipeline.plan import Planned
from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.planning.plan import Plan, total_price
from i2v_assets.uploads.types import Candidate
from resources.generation.types import Cancelled, Failed, Held, HeldKind
from resources.ledger.records import State
from resources.outside_text import escape_markdown
from resources.registry.registry import ClipRow, ClipState
from resources.schemas.inputs import MediumKind
from resources.storage import keys

SOURCE_ASSETS = {
    MediumKind.IMAGE: "source_images",
    MediumKind.AUDIO: "source_audio",
    MediumKind.VIDEO: "source_videos",
}
SENT = {HeldKind.UNKNOWN, HeldKind.DEADLINE, HeldKind.DOWNLOAD}
"""What a clip may wait for after money may have moved."""


def is_retryable(outcome: Failed | Cancelled) -> bool:
    """Whether the retry schedule can bring this take another attempt."""
    return isinstance(outcome, Failed) and not outcome.final and outcome.attempts_left


class ClipReporter:
    """Every way in which a clip's way can end, but for a delivered video."""

    def __init__(self, context: PipelineContext, events: Events) -> None:
        self._context = context
        self._events = events
        self._bucket = BucketAnswers(context.bucket)

    async def files(self, clip: str, candidate: Candidate, files: Sequence[ReadFile]) -> None:
        """The three sets of media, each of which may be empty."""
        for kind, asset in SOURCE_ASSETS.items():
            of_kind = [found for found in files if found.medium and found.medium.kind is kind]
            version = "+".join(found.medium.sha256[:16] for found in of_kind if found.medium) or "none"
            self._events.materialized(asset, clip, files_metadata(of_kind), version)
        content = {
            "clip": clip,
            "source": candidate.source,
            "files": [
                {
                    "name": found.name,
                    "key": found.key,
                    "kind": found.medium.kind.value if found.medium else None,
                    "sha256": found.medium.sha256 if found.medium else None,
                    "facts": found.facts.model_dump() if found.facts else None,
                    "problem": found.problem or None,
                }
                for found in files
            ],
        }
        await asyncio.to_thread(self._bucket.document, clip, keys.MEDIA, content)

    async def planned(self, planned: Planned) -> None:
        """What will be made, before any money."""
        row, plans = planned.row, planned.plans
        clip, first, price_hash = row.clip, plans[0], planned.hash or ""
        most = total_price([*plans, *planned.rerolls])
        metadata = plan_metadata(first, price_hash, self._context.sandbox, most if planned.rerolls else None)
        self._events.materialized("clip_plan", clip, metadata, first.fingerprint[:16])
        if row.answered_version is not None:  # it may take back a refusal; otherwise the plan says it all (8 ms of CPU)
            self._events.checked("clip_plan", "accepted", clip, passed=True, metadata={"takes": len(plans)})
        takes, rerolls = ([plan.model_dump(mode="json") for plan in each] for each in (plans, planned.rerolls))
        content: dict[str, object] = {"decision": "planned", "plan_hash": price_hash, "takes": takes}
        if rerolls:  # what a low score may add to them
            content |= {"rerolls": rerolls, "most_microdollars": most}
        await asyncio.to_thread(self._bucket.document, clip, keys.PLAN, content)

    async def refused(self, row: ClipRow, problems: Sequence[Problem]) -> Result:
        """Nothing was sent: the upload or its brief has to be mended."""
        words = " ".join(problem.what for problem in problems)
        remedy = " ".join(dict.fromkeys(problem.remedy for problem in problems if problem.remedy))
        table = Markdown("\n".join(f"* {escape_markdown(f'{p.what} {p.limit} {p.remedy}')}" for p in problems))
        decision: Metadata = {"decision": "refused", "problems": table}
        # A check's page shows plain text in its place, and Markdown behind a click.
        said: Metadata = {"problems": " ".join(f"{p.what} {p.limit}".strip() for p in problems), "what to do": remedy}
        self._events.materialized("clip_plan", row.clip, decision, f"refused-{row.version[:16]}")
        self._events.checked("clip_plan", "accepted", row.clip, passed=False, metadata=said)
        content = {"decision": "refused", "problems": [vars(problem) for problem in problems]}
        await asyncio.to_thread(self._bucket.document, row.clip, keys.PLAN, content)
        answer = notes.refused(row.clip, problems, service=self._context.settings.service)
        await asyncio.to_thread(self._bucket.note, row.clip, answer)
        await self.recorded(row, ClipState.REFUSED, reason=words)
        return Result(row.clip, ClipState.REFUSED, words, remedy)

    async def waits(
        self,
        row: ClipRow,
        kind: str,
        problem: Problem,
        *,
        plan: Plan | None = None,
        price: int | None = None,
        most: int | None = None,
        outcome: Held | None = None,
    ) -> Result:
        """Nothing is wrong, but something has to happen first; ``most`` is the price with every reroll."""
        if plan is None:
            decision: Metadata = {
                "decision": "waiting",
                "waiting_for": kind,
                "reason": problem.what,
                "remedy": problem.remedy,
            }
            self._events.materialized("clip_plan", row.clip, decision, f"waiting-{row.version[:16]}")
        self._events.checked(
            "clip_video",
            "answered",
            row.clip,
            passed=False,
            metadata={"waiting_for": kind, "reason": problem.what, "what to do": problem.remedy},
            warn=kind != HeldKind.UNKNOWN.value,
        )
        answer = notes.waiting(
            row.clip,
            problem,
            price_microdollars=price,
            most_microdollars=most,
            sent=outcome is not None and outcome.kind in SENT,
            request_id=outcome.request_id if outcome else None,
            service=self._context.settings.service,
        )
        await asyncio.to_thread(self._bucket.note, row.clip, answer)
        await self.recorded(row, ClipState.WAITING, reason=problem.what, waiting_for=kind, plan=plan)
        return Result(row.clip, ClipState.WAITING, problem.what, problem.remedy)

    async def failed(
        self, row: ClipRow, problem: Problem, outcomes: Sequence[Failed | Cancelled] = (), plan: Plan | None = None
    ) -> Result:
        """Its requests brought no video, one for each take; or the clip could not be looked at."""
        metadata: Metadata = {"failed": problem.what, "what to do": problem.remedy}
        self._events.checked("clip_video", "answered", row.clip, passed=False, metadata=metadata)
        never = bool(outcomes) and not any(map(is_retryable, outcomes))
        left = 0 if never else max(0, self._context.settings.retries_per_clip - row.retries)
        paid = await asyncio.to_thread(self._context.ledger.get, plan.fingerprint) if plan is not None else None
        answer = notes.failed(
            row.clip,
            problem,
            cost_microdollars=0 if paid is None or paid.submitted_at is None else paid.cost_microdollars,
            retries_left=left,
            final=bool(outcomes) and all(isinstance(each, Failed) and each.final for each in outcomes),
            sent=paid is not None and paid.state is not State.PLANNED,
            request_id=outcomes[0].request_id if outcomes else None,
            service=self._context.settings.service,
        )
        await asyncio.to_thread(self._bucket.note, row.clip, answer)
        waiting_for = "never" if never else "retry"
        await self.recorded(row, ClipState.FAILED, reason=problem.what, waiting_for=waiting_for, plan=plan)
        return Result(row.clip, ClipState.FAILED, problem.what, problem.remedy)

    async def recorded(
        self,
        row: ClipRow,
        state: ClipState,
        *,
        reason: str | None = None,
        waiting_for: str | None = None,
        plan: Plan | None = None,
    ) -> None:
        """The registry's own line; ``plan`` is that of the first take."""
        await asyncio.to_thread(
            self._context.registry.record_result,
            row.clip,
            version=row.version,
            state=state,
            reason=reason,
            waiting_for=waiting_for,
            fingerprint=plan.fingerprint if plan else None,
            price_microdollars=plan.price_microdollars if plan else None,
        )
