"""Shared by all upload layouts: the snapshot of one scan, a clip and its claim on a name, and finding and checking files."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from i2v_assets.briefs.brief import Brief, merge
from i2v_assets.uploads.doubt import Doubts
from i2v_assets.uploads.marks import Marks, UploadMark
from i2v_assets.uploads.memory import IntakeMemory
from i2v_assets.uploads.near_names import NearFiles
from i2v_assets.uploads.roles import MEDIA_ENDINGS, conversion, role_of, shown_name, split_name
from i2v_assets.uploads.tree import Defaults, Entry, Texts, Tree
from i2v_assets.uploads.types import (
    Candidate,
    Doubt,
    Kept,
    RefusedUpload,
    Settling,
    UploadFile,
    UploadKind,
    UploadObject,
)
from resources.schemas.inputs import MediumKind

Outcome: TypeAlias = Candidate | Settling | RefusedUpload | Kept
Finder: TypeAlias = Callable[[str], UploadObject | None]
"""Returns the object that a name in a brief or a row refers to, or None."""

_FIELD_KINDS = {
    "images": MediumKind.IMAGE,
    "audio": MediumKind.AUDIO,
    "dub": MediumKind.AUDIO,
    "videos": MediumKind.VIDEO,
    "end_image": MediumKind.IMAGE,
    "music": MediumKind.AUDIO,
    "narration": MediumKind.AUDIO,
}


MEDIA_ORDER = {MediumKind.IMAGE: 0, MediumKind.VIDEO: 1, MediumKind.AUDIO: 2}
TEXT_NOT_READ = "Waiting until its brief, its CSV batch and its folder's defaults can be read."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Inputs of one scan of the uploads, and what its documents say so far.

    Attributes:
        doubts: Collects what is not understood.
        described: Collects the objects that documents order: key -> the document's key.
        list_folders: Collects the folders of lists that were read, and of the files that they name.
    """

    now: datetime
    settle: timedelta
    texts: Texts
    tree: Tree
    defaults: Defaults
    elsewhere: Mapping[str, UploadObject]
    max_bytes: int | None
    taken: Mapping[str, str]
    memory: IntakeMemory
    marks: Marks
    near: NearFiles
    doubts: Doubts
    described: dict[str, str]
    list_folders: set[str]

    def mark_of(self, folder: str, name: str = "") -> UploadMark | None:
        """Return the mark that holds a folder, or a file of the top, or None."""
        return self.marks.holding(folder, name) if self.marks.active else None

    def doubt_of(self, folder: str, key: str) -> Doubt | None:
        """Return the doubt that holds a loose file, or None."""
        return self.doubts.holding(folder, key) if self.doubts.by_key else None

    def lists_steer(self, folder: str) -> bool:
        """Return whether a list that was read orders files of this folder, or lies in it or above it."""
        while folder and self.list_folders:
            if folder in self.list_folders:
                return True
            folder = folder.rpartition("/")[0]
        return False

    def settled(self, changed: datetime) -> bool:
        """Return whether nothing has changed since `changed` for at least the settle time."""
        return changed + self.settle <= self.now


@dataclass(frozen=True, slots=True)
class Claim:
    """An upload's outcome and the clip name that it claims; the earliest claim keeps the name."""

    clip: str
    source: str
    since: datetime
    outcome: Outcome
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A clip's name, its source, its age, and the object (and line) that defines it."""

    clip: str
    source: str
    since: datetime
    kind: UploadKind
    defined_in: str
    line: int | None = None
    steered_by: tuple[str, ...] = ()

    def claim(self, outcome: Outcome) -> Claim:
        """Return the claim of the clip's name with an outcome."""
        return Claim(self.clip, self.source, self.since, outcome, self.line)

    def settling(self, words: str) -> Claim:
        """Return the claim of a clip that is not complete yet."""
        return self.claim(Settling(self.clip, self.source, words))

    def refused(self, words: str, remedy: str, key: str = "") -> Claim:
        """Return the claim of a clip that cannot be made."""
        return self.claim(RefusedUpload(key or self.defined_in, words, remedy, self.clip, self.line))

    def candidate(self, files: tuple[UploadFile, ...], own: Brief, merged: Brief) -> Claim:
        """Return the claim of a complete clip."""
        document_key = None if self.kind is UploadKind.LOOSE else self.defined_in
        version = version_of(_for_version(files, own), own)
        steered = self.steered_by
        return self.claim(
            Candidate(self.clip, self.source, self.kind, files, merged, version, document_key, None, steered)
        )

    def for_language(self, clip: str) -> "ClipSource":
        """Return the source of one language's clip."""
        return self if clip == self.clip else replace(self, clip=clip, source=f"{self.source}#{clip}")


_CONVERT = "Convert it, and name the new file in its place"
"""What to do with a file that a brief or list names."""


