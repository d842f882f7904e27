"""The uploads as a tree: every object with its role, and the defaults of each folder."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from i2v_assets.briefs.brief import Brief, LooseImages, merge
from i2v_assets.briefs.brief_reader import BriefError, loose_images_of, parse_brief, parse_defaults
from i2v_assets.briefs.yaml_reader import MAX_DOCUMENT_BYTES, DocumentError, DocumentFormat, decode
from i2v_assets.uploads.noise import is_noise, is_noise_folder
from i2v_assets.uploads.roles import (
    MEDIA_ENDINGS,
    TEXT_ENDINGS,
    Role,
    file_under_way,
    media_kind,
    role_of,
    shown_name,
    split_name,
)
from i2v_assets.uploads.types import RefusedUpload, UploadFile, UploadObject
from resources.composed import composed
from resources.schemas.inputs import MediumKind
from resources.storage.keys import UPLOADS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnreadableText:
    """A document whose object exists and cannot be read, with the cause and the remedy."""

    words: str
    remedy: str


Texts = Mapping[str, str | bytes | UnreadableText]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object below ``uploads/``; ``folder`` is relative to it, empty at its top."""

    folder: str
    name: str
    role: Role
    object: UploadObject

    @property
    def path(self) -> str:
        """The key without ``uploads/``."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def kind(self) -> MediumKind | None:
        """The kind of a medium by its ending, whether or not a route accepts it."""
        return media_kind(self.name)

    def file(self, name: str) -> UploadFile:
        """Return this object as a file of a clip, under the clip's name for it."""
        upload = self.object
        return UploadFile(name, upload.key, upload.etag, MEDIA_ENDINGS[split_name(self.name)[1]], upload.size_bytes)


_LONG_AGO = datetime.min.replace(tzinfo=UTC)
MAX_KEY_CHARACTERS = 1024
"""Longest key: S3 allows 1,024 bytes. A longer name is not looked up, because composing one takes quadratic time."""


@dataclass
class Tree:
    """The objects of one listing, sorted by role."""

    media: list[Entry] = field(default_factory=list)
    """Media, convertible media, and files of unknown types."""
    briefs: dict[str, list[Entry]] = field(default_factory=dict)
    defaults: dict[str, list[Entry]] = field(default_factory=dict)
    batches: list[Entry] = field(default_factory=list)
    documents: list[Entry] = field(default_factory=list)
    """Files that may be meant to steer others: sidecars, and names that are nearly a document's."""
    marks: list[Entry] = field(default_factory=list)
    ignored: int = 0
    """Noise and known companions, left out."""
    changed_at: dict[str, datetime] = field(default_factory=dict)
    """When the newest object of each tree was written."""
    markers: list[tuple[str, UploadObject]] = field(default_factory=list)
    """Folder markers that some tools create: objects whose key ends in a slash."""
    folders: set[str] = field(default_factory=set)
    """Every folder that holds an object, with all its parents."""
    by_key: dict[str, Entry] = field(default_factory=dict)
    by_composed: dict[str, Entry] = field(default_factory=dict)
    """By the NFC spelling of the key, if it is not ASCII."""

    def add(self, entry: Entry, tree: str) -> None:
        """Add an entry below a top folder; at the top itself `tree` is empty."""
        key, changed = entry.object.key, entry.object.modified_at
        self.by_key[key] = entry
        if not key.isascii():
            self.by_composed.setdefault(composed(key), entry)
        if tree and changed > self.changed_at.get(tree, _LONG_AGO):
            self.changed_at[tree] = changed
        match entry.role:
            case "media" | "convertible" | "unknown":
                self.media.append(entry)
            case "brief":
                self.briefs.setdefault(entry.folder, []).append(entry)
            case "defaults":
                self.defaults.setdefault(entry.folder, []).append(entry)
            case "batch":
                self.batches.append(entry)
            case "mark":
                self.marks.append(entry)
            case _:
                self.documents.append(entry)

    def find(self, key: str) -> Entry | None:
        """Return the entry with this key, in any Unicode spelling; the exact spelling wins."""
        found = self.by_key.get(key)
        if found is not None or key.isascii():
            return found
        if len(key) > MAX_KEY_CHARACTERS:
            return None
        other = composed(key)
        return self.by_key.get(other) or self.by_composed.get(other)


