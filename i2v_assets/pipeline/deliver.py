"""From delivered takes to the clip's answer: choose, measure, sign, write the video and its manifest beside the clip."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from i2v_assets.clip_folder.manifest import (
    Manifest,
    ManifestDub,
    ManifestError,
    ManifestMedium,
    ManifestPiece,
    ManifestTake,
    ManifestTimes,
    ManifestUnder,
    ManifestVideo,
    read_manifest,
)
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.lay_sound import laid_under
from i2v_assets.pipeline.outcome import ClipDelivered
from i2v_assets.pipeline.plan import Planned
from i2v_assets.pipeline.postprocess import Postprocessor, PostprocessResult, in_words
from i2v_assets.pipeline.read_media import ReadFile
from i2v_assets.pipeline.report_video import manifest_checks
from i2v_assets.pipeline.sign import signed_copy
from i2v_assets.pipeline.takes import Take, choose
from i2v_assets.planning.plan import Plan
from i2v_assets.uploads.types import Candidate
from resources.generation.types import Delivered
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow
from resources.prices.billed import is_substituted
from resources.provenance.credentials import UNSIGNED, Signing
from resources.registry.registry import ClipRow
from resources.schemas.inputs import Service
from resources.storage import keys
from resources.storage.errors import ObjectMissing

LOOKS = 4
"""Videos measured at once: the pool's processes do the work, this bounds the files on local disk."""


