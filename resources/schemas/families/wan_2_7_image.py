"""Wan 2.7 image-to-video: the lip-sync endpoint that shows the person of the image; it has a catalogue id only."""

from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field

from resources.schemas.families import (
    SEED_PAGE,
    AudioUrl,
    Body,
    Endpoint,
    FamilyRecord,
    ImageUrl,
    MediaField,
    Traits,
    prompt_of,
    says,
)
from resources.schemas.inputs import MAX_SEED, MediumKind, Route
from resources.schemas.limits import MEGABYTE, Limits, MediaLimits, PromptLimits

NAME: Final = "wan-2.7/image-to-video"
ENTRY: Final = "catalogue entry of Wan 2.7 image-to-video"
_TEXT_PAGE: Final = "as model page of Wan 2.7 text-to-video"

LIMITS: Final = Limits(
    prompt=PromptLimits(
        5000, "characters", 2, "model pages: 5000 characters, or 2500 if Chinese; longer prompts are cut"
    ),
    min_duration=2,
    max_duration=15,
    resolutions=("720p", "1080p"),
    default_resolution="1080p",
    max_negative_prompt=500,
    prompt_expansion=True,
    end_image=True,
    images=MediaLimits(
        min_count=1,
        max_count=1,  # the last image has a field of its own
        formats=("JPEG", "PNG", "WEBP"),
        source="no source gives limits of this image; the formats are those that the service accepts elsewhere",
        advice=MediaLimits(
            max_bytes=10 * MEGABYTE,
            min_side=360,
            max_side=2000,
            source="docs.comfy.org on the Wan family's first frame, not confirmed for this service",
            kind="advice",
        ),
    ),
    audios=MediaLimits(
        min_count=0,
        max_count=1,
        formats=("WAV", "MP3"),
        max_bytes=15 * MEGABYTE,
        min_seconds=2,
        max_seconds=30,
        source=f"{ENTRY}: 2 to 30 s; formats and size as in text-to-video",
    ),
    source=ENTRY,
)


class WanImageToVideo(Body):
    """Wan 2.7 image-to-video, the lip-sync endpoint that shows the person of the image; catalogue id only."""

    prompt: Annotated[str, prompt_of(NAME, LIMITS.prompt)] = Field(
        max_length=LIMITS.prompt.max_units,
        description="at most 5000 characters",
        json_schema_extra=says(_TEXT_PAGE),
    )
    image_url: ImageUrl = Field(json_schema_extra=says(ENTRY, format="image_uri"))
    audio_url: AudioUrl | None = Field(None, description="2 to 30 s", json_schema_extra=says(ENTRY, format="audio_uri"))
    end_image_url: ImageUrl | None = Field(None, json_schema_extra=says(ENTRY, format="image_uri"))
    negative_prompt: str | None = Field(
        None,
        max_length=LIMITS.max_negative_prompt,
        description="at most 500 characters",
        json_schema_extra=says(_TEXT_PAGE),
    )
    enable_prompt_expansion: bool = Field(True, json_schema_extra=says(_TEXT_PAGE))
    resolution: Literal["720p", "1080p"] = Field("1080p", json_schema_extra=says(_TEXT_PAGE))
    duration: int = Field(
        5,
        ge=LIMITS.min_duration,
        le=LIMITS.max_duration,
        description="seconds, 2 to 15",
        json_schema_extra=says(ENTRY),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 is random", json_schema_extra=says(SEED_PAGE))


_MEDIA = MappingProxyType({MediumKind.IMAGE: MediaField("image_url"), MediumKind.AUDIO: MediaField("audio_url")})

FAMILY: Final = FamilyRecord(
    name=NAME,
    title="Wan 2.7 image-to-video",
    description="Moves one picture; speaks a voiceover.",
    category="image-to-video",
    route=Route.LIP_SYNC,
    rank=1,
    sources=(ENTRY, _TEXT_PAGE),
    endpoints=(Endpoint("wan-ai/wan-2.7/image-to-video", NAME, "catalogue", WanImageToVideo, _MEDIA),),
    limits=LIMITS,
    traits=Traits(keeps_image=True, speaks=True),
    prior_seconds=90.0,
    prior_spread=0.9,  # 30 s to 15 min, of which most are short
)
