"""What systems and programs leave beside uploads: no media, no documents, no doubt. Data, each with its source.

`I2V_IGNORE_UPLOADS` adds patterns. Patterns are compared without regard to case, with each part of a path.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Final

from resources.storage.keys import COMMANDS, UPLOADS


@dataclass(frozen=True, slots=True)
class Leftover:
    """Patterns of names that one system leaves, and the reason why they are not uploads."""

    source: str
    patterns: tuple[str, ...]


FOLDERS: Final = (
    Leftover("macOS: archives and volumes (Apple, 'Archive Utility'; Spotlight, Trash, FSEvents)", (
        "__MACOSX", ".Spotlight-V100", ".Trashes", ".Trash-*", ".fseventsd", ".TemporaryItems", "Temporary Items",
        "Network Trash Folder", ".AppleDouble", ".AppleDB", ".AppleDesktop",
    )),
    Leftover("Windows: recycle bins and restore points (Microsoft, 'System Volume Information')", (
        "$RECYCLE.BIN", "RECYCLER", "RECYCLED", "System Volume Information",
    )),
    Leftover("Synology DSM: thumbnails, bins, snapshots and streams", (
        "@eaDir", "#recycle", "#snapshot", "@tmp", "@sharebin", "@SynoFinder*", "@SynoResource",
    )),
    Leftover("QNAP QTS: thumbnails, bins and snapshots", (
        ".@__thumb", "@Recycle", "@Recently-Snapshot", "@Recently-Recycle", ".@upload_cache", ".streams",
    )),
    Leftover("TrueNAS and other ZFS or NFS servers", (".zfs", ".snapshot", "lost+found")),
    Leftover("Android: thumbnails and the trash of a gallery", (".thumbnails", ".trash", ".globalTrash")),
    Leftover("Syncthing: folder marker and old versions (docs: 'Versioning')", (".stfolder", ".stversions")),
    Leftover("Dropbox, Nextcloud, ownCloud", (".dropbox*", ".sync_*", ".owncloudsync*")),
    Leftover("Safari: a download under way is a folder", ("*.download",)),
    Leftover("Libraries and caches of photo programs (Adobe Lightroom, Capture One, Apple Photos, Picasa)", (
        "*.lrdata", "*.lrlibrary", "CaptureOne", "*.photoslibrary", "*.photolibrary", "*.aplibrary", "*.migratedphotolibrary",
    )),
    Leftover("Programs' own parts: npm, Python, GoodSync, Windows' disk check", (
        "node_modules", "__pycache__", "_gsdata_", "FOUND.[0-9][0-9][0-9]",
    )),
)  # fmt: skip
"""Everything below such a folder is noise. Any folder whose name begins with a dot is, too."""

UNDER_WAY: Final = (
    ".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".aria2", ".temp", ".uploading", ".!ut", ".!qB",
    ".bc!", ".ob!", ".fdmdownload", ".xltd", ".dtapart", ".dwnldtmp",
)  # fmt: skip
"""Endings that programs put behind the name of a file that they are still writing: Firefox, Chrome, Safari, FileZilla, WinSCP,
rsync, Opera, aria2, qBittorrent, BitComet, Orbit, Free Download Manager, Thunder, DownThemAll, old Edge."""

FILES: Final = (
    Leftover("macOS Finder: settings, AppleDouble files, folder icons", (
        ".DS_Store", "._*", "Icon\r", ".localized", ".VolumeIcon.icns",
    )),
    Leftover("Windows Explorer: thumbnail caches and folder settings", (
        "Thumbs.db", "Thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "*.lnk",
    )),
    Leftover("Windows: the alternate stream that marks a download, also as copied to disks without streams", (
        "*:Zone.Identifier", "*\uf03aZone.Identifier", "*_Zone.Identifier", "*%3AZone.Identifier",
        "*.Zone.Identifier", "*:$DATA", "*:SmartScreen", "*:com.dropbox.*",
    )),
    Leftover("Microsoft Office and LibreOffice: owner and lock files", ("~$*", "~*.tmp", "~WRL*", "*.tmp", ".~lock.*#")),
    Leftover("Synology and QNAP: files beside media", (
        "SYNOPHOTO_*", "SYNOVIDEO_*", "SYNOAUDIO_*", "SYNOINDEX_*", "SYNOFILE_*", "*@SynoEAStream", "*@SynoResource",
    )),
    Leftover("Android: trashed, pending and hidden media (MediaStore)", (".trashed-*", ".pending-*", ".nomedia")),
    Leftover("Apple Photos: edits of a picture", ("*.AAE",)),
    Leftover("Downloads and transfers under way, and what belongs to them: also rclone, FileZilla, Google Drive, DownThemAll", (
        *(f"*{ending}" for ending in UNDER_WAY), "*.rclone-*", "*.filepart.meta", "*.tmp.drivedownload", "*.tmp.driveupload",
        "*.td", "*.td.cfg",
    )),
    Leftover("macOS: a file while it is saved (NSDocument)", ("*.sb-????????-??????",)),
    Leftover("Placeholders of files that are in a cloud alone: iCloud Drive, Nextcloud, ownCloud, pCloud", (
        "*.icloud", "*.cloudf", "*.nextcloud", "*.owncloud",
    )),
    Leftover("Links of systems and browsers", ("*.url", "*.webloc", "*.desktop")),
    Leftover("Sync programs: their logs and state", (
        ".dropbox*", ".nextcloudsync.log", ".owncloudsync.log", "._sync_*.db*", ".sync_*.db*", ".stignore",
    )),
    Leftover("Editors: backups and swap files", ("*~", ".*.swp", "#*#")),
)  # fmt: skip
"""Such a file is noise wherever it lies. So is any file whose name begins with a dot."""

COMPANIONS: Final = (
    Leftover("Metadata of cameras and photo programs", (
        "*.xmp", "*.thm", "*.lrv", "*.ctg", "*.cos", "*.cop", "*.cot", "*.cof", "*.comask", "*.cosettings", "*.cosessiondb",
        "*.cocatalog", "*.cocatalogdb", "*.pp3", "*.dop", "*.lrcat", "*.lrcat-*", "*.lrprev", "*.acr", "*.on1", "*.onphoto",
        "*.vrd", "*.dr4", "*.nksc", "*.arp", "*.rawtherapee", "Picasa.ini", "ZbThumbnail.info", "albumart.pamp",
    )),
    Leftover("Indexes of camera cards (DCF, AVCHD, Sony)", (
        "*.mrk", "*.bdm", "*.bdmv", "*.cpi", "*.mpl", "*.ind", "*.inp", "*.int", "*.bnp", "*.idx", "*.moi", "*.scr",
    )),
    Leftover("Camera XML (Sony XAVC and XDCAM)", ("*M[0-9][0-9].XML", "MEDIAPRO.XML", "CUEUP.XML", "DISCMETA.XML")),
    Leftover("Google Takeout: one JSON for each picture", (
        "*.jpg.json", "*.jpeg.json", "*.png.json", "*.webp.json", "*.heic.json", "*.gif.json", "*.mp4.json",
        "*.mov.json", "*.supplemental-metadata.json", "*.supplemental-me*.json", "print-subscriptions.json",
        "*.jpg(*).json", "*.jpeg(*).json", "*.png(*).json", "*.heic(*).json", "*.mp4(*).json", "metadata.json", "metadaten.json",
        "metadatos.json", "metadados.json", "m?tadonn?es.json",
        "shared_album_comments.json", "user-generated-memory-titles.json",
    )),
    Leftover("Sound programs: peaks and projects (Ableton, Reaper, Audition, Audacity, Sound Forge)", (
        "*.asd", "*.reapeaks", "*.pkf", "*.ovw", "*.sfk", "*.peak", "*.aup", "*.aup3", "*.sesx", "*.rpp", "*.rpp-bak", "*.als", "*.ptx",
    )),
    Leftover("Subtitles and transcripts of a sound", ("*.srt", "*.vtt", "*.ass", "*.sbv", "*.lrc", "*.TextGrid")),
    Leftover("Projects of video programs", ("*.prproj", "*.aep", "*.drp", "*.fcpxml", "*.veg", "*.kdenlive", "*.mlt")),
    Leftover("Checksums", ("*.md5", "*.sha1", "*.sha256", "*.sha512", "*.sfv", "MD5SUMS", "SHA256SUMS")),
    Leftover("Files about the files", ("README", "README.*", "LICENSE", "LICENSE.*", "LICENCE", "LICENCE.*")),
)  # fmt: skip
"""Files that belong to pictures and say nothing about clips: neither media nor doubt."""

READ_FIRST: Final = (
    Leftover("Files about the files, with more in their names or in other languages", (
        "README*", "Read Me*", "Read-Me*", "Read_Me*", "LIESMICH*", "LIES_MICH*", "LISEZMOI*", "LISEZ-MOI*", "LEEME*", "LÉEME*", "LEIAME*",
        "LEIA-ME*", "お読みください*", "はじめにお読み*", "请读我*", "自述文件*", "LICENSE*", "LICENCE*", "EULA*", "COPYING*", "NOTICE*",
    )),
)  # fmt: skip
"""Companions if their text is not nearly a document: ``README_2.txt`` may hold a brief, and ``licensed.txt`` is a list of names."""

SOURCES: Final = (
    Leftover("Camera raw files beside their JPEG", (
        "*.dng", "*.cr2", "*.cr3", "*.nef", "*.arw", "*.raf", "*.orf", "*.rw2", "*.pef", "*.srw",
    )),
    Leftover("Sources of designs beside their export", (
        "*.psd", "*.psb", "*.ai", "*.indd", "*.xcf", "*.afphoto", "*.afdesign",
        "*.sketch", "*.fig", "*.xd", "*.kra", "*.procreate", "*.blend", "*.c4d",
    )),
)  # fmt: skip
"""Companions of the image of their name; alone they are refused, because somebody may mean them as the image."""

_CONFLICT = re.compile(
    r"\s*\((?:[^()]*\b(?:conflicted copy|conflict|case conflict)\b[^()]*)\)"  # Dropbox, ownCloud, Nextcloud
    r"|\s*\([^()]*(?:Konflikt|en conflit|en conflicto|em conflito|in conflitto|conflicterend|konfliktkopi)[^()]*\)"  # Dropbox elsewhere
    r"|\s*[(（][^()（）]*(?:競合|冲突|衝突)[^()（）]*[)）]"  # Dropbox in Japanese and Chinese
    r"|\s*\(SFConflict [^()]*\)"  # Seafile
    r"|\s*\[conflict(?:ed)?\]"  # pCloud
    r"|-(?:DESKTOP|LAPTOP|WIN)-[A-Z0-9]{6,11}(?=\.\w+$)"  # OneDrive adds the computer's name
    r"|-[\w-]{1,30}-(?:MacBook(?:-Pro|-Air)?|iMac|Mac-mini|Mac-Studio)(?:-\d+)?(?=\.\w+$)"  # OneDrive on a Mac
    r"|\.sync-conflict-\d{8}-\d{6}(?:-[A-Z0-9]{7})?"  # Syncthing
    r"|_conflict-\d{8}-\d{6}"  # ownCloud before 2.6
    r"|[-_ ]conflict(?:ed)?[-_ ]\d{4}-?\d\d-?\d\d[-_ \d]*",  # Seafile, Box
    re.IGNORECASE,
)


COPY_WORDS: Final = ("copy", "kopie", "copie", "copia", "c\u00f3pia", "kopia")
COPY_OF: Final = ("copy of", "kopie von", "copie de", "copia de", "c\u00f3pia de")
COPY_WORDS_OF_ASIA: Final = ("\u30b3\u30d4\u30fc", "\u526f\u672c")
"""What systems call a copy, after and before the name of its original; the last ones stand without a blank."""

_COPY = re.compile(
    rf"(?: ?[(\[]\d{{1,3}}[)\]]|(?: ?[-\u2013] ?| )(?:{'|'.join(COPY_WORDS)})(?: ?[(\[]?\d{{1,3}}[)\]]?)?"
    rf"| ?[-\u2013]? ?(?:{'|'.join(COPY_WORDS_OF_ASIA)}))(?=\.\w+$)|^(?:{'|'.join(COPY_OF)}) |\s*\u306e\u30b3\u30d4\u30fc",
    re.IGNORECASE,
)
"""What browsers and systems put into the name of a copy: ``looks (1).csv``, ``looks - Copy.csv``, ``Kopie von looks.csv``."""


def originals_of(name: str) -> Iterator[str]:
    """Yield the names that a file would have if no system and no sync program had made it as a copy, one copy at a time.

    ``looks (1) (1).csv`` is a copy of ``looks (1).csv``, and that is one of ``looks.csv``.
    """
    while (original := original_of_conflict(name) or _COPY.sub("", name, count=1)) != name:
        yield original
        name = original


_MAY_CONFLICT: Final = re.compile("onfli|ONFLI|競合|冲突|衝突|DESKTOP-|LAPTOP-|WIN-|MacBook|iMac|-Mac-")
"""One of these is in each such name: a listing may hold 100,000."""


def original_of_conflict(name: str) -> str | None:
    """Return the name whose conflict copy a file is, by the words that sync programs put into names; else None."""
    if _MAY_CONFLICT.search(name) is None:
        return None
    original = _CONFLICT.sub("", name)
    return original if original != name else None


def is_noise(path: str, size_bytes: int, patterns: Sequence[str] = ()) -> bool:
    r"""Return whether a file below ``uploads/`` is noise: by its name, by a folder above it, or by the owner's patterns.

    Args:
        path: The key without ``uploads/``.
        size_bytes: Its size; an empty ``Icon`` is macOS's ``Icon\r`` as some programs copy it.
        patterns: The patterns of `I2V_IGNORE_UPLOADS`; one with a slash is compared with the whole path.
    """
    folder, _, name = path.rpartition("/")
    if folder and is_noise_folder(folder):
        return True
    if is_noise_name(name) or (size_bytes == 0 and name == "Icon"):
        return True
    return bool(patterns) and _is_ignored(path, tuple(patterns))


_COMMANDS = COMMANDS.removeprefix(UPLOADS).rstrip("/")


@lru_cache(maxsize=65_536)
def is_noise_folder(folder: str) -> bool:
    """Return whether a folder or one above it belongs to a system, or holds commands; ``..`` is an ordinary name in a bucket."""
    if folder == _COMMANDS or folder.startswith(f"{_COMMANDS}/"):
        return True
    return any(
        (part.startswith(".") and part.strip(".") != "") or _FOLDER_PATTERN.match(part) is not None
        for part in folder.split("/")
        if part
    )


def is_companion(name: str) -> bool:
    """Return whether a file is a known companion of pictures, which says nothing about clips."""
    return _COMPANION_PATTERN.match(name) is not None


def is_companion_by_text(name: str) -> bool:
    """Return whether a file that was read and is not nearly a document is a known companion."""
    return _READ_FIRST_PATTERN.match(name) is not None


def is_noise_name(name: str) -> bool:
    """Return whether a file is noise by its name alone."""
    if name[:1] not in _FIRST_OF_MEDIA and name[-4:].lower() in _COMMON_MEDIA:
        return False  # nearly every upload, without the patterns (a listing may hold 100,000)
    return name.startswith(".") or _FILE_PATTERN.match(name) is not None


_COMMON_MEDIA = frozenset({".jpg", "jpeg", ".png", "webp", ".mp3", ".wav", ".mp4", ".mov"})
_FIRST_OF_MEDIA = frozenset(".~#sS")
"""First letters of the patterns that end openly, such as ``SYNOPHOTO_*``: only such a name may be noise with any ending."""


def is_source(name: str) -> bool:
    """Return whether a file is what an image of its name was made from."""
    return _SOURCE_PATTERN.match(name) is not None


def _is_ignored(path: str, patterns: tuple[str, ...]) -> bool:
    whole, part = _own_patterns(patterns)
    if whole is not None and whole.match(path):
        return True
    return part is not None and any(part.match(each) for each in path.split("/"))


@lru_cache(maxsize=16)
def _own_patterns(patterns: tuple[str, ...]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    whole = [pattern.removeprefix("uploads/") for pattern in patterns if "/" in pattern.rstrip("/")]
    whole += [f"{pattern.rstrip('/')}/*" for pattern in whole]
    part = [pattern.rstrip("/") for pattern in patterns if "/" not in pattern.rstrip("/")]
    return (_compiled(whole) if whole else None, _compiled(part) if part else None)


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns), re.IGNORECASE)


_FOLDER_PATTERN = _compiled([pattern for each in FOLDERS for pattern in each.patterns])
_FILE_PATTERN = _compiled([pattern for each in FILES for pattern in each.patterns])
_COMPANION_PATTERN = _compiled([pattern for each in COMPANIONS for pattern in each.patterns])
_SOURCE_PATTERN = _compiled([pattern for each in SOURCES for pattern in each.patterns])
_READ_FIRST_PATTERN = _compiled([pattern for each in READ_FIRST for pattern in each.patterns])
