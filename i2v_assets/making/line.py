"""The way of one clip: files -> plan -> gates -> takes -> answer. Free of Dagster; reports to `Events`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from i2v_assets import answers
from i2v_assets.answers import Problem
from i2v_assets.found import FoundMedium
from i2v_assets.making import told
from i2v_assets.making.bucket_answers import BucketAnswers
from i2v_assets.making.finishing import Finished, Take, finish, manifest_of
from i2v_assets.making.gates import Gate, gate
from i2v_assets.making.media import MediaReader, ReadFile
from i2v_assets.making.offers import Offers
from i2v_assets.making.reports import Events, Markdown, Metadata
from i2v_assets.manifest import ManifestMedium
from i2v_assets.planning import Plan, PlanOptions, Refusal, Waiting, make_plan, plan_hash
from i2v_assets.upload_types import Candidate
from i2v_assets.windows import parse_window
from resources.errors import I2VError
from resources.generation.model import Cancelled, Delivered, Failed, Held, HeldKind, Order, Outcome
from resources.ledger import Ledger, LedgerError, RequestRow, State
from resources.ledger.registry import ClipRow, ClipState, Registry
from resources.schemas.inputs import MediumKind
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket

log = logging.getLogger(__name__)

READS = 8
"""Files fetched and measured at once: the decoders are bound by two to eight cores, not by the network."""

KINDS = {
    MediumKind.IMAGE: "source_images",
    MediumKind.AUDIO: "source_audio",
    MediumKind.VIDEO: "source_videos",
}
IN_FLIGHT = {State.SUBMITTED.value, State.SUCCEEDED.value, State.SUBMITTING.value, State.UNKNOWN.value}
"""States in which money may have moved: no gate holds what is paid for."""


@dataclass(frozen=True)
class Result:
    """What became of one clip, for the run's table."""

    clip: str
    state: ClipState
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Run:
    """What this run was asked for.

    Attributes:
        run_id: Dagster's.
        by_hand: a person started it, which approves its clips; a sensor's runs are not.
        plan: plan the clips.
        make: make the videos (the only part that costs money).
        due: the clips that a sensor wants; the others of its range are left alone. None: all.
    """

    run_id: str
    by_hand: bool
    plan: bool = True
    make: bool = True
    due: frozenset[str] | None = None


@dataclass(frozen=True)
class Tools:
    """The world outside, as the way of a clip needs it."""

    settings: Settings
    bucket: Bucket
    ledger: Ledger
    registry: Registry
    offers: Offers
    options: PlanOptions
    generate: Callable[[Order], Awaitable[Outcome]]
    scratch: Path


