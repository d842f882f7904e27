"""What a person asks for: ``brief.yaml`` beside the media, with every field optional.

A brief is read strictly, because a misspelt key would cost a generation that nobody wanted: unknown keys are refused
with a suggestion, values of the wrong type are explained in words.
"""

import difflib
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic_core import ErrorDetails

from i2v_assets.briefs.yaml_reader import Document, DocumentError, DocumentFormat, plain_type, read_document
from resources.schemas.inputs import MAX_SEED, Route

MAX_TAKES = 20
"""Most takes that one brief may ask for; each is paid for."""

MAX_REROLLS = 5
"""Most further takes that a low quality score may cause by itself."""

MAX_SHOTS = 40
"""Most shots over one image: 10 minutes of film at the 15 s where every route ends."""


class BriefError(DocumentError):
    """A brief, a defaults file or a row of a list cannot be used as it is."""


def relative_name(value: object) -> object:
    """A file name inside the clip's own folder; ``./`` is dropped.

    Raises:
        ValueError: empty, absolute, or leading out of the folder.
    """
    if not isinstance(value, str):
        return value
    name = value.strip()
    parts = name.split("/")
    if not name or name.endswith("/"):
        raise ValueError("names no file")
    if name.startswith(("/", "\\")) or "://" in name or ".." in parts or ".." in name.split("\\"):
        raise ValueError("must name a file inside the brief's own folder, without a leading / and without ..")
    return "/".join(part for part in parts if part not in {"", "."})


FileName = Annotated[StrictStr, BeforeValidator(relative_name)]


class MediaRef(BaseModel):
    """One file that the brief assigns, with what it stands for (used on the multi-modal route)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: FileName = Field(description="file name, relative to the brief")
    role: Annotated[StrictStr, Field(min_length=1, max_length=60)] | None = Field(
        None, description="what is taken from it on the multi-modal route: subject, lighting, voice, ..."
    )


def _as_list(value: object) -> object:
    """One file alone is a list of one; a bare name is a file without a role."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple({"file": item} if isinstance(item, str) else item for item in items)


def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _language(value: str) -> str:
    if not value or not all(char.isascii() and (char.isalnum() or char == "-") for char in value) or "--" in value:
        raise ValueError("must be a language code such as en or pt-BR")
    return value


def _no_blank(value: object) -> object:
    """Text without white space around it; only white space is no text."""
    return (value.strip() or None) if isinstance(value, str) else value


MediaList = Annotated[tuple[MediaRef, ...], BeforeValidator(_as_list), Field(min_length=1)]
Text = Annotated[StrictStr, AfterValidator(lambda text: unicodedata.normalize("NFC", text))]
Resolution: TypeAlias = Literal["480p", "720p", "1080p", "4k"]
AspectRatio: TypeAlias = Literal["adaptive", "16:9", "9:16", "1:1", "4:3", "3:4", "21:9"]


