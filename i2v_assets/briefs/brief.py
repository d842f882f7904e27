"""The brief: what a person asks for in ``brief.yaml`` beside the media. Every field is optional.

A brief is read strictly, because a misspelt key would pay for an unwanted generation. Unknown keys are refused with a
suggestion; values of the wrong type are refused with the expected type.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
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
    ValidationError,
)
from pydantic_core import ErrorDetails

from i2v_assets.briefs.yaml_reader import Document, DocumentError, DocumentFormat, plain_type, read_document
from resources.composed import composed
from resources.schemas.inputs import MAX_SEED, Route

MAX_TAKES = 20
"""Maximum takes per brief; each is paid for."""

LOOSE_IMAGES = "loose_images"
"""The key of a ``_defaults`` file that says what becomes of images that no document names."""

LooseImages: TypeAlias = Literal["order", "approve", "ignore"]
"""Order each, ask for each, or order only what documents name."""

MAX_REROLLS = 5
"""Maximum extra takes that low quality scores may trigger automatically."""

MAX_SHOTS = 40
"""Maximum shots over one image: 10 minutes at 15 s per shot, the longest that a route makes without another model."""


class BriefError(DocumentError):
    """A brief, a defaults file or a row of a CSV batch cannot be used."""


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

_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "prompt": "text",
        "motion": "the name of a motion preset, such as portrait",
        "route": "animate, lip_sync or multi_modal",
        "model": "a family such as happyhorse-1.1, or a model id of the catalogue such as kling/kling-3.0/pro/image-to-video",
        "inputs": "names and values of the model's own inputs, such as `cfg_scale: 0.5`",
        "images": "a file name or a list of file names inside the brief's folder",
        "audio": "a file name or a list of file names inside the brief's folder",
        "videos": "a file name or a list of file names inside the brief's folder",
        "end_image": "the name of an image inside the brief's folder",
        "loop": "true or false",
        "music": "the name of a sound inside the brief's folder",
        "narration": "the name of a sound inside the brief's folder",
        "duration": "a whole number of seconds from 1, or match_audio",
        "resolution": "480p, 720p, 1080p or 4k",
        "aspect_ratio": "adaptive, 16:9, 9:16, 1:1, 4:3, 3:4 or 21:9",
        "seed": f"a whole number from 1 to {MAX_SEED} (0 means random at the service; leave the key out for a derived seed)",
        "takes": f"a whole number from 1 to {MAX_TAKES}",
        "choose": "first or best",
        "negative_prompt": "text",
        "prompt_expansion": "true or false",
        "watermark": "true or false",
        "generate_audio": "true or false",
        "may_be_silent": "true or false",
        "fit": "pad or crop",
        "background": f'a colour such as "#202020" (in quotes), or one of {", ".join(sorted(COLOURS))}',
        "voice": "split or cut",
        "keep_face": "true, false or auto",
        "priority": "a whole number from -100 to 100",
        "needs_approval": "true or false",
        "dub": "language codes, each with a file name inside the brief's folder, such as `en: voice-en.mp3`",
        "reroll": f"`below` (a number up to 1) and `at_most` (a whole number from 1 to {MAX_REROLLS})",
        "shots": f"a list of 2 to {MAX_SHOTS} prompts",
    }
)


def parse_brief(text: str, name: str, kind: DocumentFormat) -> Brief:
    """Read a brief.

    Args:
        text: The file's text.
        name: What to call the file in messages, such as ``shoes/brief.yaml``.
        kind: The format of the text.

    Raises:
        BriefError: the brief cannot be read or used; names the file, the key, the limit and the remedy.
    """
    try:
        return _parsed(text, name, kind)
    except BriefError:
        raise
    except DocumentError as error:
        raise BriefError(error.message, remedy=error.remedy) from None


@lru_cache(maxsize=4096)  # a sensor reads the same unchanged briefs at every tick
def _parsed(text: str, name: str, kind: DocumentFormat) -> Brief:
    return brief_from(read_document(text, name, kind), name)


def parse_defaults(text: str, name: str, kind: DocumentFormat) -> Brief:
    """Read a folder's ``_defaults`` file: a brief that names no files, and perhaps `loose_images`.

    Raises:
        BriefError: the file is not a valid brief, or it names files.
    """
    brief = _defaults(text, name, kind)[0]
    naming = [field for field in FILE_FIELDS if getattr(brief, field) is not None]
    if naming:
        raise BriefError(
            f"{name} sets `{naming[0]}`, but defaults are for many clips and cannot name files.",
            remedy=f"Move `{naming[0]}` to a brief.yaml in the clip's own folder.",
        )
    return brief


def loose_images_of(text: str, name: str, kind: DocumentFormat) -> LooseImages | None:
    """Return what a ``_defaults`` file says of images that no document names; None if it says nothing.

    Raises:
        BriefError: as `parse_defaults`.
    """
    return _defaults(text, name, kind)[1]


@lru_cache(maxsize=1024)  # a sensor reads the same unchanged files at every tick
def _defaults(text: str, name: str, kind: DocumentFormat) -> tuple[Brief, LooseImages | None]:
    try:
        document = read_document(text, name, kind)
    except BriefError:
        raise
    except DocumentError as error:
        raise BriefError(error.message, remedy=error.remedy) from None
    data = dict(document.data)
    written = data.pop(LOOSE_IMAGES, None)
    brief = brief_from(Document(data, document.lines), name)
    if LOOSE_IMAGES not in document.data:
        return brief, None
    for choice in ("order", "approve", "ignore"):
        if isinstance(written, str) and written.strip().lower() == choice:
            return brief, choice
    raise BriefError(
        f"{name}: `{LOOSE_IMAGES}` is {_shown(written)}{_line(document, LOOSE_IMAGES)}.",
        remedy=f"`{LOOSE_IMAGES}` must be order, approve or ignore.",
    )


def brief_from(document: Document, name: str, *, listed: bool = False) -> Brief:
    """Return the brief in a parsed document, after checking its keys and values.

    Args:
        document: The parsed document.
        name: What to call it in messages.
        listed: True for a row of a CSV batch, which may also name files elsewhere in the bucket.

    Raises:
        BriefError: a key or value is wrong; lists all problems in one message.
    """
    try:
        brief = Brief.model_validate(document.data)
    except ValidationError as error:
        problems: dict[str, tuple[str, str]] = {}
        # A misspelt required key is also reported as missing; report the misspelling only.
        for detail in sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden"):
            if not detail["loc"]:  # the document as a whole, not one of its keys
                raise BriefError(f"{name} cannot be read as a brief.", remedy="Retype it, in UTF-8.") from None
            key = str(detail["loc"][0])
            problems.setdefault(key, _in_words(detail, document))
        words, remedies = zip(*problems.values(), strict=True)
        text, remedy = f"{name}: {'; '.join(words)}.", " ".join(dict.fromkeys(remedies))
        if listed:
            text, remedy = (part.replace("inside the brief's own folder", _LISTED_FILES) for part in (text, remedy))
            remedy = remedy.replace("inside the brief's folder", _LISTED_FILES)
        raise BriefError(text, remedy=remedy) from None
    _check_once(brief, document, name)
    return brief


_LISTED_FILES = "beside the CSV batch, or another key of the bucket such as `uploads/shoes/1.jpg`"


def _check_once(brief: Brief, document: Document, name: str) -> None:
    """Refuse a file that is listed twice under one key: it would be sent once, and later numbers would shift.

    This check is not in the model, because the model also reads briefs that earlier versions admitted.
    """
    for field in ("images", "audio", "videos"):
        files = [ref.file for ref in getattr(brief, field) or ()]
        twice = next((file for file in files if files.count(file) > 1), None)
        if twice is not None:
            raise BriefError(
                f"{name}: `{field}` names {_shown(twice)} twice{_line(document, field)}.", remedy="Keep one of them."
            )


def _line(document: Document, key: str) -> str:
    return f" (line {document.lines[key]})" if key in document.lines else ""


def _in_words(detail: ErrorDetails, document: Document) -> tuple[str, str]:
    key = str(detail["loc"][0])
    where = _line(document, key)
    if key not in Brief.model_fields:
        return f"`{key}` is not a key of a brief{where}", suggestion(key, Brief.model_fields)
    value = document.data.get(key)
    inner = [part for part in detail["loc"][1:] if isinstance(part, str)]
    if detail["type"] == "extra_forbidden":
        allowed = Reroll.model_fields if key == "reroll" else MediaRef.model_fields
        return f"`{inner[-1]}` is not a key under `{key}`{where}", suggestion(inner[-1], allowed)
    if detail["type"] == "missing":
        return f"`{key}` lacks `{inner[-1]}`{where}", f"`{key}` must be {_EXPECTED[key]}."
    if detail["type"] == "value_error":
        reason = detail["msg"].removeprefix("Value error, ")
        return f"`{key}` holds {_shown(detail['input'])}, which {reason}{where}", f"`{key}` must be {_EXPECTED[key]}."
    if inner and key == "reroll":
        return f"`{key}.{inner[-1]}` is {_shown(detail['input'])}{where}", f"`{key}` must be {_EXPECTED[key]}."
    if isinstance(value, list) and len(detail["loc"]) > 1:  # an item of the list is wrong, not the list itself
        return f"`{key}` holds {_shown(detail['input'])}{where}", f"`{key}` must be {_EXPECTED[key]}."
    return f"`{key}` is {_shown(value)}{where}", f"`{key}` must be {_EXPECTED[key]}."


def _shown(value: object) -> str:
    """Return a value for a message: short and on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
        return shown if len(shown) <= 60 else f"{shown[:56]}...{shown[-1]}"
    if isinstance(value, list) and len(value) != 1:
        return f"a list of {len(value)}" if value else "an empty list"
    return plain_type(value)


_OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("end_image_url", "last_frame", "last_image", "tail_image", "image_tail", "tail_image_url", "end_frame",
         "last_frame_image", "last_frame_url", "last_image_url", "final_image", "final_frame", "end_keyframe"),
        "end_image",
    )
    | {"looping": "loop", "seamless": "loop", "seamless_loop": "loop", "voiceover": "audio", "voice": "audio"}
    | {"audio_url": "audio", "image_url": "images", "video_url": "videos", "image": "images", "video": "videos"}
    | {"background_music": "music", "bgm": "music", "soundtrack": "music", "narrator": "narration", "voice_over": "narration"}
)  # fmt: skip
"""Keys of other programs and of the vendors' interfaces, with the key that is meant."""


def suggestion(word: str, allowed: Mapping[str, object] | tuple[str, ...]) -> str:
    """Return a hint with the closest allowed word, or with all of them."""
    meant = _OTHER_NAMES.get(word.strip().lower().replace("-", "_").replace(" ", "_"))
    if meant in allowed:
        return f"Did you mean `{meant}`?"
    near = difflib.get_close_matches(word.strip().lower().replace("-", "_").replace(" ", "_"), list(allowed), 1, 0.6)
    return f"Did you mean `{near[0]}`?" if near else f"Allowed: {', '.join(allowed)}."


def merge(defaults: Brief, brief: Brief) -> Brief:
    """Return the brief on top of its folder's defaults: every key that the brief sets wins, even an empty one.

    For nested folders, merge from the outermost folder inwards.
    """
    given = {**defaults.given, **brief.given}
    return Brief.model_construct(_fields_set=set(given), **given)
