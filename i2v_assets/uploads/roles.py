"""Roles of uploaded files by their names: media, documents, lists, marks, companions and noise. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from i2v_assets.uploads.noise import COPY_OF, COPY_WORDS, UNDER_WAY, is_companion, is_noise_name, original_of_conflict
from resources.composed import composed
from resources.schemas.inputs import MediumKind

Role = Literal[
    "media", "convertible", "brief", "defaults", "batch", "document", "mark", "companion", "ignored", "unknown"
]
"""``document`` is a file that may be meant to steer others; ``mark`` announces an upload under way."""

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

TABLE_ENDINGS: Final = frozenset(
    {
        ".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".gsheet", ".tsv", ".tab", ".sxc", ".fods", ".xltx", ".et",
        ".ndjson", ".jl", ".parquet", ".dbf", ".prn", ".slk", ".dif", ".psv", ".ssv",
    }
)  # fmt: skip
"""Endings of tables that are not read as lists."""

OFFICE_ENDINGS: Final = TABLE_ENDINGS | {
    ".docx", ".doc", ".odt", ".rtf", ".rtfd", ".pages", ".gdoc", ".wps", ".sxw", ".docm", ".dotx", ".fodt",
    ".msg", ".one", ".wpd", ".hwp", ".paper",
}  # fmt: skip
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
_INSTRUCTIONS = frozenset(
    [
        "instructions",
        "instruction",
        "anweisung",
        "anweisungen",
        "instrucciones",
        "consignes",
        "instrucoes",
        "indicaciones",
    ]
)
_OF_THINGS = frozenset(
    word
    for line in (
        "care wash washing cleaning assembly installation install mounting setup usage use user operating safety printing print cooking"
        " download unpacking packing shipping return returns payment license licence",
        "pflege montage bedienung sicherheit cuidado lavado montaje uso seguridad entretien lavage securite cuidados lavagem montagem seguranca",
    )
    for word in line.split()
)
"""Instructions for one of these belong to the thing that is shown: ``Care instructions.pdf`` beside product pictures."""
_PAGES = frozenset(
    {".pdf", ".pptx", ".ppt", ".odp", ".key", ".gslides", ".txt", ".text", ".md", ".eml", ".html", ".htm", ".rtf", ".xml", ""}
)  # fmt: skip
"""Endings of pages and mails that may hold such words."""


def split_name(name: str) -> tuple[str, str]:
    """Return the stem and the lower-case ending of a file name."""
    dot = name.rfind(".")
    return (name, "") if dot <= 0 else (name[:dot], name[dot:].lower())


def media_kind(name: str) -> MediumKind | None:
    """Return the kind of a file or key by its ending."""
    ending = split_name(name.rpartition("/")[2])[1]
    return MEDIA_ENDINGS.get(ending) or CONVERTIBLE.get(ending)


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
    rf"[~.]?(?P<name>[^.].*)(?:{'|'.join(map(re.escape, UNDER_WAY))}|\.tmp|\.rclone-\w+|\.sb-[0-9a-z-]+)$"
    r"|\.(?P<rsync>.+\.\w{2,5})\.[A-Za-z0-9]{6}$",
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
    named = {*re.split(r"[\W_]+", plain), *re.split(r"[\W_]+", words)}
    return not _STEERING_WORDS.isdisjoint(named) and not (_INSTRUCTIONS & named and _OF_THINGS & named)


_LONGEST_ENDING = 9
"""``.numbers`` has 8 characters."""

_COPIES = re.compile(
    rf"\s*\(\d+\)|\s*\[\d+\]|[-_ ]+(?:{'|'.join(COPY_WORDS)}|final|draft|neu|new|v?\d+)\b|^(?:{'|'.join(COPY_OF)})\s+"
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
