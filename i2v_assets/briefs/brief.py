"""The brief: what a person asks for in ``brief.yaml`` beside the media. Every field is optional.

A brief is strict, because a misspelt key would pay for an unwanted generation; `brief_reader` says what is wrong with one.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StrictStr,
)

from resources.composed import composed
from resources.schemas.inputs import MAX_SEED, Route

MAX_TAKES = 20
"""Maximum takes per brief; each is paid for."""

LooseImages: TypeAlias = Literal["order", "approve", "ignore"]
"""Order each, ask for each, or order only what documents name."""

MAX_REROLLS = 5
"""Maximum extra takes that low quality scores may trigger automatically."""

MAX_SHOTS = 40
"""Maximum shots over one image: 10 minutes at 15 s per shot, the longest that a route makes without another model."""


def relative_name(value: object) -> object:
    """Return a file name inside the clip's own folder, without a leading ``./``.

    Raises:
        ValueError: the name is empty, absolute, or points outside the folder.
    """
    if not isinstance(value, str):
        return value
    name = value.strip()
    parts = name.split("/")
    if not name or name.endswith("/"):
        raise ValueError("does not name a file")
    if name.startswith(("/", "\\")) or "://" in name or ".." in parts or ".." in name.split("\\"):
        raise ValueError("must name a file inside the brief's own folder, without a leading / and without ..")
    return "/".join(part for part in parts if part not in {"", "."})


FileName = Annotated[StrictStr, BeforeValidator(relative_name)]


class MediaRef(BaseModel):
    """One file that the brief assigns, with its role (used on the multi-modal route)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: FileName = Field(description="file name, relative to the brief")
    role: Annotated[StrictStr, Field(min_length=1, max_length=60)] | None = Field(
        None, description="what to take from it on the multi-modal route: subject, lighting, voice, ..."
    )


def _as_list(value: object) -> object:
    """Return a tuple for a single file or a list; a bare name becomes a file without a role."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple({"file": item} if isinstance(item, str) else item for item in items)


def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _language(value: str) -> str:
    if not value or not all(char.isascii() and (char.isalnum() or char == "-") for char in value) or "--" in value:
        raise ValueError("must be a language code such as en or pt-BR")
    return value


def _no_blank(value: object) -> object:
    """Return text without surrounding white space; None if it is only white space."""
    return (value.strip() or None) if isinstance(value, str) else value


COLOURS: Final = frozenset({"white", "black", "grey", "gray", "silver", "red", "green", "blue", "yellow", "beige"})
"""Colours by their CSS names; any other is written as #rrggbb."""


def _colour(value: str) -> str:
    if value in COLOURS or re.fullmatch(r"#[0-9a-f]{6}", value):
        return value
    raise ValueError("is not a colour that is known")


Colour = Annotated[StrictStr, AfterValidator(_colour)]

MediaList = Annotated[tuple[MediaRef, ...], BeforeValidator(_as_list), Field(min_length=1)]
Text = Annotated[StrictStr, AfterValidator(composed)]
ModelName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=200)]


MAX_INPUTS_BYTES = 32_000
"""Largest `inputs` of a brief as JSON; all that a model takes beside its media is text and numbers."""


def _model_inputs(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    text = json.dumps(value)
    if len(text) > MAX_INPUTS_BYTES:
        raise ValueError(f"is longer than {MAX_INPUTS_BYTES} characters")
    if any(name.startswith("$") for name in _names(value)):
        raise ValueError("has a name that begins with $")
    return value


def _names(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(each)


ModelInputs = Annotated[
    dict[Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=100)], JsonValue],
    Field(min_length=1, max_length=100),
    AfterValidator(_model_inputs),
]
Resolution: TypeAlias = Literal["480p", "720p", "1080p", "4k"]
AspectRatio: TypeAlias = Literal["adaptive", "16:9", "9:16", "1:1", "4:3", "3:4", "21:9"]


