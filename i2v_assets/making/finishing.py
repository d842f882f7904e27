"""What happens to a delivered video while its file is still on local disk: facts, measures, previews, and its manifest."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from i2v_assets.manifest import Manifest, ManifestMedium, ManifestTake, ManifestTimes, ManifestVideo
from i2v_assets.planning import Plan
from resources.generation.model import Delivered
from resources.ledger import RequestRow
from resources.media.facts import VideoFacts
from resources.media.previews import animated_webp, contact_sheet, poster
from resources.media.probe import probe_video
from resources.schemas.inputs import Service
from resources.storage import keys
from resources.storage.bucket import Bucket

INLINE_POSTER_BYTES = 10_000
"""Of a poster in the event log: 15 KB at most as text, and base64 takes a third more than the bytes."""

ANIMATION = "preview.webp"


@dataclass(frozen=True)
class Take:
    """One delivered take of a clip."""

    plan: Plan
    outcome: Delivered
    row: RequestRow
    local: Path | None = None


@dataclass(frozen=True)
class Finished:
    """What was made of a video: its facts, and files for the bucket by name with their content type."""

    facts: VideoFacts
    inline_poster: str | None = None
    files: Mapping[str, tuple[bytes, str]] = field(default_factory=dict)


async def finish(take: Take, bucket: Bucket, scratch: Path, *, previews: bool) -> Finished:
    """Look at a take's file, which is fetched from the bucket where this run did not download it.

    Raises:
        MediaError: the file is no video; StorageError: it cannot be fetched.
    """
    local = take.local
    if local is None:
        local = scratch / f"again-{take.plan.fingerprint}.mp4"
        await asyncio.to_thread(bucket.download, take.outcome.video_key, local)
    try:
        return await asyncio.to_thread(_finish, local, previews)
    finally:
        if take.local is None:
            local.unlink(missing_ok=True)


def _finish(path: Path, previews: bool) -> Finished:
    facts = probe_video(path, "the video")
    if not previews:
        return Finished(facts)
    files = {
        keys.POSTER: (poster(path, max_bytes=200_000, longer_side=1280), "image/jpeg"),
        keys.CONTACT_SHEET: (contact_sheet(path), "image/jpeg"),
        ANIMATION: (animated_webp(path), "image/webp"),
    }
    small = base64.b64encode(poster(path, max_bytes=INLINE_POSTER_BYTES, longer_side=320)).decode()
    return Finished(facts, small, files)


def manifest_of(
    take: Take,
    *,
    service: Service,
    facts: VideoFacts,
    media: Sequence[ManifestMedium],
    others: Sequence[Take],
    versions: Mapping[str, str],
    quality: float | None = None,
    findings: Sequence[str] = (),
) -> Manifest:
    """What the chosen take was made from, by which model, at which price."""
    plan, outcome, row, inputs = take.plan, take.outcome, take.row, take.plan.inputs
    return Manifest(
        clip=plan.clip,
        take=plan.take,
        service=service,
        route=plan.route,
        reasons=plan.reasons,
        family=inputs.family.value,
        model_id=row.model_id or plan.model_id or inputs.family.value,
        prompt=inputs.prompt,
        negative_prompt=inputs.negative_prompt,
        preset=plan.preset,
        seed=inputs.seed,
        duration=inputs.duration,
        resolution=inputs.resolution,
        aspect_ratio=inputs.aspect_ratio,
        media=tuple(media),
        fingerprint=plan.fingerprint,
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
            width=facts.width,
            height=facts.height,
            seconds=round(facts.seconds, 3),
        ),
        quality=quality,
        findings=tuple(findings),
        other_takes=tuple(
            ManifestTake(
                take=other.plan.take,
                fingerprint=other.plan.fingerprint,
                seed=other.plan.inputs.seed,
                video_key=other.outcome.video_key,
            )
            for other in others
        ),
        versions=dict(versions),
    )
