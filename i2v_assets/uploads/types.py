"""Types of uploads: the files under ``uploads/``, and what becomes of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, Self

from i2v_assets.briefs.brief import Brief
from resources.schemas.inputs import FirstFrame, MediumKind


class UploadObject(Protocol):
    """One listed object; the storage's `ObjectInfo` implements it."""

    @property
    def key(self) -> str:
        """The whole key, such as ``uploads/shoes/0001.jpg``."""

    @property
    def etag(self) -> str:
        """Changes with the bytes."""

    @property
    def modified_at(self) -> datetime:
        """When it was written, by the server's clock."""

    @property
    def size_bytes(self) -> int:
        """Its size."""


@dataclass(frozen=True, slots=True)
class UploadFile:
    """One file that a clip is made from.

    Attributes:
        name: Its name in the brief: relative to the clip's folder, or the file's own name.
        key: Its key in the bucket.
        etag: Its ETag in the bucket.
        kind: Image, audio or video, by its name; the content is checked later.
        size_bytes: Its size.
        frame_of: The fingerprint of the shot whose last frame it is; empty for a file that a person uploaded.
    """

    name: str
    key: str
    etag: str
    kind: MediumKind
    size_bytes: int
    frame_of: str = ""


class HoldReason(StrEnum):
    """Why a complete upload is not ordered by itself. Stored with the clip, so the values stay as they are."""

    DOUBT = "doubt"
    """A file in its scope may change what is ordered, and is not understood."""
    CLAIMED = "claimed"
    """It belonged to a document that is gone, or names it no longer."""
    NO_DOCUMENT = "no_document"
    """Documents order the clips of its folder, and none names it."""
    HOT_FOLDER = "hot_folder"
    """Its new folder is fed without a pause."""
    LATE = "late"
    """A document or a voice came after the image was paid for."""
    TAKEN_AWAY = "taken_away"
    """A file or document that it was to be made with is gone."""
    COMPANION = "companion"
    """A sound or video of its name is beside it that is not a voice."""
    CONFLICT_COPY = "conflict_copy"
    """A sync program made it as a copy of other bytes."""
    PROMPT_FILE = "prompt_file"
    """Its prompt is a text file, the first of its folder."""
    ENCODING = "encoding"
    """Its list is text in an encoding that is guessed, so its prompt may be another."""
    OTHER_VOICE = "other_voice"
    """A voice of another name is alone beside it."""
    ASKED = "asked"
    """`loose_images: approve` asks for each."""


@dataclass(frozen=True, slots=True)
class UploadHold:
    """Why a complete upload waits for a person, and what releases it.

    Attributes:
        reason: The kind of hold.
        words: What is not understood; names the file.
        remedy: What releases the clip, beside an approval.
        key: The file that is to blame; empty if there is none.
    """

    reason: HoldReason
    words: str
    remedy: str
    key: str = ""

    @property
    def mark(self) -> str:
        """Tells this doubt from others: an approval that was given in it holds in no other."""
        return hashlib.sha256("\n".join((self.reason, self.key, self.words)).encode()).hexdigest()[:16]


class UploadKind(StrEnum):
    """How a clip was uploaded."""

    LOOSE = "loose"
    """A loose image, with the voiceover of the same name if there is one."""
    FOLDER = "folder"
    """A folder with a brief."""
    ROW = "row"
    """A row of a CSV batch."""
    SIDECAR = "sidecar"
    """An image with a brief or a prompt of its own name beside it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete upload that can become a clip.

    Attributes:
        clip: The partition key.
        source: Which upload owns the clip: an image's key, a folder's key (ending in a slash), or ``<csv batch>#<name>``.
        kind: How it was uploaded.
        files: The files that it is made from, in the brief's order or by name.
        brief: The brief, merged with the folders' defaults.
        version: Hash over the files' names and ETags and the clip's own brief. Defaults are not part of it, so a
            changed default does not enqueue any clip.
        document_key: The key of the brief, sidecar or CSV batch; None for a loose image.
        hold: Why it waits for a person; None if it may be ordered.
        steered_by: The keys of the defaults files that its brief is merged from.
    """

    clip: str
    source: str
    kind: UploadKind
    files: tuple[UploadFile, ...]
    brief: Brief
    version: str
    document_key: str | None = None
    hold: UploadHold | None = None
    steered_by: tuple[str, ...] = ()

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return self.brief.priority or 0

    @property
    def first_frame(self) -> FirstFrame | None:
        """The frame of another shot that it starts from, if it is a shot that does."""
        return next((FirstFrame(of=file.frame_of) for file in self.files if file.frame_of), None)

    def with_hold(self, hold: UploadHold | None) -> "Candidate":
        """Return the candidate with this hold."""
        return replace(self, hold=hold)

    def content(self) -> str:
        """Return the candidate as JSON for storage; `from_content` reads it."""
        plain: dict[str, Any] = {
            "clip": self.clip,
            "source": self.source,
            "kind": self.kind,
            "files": [[file.name, file.key, file.etag, file.kind, file.size_bytes] for file in self.files],
            "brief": self.brief.model_dump(mode="json", exclude_unset=True),
            "version": self.version,
            "said_in": self.document_key,
        }
        if self.hold is not None:
            plain["hold"] = [self.hold.reason, self.hold.words, self.hold.remedy, self.hold.key]
        if self.steered_by:
            plain["steered_by"] = self.steered_by
        if frames := {file.name: file.frame_of for file in self.files if file.frame_of}:
            plain["frames"] = frames
        return json.dumps(plain, sort_keys=True, ensure_ascii=True)

    @classmethod
    def from_content(cls, content: str) -> Self:
        """Return the candidate from the JSON that `content` wrote."""
        plain = json.loads(content)
        frames = plain.get("frames", {})
        return cls(
            clip=plain["clip"],
            source=plain["source"],
            kind=UploadKind(plain["kind"]),
            files=tuple(
                UploadFile(name, key, etag, MediumKind(kind), size, frames.get(name, ""))
                for name, key, etag, kind, size in plain["files"]
            ),
            brief=Brief.model_validate(plain["brief"]),
            version=plain["version"],
            document_key=plain["said_in"],
            hold=_hold_from(plain.get("hold")),
            steered_by=tuple(plain.get("steered_by", ())),
        )


