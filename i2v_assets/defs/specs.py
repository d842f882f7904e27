"""Specs of a clip's assets: keys, descriptions, owners, kinds, code versions."""

import dagster as dg

from i2v_assets.defs.partitions import clips
from resources.settings import load_settings

AT_LOAD = load_settings()
"""The settings when the definitions were loaded: what Dagster keeps of them is in these. Whatever runs reads its own."""

GROUP = "clips"
OWNERS = ["team:creative-operations"]

CODE_VERSION = "1"
"""Increment when the same upload would give a different plan or result."""

SOURCE_IMAGES = dg.AssetKey("source_images")
SOURCE_AUDIO = dg.AssetKey("source_audio")
SOURCE_VIDEOS = dg.AssetKey("source_videos")
CLIP_PLAN = dg.AssetKey("clip_plan")
CLIP_VIDEO = dg.AssetKey("clip_video")
CLIP_PREVIEW = dg.AssetKey("clip_preview")


def _spec(key: dg.AssetKey, description: str, kinds: set[str], deps: list[dg.AssetKey]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        description=description,
        deps=deps,
        partitions_def=clips,
        skippable=True,
        group_name=GROUP,
        owners=OWNERS,
        kinds=kinds,
        code_version=CODE_VERSION,
    )


CLIP_SPECS = (
    _spec(
        SOURCE_IMAGES,
        "The still images of a clip in the bucket: displayed size, format, hash. Free.",
        {"s3", "jpeg"},
        [],
    ),
    _spec(SOURCE_AUDIO, "The voiceovers and sounds of a clip; 0 files if it has none. Free.", {"s3", "mp3"}, []),
    _spec(SOURCE_VIDEOS, "The reference videos of a clip; 0 files if it has none. Free.", {"s3", "mp4"}, []),
    _spec(
        CLIP_PLAN,
        "The decision before anything is paid: route with reasons, exact request, price; or a refusal. Free.",
        {"python"},
        [SOURCE_IMAGES, SOURCE_AUDIO, SOURCE_VIDEOS],
    ),
    _spec(
        CLIP_VIDEO,
        "The video: submitted once, downloaded, and stored in the bucket. **Costs money** unless it was already paid for.",
        {"runcomfy", "mp4", "s3"},
        [CLIP_PLAN],
    ),
    _spec(
        CLIP_PREVIEW,
        "Poster, contact sheet and a small silent animation of the video. Free.",
        {"s3", "webp"},
        [CLIP_VIDEO],
    ),
)
