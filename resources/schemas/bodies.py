"""The request bodies on the wire: one model per endpoint, each field with its limit and its source.

Field names, values and defaults here are the service's and may change; the project's own names are in ``inputs.py``. A
media field holds an http(s) URL or a ``data:`` URI. Validation errors never print the input, because URLs are secrets.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resources.schemas.inputs import MAX_SEED, Family
from resources.schemas.limits import (
    HAPPYHORSE_PAGE,
    LIMITS,
    SEEDANCE_PAGE,
    WAN_I2V_PAGE,
    WAN_T2V_PAGE,
)
from resources.schemas.prompt_length import prompt_problem


def _prompt_of(family: Family) -> AfterValidator:
    def check(prompt: str) -> str:
        problem = prompt_problem(family, prompt)
        if problem:
            raise ValueError(problem)
        return prompt

    return AfterValidator(check)


def _says(source: str, **schema: Any) -> dict[str, Any]:
    return {"source": source, **schema}


class Body(BaseModel):
    """The common base: exact types, no unknown fields, and no input in an error's text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


_URL = r"^(https?://\S+|data:\S+)$"
ImageUrl = Annotated[str, Field(pattern=_URL, json_schema_extra={"format": "image_uri"})]
AudioUrl = Annotated[str, Field(pattern=_URL, json_schema_extra={"format": "audio_uri"})]
_Url = Annotated[str, Field(pattern=_URL)]

_SEED_PAGE = "model pages: 0 to 2147483647, 0 is random"
_HAPPYHORSE = LIMITS[Family.HAPPYHORSE_I2V]
_WAN_T2V = LIMITS[Family.WAN_T2V]
_WAN_I2V = LIMITS[Family.WAN_I2V]
_SEEDANCE = LIMITS[Family.SEEDANCE_PRO]


