"""The uploads as a tree: every object with its part to play, and the defaults of each folder."""

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
        """This object as a file of a clip, under the name that the clip knows."""
        found = self.object
        return UploadFile(name, found.key, found.etag, MEDIA_ENDINGS[split_name(self.name)[1]], found.size_bytes)


@dataclass
class Tree:
    """Everything that one listing holds, sorted by its part to play."""

    media: list[Entry] = field(default_factory=list)
    """Media, those to be converted, and files of unknown types."""
    briefs: dict[str, list[Entry]] = field(default_factory=dict)
    defaults: dict[str, list[Entry]] = field(default_factory=dict)
    batches: list[Entry] = field(default_factory=list)
    markers: list[tuple[str, UploadObject]] = field(default_factory=list)
    """Folder markers that some tools make: objects whose key ends in a slash."""
    folders: set[str] = field(default_factory=set)
    """Every folder that holds something, with all above it."""
    by_key: dict[str, Entry] = field(default_factory=dict)
    by_composed: dict[str, Entry] = field(default_factory=dict)
    """By the key in the one spelling of its accents."""

    def find(self, key: str) -> Entry | None:
        """What lies under this key, however accents are spelt in it; the same spelling comes first."""
        return self.by_key.get(key) or self.by_composed.get(composed(key))


def build_tree(objects: Iterable[UploadObject]) -> Tree:
    """Sorts a listing; what lies outside ``uploads/`` and what systems leave behind is left out."""
    tree = Tree()
    by_folder: dict[str, bool] = {}
    for found in objects:
        key = found.key
        if not key.startswith(UPLOADS):
            continue
        folder, _, name = key[len(UPLOADS) :].rpartition("/")
        if not name:
            if folder.strip("/"):
                tree.markers.append((folder, found))
            continue
        visible = by_folder.get(folder)
        if visible is None:
            visible = by_folder[folder] = not _hidden(folder)
        role = role_of(name)
        if not visible or role == "ignored":
            continue
        entry = Entry(folder, name, role, found)
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
            folder = folder.rpartition("/")[0]  # noqa: PLW2901 - climbing
    return tree


def _hidden(folder: str) -> bool:
    """Folders of the system (``.git``, ``__MACOSX``); ``..`` is a name like any other in a bucket."""
    return any(
        part == "__MACOSX" or (part.startswith(".") and part.strip(".") != "") for part in folder.split("/") if part
    )


def in_side_folder(folder: str) -> bool:
    """True below a folder whose name begins with ``_``: its media are for lists to name and are no clips themselves."""
    return folder.startswith("_") or "/_" in folder


def texts_wanted(objects: Iterable[UploadObject]) -> tuple[UploadObject, ...]:
    """The objects whose text `group_uploads` needs: briefs, defaults and lists."""
    wanted = []
    for found in objects:
        folder, _, name = found.key.rpartition("/")
        if found.key.startswith(UPLOADS) and role_of(name) in {"brief", "defaults", "batch"} and not _hidden(folder):
            wanted.append(found)
    return tuple(wanted)


def text_of(texts: Texts, entry: Entry) -> str | None:
    """The text of a brief or a list, None when the caller has not read it yet.

    Raises:
        DocumentError: it is not UTF-8.
    """
    text = texts.get(entry.object.key)
    return decode(text, entry.path) if isinstance(text, bytes) else text


def document_format(name: str) -> DocumentFormat:
    """How a brief or defaults file is written, by its ending."""
    ending = split_name(name)[1]
    return "json" if ending == ".json" else "yaml"


class Defaults:
    """The defaults of each folder: nested folders, nearest wins."""

    def __init__(self, tree: Tree, texts: Texts) -> None:
        self.refused: list[RefusedUpload] = []
        self._own: dict[str, Brief | None] = {
            folder: self._read(found, texts) for folder, found in tree.defaults.items()
        }
        self._merged: dict[str, Brief | None] = {}

    def of(self, folder: str) -> Brief | None:
        """What holds for clips in a folder; None while a defaults file above it cannot be used."""
        if not self._own:
            return _NOTHING
        if folder not in self._merged:
            above = self.of(folder.rpartition("/")[0]) if folder else _NOTHING
            own = self._own.get(folder, _NOTHING)
            self._merged[folder] = None if above is None or own is None else (merge(above, own) if own.given else above)
        return self._merged[folder]

    def _read(self, found: list[Entry], texts: Texts) -> Brief | None:
        if len(found) > 1:
            names = " and ".join(sorted(entry.name for entry in found))
            self.refused.append(
                RefusedUpload(
                    found[0].object.key, f"{found[0].folder or 'uploads'} holds {names}.", "Keep one of them."
                )
            )
            return None
        (entry,) = found
        try:
            text = text_of(texts, entry)
            return None if text is None else parse_defaults(text, entry.path, document_format(entry.name))
        except DocumentError as error:
            self.refused.append(RefusedUpload(entry.object.key, error.message, error.remedy))
            return None
        except Exception as error:  # noqa: BLE001 - one file's surprise must not end the look at all the others
            self.refused.append(unforeseen(entry, error))
            return None


def unforeseen(entry: Entry, error: Exception) -> RefusedUpload:
    """The refusal of a document whose reader did not foresee what stands in it; the log has the traceback."""
    log.error("%s could not be read.", entry.object.key, exc_info=error)
    words = f"{shown_name(entry.path)} could not be read, for a reason that nobody foresaw ({type(error).__name__})."
    return RefusedUpload(entry.object.key, words, "Write it in another way, and tell the project: its log has more.")


_NOTHING = Brief()


def read_brief(entry: Entry, texts: Texts) -> Brief | None:
    """The brief of a folder, None when the caller has not read it yet.

    Raises:
        BriefError: it cannot be used.
    """
    try:
        text = text_of(texts, entry)
    except DocumentError as error:
        raise BriefError(error.message, remedy=error.remedy) from None
    return None if text is None else parse_brief(text, entry.path, document_format(entry.name))


def newest(entries: Iterable[Entry]) -> datetime:
    """When the last of some objects was written."""
    return max(entry.object.modified_at for entry in entries)


def owners(tree: Tree) -> dict[str, str | None]:
    """For each folder the nearest one at or above it that holds a brief."""
    found: dict[str, str | None] = {"": None}

    def owner(folder: str) -> str | None:
        if folder not in found:
            found[folder] = folder if folder in tree.briefs else owner(folder.rpartition("/")[0])
        return found[folder]

    for folder in tree.folders:
        owner(folder)
    return found
