"""HappyHorse 1.0 image-to-video: moves one picture, with sound."""

from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field

from resources.schemas.families import (
    SEED_PAGE,
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

NAME: Final = "happyhorse-1.0/image-to-video"
PAGE: Final = "model page of HappyHorse 1.0 image-to-video"

LIMITS: Final = Limits(
    prompt=PromptLimits(
        5000, "characters", 2, "model pages: 5000 characters, or 2500 if Chinese; longer prompts are cut"
    ),
    min_duration=3,
    max_duration=15,
    resolutions=("720p", "1080p"),
    default_resolution="1080p",
    watermark=True,
    images=MediaLimits(
        min_count=1,
        max_count=1,
        formats=("JPEG", "PNG", "WEBP"),
        max_bytes=10 * MEGABYTE,
        min_side=300,
        min_aspect=0.4,  # 1:2.5
        max_aspect=2.5,  # 2.5:1
        source=PAGE,
    ),
    source=PAGE,
)


class _HappyHorse(Body):
    image_url: ImageUrl = Field(
        description="JPEG, PNG or WebP; sides >= 300 px; aspect 1:2.5 to 2.5:1; at most 10 MB",
        json_schema_extra=says(PAGE, format="image_uri"),
    )
    prompt: Annotated[str, prompt_of(NAME, LIMITS.prompt)] = Field(
        max_length=LIMITS.prompt.max_units,
        description="at most 5000 characters, or 2500 if Chinese",
        json_schema_extra=says(PAGE),
    )
    resolution: Literal["720P", "1080P"] = Field("1080P", description="capital P", json_schema_extra=says(PAGE))
    duration: int = Field(
        5,
        ge=LIMITS.min_duration,
        le=LIMITS.max_duration,
        description="seconds, 3 to 15",
        json_schema_extra=says(PAGE),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 is random", json_schema_extra=says(SEED_PAGE))


class HappyHorseDocumented(_HappyHorse):
    """HappyHorse 1.0 image-to-video under the documented id."""

    watermark: bool = Field(True, description="marks the picture; always sent", json_schema_extra=says(f"{PAGE}: true"))


class HappyHorseCatalogue(_HappyHorse):
    """HappyHorse 1.0 image-to-video under the catalogue's id, whose default for the watermark is the opposite."""

    watermark: bool = Field(
        False, description="marks the picture; always sent", json_schema_extra=says("catalogue entry: false")
    )


_MEDIA = MappingProxyType({MediumKind.IMAGE: MediaField("image_url")})

FAMILY: Final = FamilyRecord(
    name=NAME,
    title="HappyHorse 1.0 image-to-video",
    description="Moves one picture, with sound.",
    category="image-to-video",
    route=Route.ANIMATE,
    rank=1,
    sources=(PAGE,),
    endpoints=(
        Endpoint("happyhorse/happyhorse-1-0/image-to-video", NAME, "documented", HappyHorseDocumented, _MEDIA),
        Endpoint("happyhorse/happyhorse-1.0/image-to-video", NAME, "catalogue", HappyHorseCatalogue, _MEDIA),
    ),
    limits=LIMITS,
    tiers=MappingProxyType({"720p": "720P", "1080p": "1080P"}),
    traits=Traits(keeps_image=True),
    prior_seconds=40.0,
)
