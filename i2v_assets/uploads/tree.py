"""The uploads as a tree: every object with its role, and the defaults of each folder."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from i2v_assets.briefs.brief import Brief, BriefError, merge, parse_brief, parse_defaults
from i2v_assets.briefs.yaml_reader import DocumentError, DocumentFormat, decode
from i2v_assets.uploads.types import (
    MEDIA_ENDINGS,
    RefusedUpload,
    Role,
    UploadFile,
    UploadObject,
    composed,
    role_of,
    shown_name,
    split_name,
)
from resources.storage.keys import UPLOADS

log = logging.getLogger(__name__)

Texts = Mapping[str, str | bytes]


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

    def file(self, name: str) -> UploadFile:
        """Return this object as a file of a clip, under the clip's name for it."""
        upload = self.object
        return UploadFile(name, upload.key, upload.etag, MEDIA_ENDINGS[split_name(self.name)[1]], upload.size_bytes)


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
    markers: list[tuple[str, UploadObject]] = field(default_factory=list)
    """Folder markers that some tools create: objects whose key ends in a slash."""
    folders: set[str] = field(default_factory=set)
    """Every folder that holds an object, with all its parents."""
    by_key: dict[str, Entry] = field(default_factory=dict)
    by_composed: dict[str, Entry] = field(default_factory=dict)
    """By the NFC spelling of the key."""

    def find(self, key: str) -> Entry | None:
        """Return the entry with this key, in any Unicode spelling; the exact spelling wins."""
        if len(key) > MAX_KEY_CHARACTERS:
            return None
        return self.by_key.get(key) or self.by_composed.get(composed(key))


def build_tree(objects: Iterable[UploadObject]) -> Tree:
    """Sort a listing into a tree, leaving out objects outside ``uploads/`` and system files."""
    tree = Tree()
    by_folder: dict[str, bool] = {}
    for upload in objects:
        key = upload.key
        if not key.startswith(UPLOADS):
            continue
        folder, _, name = key[len(UPLOADS) :].rpartition("/")
        if not name:
            if folder.strip("/"):
                tree.markers.append((folder, upload))
            continue
        visible = by_folder.get(folder)
        if visible is None:
            visible = by_folder[folder] = not _hidden(folder)
        role = role_of(name)
        if not visible or role == "ignored":
            continue
        entry = Entry(folder, name, role, upload)
        tree.by_key[key] = entry
        tree.by_composed.setdefault(composed(key), entry)
        if role == "brief":
            tree.briefs.setdefault(folder, []).append(entry)
        elif role == "defaults":
            tree.defaults.setdefault(folder, []).append(entry)
        elif role == "batch":
            tree.batches.append(entry)
        else:
            tree.media.append(entry)
    for folder in {entry.folder for entry in tree.by_key.values()}:
        while folder and folder not in tree.folders:
            tree.folders.add(folder)
            folder = folder.rpartition("/")[0]  # noqa: PLW2901 - walks up to the parent
    return tree


def _hidden(folder: str) -> bool:
    """Return whether a folder belongs to a system (``.git``, ``__MACOSX``); ``..`` is an ordinary name in a bucket."""
    return any(
        part == "__MACOSX" or (part.startswith(".") and part.strip(".") != "") for part in folder.split("/") if part
    )


def in_side_folder(folder: str) -> bool:
    """Return whether a folder or a parent begins with ``_``; its media are for CSV batches and never loose clips."""
    return folder.startswith("_") or "/_" in folder


def texts_wanted(objects: Iterable[UploadObject]) -> tuple[UploadObject, ...]:
    """Return the objects whose text `group_uploads` needs: briefs, defaults and CSV batches."""
    wanted = []
    for upload in objects:
        folder, _, name = upload.key.rpartition("/")
        if upload.key.startswith(UPLOADS) and role_of(name) in {"brief", "defaults", "batch"} and not _hidden(folder):
            wanted.append(upload)
    return tuple(wanted)


def text_of(texts: Texts, entry: Entry) -> str | None:
    """Return the text of a brief or a CSV batch; None if the caller has not read it yet.

    Raises:
        DocumentError: the bytes are not UTF-8.
    """
    text = texts.get(entry.object.key)
    return decode(text, entry.path) if isinstance(text, bytes) else text


def document_format(name: str) -> DocumentFormat:
    """Return the format of a brief or defaults file, by its ending."""
    ending = split_name(name)[1]
    return "json" if ending == ".json" else "yaml"


class Defaults:
    """The merged defaults of each folder; the nearest folder wins."""

    def __init__(self, tree: Tree, texts: Texts) -> None:
        self.refused: list[RefusedUpload] = []
        self._own: dict[str, Brief | None] = {
            folder: self._read(entries, texts) for folder, entries in tree.defaults.items()
        }
        self._merged: dict[str, Brief | None] = {}

    def of(self, folder: str) -> Brief | None:
        """Return the defaults for clips in a folder; None if a defaults file in it or above it cannot be used."""
        if not self._own:
            return _NOTHING
        if folder not in self._merged:
            above = self.of(folder.rpartition("/")[0]) if folder else _NOTHING
            own = self._own.get(folder, _NOTHING)
            self._merged[folder] = None if above is None or own is None else (merge(above, own) if own.given else above)
        return self._merged[folder]

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
            return None if text is None else parse_defaults(text, entry.path, document_format(entry.name))
        except DocumentError as error:
            self.refused.append(RefusedUpload(entry.object.key, error.message, error.remedy))
            return None
        except Exception as error:  # noqa: BLE001 - an unexpected error in one file must not stop the scan of the others
            self.refused.append(unexpected_failure(entry, error))
            return None


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
