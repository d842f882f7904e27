"""A manifest from what the ledger and the plan say of a delivered request."""

from datetime import UTC, datetime

from i2v_assets.clip_folder.manifest import Manifest, ManifestMedium, ManifestTimes, ManifestVideo
from i2v_assets.pipeline.price_checks import is_substituted
from i2v_assets.planning.plan import Plan
from resources.generation.types import Delivered
from resources.ledger.records import RequestRow
from resources.schemas.inputs import Service


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