class Reroll(BaseModel):
    """Another take with a new seed when the quality score is low; inside the budget, never after a content refusal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    below: Annotated[float, Field(gt=0, le=1, strict=True)] = Field(description="score under which another is made")
    at_most: Annotated[StrictInt, Field(ge=1, le=MAX_REROLLS)] = Field(1, description="most further takes")


class Brief(BaseModel):
    """What a person asks for. Every key may be left out; the defaults are said beside each."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Brief")

    prompt: Annotated[Text | None, BeforeValidator(_no_blank)] = Field(
        None, description="what moves and how; without it a motion preset is used"
    )
    motion: Annotated[StrictStr | None, BeforeValidator(_lowered)] = Field(
        None, description="motion preset: portrait, product, environment, character, or one of the project's own"
    )
    route: Annotated[Route | None, BeforeValidator(_lowered)] = Field(
        None, description="animate, lip_sync or multi_modal; without it the media and the prompt decide"
    )
    images: MediaList | None = Field(None, description="images in order, the first is the subject")
    audio: MediaList | None = Field(None, description="voiceover, or sounds of the multi-modal route, in order")
    videos: MediaList | None = Field(None, description="reference clips of the multi-modal route, in order")
    duration: Annotated[StrictInt, Field(ge=1)] | Literal["match_audio"] | None = Field(
        None, description="whole seconds, or match_audio (the default on lip_sync): as long as the voiceover"
    )
    resolution: Annotated[Resolution | None, BeforeValidator(_lowered)] = Field(
        None, description="480p, 720p, 1080p or 4k, as far as the route's model has it"
    )
    aspect_ratio: Annotated[AspectRatio | None, BeforeValidator(_lowered)] = Field(
        None, description='such as "16:9", where the route does not take it from the image'
    )
    seed: Annotated[StrictInt, Field(ge=1, le=MAX_SEED)] | None = Field(
        None, description="of the first take; derived from the media where left out"
    )
    takes: Annotated[StrictInt, Field(ge=1, le=MAX_TAKES)] | None = Field(
        None, description="how many takes to make, each paid for (1 where left out)"
    )
    choose: Annotated[Literal["first", "best"] | None, BeforeValidator(_lowered)] = Field(
        None, description="which take the clip shows: first, or best by quality score (the default with reroll)"
    )
    negative_prompt: Annotated[Text | None, BeforeValidator(_no_blank)] = Field(
        None, description="what must not appear; lip_sync only"
    )
    prompt_expansion: StrictBool | None = Field(None, description="lip_sync: the model may widen the prompt (true)")
    watermark: StrictBool | None = Field(None, description="the service's watermark; the project's setting if left out")
    generate_audio: StrictBool | None = Field(None, description="multi_modal: the model makes sound (true)")
    may_be_silent: StrictBool | None = Field(
        None, description="the quality checks accept a video without sound where the model should make it (false)"
    )
    keep_face: StrictBool | Literal["auto"] | None = Field(
        None, description="lip_sync with an image: show that person (auto), or do without (false)"
    )
    priority: Annotated[StrictInt, Field(ge=-100, le=100)] | None = Field(
        None, description="higher goes first (0 where left out)"
    )
    needs_approval: StrictBool | None = Field(None, description="wait for `i2v approve` before it is paid for")
    dub: Annotated[dict[Annotated[StrictStr, AfterValidator(_language)], FileName], Field(min_length=1)] | None = Field(
        None, description="one clip per language: its voiceover by language code"
    )
    reroll: Reroll | None = Field(None, description="another take when the quality score is low")
    shots: (
        Annotated[tuple[Annotated[Text, Field(min_length=1)], ...], Field(min_length=2, max_length=MAX_SHOTS)] | None
    ) = Field(None, description="prompts of a longer film over one image, one shot each")

    @property
    def given(self) -> Mapping[str, Any]:
        """The fields that were written down, an empty one too."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    @property
    def names_media(self) -> bool:
        """True when the brief says which files it is made from."""
        return self.images is not None or self.audio is not None or self.videos is not None


FILE_FIELDS = ("images", "audio", "videos", "dub")
"""Fields that name files, and so belong to one clip's own brief."""

_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "prompt": "text",
        "motion": "the name of a motion preset, such as portrait",
        "route": "animate, lip_sync or multi_modal",
        "images": "a file name or a list of file names inside the brief's folder",
        "audio": "a file name or a list of file names inside the brief's folder",
        "videos": "a file name or a list of file names inside the brief's folder",
        "duration": "a whole number of seconds from 1, or match_audio",
        "resolution": "480p, 720p, 1080p or 4k",
        "aspect_ratio": "adaptive, 16:9, 9:16, 1:1, 4:3, 3:4 or 21:9",
        "seed": f"a whole number from 1 to {MAX_SEED} (0 means random at the service, leave the key out for a derived one)",
        "takes": f"a whole number from 1 to {MAX_TAKES}",
        "choose": "first or best",
        "negative_prompt": "text",
        "prompt_expansion": "true or false",
        "watermark": "true or false",
        "generate_audio": "true or false",
        "may_be_silent": "true or false",
        "keep_face": "true, false or auto",
        "priority": "a whole number from -100 to 100",
        "needs_approval": "true or false",
        "dub": "language codes, each with a file name inside the brief's folder, such as `en: voice-en.mp3`",
        "reroll": f"`below` (a number up to 1) and `at_most` (a whole number from 1 to {MAX_REROLLS})",
        "shots": f"a list of 2 to {MAX_SHOTS} prompts",
    }
)