class UploadProblem(Exception):
    """An upload that cannot become a clip until it is corrected."""

    def __init__(self, words: str, remedy: str, key: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.remedy = remedy
        self.key = key


class FileMissing(UploadProblem):
    """A file that a brief or a row names does not exist yet."""


def languages(clip: str, brief: Brief) -> Iterator[tuple[str, Brief]]:
    """Yield the clips of one brief: one per language of its dub, or the clip itself."""
    if not brief.dub:
        yield clip, brief
        return
    if brief.audio is not None:
        raise UploadProblem(
            "The brief sets both `audio` and `dub`.", "Remove `audio`. Each language has its voiceover in `dub`."
        )
    for language, file in brief.dub.items():
        yield f"{clip}--{language}", brief.model_copy(update={"dub": {language: file}})


def named_files(brief: Brief, find: Finder, suggest: Callable[[str], str] = lambda _: "") -> tuple[UploadFile, ...]:
    """Return the files that a brief names, in its order.

    Args:
        brief: The brief.
        find: Returns the object of a name.
        suggest: Returns the file that a name could mean instead, as a sentence; empty if there is none.

    Raises:
        FileMissing: a file does not exist.
        UploadProblem: a file has another kind than its key in the brief requires.
    """
    named: list[tuple[str, str]] = [("images", ref.file) for ref in brief.images or ()]
    named += [("videos", ref.file) for ref in brief.videos or ()]
    named += [("audio", ref.file) for ref in brief.audio or ()]
    named += [("dub", name) for name in (brief.dub or {}).values()]
    named += brief.single_files.items()
    files: dict[str, UploadFile] = {}
    missing: list[str] = []
    for field, name in named:
        upload = find(name)
        if upload is None:
            missing.append(name)
            continue
        kind = _checked_kind(field, name, upload)
        files[name] = UploadFile(name, upload.key, upload.etag, kind, upload.size_bytes)
    if missing:
        names = ", ".join(f"`{shown_name(name)}`" for name in missing)
        what = "File" if len(missing) == 1 else "Files"
        meant = " ".join(filter(None, map(suggest, missing[:5])))
        remedy = "Upload it, or correct the name. Names are case-sensitive."
        raise FileMissing(f"{what} not found: {names}.", f"{meant} {remedy}".strip())
    return tuple(files.values())


def _checked_kind(field: str, name: str, upload: UploadObject) -> MediumKind:
    ending = split_name(name.rpartition("/")[2])[1]
    kind, wanted = MEDIA_ENDINGS.get(ending), _FIELD_KINDS[field]
    if kind is wanted:
        return kind
    if role_of(name.rpartition("/")[2]) == "convertible":
        raise UploadProblem(
            f"{shown_name(name)} has a type that no route accepts.", conversion(name, _CONVERT), upload.key
        )
    endings = ", ".join(each for each, its_kind in MEDIA_ENDINGS.items() if its_kind is wanted)
    raise UploadProblem(
        f"`{field}` names {shown_name(name)}, which is not {endings}.", "Correct the brief.", upload.key
    )


def check_sizes(snapshot: Snapshot, files: Sequence[UploadFile], changed: datetime) -> None:
    """Check the sizes of a clip's files; an empty file may still be uploading.

    Raises:
        FileMissing: a file is empty and changed recently.
        UploadProblem: a file is empty or larger than the limit.
    """
    for file in files:
        if file.size_bytes == 0:
            problem = UploadProblem if snapshot.settled(changed) else FileMissing
            raise problem(f"{shown_name(file.name)} is empty (0 bytes).", "Upload it again.", file.key)
        if snapshot.max_bytes is not None and file.size_bytes > snapshot.max_bytes:
            raise UploadProblem(
                f"{shown_name(file.name)} has {file.size_bytes:,} bytes; at most {snapshot.max_bytes:,} are allowed.",
                "Upload a smaller file, or raise I2V_MAX_UPLOAD_BYTES.",
                file.key,
            )


def entry_files(entries: Sequence[Entry], folder: str) -> tuple[UploadFile, ...]:
    """Return media of a folder, named relative to it."""
    start = len(folder) + 1 if folder else 0
    return tuple(entry.file(entry.path[start:]) for entry in entries)


def version_of(files: Sequence[UploadFile], own: Brief) -> str:
    """Return a hash over the files' names and ETags and the content of the clip's own brief, whatever its formatting."""
    brief_keys = own.model_dump(mode="json", exclude_unset=True) if own.model_fields_set else {}
    plain = [[[file.name, file.etag] for file in files], brief_keys]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _for_version(files: Sequence[UploadFile], own: Brief) -> Sequence[UploadFile]:
    """Return files in the order that their version is made of: by name where the brief lists none.

    So another rule for the order makes no delivered clip a new one.
    """
    return files if own.names_media else sorted(files, key=lambda file: (MEDIA_ORDER[file.kind], file.name))


def complete(
    snapshot: Snapshot,
    origin: ClipSource,
    changed: datetime,
    collect: Callable[[], tuple[UploadFile, ...]],
    *,
    own: Brief,
    defaults: Brief,
) -> Claim:
    """Return a candidate if all its files exist; settling while files are missing and the upload still changes."""
    try:
        files = collect()
        check_sizes(snapshot, files, changed)
    except FileMissing as missing:
        if snapshot.settled(changed):
            return origin.refused(missing.words, missing.remedy, missing.key)
        return origin.settling(missing.words)
    except UploadProblem as problem:
        return origin.refused(problem.words, problem.remedy, problem.key)
    return origin.candidate(files, own, merge(defaults, own) if own.model_fields_set else defaults)
