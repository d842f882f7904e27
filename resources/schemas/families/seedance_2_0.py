"""Seedance 2.0 Pro: pictures, clips and sounds as references."""

from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from resources.schemas.families import SEED_PAGE, Body, Endpoint, FamilyRecord, MediaField, Traits, Url, prompt_of, says
from resources.schemas.inputs import MAX_SEED, MediumKind, Route
from resources.schemas.limits import MEGABYTE, Limits, MediaLimits, PromptLimits

NAME: Final = "seedance-2.0/pro"
PAGE: Final = "model page of Seedance 2.0 Pro"

LIMITS: Final = Limits(
    prompt=PromptLimits(
        1000,
        "words",
        2,
        f"{PAGE} and the service's schema: about 1000 English words or 500 Chinese characters are recommended",
        max_characters=6000,  # 1000 English words of five letters (what typists count as a word) and a blank each
        kind="advice",
    ),
    min_duration=4,
    max_duration=15,
    resolutions=("480p", "720p", "1080p", "4k"),
    default_resolution="720p",
    resolutions_by_dialect=MappingProxyType({"documented": ("480p", "720p")}),
    aspect_ratios=("adaptive", "16:9", "9:16", "4:3", "3:4", "1:1", "21:9"),
    default_aspect_ratio="adaptive",
    generate_audio=True,
    images=MediaLimits(
        max_count=9,
        formats=("JPEG", "PNG", "WEBP"),
        source=f"{PAGE}: 0 to 9; the formats are those that the service accepts elsewhere",
    ),
    audios=MediaLimits(
        max_count=3,
        formats=("WAV", "MP3"),
        max_bytes=15 * MEGABYTE - 1,  # "below 15 MB"
        min_seconds=2,
        max_seconds=15,
        source=PAGE,
    ),
    videos=MediaLimits(
        max_count=3,
        formats=("MP4", "MOV"),
        min_seconds=2,
        max_seconds=15,
        source=PAGE,
        advice=MediaLimits(
            max_bytes=100 * MEGABYTE, source="model API pages: videos up to 100 MB are recommended", kind="advice"
        ),
    ),
    source=PAGE,
)

_IMAGES: Any = Field(
    [],
    max_length=LIMITS.images.max_count,
    description="0 to 9; the first is the primary subject",
    json_schema_extra=says(PAGE, format="image_uris"),
)
_VIDEOS: Any = Field(
    [],
    max_length=LIMITS.videos.max_count,
    description="0 to 3; MP4 or MOV; 2 to 15 s each",
    json_schema_extra=says(PAGE, format="video_uris"),
)
_AUDIOS: Any = Field(
    [],
    max_length=LIMITS.audios.max_count,
    description="0 to 3; WAV or MP3; 2 to 15 s and below 15 MB each",
    json_schema_extra=says(PAGE, format="audio_uris"),
)


class _Seedance(Body):
    prompt: Annotated[str, prompt_of(NAME, LIMITS.prompt)] = Field(
        description="at most 1000 English words or 500 Chinese characters", json_schema_extra=says(PAGE)
    )
    aspect_ratio: Literal["adaptive", "16:9", "9:16", "4:3", "3:4", "1:1", "21:9"] = Field(
        "adaptive", json_schema_extra=says(PAGE)
    )
    duration: int = Field(
        5,
        ge=LIMITS.min_duration,
        le=LIMITS.max_duration,
        description="seconds, 4 to 15",
        json_schema_extra=says(PAGE),
    )
    generate_audio: bool = Field(True, json_schema_extra=says(PAGE))
    seed: int | None = Field(None, ge=0, le=MAX_SEED, json_schema_extra=says(SEED_PAGE))


class SeedanceDocumented(_Seedance):
    """Seedance 2.0 Pro under the documented id: singular names for lists, two resolutions."""

    image_url: list[Url] = _IMAGES
    video_url: list[Url] = _VIDEOS
    audio_url: list[Url] = _AUDIOS
    resolution: Literal["480p", "720p"] = Field("720p", json_schema_extra=says(PAGE))


class SeedanceCatalogue(_Seedance):
    """Seedance 2.0 Pro under the catalogue's id: plural names, four resolutions."""

    images: list[Url] = _IMAGES
    videos: list[Url] = _VIDEOS
    audios: list[Url] = _AUDIOS
    resolution: Literal["480p", "720p", "1080p", "4k"] = Field("720p", json_schema_extra=says("catalogue entry"))


_SINGULAR = MappingProxyType(
    {
        MediumKind.IMAGE: MediaField("image_url", many=True),
        MediumKind.VIDEO: MediaField("video_url", many=True),
        MediumKind.AUDIO: MediaField("audio_url", many=True),
    }
)
_PLURAL = MappingProxyType(
    {
        MediumKind.IMAGE: MediaField("images", many=True),
        MediumKind.VIDEO: MediaField("videos", many=True),
        MediumKind.AUDIO: MediaField("audios", many=True),
    }
)

FAMILY: Final = FamilyRecord(
    name=NAME,
    title="Seedance 2.0 Pro",
    description="Pictures, clips and sounds as references.",
    category="image-to-video",
    route=Route.MULTI_MODAL,
    rank=1,
    sources=(PAGE, "catalogue entry"),
    endpoints=(
        Endpoint("bytedance/seedance-v2/pro", NAME, "documented", SeedanceDocumented, _SINGULAR),
        Endpoint("bytedance/seedance-2.0/pro", NAME, "catalogue", SeedanceCatalogue, _PLURAL),
    ),
    limits=LIMITS,
    traits=Traits(cuts=True),
    prior_seconds=65.0,  # 45 to 90 s
)
