"""What every way of uploading shares: the look at one moment, a claim on a name, and how files are found and checked."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from i2v_assets.briefs.brief import Brief
from i2v_assets.uploads.tree import Defaults, Entry, Texts, Tree
from i2v_assets.uploads.types import (
    MEDIA_ENDINGS,
    Candidate,
    RefusedUpload,
    Settling,
    UploadFile,
    UploadObject,
    conversion,
    role_of,
    shown_name,
    split_name,
)
from resources.schemas.inputs import MediumKind

Outcome: TypeAlias = Candidate | Settling | RefusedUpload
Finder: TypeAlias = Callable[[str], UploadObject | None]
"""The object that a name in a brief or a row means, None when there is none."""

_FIELD_KINDS = {
    "images": MediumKind.IMAGE,
    "audio": MediumKind.AUDIO,
    "dub": MediumKind.AUDIO,
    "videos": MediumKind.VIDEO,
}


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the uploads."""

    now: datetime
    settle: timedelta
    texts: Texts
    tree: Tree
    defaults: Defaults
    elsewhere: Mapping[str, UploadObject]
    max_bytes: int | None

    def settled(self, changed: datetime) -> bool:
        """True when nothing happened since for as long as uploads must have been left alone."""
        return changed + self.settle <= self.now


@dataclass(frozen=True, slots=True)
class Claim:
    """An outcome under the clip name that it has or would have; the earliest keeps the name."""

    clip: str
    source: str
    since: datetime
    outcome: Outcome
    line: int | None = None


_CONVERT = "Convert it, and name the new file in its place"
"""What to do with a file that a brief or list names."""


class UploadProblem(Exception):
    """An upload that cannot become a clip as it is."""

    def __init__(self, words: str, remedy: str, key: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.remedy = remedy
        self.key = key


class FileMissing(UploadProblem):
    """A file that is named is not there, or not yet."""


def languages(clip: str, brief: Brief) -> Iterator[tuple[str, Brief]]:
    """The clips that one brief makes: one for each language of its dub, or itself."""
    if not brief.dub:
        yield clip, brief
        return
    if brief.audio is not None:
        raise UploadProblem(
            "The brief gives both `audio` and `dub`.", "Each language has its voiceover in `dub`: remove `audio`."
        )
    for language, file in brief.dub.items():
        yield f"{clip}--{language}", brief.model_copy(update={"dub": {language: file}})


def named_files(brief: Brief, find: Finder) -> tuple[UploadFile, ...]:
    """The files that a brief names, in its order.

    Raises:
        FileMissing: one of them is not there.
        UploadProblem: one of them is of another kind than its key says.
    """
    named: list[tuple[str, str]] = [("images", ref.file) for ref in brief.images or ()]
    named += [("videos", ref.file) for ref in brief.videos or ()]
    named += [("audio", ref.file) for ref in brief.audio or ()]
    named += [("dub", name) for name in (brief.dub or {}).values()]
    files: dict[str, UploadFile] = {}
    missing: list[str] = []
    for field, name in named:
        found = find(name)
        if found is None:
            missing.append(name)
            continue
        kind = _checked_kind(field, name, found)
        files[name] = UploadFile(name, found.key, found.etag, kind, found.size_bytes)
    if missing:
        names = ", ".join(f"`{shown_name(name)}`" for name in missing)
        raise FileMissing(f"There is no {names}.", "Upload it, or correct the name (small and capital letters count).")
    return tuple(files.values())


def _checked_kind(field: str, name: str, found: UploadObject) -> MediumKind:
    ending = split_name(name.rpartition("/")[2])[1]
    kind, wanted = MEDIA_ENDINGS.get(ending), _FIELD_KINDS[field]
    if kind is wanted:
        return kind
    if role_of(name.rpartition("/")[2]) == "convertible":
        raise UploadProblem(
            f"{shown_name(name)} is of a type that no route takes.", conversion(name, _CONVERT), found.key
        )
    endings = ", ".join(each for each, its_kind in MEDIA_ENDINGS.items() if its_kind is wanted)
    raise UploadProblem(f"`{field}` names {shown_name(name)}, which is not {endings}.", "Correct the brief.", found.key)


def check_sizes(look: Look, files: Sequence[UploadFile], changed: datetime) -> None:
    """Raises what is wrong with the sizes of files; an empty one may still be on its way.

    Raises:
        FileMissing: one is empty and was touched lately.
        UploadProblem: one is empty or larger than is looked at.
    """
    for file in files:
        if file.size_bytes == 0:
            problem = UploadProblem if look.settled(changed) else FileMissing
            raise problem(f"{shown_name(file.name)} is empty (0 bytes).", "Upload it again.", file.key)
        if look.max_bytes is not None and file.size_bytes > look.max_bytes:
            raise UploadProblem(
                f"{shown_name(file.name)} has {file.size_bytes:,} bytes; at most {look.max_bytes:,} are looked at.",
                "Upload a smaller file, or raise I2V_MAX_UPLOAD_BYTES.",
                file.key,
            )


def entry_files(entries: Sequence[Entry], folder: str) -> tuple[UploadFile, ...]:
    """Media of a folder under their names relative to it."""
    start = len(folder) + 1 if folder else 0
    return tuple(entry.file(entry.path[start:]) for entry in entries)


def version_of(files: Sequence[UploadFile], own: Brief) -> str:
    """Hash over the files' names and versions and what the clip's own brief says, however that is written down."""
    said = own.model_dump(mode="json", exclude_unset=True) if own.model_fields_set else {}
    plain = [[[file.name, file.etag] for file in files], said]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