class Delivery:
    """Write the clip's answer. If the very same answer is there already, nothing is fetched or written for it."""

    def __init__(self, context: PipelineContext) -> None:
        self._context = context
        self._bucket = BucketAnswers(context.bucket)
        self._finisher = Postprocessor(context)
        self._looks = asyncio.Semaphore(LOOKS)
        self._finished: dict[str, PostprocessResult] = {}

    async def best_score(self, row: ClipRow, takes: Sequence[Take]) -> float:
        """Return the best quality among the takes; 1 if nothing is measured."""
        if not self._context.settings.measure:
            return 1.0
        return max((await self._scores(row, takes)).values(), default=1.0)

    async def deliver(self, planned: Planned, takes: Sequence[Take]) -> ClipDelivered:
        """Choose a take, make it the clip's answer, and return it.

        Raises:
            StorageError: the bucket does not answer; LedgerError: the ledger does not.
        """
        row, candidate, plan = planned.row, planned.candidate, planned.plans[0]
        rule = candidate.brief.choose or ("best" if candidate.brief.reroll else "first")  # what a reroll is paid for
        scores = await self._scores(row, takes) if rule == "best" and len(takes) > 1 else {}
        chosen = choose(takes, scores, by_person=row.chosen_take, rule=rule)
        before = await self._answer_there(row, chosen, takes)
        if before is not None:
            await record_reuse(self._context.ledger, row, takes)
            return ClipDelivered(row, plan, chosen, before=before, takes=tuple(takes))
        finished = await self._look(chosen)
        # A clip without its person (`keep_face: false`) leaves an uploaded picture out: it was made from the others.
        sent = {medium.uploaded_sha256 for medium in chosen.plan.inputs.media}
        files = [found for found in planned.files if found.medium is not None and found.medium.sha256 in sent]
        laid = await laid_under(self._context, chosen) if chosen.plan.under else None
        settings, signing = self._context.settings, Signing(UNSIGNED)
        try:
            if settings.c2pa_certificate or settings.c2pa_key:
                signing = await signed_copy(self._context, row.clip, chosen, files, laid.path if laid else None)
            manifest = self._manifest(row, candidate, files, chosen, takes, finished, scores)
            signed = {"signed_sha256": signing.sha256, "signed_size_bytes": signing.size_bytes}
            if laid is not None:
                signed |= {"laid_sha256": laid.sha256, "laid_size_bytes": laid.size_bytes}
            manifest = manifest.model_copy(update={"video": manifest.video.model_copy(update=signed)})
            await asyncio.to_thread(
                self._bucket.delivered,
                row.clip,
                chosen.outcome.video_key,
                manifest,
                finished.files,
                notes=True,  # a refusal of another upload of its name may lie there
                shown=signing.path or (laid.path if laid else None),
            )
        finally:
            for copy in (signing.path, laid.path if laid else None):
                if copy is not None:
                    copy.unlink(missing_ok=True)
        await record_reuse(self._context.ledger, row, takes)
        return ClipDelivered(row, plan, chosen, finished, provenance=signing.line, takes=tuple(takes))

    # Measuring

    async def _look(self, take: Take) -> PostprocessResult:
        found = self._finished.get(take.plan.fingerprint)
        if found is None:
            async with self._looks:
                found = self._finished[take.plan.fingerprint] = await self._finisher.finish(take)
        return found

    async def _scores(self, row: ClipRow, takes: Sequence[Take]) -> dict[str, float]:
        """Quality by fingerprint: as an earlier manifest has it, or measured now."""
        before = await asyncio.to_thread(self._manifest_there, row.clip)
        same = before is not None and before.may_be_silent == takes[0].plan.may_be_silent
        known = _scores_in(before) if before is not None and same else {}
        for take in takes:
            if take.plan.fingerprint not in known:
                known[take.plan.fingerprint] = (await self._look(take)).score or 0.0
        return known

    def _manifest_there(self, clip: str) -> Manifest | None:
        try:
            return read_manifest(self._context.bucket.read(keys.clip_key(clip, keys.MANIFEST)))
        except (ObjectMissing, ManifestError):
            return None

    async def _answer_there(self, row: ClipRow, chosen: Take, takes: Sequence[Take]) -> Manifest | None:
        """The manifest, where the clip was delivered before just like this."""
        if not all(take.outcome.already for take in takes) or row.delivered_at is None:
            return None
        found = await asyncio.to_thread(self._manifest_there, row.clip)
        if found is None or found.fingerprint != chosen.plan.fingerprint:
            return None
        if {other.fingerprint for other in found.other_takes} | {found.fingerprint} != {
            take.plan.fingerprint for take in takes
        }:
            return None
        if found.cost_microdollars != chosen.row.cost_microdollars:
            return None
        if found.may_be_silent != chosen.plan.may_be_silent:  # it is judged by another measure
            return None
        if found.under != _under(chosen.plan):  # other sounds are laid under it now
            return None
        there = await asyncio.to_thread(self._context.bucket.head, keys.clip_key(row.clip, keys.VIDEO))
        return found if there is not None else None

    def _manifest(
        self,
        row: ClipRow,
        candidate: Candidate,
        files: Sequence[ReadFile],
        chosen: Take,
        takes: Sequence[Take],
        finished: PostprocessResult,
        scores: dict[str, float],
    ) -> Manifest:
        sent = {medium.uploaded_sha256: medium for medium in chosen.plan.inputs.media}
        media = [ManifestMedium.of(sent[found.medium.sha256], found.name, found.key) for found in files if found.medium]
        others = [
            ManifestTake(
                take=other.plan.take,
                fingerprint=other.plan.fingerprint,
                seed=other.plan.inputs.seed,
                video_key=other.outcome.video_key,
                quality=scores.get(other.plan.fingerprint),
            )
            for other in takes
            if other is not chosen
        ]
        made = manifest_of(
            self._context.settings.service,
            chosen.plan,
            chosen.row,
            chosen.outcome,
            media=tuple(media),
            size=(finished.width, finished.height, finished.seconds),
            version=self._context.options.version,
        )
        more = {
            "quality": finished.score,
            "findings": in_words(finished.findings),
            "checks": tuple(check.model_dump() for check in manifest_checks(finished)),
            "other_takes": tuple(others),
            "dub": _dub(row.clip, candidate),
            "pieces": tuple(_piece(piece) for piece in chosen.pieces),
            "under": _under(chosen.plan),
        }
        return Manifest.model_validate({**dict(made), **more})  # a copy would not look at the words


