"""Read a brief or a folder's defaults strictly: each problem names the key, its line, what is expected, and the remedy."""

import difflib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from i2v_assets.briefs.brief import (
    COLOURS,
    FILE_FIELDS,
    MAX_REROLLS,
    MAX_SHOTS,
    MAX_TAKES,
    Brief,
    LooseImages,
    MediaRef,
    Reroll,
)
from i2v_assets.briefs.yaml_reader import Document, DocumentError, DocumentFormat, plain_type, read_document
from resources.schemas.inputs import MAX_SEED

LOOSE_IMAGES = "loose_images"
"""The key of a ``_defaults`` file that says what becomes of images that no document names."""


class BriefError(DocumentError):
    """A brief, a defaults file or a row of a CSV batch cannot be used."""


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
