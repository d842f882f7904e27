"""Types of uploads: the files under ``uploads/``, and what becomes of them."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, Self

from i2v_assets.briefs.brief import Brief
from i2v_assets.uploads.noise import is_companion, is_noise_name, original_of_conflict
from resources.composed import composed
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


Role = Literal[
    "media", "convertible", "brief", "defaults", "batch", "document", "mark", "companion", "ignored", "unknown"
]
"""``document`` is a file that may be meant to steer others; ``mark`` tells of an upload under way."""

MEDIA_ENDINGS: Final[Mapping[str, MediumKind]] = MappingProxyType(
    dict.fromkeys((".jpg", ".jpeg", ".png", ".webp"), MediumKind.IMAGE)
    | dict.fromkeys((".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp"), MediumKind.IMAGE)
    | dict.fromkeys((".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif"), MediumKind.IMAGE)
    | dict.fromkeys((".mp3", ".wav"), MediumKind.AUDIO)
    | dict.fromkeys((".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".flac"), MediumKind.AUDIO)
    | dict.fromkeys((".aif", ".aiff", ".aifc", ".amr", ".caf", ".weba", ".mka"), MediumKind.AUDIO)
    | dict.fromkeys((".mp4", ".mov"), MediumKind.VIDEO)
    | dict.fromkeys((".m4v", ".webm", ".mkv", ".avi", ".3gp", ".3g2", ".qt"), MediumKind.VIDEO)
)
"""The file types that the routes accept (model pages), as they are or prepared: `resources.media.prepare`. The content
decides what a file is, so that an MP4 with sound alone is a sound."""

ASKED_WHAT_THEY_HOLD: Final = frozenset({".mp4", ".m4v", ".webm", ".mkv", ".3gp", ".3g2", ".mov"})
"""Videos by their ending that say nothing beside an image until they are read: recorders write sound alone into them, and
phones the moving part of a picture."""

CONVERTIBLE: Final[Mapping[str, MediumKind]] = MappingProxyType(
    dict.fromkeys((".jxl", ".jp2", ".j2k", ".svg", ".psd", ".psb", ".pdf", ".ai", ".eps"), MediumKind.IMAGE)
    | dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"), MediumKind.IMAGE)
    | dict.fromkeys((".wma", ".ape", ".ra", ".mid", ".midi", ".dss", ".ds2"), MediumKind.AUDIO)
    | dict.fromkeys((".mpg", ".mpeg", ".wmv", ".ts", ".mts", ".m2ts", ".flv", ".vob"), MediumKind.VIDEO)
)
"""Media that no route accepts and that are not prepared: what to export or convert is said."""

_EXPORTED: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys((".svg",), "Export it as PNG, 2000 pixels wide")
    | dict.fromkeys((".psd", ".psb", ".ai", ".eps"), "Export it as PNG or JPEG from the program that made it")
    | dict.fromkeys((".pdf",), "Export the page as PNG, for example in the preview of your system")
    | dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
        "Export it as JPEG from your photo program",
    )
    | dict.fromkeys((".dss", ".ds2", ".mid", ".midi"), "Export it as WAV or MP3")
)
"""What only the program that made a file can turn into a picture or sound."""

MARK = "_uploading-"
"""First letters of a mark's name, ``_uploading-<id>.json``."""

SIDECAR_ENDINGS: Final = frozenset({".yaml", ".yml", ".json", ".txt"})
"""Endings of briefs and prompts beside an image of their name."""

LIST_ENDINGS: Final = (".csv", ".jsonl", ".xlsx")
TEXT_ENDINGS: Final = frozenset(
    {".yaml", ".yml", ".json", ".txt", ".text", ".md", ".tsv", ".log", ".ini", ".toml", ".bak", ".old", ".orig", ".new", ".save", ".eml", ""}
)  # fmt: skip
"""Endings of files that are read as text to learn whether they are meant as documents."""

OFFICE_ENDINGS: Final = frozenset(
    {
        ".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".docx", ".doc", ".odt", ".rtf", ".rtfd", ".pages",
        ".gdoc", ".gsheet", ".tsv", ".tab", ".wps", ".sxw", ".sxc", ".docm", ".dotx", ".xltx", ".fodt", ".fods",
        ".msg", ".one", ".wpd", ".hwp", ".et", ".paper",
        ".ndjson", ".jl", ".parquet", ".dbf", ".prn", ".slk", ".dif", ".psv", ".ssv",
    }
)  # fmt: skip
"""Endings of text documents and tables that are not lists: a person may mean each as the words for the images beside it."""

_DOCUMENT_ENDINGS = frozenset({".yaml", ".yml", ".json"})
_STEERING_STEMS = frozenset({"brief", "briefing", "_brief", "briefs", "defaults", "_defaults", "_default"})
_STEERING_WORDS = frozenset(
    word
    for line in (
        "brief briefing briefs prompt prompts shotlist storyboard screenplay instructions instruction",
        "anweisung anweisungen auftrag drehplan drehbuch regieanweisung",
        "guion indicaciones instrucciones encargo scenario consignes decoupage roteiro instrucoes",
        "ブリーフ プロンプト 絵コンテ 指示 指示書 脚本 提示词 说明 需求 分镜 分镜表 拍摄脚本",
    )
    for word in line.split()
)
"""What people call the words for their pictures; a page or mail with such a name may be meant as them."""
_PAGES = frozenset(
    {
        ".pdf",
        ".pptx",
        ".ppt",
        ".odp",
        ".key",
        ".gslides",
        ".txt",
        ".text",
        ".md",
        ".eml",
        ".html",
        ".htm",
        ".rtf",
        ".xml",
        "",
    }
)