class _HappyHorse(Body):
    image_url: ImageUrl = Field(
        description="JPEG, PNG or WebP; sides >= 300 px; aspect 1:2.5 to 2.5:1; at most 10 MB",
        json_schema_extra=_says(HAPPYHORSE_PAGE, format="image_uri"),
    )
    prompt: Annotated[str, _prompt_of(Family.HAPPYHORSE_I2V)] = Field(
        max_length=_HAPPYHORSE.prompt.max_units,
        description="at most 5000 characters, or 2500 if Chinese",
        json_schema_extra=_says(HAPPYHORSE_PAGE),
    )
    resolution: Literal["720P", "1080P"] = Field(
        "1080P", description="capital P", json_schema_extra=_says(HAPPYHORSE_PAGE)
    )
    duration: int = Field(
        5,
        ge=_HAPPYHORSE.min_duration,
        le=_HAPPYHORSE.max_duration,
        description="seconds, 3 to 15",
        json_schema_extra=_says(HAPPYHORSE_PAGE),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 is random", json_schema_extra=_says(_SEED_PAGE))


class HappyHorseDocumented(_HappyHorse):
    """HappyHorse 1.0 image-to-video under the documented id."""

    watermark: bool = Field(
        True, description="marks the picture; always sent", json_schema_extra=_says(f"{HAPPYHORSE_PAGE}: true")
    )


class HappyHorseCatalogue(_HappyHorse):
    """HappyHorse 1.0 image-to-video under the catalogue's id, whose default for the watermark is the opposite."""

    watermark: bool = Field(
        False, description="marks the picture; always sent", json_schema_extra=_says("catalogue entry: false")
    )


class WanTextToVideo(Body):
    """Wan 2.7 text-to-video with a voiceover; takes no image."""

    prompt: Annotated[str, _prompt_of(Family.WAN_T2V)] = Field(
        max_length=_WAN_T2V.prompt.max_units,
        description="at most 5000 characters",
        json_schema_extra=_says(WAN_T2V_PAGE),
    )
    audio_url: AudioUrl | None = Field(
        None,
        description="WAV or MP3, 3 to 30 s, at most 15 MB; required for lip-sync",
        json_schema_extra=_says(WAN_T2V_PAGE, format="audio_uri"),
    )
    aspect_ratio: Literal["16:9", "9:16", "1:1", "4:3", "3:4"] = Field("16:9", json_schema_extra=_says(WAN_T2V_PAGE))
    resolution: Literal["720p", "1080p"] = Field("1080p", description="small p", json_schema_extra=_says(WAN_T2V_PAGE))
    duration: int = Field(
        5,
        ge=_WAN_T2V.min_duration,
        le=_WAN_T2V.max_duration,
        description="seconds, 2 to 15; silent past the audio's end, longer audio is cut",
        json_schema_extra=_says(WAN_T2V_PAGE),
    )
    negative_prompt: str | None = Field(
        None,
        max_length=_WAN_T2V.max_negative_prompt,
        description="at most 500 characters",
        json_schema_extra=_says(WAN_T2V_PAGE),
    )
    enable_prompt_expansion: bool = Field(True, json_schema_extra=_says(WAN_T2V_PAGE))
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 is random", json_schema_extra=_says(_SEED_PAGE))


class WanImageToVideo(Body):
    """Wan 2.7 image-to-video, the lip-sync endpoint that shows the person of the image; catalogue id only."""

    prompt: Annotated[str, _prompt_of(Family.WAN_I2V)] = Field(
        max_length=_WAN_I2V.prompt.max_units,
        description="at most 5000 characters",
        json_schema_extra=_says(f"as {WAN_T2V_PAGE}"),
    )
    image_url: ImageUrl = Field(json_schema_extra=_says(WAN_I2V_PAGE, format="image_uri"))
    audio_url: AudioUrl | None = Field(
        None, description="2 to 30 s", json_schema_extra=_says(WAN_I2V_PAGE, format="audio_uri")
    )
    end_image_url: ImageUrl | None = Field(None, json_schema_extra=_says(WAN_I2V_PAGE, format="image_uri"))
    negative_prompt: str | None = Field(
        None,
        max_length=_WAN_I2V.max_negative_prompt,
        description="at most 500 characters",
        json_schema_extra=_says(f"as {WAN_T2V_PAGE}"),
    )
    enable_prompt_expansion: bool = Field(True, json_schema_extra=_says(f"as {WAN_T2V_PAGE}"))
    resolution: Literal["720p", "1080p"] = Field("1080p", json_schema_extra=_says(f"as {WAN_T2V_PAGE}"))
    duration: int = Field(
        5,
        ge=_WAN_I2V.min_duration,
        le=_WAN_I2V.max_duration,
        description="seconds, 2 to 15",
        json_schema_extra=_says(WAN_I2V_PAGE),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 is random", json_schema_extra=_says(_SEED_PAGE))


_IMAGES: Any = Field(
    [],
    max_length=_SEEDANCE.images.max_count,
    description="0 to 9; the first is the primary subject",
    json_schema_extra=_says(SEEDANCE_PAGE, format="image_uris"),
)
_VIDEOS: Any = Field(
    [],
    max_length=_SEEDANCE.videos.max_count,
    description="0 to 3; MP4 or MOV; 2 to 15 s each",
    json_schema_extra=_says(SEEDANCE_PAGE, format="video_uris"),
)
_AUDIOS: Any = Field(
    [],
    max_length=_SEEDANCE.audios.max_count,
    description="0 to 3; WAV or MP3; 2 to 15 s and below 15 MB each",
    json_schema_extra=_says(SEEDANCE_PAGE, format="audio_uris"),
)


class _Seedance(Body):
    prompt: Annotated[str, _prompt_of(Family.SEEDANCE_PRO)] = Field(
        description="at most 1000 English words or 500 Chinese characters", json_schema_extra=_says(SEEDANCE_PAGE)
    )
    aspect_ratio: Literal["adaptive", "16:9", "9:16", "4:3", "3:4", "1:1", "21:9"] = Field(
        "adaptive", json_schema_extra=_says(SEEDANCE_PAGE)
    )
    duration: int = Field(
        5,
        ge=_SEEDANCE.min_duration,
        le=_SEEDANCE.max_duration,
        description="seconds, 4 to 15",
        json_schema_extra=_says(SEEDANCE_PAGE),
    )
    generate_audio: bool = Field(True, json_schema_extra=_says(SEEDANCE_PAGE))
    seed: int | None = Field(None, ge=0, le=MAX_SEED, json_schema_extra=_says(_SEED_PAGE))


class SeedanceDocumented(_Seedance):
    """Seedance 2.0 Pro under the documented id: singular names for lists, two resolutions."""

    image_url: list[_Url] = _IMAGES
    video_url: list[_Url] = _VIDEOS
    audio_url: list[_Url] = _AUDIOS
    resolution: Literal["480p", "720p"] = Field("720p", json_schema_extra=_says(SEEDANCE_PAGE))


class SeedanceCatalogue(_Seedance):
    """Seedance 2.0 Pro under the catalogue's id: plural names, four resolutions."""

    images: list[_Url] = _IMAGES
    videos: list[_Url] = _VIDEOS
    audios: list[_Url] = _AUDIOS
    resolution: Literal["480p", "720p", "1080p", "4k"] = Field("720p", json_schema_extra=_says("catalogue entry"))
