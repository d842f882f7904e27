"""Report what became of a clip, everywhere and in one place: the event log, the bucket and the registry."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from i2v_assets.clip_folder import notes
from i2v_assets.clip_folder.notes import Answer, answer_of
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.pipeline.clip_state import answer_metadata, state_report
from i2v_assets.pipeline.context import PipelineContext, Result
from i2v_assets.pipeline.film_budget import remember_requests_to_come, unsent
from i2v_assets.pipeline.metadata import (
    Events,
    Markdown,
    Metadata,
    at_once,
    files_metadata,
    plan_metadata,
)
from i2v_assets.pipeline.outcome import (
    ClipDelivered,
    ClipFailed,
    ClipOutcome,
    ClipPlanned,
    ClipRefused,
    ClipWaiting,
    as_stopped,
)
from i2v_assets.pipeline.plan import Planned
from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.pipeline.report_video import delivered_checks, new_video, unchanged_video
from i2v_assets.planning.plan import Plan, expected_price, total_price
from i2v_assets.uploads.types import Candidate
from resources.errors import I2VError
from resources.ledger.records import Money
from resources.logs import log_context
from resources.messages import escape_markdown
from resources.registry.registry import ClipRow, ClipState
from resources.schemas.inputs import Medium, MediumKind
from resources.storage import keys
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

_ASKED_OF_THE_REQUEST = {WaitReason.UNKNOWN, WaitReason.PRICE_AGREEMENT}
"""Waits whose end the dispatch sensor asks the ledger by the fingerprint of the request that is held, not of the whole take."""

SOURCE_ASSETS = {
    MediumKind.IMAGE: "source_images",
    MediumKind.AUDIO: "source_audio",
    MediumKind.VIDEO: "source_videos",
}


class ClipReporter:
    """Writes what is known of a clip on its way, and its outcome."""

    def __init__(self, context: PipelineContext, events: Events, run_id: str | None = None) -> None:
        self._context = context
        self._events = events
        self._run_id = run_id
        self._bucket = BucketAnswers(context.bucket)
        self._pictures: dict[str, str] = {}

    async def files(self, clip: str, candidate: Candidate, files: Sequence[ReadFile]) -> None:
        """Record the three sets of media, each of which may be empty."""
        picture = next((found.thumbnail for found in files if found.thumbnail), None)
        if picture is not None:
            self._pictures[clip] = picture
        with at_once(self._events):
            for kind, asset in SOURCE_ASSETS.items():
                of_kind = [found for found in files if found.medium and found.medium.kind is kind]
                version = "+".join(found.medium.sha256[:16] for found in of_kind if found.medium) or "none"
                self._events.materialized(asset, clip, files_metadata(of_kind), version)
        await self._media(clip, candidate, files, {})

    async def _media(
        self, clip: str, candidate: Candidate, files: Sequence[ReadFile], sent: Mapping[str, Medium]
    ) -> None:
        """Write media.json; ``sent`` are the prepared media by their original's hash."""
        content = {"clip": clip, "source": candidate.source, "files": [_file(found, sent) for found in files]}
        await asyncio.to_thread(self._bucket.document, clip, keys.MEDIA, content)

    async def planned(self, planned: Planned) -> None:
        """Record what will be made, before any money."""
        row, plans = planned.row, planned.plans
        clip, first, price_hash = row.clip, plans[0], planned.hash or ""
        prepared = {medium.uploaded_sha256: medium for medium in first.inputs.media if medium.preparation}
        if prepared:
            await self._media(clip, planned.candidate, planned.files, prepared)
        most = total_price([*plans, *planned.rerolls])
        metadata = plan_metadata(first, price_hash, self._context.settings.is_sandbox, most)
        with at_once(self._events):
            self._events.materialized("clip_plan", clip, metadata, first.fingerprint[:16])
            self._events.checked("clip_plan", "accepted", clip, passed=True, metadata={"takes": str(len(plans))})
        takes, rerolls = ([plan.model_dump(mode="json") for plan in each] for each in (plans, planned.rerolls))
        content: dict[str, object] = {"decision": "planned", "plan_hash": price_hash, "takes": takes}
        if rerolls:  # what a low score may add to them
            content |= {"rerolls": rerolls, "most_microdollars": most}
        await asyncio.to_thread(self._bucket.document, clip, keys.PLAN, content)

    async def report(self, outcome: ClipOutcome) -> Result:
        """Write an outcome to the event log, the bucket and the registry; return the clip's line in the run's table.

        Raises:
            StorageError: the bucket does not answer; LedgerError: the ledger does not.
        """
        row = outcome.row
        picture = self._pictures.pop(row.clip, None)  # a run of 200 clips keeps none that is not needed
        if not isinstance(outcome, ClipDelivered | ClipPlanned):
            now = await asyncio.to_thread(self._context.registry.get, row.clip)
            if not self._is_ours(row, now):
                return self._taken_away(row, now)
            outcome = as_stopped(outcome, now)
        match outcome:
            case ClipPlanned():
                return Result(row.clip, row.state)
            case ClipDelivered():
                await self._delivered(outcome)
                if not await self._record(row, ClipState.DELIVERED, plan=outcome.plan):
                    return await self._restore(row)
                return Result(row.clip, ClipState.DELIVERED)
            case ClipRefused():
                return await self._refused(outcome, picture)
            case ClipWaiting():
                return await self._waiting(outcome, picture)
            case ClipFailed():
                return await self._failed(outcome)

    # Without a video

    async def _refused(self, outcome: ClipRefused, picture: str | None) -> Result:
        row, problems = outcome.row, outcome.problems
        reason = " ".join(problem.what for problem in problems)
        remedy = " ".join(dict.fromkeys(problem.remedy for problem in problems if problem.remedy))
        money = await self._money(row)
        answer = notes.refused(row.clip, problems, money, service=self._context.settings.service)
        table = Markdown("\n".join(f"* {escape_markdown(f'{p.what} {p.limit} {p.remedy}')}" for p in problems))
        decision: Metadata = {"decision": "refused", "problems": table}
        # A check's page shows plain text in its place, and Markdown behind a click.
        plain = " ".join(f"{p.what} {p.limit}".strip() for p in problems)
        state = state_report(row, answer, money, self._context.settings)
        self._events.observed("clip_plan", row.clip, {**decision, "what to do": remedy}, state.change)
        self._events.observed("clip_video", row.clip, state.metadata, state.change)
        self._events.checked(
            "clip_plan", "accepted", row.clip, passed=False, metadata={"problems": plain, "what to do": remedy}
        )
        document = {"decision": "refused", "problems": [vars(problem) for problem in problems]}
        await asyncio.to_thread(self._bucket.document, row.clip, keys.PLAN, document)
        return await self._answer(row, ClipState.REFUSED, answer, reason, remedy, picture=picture)

    async def _waiting(self, outcome: ClipWaiting, picture: str | None) -> Result:
        row, problem, plan = outcome.row, outcome.problem, outcome.plan
        money = await self._money(row, plan)
        expected, price, most = self._prices(outcome, money)
        advice = [each.words for each in plan.advice] if plan is not None and outcome.reason.is_decision else []
        answer = notes.waiting(
            row.clip,
            problem,
            money,
            reason=outcome.reason,
            expected_microdollars=expected,
            price_microdollars=price,
            most_microdollars=most,
            advice=advice,
            service=self._context.settings.service,
        )
        shown = state_report(
            row,
            answer,
            money,
            self._context.settings,
            reason=outcome.reason,
            price_microdollars=expected,
            most_microdollars=most,
            outcome=outcome,
        )
        if plan is None:
            self._events.observed("clip_plan", row.clip, {"decision": "waiting", **shown.metadata}, shown.change)
        self._events.observed(
            "clip_video", row.clip, {**shown.metadata, "advice": " ".join(advice) or None}, shown.change
        )
        metadata = answer_metadata(answer, {"waiting_for": outcome.reason.value, "reason": problem.what}, outcome)
        warn = not outcome.reason.is_error
        self._events.checked("clip_video", "answered", row.clip, passed=False, metadata=metadata, warn=warn)
        return await self._answer(
            row,
            ClipState.WAITING,
            answer,
            problem.what,
            problem.remedy,
            waiting_for=outcome.reason,
            plan=plan,
            fingerprint=outcome.held if outcome.reason in _ASKED_OF_THE_REQUEST else None,
            price_microdollars=await self._price_to_come(plan) if outcome.reason is WaitReason.BUDGET else None,
            picture=picture if outcome.reason.is_decision else None,
        )

    async def _price_to_come(self, plan: Plan | None) -> int | None:
        """Return what a take still needs of the budget, and remember its requests: pieces that are paid for need nothing."""
        if plan is None or not plan.pieces or plan.at_most_microdollars is None:
            return None
        pieces = await asyncio.to_thread(unsent, self._context.ledger, plan)
        memory = self._context.registry.memory
        await asyncio.to_thread(remember_requests_to_come, memory, plan.clip, plan.fingerprint, len(pieces))
        return sum(piece.at_most_microdollars or 0 for piece in pieces)

    @staticmethod
    def _prices(outcome: ClipWaiting, money: Money) -> tuple[int, int, int]:
        """Return what the takes that are not sent yet are expected to cost, and at most without and with the rerolls."""
        if outcome.reason is WaitReason.PRICE_CHANGED:  # the plan's price is the very thing that does not hold
            return 0, 0, 0
        asked, rerolls = (
            [each for plan in plans for each in plan.requests] for plans in (outcome.plans, outcome.rerolls)
        )
        unsent = [each for each in asked if each.fingerprint not in money.fingerprints]
        return expected_price(unsent), total_price(unsent), total_price([*unsent, *rerolls])

    async def _failed(self, outcome: ClipFailed) -> Result:
        row, problem, plan = outcome.row, outcome.problem, outcome.plan
        settings, money = self._context.settings, await self._money(row, plan)
        answer = notes.failed(
            row.clip,
            problem,
            money,
            reason=outcome.reason,
            retries_left=max(0, settings.retries_per_clip - row.retries),
            service=settings.service,
        )
        shown = state_report(row, answer, money, settings, reason=outcome.reason, outcome=outcome)
        self._events.observed("clip_video", row.clip, shown.metadata, shown.change)
        metadata = answer_metadata(answer, {"failed": problem.what}, outcome)
        self._events.checked("clip_video", "answered", row.clip, passed=False, metadata=metadata)
        state, remedy = ClipState.FAILED, problem.remedy
        return await self._answer(row, state, answer, problem.what, remedy, waiting_for=outcome.reason, plan=plan)

    async def _money(self, row: ClipRow, plan: Plan | None = None) -> Money:
        planned = [each.fingerprint for each in plan.requests] if plan is not None else []
        return await asyncio.to_thread(self._context.ledger.money_of, row, *planned)

    async def _answer(
        self,
        row: ClipRow,
        state: ClipState,
        answer: Answer,
        reason: str,
        remedy: str,
        *,
        waiting_for: WaitReason | None = None,
        plan: Plan | None = None,
        fingerprint: str | None = None,
        price_microdollars: int | None = None,
        picture: str | None = None,
    ) -> Result:
        """Write the note and the registry's row; the fingerprint and the price are the plan's unless others are given."""
        shown = base64.b64decode(picture) if picture is not None else None
        await asyncio.to_thread(self._bucket.note, row.clip, answer, shown)
        recorded = await self._record(
            row,
            state,
            reason=reason,
            remedy=remedy,
            waiting_for=waiting_for,
            plan=plan,
            fingerprint=fingerprint,
            price_microdollars=price_microdollars,
        )
        if not recorded:
            return await self._restore(row)
        return Result(row.clip, state, reason, remedy)

    def _is_ours(self, row: ClipRow, now: ClipRow | None) -> bool:
        """Return whether the clip is still with this run, in the version that the run made."""
        return (
            now is not None
            and now.version == row.version
            and now.content == row.content
            and now.state is ClipState.WORKING
            and self._run_id in (None, now.run_id)
        )

    @staticmethod
    def _taken_away(row: ClipRow, now: ClipRow | None) -> Result:
        """Return the line of a clip that was changed, stopped or taken over meanwhile: its answer is not this run's."""
        log.info("Clip %s is %s by now; this run's outcome is left out.", row.clip, now.state if now else "gone")
        return Result(row.clip, now.state if now is not None else ClipState.WITHDRAWN)

    async def _restore(self, row: ClipRow) -> Result:
        """Put back the note that belongs to what the clip is now: it was taken away while this run wrote its own."""
        now = await asyncio.to_thread(self._context.registry.get, row.clip)
        settings = self._context.settings
        money = await self._money(now or row)
        retries = settings.retries_per_clip
        answer = answer_of(now, money, service=settings.service, retries_per_clip=retries) if now is not None else None
        if answer is None:
            await asyncio.to_thread(self._bucket.withdrawn, [row.clip])
        else:
            await asyncio.to_thread(self._bucket.note, row.clip, answer)
        return self._taken_away(row, now)

    async def _record(
        self,
        row: ClipRow,
        state: ClipState,
        *,
        reason: str | None = None,
        remedy: str | None = None,
        waiting_for: WaitReason | None = None,
        plan: Plan | None = None,
        fingerprint: str | None = None,
        price_microdollars: int | None = None,
    ) -> bool:
        """Write the registry's row; ``plan`` is the take that the answer is about. Return False if it is not ours now."""
        return await asyncio.to_thread(
            self._context.registry.record_result,
            row.clip,
            version=row.version,
            state=state,
            reason=reason,
            remedy=remedy,
            waiting_for=waiting_for,
            fingerprint=fingerprint or (plan.fingerprint if plan else None),
            price_microdollars=price_microdollars or (plan.at_most_microdollars if plan else None),
            run_id=self._run_id,
        )

    # With a video

    async def _delivered(self, outcome: ClipDelivered) -> None:
        clip, chosen = outcome.row.clip, outcome.chosen
        version = chosen.outcome.sha256[:16]
        if outcome.finished is not None:
            metadata, preview = new_video(self._context, clip, chosen, outcome.finished, outcome.provenance)
        else:
            metadata, preview = await unchanged_video(self._context, outcome)
        checks = delivered_checks(outcome)
        with at_once(self._events):
            self._events.materialized("clip_video", clip, metadata, version)
            for each in checks:
                self._events.checked(
                    "clip_video", each.name, clip, passed=each.passed, metadata=each.metadata, warn=each.warn
                )
            if preview:
                self._events.materialized("clip_preview", clip, preview, version)