def _hold_from(plain: list[str] | None) -> UploadHold | None:
    if plain is None:
        return None
    reason, words, remedy, key = plain
    return UploadHold(HoldReason(reason), words, remedy, key)


@dataclass(frozen=True, slots=True)
class Kept:
    """An upload that changes nothing and is not reported: its clip was delivered under a document that is gone."""

    clip: str
    source: str


@dataclass(frozen=True, slots=True)
class Settling:
    """A clip whose upload is not complete yet, and what it waits for."""

    clip: str
    source: str
    words: str


@dataclass(frozen=True, slots=True)
class RefusedUpload:
    """An upload that cannot become a clip until it is corrected.

    Attributes:
        key: The object with the problem.
        words: What is wrong, with the limit.
        remedy: What to do.
        clip: The clip that it would become; None if the name belongs to another upload.
        line: The line of a row in a CSV batch.
    """

    key: str
    words: str
    remedy: str
    clip: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        # The text may quote an upload and goes into a database and a text file; neither stores a NUL or a lone surrogate.
        for name in ("words", "remedy"):
            storable = getattr(self, name).encode(errors="backslashreplace").decode().replace("\0", "\\0")
            object.__setattr__(self, name, storable)

    @property
    def source(self) -> str:
        """The refusal's identity: the key, with the line of a row in a CSV batch."""
        return self.key if self.line is None else f"{self.key}#line-{self.line}"

    @property
    def text(self) -> str:
        """The problem and the remedy in one line."""
        return f"{self.words} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class Grouping:
    """The result of grouping a listing of uploads.

    Attributes:
        candidates: Complete clips, sorted by priority (highest first) and source.
        settling: Clips that are not complete yet.
        refused: Uploads that cannot become a clip.
        unseen: Keys outside ``uploads/`` that CSV batches name and the caller did not pass; look them up and group again.
        present: Every clip whose upload exists, whether it is complete, settling or refused.
    """

    candidates: tuple[Candidate, ...]
    settling: tuple[Settling, ...]
    refused: tuple[RefusedUpload, ...]
    unseen: tuple[str, ...]
    present: frozenset[str]
    described: Mapping[str, str] = field(default_factory=dict)
    """Objects that documents order: key -> the document's key."""
    doubts: tuple["Doubt", ...] = ()
    """Files that are not understood and may change what is ordered."""
    ignored: int = 0
    """Noise and known companions."""
    trees: Mapping[str, "TreeState"] = field(default_factory=dict)
    """What the listing shows of each tree."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A file that may change what is ordered and is not understood.

    Attributes:
        key: The file.
        words: What is not understood.
        remedy: What to do about it.
        folders: Folders (below ``uploads/``) whose loose files it holds, with all below them; ``""`` is the top alone.
        keys: Objects that it holds.
        passing: The next look knows more, so what it holds is not admitted yet.
    """

    key: str
    words: str
    remedy: str
    folders: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    passing: bool = False


@dataclass(frozen=True, slots=True)
class TreeState:
    """What one listing shows of a tree.

    Attributes:
        changed_at: When its newest object was written.
        fed_by_documents: A document that was read without a fault orders an object in it.
    """

    changed_at: datetime
    fed_by_documents: bool