def parse_brief(text: str, name: str, kind: DocumentFormat) -> Brief:
    """Reads a brief.

    Args:
        text: The file's text.
        name: What to call the file in messages, such as ``shoes/brief.yaml``.
        kind: How it is written.

    Raises:
        BriefError: it cannot be read or asks for what no clip can be; names the file, the key, the limit, the remedy.
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
    """Reads a folder's ``_defaults`` file: a brief that names no files.

    Raises:
        BriefError: as for a brief, or it names files.
    """
    brief = parse_brief(text, name, kind)
    naming = [field for field in FILE_FIELDS if getattr(brief, field) is not None]
    if naming:
        raise BriefError(
            f"{name} sets `{naming[0]}`, but defaults are for many clips and cannot name files.",
            remedy=f"Move `{naming[0]}` to a brief.yaml in the clip's own folder.",
        )
    return brief


def brief_from(document: Document, name: str, *, listed: bool = False) -> Brief:
    """Checks the keys and values of a read document.

    Args:
        document: What was read.
        name: What to call it in messages.
        listed: It is a row of a list, which may also name files elsewhere in the bucket.

    Raises:
        BriefError: all that is wrong with it, in one message.
    """
    try:
        brief = Brief.model_validate(document.data)
    except ValidationError as error:
        problems: dict[str, tuple[str, str]] = {}
        # A misspelt key also leaves its right spelling missing: the misspelling is what to tell.
        for detail in sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden"):
            if not detail["loc"]:  # the document as a whole, not one of its keys
                raise BriefError(f"{name} cannot be read as a brief.", remedy="Retype it, in UTF-8.") from None
            key = str(detail["loc"][0])
            problems.setdefault(key, _in_words(detail, document))
        words, remedies = zip(*problems.values(), strict=True)
        text, remedy = f"{name}: {'; '.join(words)}.", " ".join(dict.fromkeys(remedies))
        if listed:
            text, remedy = (said.replace("inside the brief's own folder", _LISTED_FILES) for said in (text, remedy))
            remedy = remedy.replace("inside the brief's folder", _LISTED_FILES)
        raise BriefError(text, remedy=remedy) from None
    _check_once(brief, document, name)
    return brief


_LISTED_FILES = "beside the list, or another key of the bucket as `uploads/shoes/1.jpg`"


def _check_once(brief: Brief, document: Document, name: str) -> None:
    """No file twice under one key: it would be sent once, and every number behind it would mean another file.

    Here and not in the model, which also reads what earlier versions admitted.
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
        return f"`{key}` is no key of a brief{where}", suggestion(key, Brief.model_fields)
    value = document.data.get(key)
    inner = [part for part in detail["loc"][1:] if isinstance(part, str)]
    if detail["type"] == "extra_forbidden":
        known = Reroll.model_fields if key == "reroll" else MediaRef.model_fields
        return f"`{inner[-1]}` is no key under `{key}`{where}", suggestion(inner[-1], known)
    if detail["type"] == "missing":
        return f"`{key}` lacks `{inner[-1]}`{where}", f"`{key}` must be {_EXPECTED[key]}."
    if detail["type"] == "value_error":
        reason = detail["msg"].removeprefix("Value error, ")
        return f"`{key}` holds {_shown(detail['input'])}, which {reason}{where}", f"`{key}` must be {_EXPECTED[key]}."
    if inner and key == "reroll":
        return f"`{key}.{inner[-1]}` is {_shown(detail['input'])}{where}", f"`{key}` must be {_EXPECTED[key]}."
    if isinstance(value, list) and len(detail["loc"]) > 1:  # one of its parts is wrong, a list may well stand there
        return f"`{key}` holds {_shown(detail['input'])}{where}", f"`{key}` must be {_EXPECTED[key]}."
    return f"`{key}` is {_shown(value)}{where}", f"`{key}` must be {_EXPECTED[key]}."


def _shown(value: object) -> str:
    """A value as it may stand in a message: short, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
        return shown if len(shown) <= 60 else f"{shown[:56]}...{shown[-1]}"
    if isinstance(value, list) and len(value) != 1:
        return f"a list of {len(value)}" if value else "an empty list"
    return plain_type(value)


def suggestion(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """The nearest known word, or all of them."""
    near = difflib.get_close_matches(word.strip().lower().replace("-", "_").replace(" ", "_"), list(known), 1, 0.6)
    return f"Did you mean `{near[0]}`?" if near else f"Known keys: {', '.join(known)}."


def merge(defaults: Brief, brief: Brief) -> Brief:
    """The brief on top of its folder's defaults: what the brief writes down wins, an empty key too.

    For nested folders fold from the outermost to the nearest.
    """
    given = {**defaults.given, **brief.given}
    return Brief.model_construct(_fields_set=set(given), **given)