def _piece(take: Take) -> ManifestPiece:
    start, end = take.plan.span_ms or (0, 0)
    return ManifestPiece(
        fingerprint=take.plan.fingerprint,
        request_id=take.row.request_id,
        starts_at=start / 1000,
        seconds=(end - start) / 1000,
        starts_from_last_frame=take.plan.inputs.first_frame is not None,
        seed=take.plan.inputs.seed,
        video_key=take.outcome.video_key,
        sha256=take.outcome.sha256,
        cost_microdollars=take.row.cost_microdollars,
    )


def _under(plan: Plan) -> tuple[ManifestUnder, ...]:
    return tuple(
        ManifestUnder(role=each.role, name=each.name, sha256=each.medium.uploaded_sha256) for each in plan.under
    )


def _dub(clip: str, candidate: Candidate) -> ManifestDub | None:
    group, separator, language = clip.rpartition("--")
    spoken = candidate.brief.dub or {}
    return ManifestDub(group=group, language=language) if separator and language in spoken else None


def _scores_in(manifest: Manifest) -> dict[str, float]:
    found = {other.fingerprint: other.quality for other in manifest.other_takes}
    found[manifest.fingerprint] = manifest.quality
    return {fingerprint: score for fingerprint, score in found.items() if score is not None}


async def record_reuse(ledger: Ledger, row: ClipRow, takes: Sequence[Take]) -> None:
    """Record the takes of a new upload that cost nothing; a delivered clip that is delivered again saves nothing."""
    if row.delivered_version == row.version:
        return
    for take in (sent for whole in takes for sent in whole.pieces or (whole,)):
        # A clip that finds its own video there (its earlier run died after the payment) has saved nothing either.
        of_another = take.row.clip != row.clip or row.delivered_at is not None
        if take.outcome.already and of_another:
            await asyncio.to_thread(ledger.reused, take.plan.fingerprint, clip=row.clip, version=row.version)


def manifest_of(
    service: Service,
    plan: Plan,
    row: RequestRow,
    outcome: Delivered,
    *,
    media: tuple[ManifestMedium, ...],
    size: tuple[int, int, float],
    version: str,
) -> Manifest:
    """What a video was made from, by which model, at which price; nothing of it was measured.

    Args:
        service: who made it.
        plan: what was asked for.
        row: the ledger's row of the request.
        outcome: the delivered video.
        media: the files it was made from.
        size: the video's width, height and seconds.
        version: the project's.
    """
    inputs = plan.inputs
    return Manifest(
        clip=plan.clip,
        take=plan.take,
        service=service,
        route=plan.route,
        reasons=plan.reasons,
        family=inputs.family,
        model_id=row.model_id or plan.model_id or inputs.family,
        answered_model_id=_other_model(row),
        prompt=inputs.prompt,
        negative_prompt=inputs.negative_prompt,
        preset=plan.preset,
        may_be_silent=plan.may_be_silent,
        seed=inputs.seed,
        duration=inputs.duration,
        resolution=inputs.resolution,
        aspect_ratio=inputs.aspect_ratio,
        media=media,
        fingerprint=plan.fingerprint,
        schema_sha256=plan.schema_sha256,
        request_id=row.request_id,
        price_microdollars=row.price_microdollars,
        cost_microdollars=row.cost_microdollars,
        times=ManifestTimes(
            created=row.created_at,
            submitted=row.submitted_at,
            finished=row.finished_at,
            delivered=row.delivered_at or datetime.now(UTC),
        ),
        queue_seconds=outcome.queue_seconds,
        generation_seconds=outcome.generation_seconds,
        video=ManifestVideo(
            key=outcome.video_key,
            sha256=outcome.sha256,
            size_bytes=outcome.size_bytes,
            width=size[0],
            height=size[1],
            seconds=round(size[2], 3),
            replaced_sha256=outcome.replaced_sha256,
        ),
        versions={"i2v-assets": version},
    )


def _other_model(row: RequestRow) -> str | None:
    """Return the model that answered if it is another one than was paid for."""
    return row.answered_model_id if is_substituted(row) else None
