"""The manifest.json of a video that `i2v run` made: the same document that a clip has in the bucket."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from i2v_assets.manifest import Manifest, ManifestTimes, ManifestVideo, media_of
from i2v_assets.plans import Plan
from resources.generation.model import Delivered
from resources.ledger import RequestRow
from resources.media.probe import video_size
from resources.schemas.inputs import Service


def manifest_path(video: Path) -> Path:
    """Where a video's manifest lies beside it; `i2v verify` looks there."""
    return video.with_suffix(".manifest.json")


def manifest_of(service: Service, plan: Plan, row: RequestRow, outcome: Delivered, video: Path) -> Manifest:
    """What the video was made from, by which model, at which price; nothing of it was measured.

    Raises:
        Unreadable: the file is no video.
    """
    width, height, seconds = video_size(video)
    inputs = plan.inputs
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
        media=media_of(inputs),
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
            width=width,
            height=height,
            seconds=round(seconds, 3),
        ),
        versions={"i2v-assets": version("i2v-assets")},
    )