def build_tree(objects: Iterable[UploadObject], ignore: Sequence[str] = ()) -> Tree:
    """Sort a listing into a tree, leaving out objects outside ``uploads/``, noise and known companions.

    Args:
        objects: The listing.
        ignore: Patterns of further noise.
    """
    tree = Tree()
    folders: dict[str, _FolderKind] = {}
    for upload in objects:
        key = upload.key
        if not key.startswith(UPLOADS):
            continue
        folder, _, name = key[len(UPLOADS) :].rpartition("/")
        if not name:
            if folder.strip("/"):
                tree.markers.append((folder, upload))
            continue
        known = folders.get(folder)
        if known is None:
            known = folders[folder] = _FolderKind(is_noise_folder(folder), tree_of(folder))
        role = "ignored" if known.noise else role_of(name)
        if role in {"ignored", "companion"} or (ignore and is_noise(key[len(UPLOADS) :], upload.size_bytes, ignore)):
            tree.ignored += 1
        elif role == "mark" and file_under_way(name):
            tree.ignored += 1  # noise once it is an hour old
            tree.add(Entry(folder, name, role, upload), known.tree)
        elif role == "document" and upload.size_bytes == 0 and name == "Icon":
            tree.ignored += 1  # macOS's Icon\r, as some programs copy it
        else:
            tree.add(Entry(folder, name, role, upload), known.tree)
    for folder in {entry.folder for entry in tree.by_key.values()}:
        while folder and folder not in tree.folders:
            tree.folders.add(folder)
            folder = folder.rpartition("/")[0]  # noqa: PLW2901 - walks up to the parent
    return tree


@dataclass(frozen=True, slots=True)
class _FolderKind:
    noise: bool
    tree: str


def in_side_folder(folder: str) -> bool:
    """Return whether a folder or a parent begins with ``_``; its media are for CSV batches and never loose clips."""
    return folder.startswith("_") or "/_" in folder


def texts_wanted(objects: Iterable[UploadObject]) -> tuple[UploadObject, ...]:
    """Return the objects whose text `group_uploads` needs: documents, and text files that may be meant as one."""
    wanted = []
    for upload in objects:
        folder, _, name = upload.key.rpartition("/")
        if not upload.key.startswith(UPLOADS):
            continue
        role = role_of(name)
        if role == "document" and (split_name(name)[1] not in TEXT_ENDINGS or upload.size_bytes > MAX_DOCUMENT_BYTES):
            continue
        if role == "mark" and file_under_way(name):
            continue
        if role in {"brief", "defaults", "batch", "document", "mark"} and not is_noise_folder(folder[len(UPLOADS) :]):
            wanted.append(upload)
    return tuple(wanted)


def text_of(texts: Texts, entry: Entry) -> str | None:
    """Return the text of a brief or a CSV batch; None if the caller has not read it yet.

    Raises:
        DocumentError: the bytes are not UTF-8, or the object cannot be read.
    """
    text = texts.get(entry.object.key)
    if isinstance(text, UnreadableText):
        raise DocumentError(f"{shown_name(entry.path)} cannot be read: {text.words}", remedy=text.remedy)
    if text is not None and entry.object.size_bytes == 0 and entry.role in {"brief", "defaults"}:
        # Half-written, perhaps: taken as a brief without wishes it would order everything beside it.
        raise DocumentError(
            f"{shown_name(entry.path)} is empty (0 bytes).",
            remedy="Upload it again, or write {} if nothing is to be set.",
        )
    return decode(text, entry.path) if isinstance(text, bytes) else text


def document_format(name: str) -> DocumentFormat:
    """Return the format of a brief or defaults file, by its ending."""
    ending = split_name(name)[1]
    return "json" if ending == ".json" else "yaml"


