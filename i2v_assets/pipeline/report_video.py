"""What the event log shows of a delivered video and its preview: one that is new, or one that was there before."""

from dataclasses import replace

from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.metadata import Metadata, video_metadata
from i2v_assets.pipeline.outcome import ClipDelivered
from i2v_assets.pipeline.postprocess import PostprocessResult, poster_again
from i2v_assets.pipeline.takes import Take
from resources.generation.types import Delivered
from resources.storage import keys


def new_video(
    context: PipelineContext, clip: str, chosen: Take, finished: PostprocessResult, provenance: str
) -> tuple[Metadata, Metadata]:
    """Return what is recorded of a video that was just delivered, and of its preview; nothing of one that was not made."""
    metadata = video_metadata(
        chosen.plan,
        _with_costs(chosen),
        clip=clip,
        link_base=context.settings.video_link_base,
        poster=finished.inline_poster,
        glimpse=finished.glimpse,
        sandbox=context.sandbox,
        size=(finished.width, finished.height, finished.seconds),
        more={"quality": finished.score, "why the quality is low": finished.why_low, "provenance": provenance},
    )
    if not finished.files:
        return metadata, {}
    return metadata, {
        "poster": metadata.get("poster"),
        "files": ", ".join(keys.clip_key(clip, name) for name in finished.files),
        "bytes": sum(len(content) for content, _ in finished.files.values()),
    }


async def unchanged_video(context: PipelineContext, outcome: ClipDelivered) -> tuple[Metadata, Metadata]:
    """Return what a delivered clip that falls into a range logs again, with the same data version.

    The UI shows the latest event alone, so it says and shows what the first one did.
    """
    settings, clip, chosen, before = context.settings, outcome.row.clip, outcome.chosen, outcome.before
    picture, tiny = await poster_again(context.bucket, clip, context.pool) if settings.previews else (None, None)
    metadata = video_metadata(
        chosen.plan,
        _with_costs(chosen),
        clip=clip,
        link_base=settings.video_link_base,
        poster=picture,
        glimpse=tiny,
        sandbox=context.sandbox,
        size=(before.video.width, before.video.height, before.video.seconds) if before else None,
        more={
            "quality": before.quality if before else None,
            "unchanged": "delivered before; nothing was made or paid",
        },
    )
    preview: Metadata = {"poster": metadata.get("poster"), "unchanged": "made before"}
    return metadata, preview if settings.previews else {}


def _with_costs(take: Take) -> Delivered:
    row = take.row
    return replace(take.outcome, cost_microdollars=row.cost_microdollars, price_microdollars=row.price_microdollars)
