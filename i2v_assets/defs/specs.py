"""What Dagster shows of a clip's assets and checks: keys, descriptions, owners, kinds, code versions."""

import dagster as dg

from i2v_assets.defs.partitions import clips

GROUP = "clips"
OWNERS = ["team:creative-operations"]

CODE_VERSION = "1"
"""Rises when the same upload would give another plan or another answer."""

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
        "The still images that a clip is made from, as they lie in the bucket: size as displayed, format, hash. Free.",
        {"s3", "jpeg"},
        [],
    ),
    _spec(SOURCE_AUDIO, "The voiceovers and sounds of a clip; 0 files where it has none. Free.", {"s3", "mp3"}, []),
    _spec(SOURCE_VIDEOS, "The reference clips; 0 files where it has none. Free.", {"s3", "mp4"}, []),
    _spec(
        CLIP_PLAN,
        "The decision before any money: route with its reasons, the exact request, the price; or a refusal. Free.",
        {"python"},
        [SOURCE_IMAGES, SOURCE_AUDIO, SOURCE_VIDEOS],
    ),
    _spec(
        CLIP_VIDEO,
        "The video: submitted once, fetched, and stored in the bucket. **Costs money** unless it was paid for before.",
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
