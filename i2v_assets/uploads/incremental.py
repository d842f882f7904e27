"""What a changed key makes worth looking at: its clip's files and what decides about them, and nothing more.

* A brief, or media below a folder with one: all of that folder.
* Loose media: the files of the same name beside it.
* Defaults: all below their folder.
* A list, and each list that names a changed file: the files that it names.

With each of them the defaults of the folders above, and the briefs and lists there, since these may claim the file. What is
gathered so gives the same clips as a listing of everything would.
"""

import json
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.csv_batches import parse_batch
from i2v_assets.uploads.ingest import READERS, read_texts
from i2v_assets.uploads.tree import in_side_folder
from i2v_assets.uploads.types import composed, role_of, split_name
from resources.registry.registry import Registry
from resources.storage.bucket import Bucket, FolderListing, ObjectInfo
from resources.storage.keys import UPLOADS

FOLDER_PAGES = 20
"""LIST calls for one folder's own files; a larger folder is asked for each name by itself."""

MANY = 50
"""From so many affected folders beside each other on, the folder above them is listed as a whole."""

MOST_OBJECTS = 100_000
"""Most objects of such a listing, or of a folder whose defaults changed; beyond it the nightly sweep finds the rest."""

CROWD = 10
"""From so many files of one folder on that a list names, the folder is listed instead of asking for each."""

DOCUMENTS = ("brief.", "_defaults.")
"""How the documents that decide about a folder begin, where the folder is too large to be listed."""


class Group(NamedTuple):
    """What belongs together: a folder with all below it (``folder/``), the files of a name, or a list."""

    kind: str
    folder: str
    name: str = ""


@dataclass
class UploadScope:
    """What was gathered for some keys.

    Attributes:
        objects: what there is, by key.
        groups: the groups of each key that was asked for.
        cut: folders that hold too much to be gathered.
    """

    objects: dict[str, ObjectInfo] = field(default_factory=dict)
    groups: dict[str, set[Group]] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)

    def covers(self, source: str) -> bool:
        """True where all files of an upload (or of an object's group) were gathered."""
        return not self._every.isdisjoint(groups_of(source))

    def newest(self, groups: Iterable[Group]) -> datetime | None:
        """When the last object of some groups was written."""
        return max((self._newest[group] for group in groups if group in self._newest), default=None)

    @cached_property
    def _every(self) -> frozenset[Group]:
        return frozenset(group for groups in self.groups.values() for group in groups)

    @cached_property
    def _newest(self) -> dict[Group, datetime]:
        times: dict[Group, datetime] = {}
        for key, found in self.objects.items():
            for group in groups_of(key):
                times[group] = max(found.modified_at, times.get(group, found.modified_at))
        return times


def place(key: str) -> tuple[str, str]:
    """Folder below ``uploads/`` (empty at its top) and name of a key."""
    folder, _, name = key.removeprefix(UPLOADS).rpartition("/")
    return folder, name


def groups_of(source: str) -> Iterator[Group]:
    """Every group that an upload's source, or a key, may belong to."""
    folder, name = place(source)
    yield Group("name", folder, _stem(name))
    for above in chain(folder):
        yield Group("folder", above)
    end = source.find("#")
    while end != -1:  # a row of a list: its source is the list's key, `#`, and the clip
        yield Group("list", *place(source[:end]))
        end = source.find("#", end + 1)
    yield Group("list", folder, name)


def chain(folder: str) -> list[str]:
    """A folder and all above it, nearest first, ``uploads/`` itself (empty) last."""
    found = [folder]
    while folder:
        folder = folder.rpartition("/")[0]
        found.append(folder)
    return found