def split_name(name: str) -> tuple[str, str]:
    """Return the stem and the lower-case ending of a file name."""
    dot = name.rfind(".")
    return (name, "") if dot <= 0 else (name[:dot], name[dot:].lower())


def stem_key(name: str) -> str:
    """Return what two names share that belong together: the stem without regard to case, outer blanks and composition."""
    stem = split_name(name)[0]
    if stem.isascii():
        return stem.strip().lower()
    return composed(stem).strip().casefold()


def role_of(name: str) -> Role:
    """Return the role of a file, by its name alone."""
    if is_noise_name(name):
        return "mark" if file_under_way(name) else "ignored"
    stem, ending = split_name(name)
    if ending in MEDIA_ENDINGS:
        return "media"
    if is_companion(name):
        return "companion"
    if ending in _DOCUMENT_ENDINGS and stem.lower() in {"brief", "_defaults"}:
        return "brief" if stem.lower() == "brief" else "defaults"
    if ending == ".json" and stem.startswith(MARK):
        return "mark"
    if ending in LIST_ENDINGS:
        return "document" if original_of_conflict(name) else "batch"
    if ending in TEXT_ENDINGS or ending in OFFICE_ENDINGS or looks_steering(name):
        return "document"
    return "convertible" if ending in CONVERTIBLE else "unknown"


def file_under_way(name: str) -> str:
    """Return the file that a partial transfer will be, if that will be a medium or a document; else an empty text.

    ``hero.mp3.part`` will be ``hero.mp3``, and ``.hero.mp3.k3Xa9Q`` as rsync writes it, too.
    """
    match = _UNDER_WAY.match(name)
    if match is None:
        return ""
    target = _OF_RCLONE.sub("", match["name"] or match["rsync"])
    if is_noise_name(target):  # "a.tmp.tmp.tmp..." must not recurse
        return ""
    role = role_of(target)
    if role == "document" and split_name(target)[1] in SIDECAR_ENDINGS:
        return target
    return target if role in {"media", "convertible", "brief", "defaults", "batch"} else ""


_UNDER_WAY = re.compile(
    r"[~.]?(?P<name>[^.].*)\.(?:part|partial|crdownload|download|filepart|opdownload|aria2|tmp|temp|!ut|!qb|bc!|ob!|xltd"
    r"|fdmdownload|dtapart|dwnldtmp|uploading|rclone-\w+|sb-[0-9a-z-]+)$|\.(?P<rsync>.+\.\w{2,5})\.[A-Za-z0-9]{6}$",
    re.IGNORECASE,
)
_OF_RCLONE = re.compile(r"\.[0-9a-f]{8}$")
"""rclone writes ``hero.mp3.1a2b3c4d.partial``."""


def looks_steering(name: str) -> bool:
    """Return whether a name is nearly that of a brief, of defaults or of a list, such as ``Brief (1).yaml.txt``."""
    stem = name.lower().strip()
    while (parts := split_name(stem.strip()))[1] and len(parts[1]) <= _LONGEST_ENDING:
        if parts[1] in LIST_ENDINGS and parts[1] != split_name(name)[1]:
            return True  # looks.csv.txt
        stem = parts[0]
    words = _COPIES.sub("", composed(stem).strip()).strip(" -_.")
    if words in _STEERING_STEMS or f"_{words}" in _STEERING_STEMS:
        return True
    if split_name(name)[1] not in _PAGES:
        return False
    plain = "".join(char for char in unicodedata.normalize("NFD", words) if not unicodedata.combining(char))
    return not _STEERING_WORDS.isdisjoint({*re.split(r"[\W_]+", plain), *re.split(r"[\W_]+", words)})


_LONGEST_ENDING = 9
"""``.numbers`` has 8 characters."""

_COPIES = re.compile(
    r"\s*\(\d+\)|\s*\[\d+\]|[-_ ]+(?:copy|kopie|copie|copia|final|draft|neu|new|v?\d+)\b|^(?:copy of|kopie von|copie de|copia de)\s+"
)
"""What systems and people add to the name of a copy."""


def conversion(name: str, lead: str = "Convert it") -> str:
    """Return a remedy with the command that converts a file to an accepted type, after `lead`."""
    stem, ending = split_name(name)
    kind = CONVERTIBLE[ending]
    if ending in _EXPORTED:
        return f"{_EXPORTED[ending]}, and upload that."
    source, target = shown_name(name), shown_name(stem)
    if kind is MediumKind.IMAGE:
        return f'{lead}: magick "{source}[0]" "{target}.png"'
    if kind is MediumKind.AUDIO:
        return f'{lead}: ffmpeg -i "{source}" "{target}.mp3"'
    return f'{lead}: ffmpeg -i "{source}" "{target}.mp4"'


def shown_name(name: str) -> str:
    """Return a name for a message or a quoted shell argument: one line, without characters that a shell expands."""
    return "".join(char if char.isprintable() and char not in '"$`\\!' else "_" for char in name)[:200]