class Line:
    """Takes clips from their files to their answers; each clip is one coroutine that leaves the others alone."""

    def __init__(self, tools: Tools, events: Events, run: Run) -> None:
        self._tools = tools
        self._events = events
        self._run = run
        self._reader = MediaReader(tools.bucket, tools.registry, tools.scratch)
        self._answers = BucketAnswers(tools.bucket)
        self._reads = asyncio.Semaphore(READS)
        self._finishing = asyncio.Semaphore(2)  # previews and measures are bound by the cores
        self._window = parse_window(tools.settings.generate_only, tools.settings.zone)

    async def make(self, row: ClipRow) -> Result:
        """One clip to its answer. Whatever goes wrong with it becomes its answer, never another clip's."""
        try:
            result = await self._make(row)
        except I2VError as error:
            log.warning("Clip %s: %s", row.clip, error.message)
            result = Result(row.clip, ClipState.FAILED, error.message, error.remedy)
            await self._say_failed(row, Problem(error.message, remedy=error.remedy), None)
        return result

    async def _make(self, row: ClipRow) -> Result:
        candidate = Candidate.from_content(row.content)
        files = await self._read(candidate)
        await self._report_files(row.clip, candidate, files)
        if not self._run.plan:
            return Result(row.clip, ClipState.WORKING)
        decided = await self._plan(row, candidate, files, take=1)
        if isinstance(decided, Refusal):
            return await self._refuse(
                row, [Problem(f"{p.file}: {p.what}" if p.file else p.what, p.limit, p.remedy) for p in decided.problems]
            )
        if isinstance(decided, Waiting):
            return await self._wait(row, decided.kind, decided.words, decided.remedy)
        plans = [decided, *await self._further_takes(row, candidate, files)]
        price_hash = plan_hash(plans)
        await self._report_plan(row.clip, plans, price_hash)
        if not self._run.make:
            return Result(row.clip, ClipState.WORKING)
        held = await self._gate(row, plans, price_hash, candidate)
        if held is not None:
            return held
        return await self._takes(row, files, plans)

    # Files

    async def _read(self, candidate: Candidate) -> list[ReadFile]:
        async def one(key: str, etag: str, name: str) -> ReadFile:
            async with self._reads:
                return await asyncio.to_thread(self._reader.read, key, etag, name)

        return list(await asyncio.gather(*(one(file.key, file.etag, file.name) for file in candidate.files)))

    async def _report_files(self, clip: str, candidate: Candidate, files: Sequence[ReadFile]) -> None:
        for kind, asset in KINDS.items():
            of_kind = [found for found in files if found.medium and found.medium.kind is kind]
            version = "+".join(found.medium.sha256[:16] for found in of_kind if found.medium) or "none"
            self._events.materialized(asset, clip, told.files_metadata(of_kind), version)
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
        await asyncio.to_thread(self._answers.document, clip, keys.MEDIA, content)

    # Plan

    async def _plan(
        self, row: ClipRow, candidate: Candidate, files: Sequence[ReadFile], take: int
    ) -> Plan | Refusal | Waiting:
        unreadable = [found for found in files if found.medium is None]
        if unreadable:
            return Refusal.of(row.clip, [(found.problem, found.remedy) for found in unreadable])
        faces = next((file.faces for file in files if file.faces), None)
        found = [FoundMedium(file.medium, file.name, file.facts) for file in files if file.medium and file.facts]
        return make_plan(
            row.clip,
            candidate.brief,
            found,
            await self._tools.offers.now(),
            self._tools.options,
            take=take,
            face=faces.portrait if faces else None,
            face_share=faces.share if faces else None,
            name=candidate.source,
        )

    async def _further_takes(self, row: ClipRow, candidate: Candidate, files: Sequence[ReadFile]) -> list[Plan]:
        count = (candidate.brief.takes or 1) + row.extra_takes
        plans = [await self._plan(row, candidate, files, take) for take in range(2, count + 1)]
        return [plan for plan in plans if isinstance(plan, Plan)]

    async def _report_plan(self, clip: str, plans: Sequence[Plan], price_hash: str) -> None:
        first = plans[0]
        sandbox = self._tools.settings.service == "sandbox"
        self._events.materialized(
            "clip_plan", clip, told.plan_metadata(first, price_hash, sandbox), first.fingerprint[:16]
        )
        self._events.checked("clip_plan", "accepted", clip, passed=True, metadata={"takes": len(plans)})
        content = {
            "decision": "planned",
            "plan_hash": price_hash,
            "takes": [plan.model_dump(mode="json") for plan in plans],
        }
        await asyncio.to_thread(self._answers.document, clip, keys.PLAN, content)

    async def _refuse(self, row: ClipRow, problems: Sequence[Problem]) -> Result:
        words = " ".join(problem.what for problem in problems)
        remedy = " ".join(dict.fromkeys(problem.remedy for problem in problems if problem.remedy))
        table = "\n".join(
            f"* **{told._plain(p.what)}** {told._plain(p.limit)} {told._plain(p.remedy)}" for p in problems
        )
        decision: Metadata = {"decision": "refused", "problems": Markdown(table)}
        self._events.materialized("clip_plan", row.clip, decision, f"refused-{row.version[:16]}")
        self._events.checked("clip_plan", "accepted", row.clip, passed=False, metadata={"problems": Markdown(table)})
        content = {"decision": "refused", "problems": [vars(problem) for problem in problems]}
        await asyncio.to_thread(self._answers.document, row.clip, keys.PLAN, content)
        answer = answers.refused(row.clip, problems, service=self._tools.settings.service)
        await asyncio.to_thread(self._answers.note, row.clip, answer)
        await self._answer(row, ClipState.REFUSED, reason=words)
        return Result(row.clip, ClipState.REFUSED, words, remedy)

    # Gates

    async def _gate(self, row: ClipRow, plans: Sequence[Plan], price_hash: str, candidate: Candidate) -> Result | None:
        window, settings = self._window, self._tools.settings
        for plan in plans:
            known = await asyncio.to_thread(self._tools.ledger.get, plan.fingerprint)
            unchanged = row.answered_version == row.version and row.delivered_at is not None
            hold = gate(
                Gate(
                    clip=row.clip,
                    plan_hash=price_hash,
                    submitted=known is not None and known.state.value in IN_FLIGHT,
                    approved=await asyncio.to_thread(
                        self._tools.ledger.is_approved, plan.fingerprint, plan.price_microdollars
                    ),
                    by_hand=self._run.by_hand,
                    needs_approval=settings.require_approval or bool(candidate.brief.needs_approval),
                    delivered_as=row.fingerprint if unchanged and plan.take == 1 else None,
                    fingerprint=plan.fingerprint,
                    asked_for=plan.take > (candidate.brief.takes or 1),
                    window=window,
                ),
                datetime.now(UTC),
            )
            if hold is not None:
                price = sum(each.price_microdollars or 0 for each in plans)
                return await self._wait(row, hold.waiting_for, hold.reason, hold.remedy, plan=plans[0], price=price)
        return None

    async def _wait(
        self,
        row: ClipRow,
        kind: str,
        reason: str,
        remedy: str,
        *,
        plan: Plan | None = None,
        price: int | None = None,
        outcome: Held | None = None,
    ) -> Result:
        sent = outcome is not None and outcome.kind in {HeldKind.UNKNOWN, HeldKind.DEADLINE, HeldKind.DOWNLOAD}
        if plan is None:
            decision: Metadata = {"decision": "waiting", "waiting_for": kind, "reason": reason, "remedy": remedy}
            self._events.materialized("clip_plan", row.clip, decision, f"waiting-{row.version[:16]}")
        self._events.checked(
            "clip_video",
            "answered",
            row.clip,
            passed=False,
            metadata={"waiting_for": kind, "reason": reason, "what to do": remedy},
            warn=kind != HeldKind.UNKNOWN.value,
        )
        answer = answers.waiting(
            row.clip,
            Problem(reason, remedy=remedy),
            price_microdollars=price,
            sent=sent,
            request_id=outcome.request_id if outcome else None,
            service=self._tools.settings.service,
        )
        await asyncio.to_thread(self._answers.note, row.clip, answer)
        await self._answer(row, ClipState.WAITING, reason=reason, waiting_for=kind, plan=plan)
        return Result(row.clip, ClipState.WAITING, reason, remedy)

    # Takes

    async def _takes(self, row: ClipRow, files: Sequence[ReadFile], plans: Sequence[Plan]) -> Result:
        orders = [
            Order(plan.clip, plan.take, plan.fingerprint, plan.inputs, plan.route, retry_by=self._retry_by(row))
            for plan in plans
        ]
        outcomes = await asyncio.gather(*(self._tools.generate(order) for order in orders))
        try:
            takes = [
                Take(plan, outcome, await asyncio.to_thread(self._row_of, plan), outcome.local_path)
                for plan, outcome in zip(plans, outcomes, strict=True)
                if isinstance(outcome, Delivered)
            ]
            if takes and (len(takes) == len(plans) or not any(isinstance(found, Held) for found in outcomes)):
                return await self._deliver(row, files, takes, plans[0])
            return await self._not_delivered(row, plans, outcomes)
        finally:
            for outcome in outcomes:
                if isinstance(outcome, Delivered) and outcome.local_path is not None:
                    outcome.local_path.unlink(missing_ok=True)

    def _retry_by(self, row: ClipRow) -> str | None:
        """A person who runs a failed clip again, or the retry schedule, asks for another attempt."""
        if self._run.by_hand:
            return f"run {self._run.run_id}"
        return "retry schedule" if row.retries else None

    def _row_of(self, plan: Plan) -> RequestRow:
        found = self._tools.ledger.get(plan.fingerprint)
        if found is None:  # the engine delivered it, so only another program can have taken it out
            raise LedgerError(f"The ledger has lost {plan.fingerprint[:12]}.", remedy="Restore the ledger's database.")
        return found

    async def _not_delivered(self, row: ClipRow, plans: Sequence[Plan], outcomes: Sequence[Outcome]) -> Result:
        worst = next((found for found in outcomes if isinstance(found, Held)), None)
        if worst is not None:
            return await self._wait(
                row, worst.kind.value, worst.reason, worst.remedy, plan=plans[0], outcome=worst,
                price=sum(plan.price_microdollars or 0 for plan in plans),
            )  # fmt: skip
        lost = next(found for found in outcomes if isinstance(found, Failed | Cancelled))
        await self._say_failed(row, Problem(lost.reason, remedy=lost.remedy), lost, plans[0])
        return Result(row.clip, ClipState.FAILED, lost.reason, lost.remedy)

    async def _say_failed(
        self, row: ClipRow, problem: Problem, outcome: Failed | Cancelled | None, plan: Plan | None = None
    ) -> None:
        self._events.checked(
            "clip_video",
            "answered",
            row.clip,
            passed=False,
            metadata={"failed": problem.what, "what to do": problem.remedy},
        )
        final = isinstance(outcome, Failed) and outcome.final
        left = 0 if final or isinstance(outcome, Cancelled) else self._tools.settings.retries_per_clip - row.retries
        cost = None
        if plan is not None:
            paid = await asyncio.to_thread(self._tools.ledger.get, plan.fingerprint)
            cost = 0 if paid is None or paid.submitted_at is None else paid.cost_microdollars
        answer = answers.failed(
            row.clip,
            problem,
            cost_microdollars=cost,
            retries_left=max(0, left),
            request_id=outcome.request_id if outcome else None,
            service=self._tools.settings.service,
        )
        await asyncio.to_thread(self._answers.note, row.clip, answer)
        waiting_for = "never" if final or isinstance(outcome, Cancelled) else "retry"
        await self._answer(row, ClipState.FAILED, reason=problem.what, waiting_for=waiting_for, plan=plan)

    # The answer

    async def _deliver(self, row: ClipRow, files: Sequence[ReadFile], takes: Sequence[Take], first: Plan) -> Result:
        chosen = next((take for take in takes if take.plan.take == row.chosen_take), takes[0])
        settings = self._tools.settings
        finished = await self._finish(chosen)
        media = [
            ManifestMedium(
                kind=found.medium.kind,
                name=found.name,
                key=found.key,
                sha256=found.medium.sha256,
                size_bytes=found.medium.size_bytes,
            )
            for found in files
            if found.medium
        ]
        manifest = manifest_of(
            chosen,
            service=settings.service,
            facts=finished.facts,
            media=media,
            others=[take for take in takes if take is not chosen],
            versions={"i2v-assets": self._tools.options.version},
        )
        await asyncio.to_thread(self._answers.delivered, row.clip, chosen.outcome.video_key, manifest, finished.files)
        self._report_video(row.clip, chosen, finished)
        await self._answer(row, ClipState.DELIVERED, plan=first)
        return Result(row.clip, ClipState.DELIVERED)

    async def _finish(self, take: Take) -> Finished:
        async with self._finishing:
            return await finish(take, self._tools.bucket, self._tools.scratch, previews=self._tools.settings.previews)

    def _report_video(self, clip: str, chosen: Take, finished: Finished) -> None:
        settings = self._tools.settings
        outcome = replace(
            chosen.outcome,
            cost_microdollars=chosen.row.cost_microdollars,
            price_microdollars=chosen.row.price_microdollars,
        )
        metadata = told.video_metadata(
            chosen.plan,
            outcome,
            clip=clip,
            link_base=settings.video_link_base,
            poster=finished.inline_poster,
            sandbox=settings.service == "sandbox",
            video=finished.facts,
            more={},
        )
        self._events.materialized("clip_video", clip, metadata, outcome.sha256[:16])
        self._events.checked("clip_video", "answered", clip, passed=True, metadata={"take": chosen.plan.take})
        if finished.files:
            preview = {
                "poster": metadata.get("poster"),
                "files": ", ".join(keys.clip_key(clip, name) for name in finished.files),
                "bytes": sum(len(content) for content, _ in finished.files.values()),
            }
            self._events.materialized("clip_preview", clip, preview, outcome.sha256[:16])

    async def _answer(
        self,
        row: ClipRow,
        state: ClipState,
        *,
        reason: str | None = None,
        waiting_for: str | None = None,
        plan: Plan | None = None,
    ) -> None:
        await asyncio.to_thread(
            self._tools.registry.answer,
            row.clip,
            version=row.version,
            state=state,
            reason=reason,
            waiting_for=waiting_for,
            fingerprint=plan.fingerprint if plan else None,
            price_microdollars=plan.price_microdollars if plan else None,
        )
