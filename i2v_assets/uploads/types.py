"""What lies under ``uploads/``: the kinds of files, and what becomes of them."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, Self

from i2v_assets.briefs.brief import Brief
from resources.schemas.inputs import MediumKind


class UploadObject(Protocol):
    """One object as a listing shows it; the storage's `ObjectInfo` is one."""

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
        name: As the brief calls it: relative to the clip's folder, or the file's own name.
        key: Where it lies in the bucket.
        etag: Its version there.
        kind: By its name; the bytes are asked later.
        size_bytes: Its size.
    """

    name: str
    key: str
    etag: str
    kind: MediumKind
    size_bytes: int


class UploadKind(StrEnum):
    """How a clip was uploaded."""

    LOOSE = "loose"
    """An image, with the voiceover of the same name if there is one."""
    FOLDER = "folder"
    """A folder with a brief."""
    ROW = "row"
    """A row of a list."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete upload that can become a clip.

    Attributes:
        clip: The partition key.
        source: Whose clip it is: the image's key, the folder's (ending in a slash), or ``<list>#<name>``.
        kind: How it was uploaded.
        files: What it is made from, in the order that the brief gives or by name.
        brief: What is asked for, the folders' defaults included.
        version: Hash over the files' names and ETags and the clip's own brief; defaults are no part of it, so that a
            changed default makes nothing due.
        said_in: The key of the brief or list, None for a loose image.
    """

    clip: str
    source: str
    kind: UploadKind
    files: tuple[UploadFile, ...]
    brief: Brief
    version: str
    said_in: str | None = None

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return self.brief.priority or 0

    def content(self) -> str:
        """Everything as JSON, for keeping; `from_content` reads it."""
        plain: dict[str, Any] = {
            "clip": self.clip,
            "source": self.source,
            "kind": self.kind,
            "files": [[file.name, file.key, file.etag, file.kind, file.size_bytes] for file in self.files],
            "brief": self.brief.model_dump(mode="json", exclude_unset=True),
            "version": self.version,
            "said_in": self.said_in,
        }
        return json.dumps(plain, sort_keys=True, ensure_ascii=True)

    @classmethod
    def from_content(cls, content: str) -> Self:
        """The candidate that `content` wrote."""
        plain = json.loads(content)
        return cls(
            clip=plain["clip"],
            source=plain["source"],
            kind=UploadKind(plain["kind"]),
            files=tuple(
                UploadFile(name, key, etag, MediumKind(kind), size) for name, key, etag, kind, size in plain["files"]
            ),
            brief=Brief.model_validate(plain["brief"]),
            version=plain["version"],
            said_in=plain["said_in"],
        )


@dataclass(frozen=True, slots=True)
class Settling:
    """A clip whose upload is not complete yet, and what it waits for."""

    clip: str
    source: str
    words: str


@dataclass(frozen=True, slots=True)
class RefusedUpload:
    """An upload that cannot become a clip as it is.

    Attributes:
        key: The object that is to blame.
        words: What is wrong, with the limit.
        remedy: What to do.
        clip: The clip that it would have been, where the name is its own.
        line: The row of a list.
    """

    key: str
    words: str
    remedy: str
    clip: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        # Words may quote an upload, and go into a database and a text file: neither keeps a NUL or half a character.
        for name in ("words", "remedy"):
            kept = getattr(self, name).encode(errors="backslashreplace").decode().replace("\0", "\\0")
            object.__setattr__(self, name, kept)

    @property
    def source(self) -> str:
        """One name for each refusal: the key, with the line of a list."""
        return self.key if self.line is None else f"{self.key}#line-{self.line}"

    @property
    def text(self) -> str:
        """Words and remedy, for people."""
        return f"{self.words} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class Grouping:
    """What one look at the uploads shows.

    Attributes:
        candidates: Complete clips, sorted by priority (highest first) and source.
        settling: Clips that are not complete yet.
        refused: What cannot become a clip.
        unseen: Keys outside ``uploads/`` that lists name and that the caller has not shown; look them up and ask again.
        present: Every clip whose files are there, complete or not, refused or not.
    """

    candidates: tuple[Candidate, ...]
    settling: tuple[Settling, ...]
    refused: tuple[RefusedUpload, ...]
    unseen: tuple[str, ...]
    present: frozenset[str]


Role = Literal["media", "convertible", "brief", "defaults", "batch", "ignored", "unknown"]

MEDIA_ENDINGS: Final[Mapping[str, MediumKind]] = MappingProxyType(
    {
        ".jpg": MediumKind.IMAGE,
        ".jpeg": MediumKind.IMAGE,
        ".png": MediumKind.IMAGE,
        ".webp": MediumKind.IMAGE,
        ".mp3": MediumKind.AUDIO,
        ".wav": MediumKind.AUDIO,
        ".mp4": MediumKind.VIDEO,
        ".mov": MediumKind.VIDEO,
    }
)
"""The endings of what the routes take (model pages)."""

CONVERTIBLE: Final[Mapping[str, MediumKind]] = MappingProxyType(
    dict.fromkeys(
        (".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd"), MediumKind.IMAGE
    )
    | dict.fromkeys((".m4a", ".aac", ".ogg", ".oga", ".opus", ".flac", ".aif", ".aiff", ".wma"), MediumKind.AUDIO)
    | dict.fromkeys((".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".ts"), MediumKind.VIDEO)
)
"""Media that no route takes, and that one command turns into what they take."""

_IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
_IGNORED_ENDINGS = (".tmp", ".part", ".partial", ".crdownload", ".filepart", "~")
_DOCUMENT_ENDINGS = frozenset({".yaml", ".yml", ".json"})


def split_name(name: str) -> tuple[str, str]:
    """Stem and ending (lower case) of a file name."""
    dot = name.rfind(".")
    return (name, "") if dot <= 0 else (name[:dot], name[dot:].lower())


def composed(name: str) -> str:
    """A name in the one of Unicode's two spellings that most keyboards write.

    macOS stores and uploads the other one: to a person both are the same name, to the bucket two keys. Names are compared
    in this spelling; what is fetched is the key as it is.
    """
    return unicodedata.normalize("NFC", name)


def role_of(name: str) -> Role:
    """What a file is, by its name alone."""
    stem, ending = split_name(name)
    if ending in MEDIA_ENDINGS:
        return "ignored" if name.startswith("._") else "media"  # "._": what macOS leaves beside each file
    if name.startswith((".", "~$")) or name.lower() in _IGNORED_NAMES or name.lower().endswith(_IGNORED_ENDINGS):
        return "ignored"
    if ending in _DOCUMENT_ENDINGS and stem.lower() in {"brief", "_defaults"}:
        return "brief" if stem.lower() == "brief" else "defaults"
    if ending in {".csv", ".jsonl"}:
        return "batch"
    return "convertible" if ending in CONVERTIBLE else "unknown"


def conversion(name: str, lead: str = "Convert it") -> str:
    """Return the command that turns a file into what the routes take, after words that lead to it."""
    stem, ending = split_name(name)
    kind = CONVERTIBLE[ending]
    source, target = shown_name(name), shown_name(stem)
    if kind is MediumKind.IMAGE:
        return f'{lead}: magick "{source}[0]" "{target}.png"'
    if kind is MediumKind.AUDIO:
        return f'{lead}: ffmpeg -i "{source}" "{target}.mp3"'
    return f'{lead}: ffmpeg -i "{source}" "{target}.mp4"'


def shown_name(name: str) -> str:
    """A name as it may stand in a message or between the quotes of a command: one line, nothing that a shell obeys."""
    return "".join(char if char.isprintable() and char not in '"$`\\!' else "_" for char in name)[:200]