class ScopeScanner:
    """One gathering; remembers what it has listed."""

    def __init__(self, bucket: Bucket, registry: Registry) -> None:
        self._bucket = bucket
        self._registry = registry
        self._folders: dict[str, list[ObjectInfo]] = {}
        self._large: set[str] = set()
        self._whole: dict[str, tuple[list[str], list[ObjectInfo]]] = {}

    def gather(self, keys: Iterable[str]) -> UploadScope:
        """Everything that decides about these keys, whether they are still there or not.

        Raises:
            StorageError: the bucket does not answer.
        """
        wanted = [key for key in dict.fromkeys(keys) if key.startswith(UPLOADS) and role_of(place(key)[1]) != "ignored"]
        wanted = [key for key in wanted if place(key)[1]]  # a folder marker is nothing by itself
        self._list_crowds({place(key)[0] for key in wanted})
        self._list_folders({above for key in wanted for above in chain(place(key)[0])})
        result = UploadScope()
        for key in wanted:
            result.groups[key] = self._groups(key)
        lists = self._lists_that_name(wanted, result)
        self._collect(result, {above for key in wanted for above in chain(place(key)[0])})
        self._add_lists(result, lists)
        return result

    # Listing

    def _list_crowds(self, folders: set[str]) -> None:
        """Where many folders beside each other are affected, one listing of the folder above takes their place."""
        beside: dict[str, int] = {}
        for folder in folders:
            if folder:
                above = folder.rpartition("/")[0]
                beside[above] = beside.get(above, 0) + 1
        for above, count in sorted(beside.items()):
            if count >= MANY and self._inside_whole(above) is None:
                # As many pages as folders would take calls are worth trying, within reason.
                found = self._whole_or_none(above, min(MOST_OBJECTS, count * 250))
                if found is not None:
                    self._keep_whole(above, found)
                    self._large.discard(above)
                    for each in found:
                        self._folders.setdefault(place(each.key)[0], []).append(each)

    def _whole_or_none(self, folder: str, at_most: int) -> list[ObjectInfo] | None:
        found = list(islice(self._bucket.list(_prefix(folder)), at_most + 1))
        return found if len(found) <= at_most else None

    def _keep_whole(self, folder: str, found: list[ObjectInfo]) -> None:
        found.sort(key=lambda each: each.key)
        self._whole[folder] = ([each.key for each in found], found)

    def _inside_whole(self, folder: str) -> str | None:
        return next((above for above in chain(folder) if above in self._whole), None)

    def _list_folders(self, folders: set[str]) -> None:
        """The files directly in each folder; of a very large one its documents alone."""
        missing = [folder for folder in folders if self._inside_whole(folder) is None and folder not in self._folders]

        def one(folder: str) -> tuple[str, FolderListing]:
            found = self._bucket.list_folder(_prefix(folder), pages=FOLDER_PAGES)
            if found.complete:
                return folder, found
            documents = [each for name in DOCUMENTS for each in self._bucket.list(_prefix(folder) + name)]
            return folder, replace(found, objects=tuple(documents))

        with ThreadPoolExecutor(READERS) as pool:
            for folder, found in pool.map(one, missing):
                self._folders[folder] = [each for each in found.objects if place(each.key)[0] == folder]
                if not found.complete:
                    self._large.add(folder)
                elif not found.has_folders:
                    self._keep_whole(folder, list(found.objects))

    def _in_folder(self, folder: str, role: str) -> list[ObjectInfo]:
        return [found for found in self._folders.get(folder, ()) if role_of(place(found.key)[1]) == role]

    def _owner(self, folder: str) -> str | None:
        """The nearest folder at or above with a brief; the top has none."""
        return next((above for above in chain(folder) if above and self._in_folder(above, "brief")), None)

    # Groups

    def _groups(self, key: str) -> set[Group]:
        folder, name = place(key)
        role = role_of(name)
        if role == "batch":
            return {Group("list", folder, name)}
        if role == "defaults":
            return {Group("folder", self._owner(folder) or folder)}
        owner = self._owner(folder)
        if role == "brief" and folder:
            # Which of two nested briefs a file belongs to may have changed, so the outer one is looked at too.
            outer = self._owner(folder.rpartition("/")[0])
            return {Group("folder", folder if outer is None else outer)}
        return {Group("name", folder, _stem(name)) if owner is None else Group("folder", owner)}

    def _collect(self, result: UploadScope, above: set[str]) -> None:
        groups = {group for groups in result.groups.values() for group in groups}
        roots = {group.folder for group in groups if group.kind == "folder"}
        missing = [folder for folder in roots if self._inside_whole(folder) is None]
        with ThreadPoolExecutor(READERS) as pool:
            listed = pool.map(lambda folder: self._whole_or_none(folder, MOST_OBJECTS), missing)
            for folder, whole in zip(missing, listed, strict=True):
                if whole is not None:
                    self._keep_whole(folder, whole)
        for folder in roots:
            if (root := self._inside_whole(folder)) is None:
                result.cut.append(folder)
                for key in result.groups:  # what was not gathered must not count as gone
                    result.groups[key].discard(Group("folder", folder))
                continue
            result.objects |= {found.key: found for found in self._below(root, folder)}
        loose: dict[str, set[str]] = {}
        for group in groups:
            if group.kind == "name" and not in_side_folder(group.folder):
                loose.setdefault(group.folder, set()).add(group.name)
        for folder, names in loose.items():
            beside = self._folders.get(folder, ()) if folder not in self._large else self._by_name(folder, names)
            for found in beside:
                if _stem(place(found.key)[1]) in names:
                    result.objects[found.key] = found
        for folder in above:
            for found in self._in_folder(folder, "defaults"):
                result.objects[found.key] = found

    def _below(self, root: str, folder: str) -> list[ObjectInfo]:
        names, found = self._whole[root]
        prefix = _prefix(folder)
        return found[bisect_left(names, prefix) : bisect_left(names, prefix[:-1] + "0")]  # "0" follows "/"

    def _by_name(self, folder: str, names: Collection[str]) -> list[ObjectInfo]:
        def one(name: str) -> list[ObjectInfo]:
            start = f"{_prefix(folder)}{name}"
            found = [each for each in self._bucket.list(f"{start}.") if place(each.key)[0] == folder]
            bare = self._bucket.head(start)
            return [*found, bare] if bare else found

        with ThreadPoolExecutor(READERS) as pool:
            spelt = {each for name in names for each in _spellings(name)}
            return [found for part in pool.map(one, sorted(spelt)) for found in part]

    # Lists

    def _lists_that_name(self, keys: Collection[str], result: UploadScope) -> list[ObjectInfo]:
        """The lists that changed, and those anywhere that may name one of the keys; each becomes a group."""
        named = {group for key in keys for group in result.groups[key] if group.kind == "list"}
        near = {found.key: found for folder in self._folders for found in self._in_folder(folder, "batch")}
        cached = {
            key: text for key, (_, text) in self._registry.memory.texts().items() if role_of(place(key)[1]) == "batch"
        }
        fresh = {
            key: text if isinstance(text, str) else text.decode("utf-8", "replace")  # names in it are held as well
            for key, text in (read_texts(self._bucket, self._registry, near.values()) if near else {}).items()
        }
        words = {key: place(key)[1] for key in keys if role_of(place(key)[1]) not in {"batch", "brief", "defaults"}}
        texts = cached | fresh
        for key, text in texts.items():
            for file, word in words.items():
                if any(each in text or _escaped(each) in text for each in _spellings(word)):
                    group = Group("list", *place(key))
                    result.groups[file].add(group)
                    named.add(group)
        wanted = {_prefix(group.folder) + group.name for group in named}
        with ThreadPoolExecutor(READERS) as pool:
            heads = pool.map(self._bucket.head, sorted(wanted - set(near)))
        return [*(near[key] for key in wanted if key in near), *(found for found in heads if found is not None)]

    def _add_lists(self, result: UploadScope, lists: Iterable[ObjectInfo]) -> None:
        """The lists themselves and every file that they, and the lists that were gathered anyway, name."""
        result.objects |= {found.key: found for found in lists}
        every = [found for found in result.objects.values() if role_of(place(found.key)[1]) == "batch"]
        if not every:
            return
        self._list_folders({above for found in every for above in chain(place(found.key)[0])})
        for found in every:
            for folder in chain(place(found.key)[0]):
                result.objects |= {each.key: each for each in self._in_folder(folder, "defaults")}
        texts = read_texts(self._bucket, self._registry, every)
        unseen: set[str] = set()
        for found in every:
            folder, name = place(found.key)
            for file in _files_of(name, texts.get(found.key, "")):
                for key in {_prefix(folder) + file, file}:
                    if key.startswith(UPLOADS) and key not in result.objects:
                        unseen.add(key)
        many = Counter(place(key)[0] for key in unseen)
        self._list_folders({folder for folder, count in many.items() if count >= CROWD})
        unseen |= {each for key in unseen for each in _spellings(key)} - result.objects.keys()
        known = {each.key: each for folder in self._folders.values() for each in folder}
        complete = {key for key in unseen if place(key)[0] in self._folders and place(key)[0] not in self._large}
        result.objects |= {key: known[key] for key in unseen if key in known}
        asked = sorted(
            key for key in unseen - complete if key not in known and self._inside_whole(place(key)[0]) is None
        )
        with ThreadPoolExecutor(READERS) as pool:
            result.objects |= {each.key: each for each in pool.map(self._bucket.head, asked) if each is not None}


def _stem(name: str) -> str:
    return composed(split_name(name)[0])


def _spellings(name: str) -> set[str]:
    """A name as it is, and as others may spell its accents: a key that is another's name is looked for in each."""
    return {name} if name.isascii() else {name, composed(name), unicodedata.normalize("NFD", name)}


def _prefix(folder: str) -> str:
    return f"{UPLOADS}{folder}/" if folder else UPLOADS


def _escaped(word: str) -> str:
    """How JSON may write a name: letters outside ASCII as numbers."""
    return json.dumps(word)[1:-1]


def _files_of(name: str, text: str | bytes) -> set[str]:
    """The files that the rows of a list name; of a list that cannot be read none."""
    try:
        rows, _ = parse_batch(text, name, "csv" if split_name(name)[1] == ".csv" else "jsonl")
    except DocumentError:
        return set()
    files: set[str] = set()
    for row in rows:
        brief = row.brief
        files |= {ref.file for ref in brief.images or ()} | {ref.file for ref in brief.videos or ()}
        files |= {ref.file for ref in brief.audio or ()} | set((brief.dub or {}).values())
    return files