class Reroll(BaseModel):
    """Extra takes with a new seed while the quality score is low; within the budget, never after a content refusal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    below: Annotated[float, Field(gt=0, le=1, strict=True)] = Field(
        description="score below which another take is made"
    )
    at_most: Annotated[StrictInt, Field(ge=1, le=MAX_REROLLS)] = Field(1, description="maximum extra takes")


class Brief(BaseModel):
    """What a person asks for. Every key is optional; its description names the default."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Brief")

    prompt: Annotated[Text | None, BeforeValidator(_no_blank)] = Field(
        None, description="what moves and how; a motion preset is used if omitted"
    )
    motion: Annotated[StrictStr | None, BeforeValidator(_lowered)] = Field(
        None,
        description="motion preset: neutral, portrait, group, product, food, environment, character, graphic, or an own one",
    )
    route: Annotated[Route | None, BeforeValidator(_lowered)] = Field(
        None, description="animate, lip_sync or multi_modal; the media and the prompt decide if omitted"
    )
    model: Annotated[ModelName | None, BeforeValidator(_no_blank)] = Field(
        None,
        description="a family such as happyhorse-1.1, or any model id of the service's catalogue; the route's own if omitted",
    )
    inputs: ModelInputs | None = Field(
        None,
        description="further inputs of that model under the service's own names; a media field names a file of the clip",
    )
    images: MediaList | None = Field(None, description="images in order; the first is the subject")
    audio: MediaList | None = Field(None, description="voiceover, or sounds for the multi-modal route, in order")
    videos: MediaList | None = Field(None, description="reference clips for the multi-modal route, in order")
    end_image: FileName | None = Field(
        None, description="image that the clip ends on; with one first image, on animate and lip_sync"
    )
    loop: StrictBool | None = Field(None, description="the clip ends on its first image (default false)")
    music: FileName | None = Field(None, description="music laid under the finished animate clip, at no cost")
    narration: FileName | None = Field(
        None, description="voice laid over the finished animate clip, spoken by nobody in it, at no cost"
    )
    duration: Annotated[StrictInt, Field(ge=1)] | Literal["match_audio"] | None = Field(
        None, description="whole seconds, or match_audio (the default on lip_sync): the length of the voiceover"
    )
    resolution: Annotated[Resolution | None, BeforeValidator(_lowered)] = Field(
        None, description="480p, 720p, 1080p or 4k, if the route's model supports it"
    )
    aspect_ratio: Annotated[AspectRatio | None, BeforeValidator(_lowered)] = Field(
        None, description='such as "16:9", if the route does not take it from the image'
    )
    seed: Annotated[StrictInt, Field(ge=1, le=MAX_SEED)] | None = Field(
        None, description="seed of the first take; derived from the media if omitted"
    )
    takes: Annotated[StrictInt, Field(ge=1, le=MAX_TAKES)] | None = Field(
        None, description="number of takes to make, each paid for (default 1)"
    )
    choose: Annotated[Literal["first", "best"] | None, BeforeValidator(_lowered)] = Field(
        None, description="which take the clip shows: first, or best by quality score (the default if reroll is set)"
    )
    negative_prompt: Annotated[Text | None, BeforeValidator(_no_blank)] = Field(
        None, description="what must not appear; lip_sync only"
    )
    prompt_expansion: StrictBool | None = Field(
        None, description="lip_sync: the model may expand the prompt (default true)"
    )
    watermark: StrictBool | None = Field(None, description="the service's watermark; the project's setting if omitted")
    generate_audio: StrictBool | None = Field(None, description="multi_modal: the model makes sound (default true)")
    may_be_silent: StrictBool | None = Field(
        None,
        description="the quality checks accept a video without sound even if the model should make it (default false)",
    )
    fit: Annotated[Literal["pad", "crop"] | None, BeforeValidator(_lowered)] = Field(
        None,
        description="how an image that is too wide or too high for the route is made to fit: pad or crop (refused if omitted)",
    )
    background: Annotated[Colour | None, BeforeValidator(_lowered)] = Field(
        None,
        description='colour behind transparent pixels and around a padded image, such as "#202020" (default white)',
    )
    voice: Annotated[Literal["split", "cut"] | None, BeforeValidator(_lowered)] = Field(
        None,
        description="lip_sync: a voice beyond the route's limit is split into pieces that are joined (asks first if omitted), or cut",
    )
    keep_face: StrictBool | Literal["auto"] | None = Field(
        None, description="lip_sync with an image: show that person (default auto), or leave the image out (false)"
    )
    priority: Annotated[StrictInt, Field(ge=-100, le=100)] | None = Field(
        None, description="higher goes first (default 0)"
    )
    needs_approval: StrictBool | None = Field(None, description="wait for `i2v approve` before paying for it")
    dub: Annotated[dict[Annotated[StrictStr, AfterValidator(_language)], FileName], Field(min_length=1)] | None = Field(
        None, description="one clip per language: its voiceover by language code"
    )
    reroll: Reroll | None = Field(None, description="extra takes while the quality score is low")
    shots: (
        Annotated[tuple[Annotated[Text, Field(min_length=1)], ...], Field(min_length=2, max_length=MAX_SHOTS)] | None
    ) = Field(None, description="prompts of a longer film over one image, one per shot")

    @property
    def given(self) -> Mapping[str, Any]:
        """The fields that the brief sets, including empty ones."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    @property
    def names_media(self) -> bool:
        """True if the brief lists the files that it is made from."""
        return self.images is not None or self.audio is not None or self.videos is not None

    @property
    def single_files(self) -> Mapping[str, str]:
        """The files that the brief names for one purpose each, by key: the last image, and sounds under the picture."""
        return {key: getattr(self, key) for key in SINGLE_FILES if getattr(self, key) is not None}

    @property
    def holds_last_frame(self) -> bool:
        """True if the brief says what the clip ends on."""
        return self.end_image is not None or self.loop is True


SINGLE_FILES = ("end_image", "music", "narration")
"""Fields that name one file for one purpose; it is none of the clip's images or voices."""

FILE_FIELDS = ("images", "audio", "videos", "dub", *SINGLE_FILES)
"""Fields that name files and therefore belong to one clip's own brief."""


def merge(defaults: Brief, brief: Brief) -> Brief:
    """Return the brief on top of its folder's defaults: every key that the brief sets wins, even an empty one.

    For nested folders, merge from the outermost folder inwards.
    """
    given = {**defaults.given, **brief.given}
    return Brief.model_construct(_fields_set=set(given), **given)