class Defaults:
    """The merged defaults of each folder; the nearest folder wins."""

    def __init__(self, tree: Tree, texts: Texts) -> None:
        self.refused: list[RefusedUpload] = []
        self._loose: dict[str, LooseImages] = {}
        self._tree = tree
        self._merged: dict[str, Brief | None] = {}
        self._own: dict[str, Brief | None] = {
            folder: self._read(entries, texts) for folder, entries in tree.defaults.items()
        }

    def of(self, folder: str) -> Brief | None:
        """Return the defaults for clips in a folder; None if a defaults file in it or above it cannot be used."""
        if not self._own:
            return _NOTHING
        if folder not in self._merged:
            above = self.of(folder.rpartition("/")[0]) if folder else _NOTHING
            own = self._own.get(folder, _NOTHING)
            self._merged[folder] = None if above is None or own is None else (merge(above, own) if own.given else above)
        return self._merged[folder]

    def keys_of(self, folder: str) -> tuple[str, ...]:
        """Return the keys of the defaults files that steer a folder, the outermost first."""
        if not self._own:
            return ()
        folders = [folder]
        while folder:
            folder = folder.rpartition("/")[0]
            folders.append(folder)
        return tuple(self._tree.defaults[each][0].object.key for each in reversed(folders) if each in self._own)

    def loose_images(self, folder: str) -> LooseImages | None:
        """Return what the nearest defaults file says of loose images; None if none says anything."""
        if not self._loose:
            return None
        while folder and folder not in self._loose:
            folder = folder.rpartition("/")[0]
        return self._loose.get(folder)

    def _read(self, entries: list[Entry], texts: Texts) -> Brief | None:
        if len(entries) > 1:
            names = " and ".join(sorted(entry.name for entry in entries))
            self.refused.append(
                RefusedUpload(
                    entries[0].object.key, f"{entries[0].folder or 'uploads'} holds {names}.", "Keep one of them."
                )
            )
            return None
        (entry,) = entries
        try:
            text = text_of(texts, entry)
            if text is None:
                return None
            kind = document_format(entry.name)
            found = parse_defaults(text, entry.path, kind)
            if (loose := loose_images_of(text, entry.path, kind)) is not None:
                self._loose[entry.folder] = loose
        except DocumentError as error:
            self.refused.append(RefusedUpload(entry.object.key, error.message, error.remedy))
            return None
        except Exception as error:  # noqa: BLE001 - an unexpected error in one file must not stop the scan of the others
            self.refused.append(unexpected_failure(entry, error))
            return None
        return found


def unexpected_failure(entry: Entry, error: Exception) -> RefusedUpload:
    """Return the refusal of a document whose reader failed unexpectedly, and log the traceback."""
    log.error("Upload document could not be read", exc_info=error, extra={"key": entry.object.key})
    words = f"{shown_name(entry.path)} could not be read because of an unexpected {type(error).__name__}."
    return RefusedUpload(
        entry.object.key, words, "Write it differently. This is a bug in i2v-assets; please report it with the log."
    )


_NOTHING = Brief()


def read_brief(entry: Entry, texts: Texts) -> Brief | None:
    """Return the brief of a folder; None if the caller has not read it yet.

    Raises:
        BriefError: the brief cannot be used.
    """
    try:
        text = text_of(texts, entry)
    except DocumentError as error:
        raise BriefError(error.message, remedy=error.remedy) from None
    return None if text is None else parse_brief(text, entry.path, document_format(entry.name))


def newest(entries: Iterable[Entry]) -> datetime:
    """Return when the most recent of some objects was written."""
    return max(entry.object.modified_at for entry in entries)


def owners(tree: Tree) -> dict[str, str | None]:
    """Return for each folder the nearest folder at or above it that holds a brief."""
    owner_of: dict[str, str | None] = {"": None}

    def owner(folder: str) -> str | None:
        if folder not in owner_of:
            owner_of[folder] = folder if folder in tree.briefs else owner(folder.rpartition("/")[0])
        return owner_of[folder]

    for folder in tree.folders:
        owner(folder)
    return owner_of


def tree_of(folder: str) -> str:
    """Return the tree of a folder below ``uploads/``; empty for its top, which is not a tree."""
    return folder.partition("/")[0]
