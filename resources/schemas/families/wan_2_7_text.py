"""Wan 2.7 text-to-video: a scene from words that speaks a voiceover. It takes no image."""

from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field

from resources.schemas.families import (
    SEED_PAGE,
    AudioUrl,
    Body,
    Endpoint,
    FamilyRecord,
    MediaField,
    Traits,
    prompt_of,
    says,
)
from resources.schemas.inputs import MAX_SEED, MediumKind, Route
from resources.schemas.limits import MEGABYTE, Limits, MediaLimits, PromptLimits

NAME: Final = "wan-2.7/text-to-video"
PAGE: Final = "model page of Wan 2.7 text-to-video"

LIMITS: Final = Limits(
    prompt=PromptLimits(
        5000, "characters", 2, "model pages: 5000 characters, or 2500 if Chinese; longer prompts are cut"
    ),
    min_duration=2,
    max_duration=15,
    resolutions=("720p", "1080p"),
    default_resolution="1080p",
    aspect_ratios=("16:9", "9:16", "1:1", "4:3", "3:4"),
    default_aspect_ratio="16:9",
    max_negative_prompt=500,
    prompt_expansion=True,
    audios=MediaLimits(
        min_count=1,  # optional on the wire, but without a voiceover there is no lip-sync
        max_count=1,
        formats=("WAV", "MP3"),
        max_bytes=15 * MEGABYTE,
        min_seconds=3,
        max_seconds=30,
        source=PAGE,
    ),
    source=PAGE,
)


class WanTextToVideo(Body):
    """Wan 2.7 text-to-video with a voiceover; takes no image."""

    prompt: Annotated[str, prompt_of(NAME, LIMITS.prompt)] = Field(
        max_length=LIMITS.prompt.max_units,
        description="at most 5000 characters",
        json_schema_extra=says(PAGE),
    )
    audio_url: AudioUrl | None = Field(
        None,
        description="WAV or MP3, 3 to 30 s, at most 15 MB; required for lip-sync",
        json_schema_extra=says(PAGE, format="audio_uri"),
    )
    aspect_ratio: Literal["16:9", "9:16", "1:1", "4:3", "3:4"] = Field("16:9", json_schema_extra=says(PAGE))
    resolution: Literal["720p", "1080p"] = Field("1080p", description="small p", json_schema_extra=says(PAGE))
    duration: int = Field(
        5,
        ge=LIMITS.min_duration,
        le=LIMITS.max_duration,
        description="seconds, 2 to 15; silent past the audio's end, longer audio is cut",
        json_schema_extra=says(PAGE),
    )
    negative_prompt: str | None = Field(
        None,
        max_length=LIMITS.max_negative_prompt,
        description="at most 500 characters",
        json_schema_extra=says(PAGE),
    )
    enable_prompt_expansion: bool = Field(True, json_schema_extra=says(PAGE))
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 is random", json_schema_extra=says(SEED_PAGE))


_MEDIA = MappingProxyType({MediumKind.AUDIO: MediaField("audio_url")})

FAMILY: Final = FamilyRecord(
    name=NAME,
    title="Wan 2.7 text-to-video",
    description="A scene from words; speaks a voiceover.",
    category="text-to-video",
    route=Route.LIP_SYNC,
    rank=2,  # the person on the image does not appear, so the one that keeps the face comes first
    sources=(PAGE,),
    endpoints=(
        Endpoint("wan-ai/wan-2-7/text-to-video", NAME, "documented", WanTextToVideo, _MEDIA),
        Endpoint("wan-ai/wan-2.7/text-to-video", NAME, "catalogue", WanTextToVideo, _MEDIA),
    ),
    limits=LIMITS,
    traits=Traits(speaks=True),
    prior_seconds=90.0,
    prior_spread=0.9,  # 30 s to 15 min, of which most are short
)