def _file(found: ReadFile, sent: Mapping[str, Medium]) -> dict[str, object]:
    """Return one file of media.json."""
    medium = found.medium
    plain: dict[str, object] = {
        "name": found.name,
        "key": found.key,
        "kind": medium.kind.value if medium else None,
        "sha256": medium.sha256 if medium else None,
        "facts": found.facts.model_dump() if found.facts else None,
        "problem": found.problem or None,
    }
    prepared = sent.get(medium.sha256) if medium else None
    if prepared is not None:
        plain["prepared"] = {
            "key": prepared.key,
            "sha256": prepared.sha256,
            "size_bytes": prepared.size_bytes,
            "content_type": prepared.content_type,
            "preparation": prepared.preparation,
        }
    return plain


async def make_clip(
    process: Callable[[ClipRow], Awaitable[ClipOutcome]],
    reporter: ClipReporter,
    row: ClipRow,
    resumed: Callable[[ClipRow], Awaitable[ClipRow | None]] | None = None,
) -> Result:
    """Process one clip, report its outcome, and return its line in the run's table.

    A clip that a pause holds says so, and goes on in this run when ``resumed`` returns it.

    If the outcome cannot be written (the bucket or the ledger is gone), the clip keeps its state: the dispatch sensor finds
    it without an answer, and starts it again.
    """
    with log_context(clip=row.clip):
        outcome = await process(row)
        try:
            result = await reporter.report(outcome)
            paused = isinstance(outcome, ClipWaiting) and outcome.reason is WaitReason.PAUSED
            if not paused or resumed is None or (again := await resumed(row)) is None:
                return result
            return await make_clip(process, reporter, again, resumed)
        except I2VError as error:
            log.warning("Clip %s: its outcome could not be written: %s", row.clip, error.message)
            return Result(row.clip, ClipState.FAILED, error.message, error.remedy)
