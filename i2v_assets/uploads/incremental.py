"""Find the objects to scan for changed keys: the files of the affected clips and the documents that decide about them.

* A brief, or media below a folder with a brief: that whole folder.
* Loose media: the files of the same name in that folder.
* Defaults: everything below their folder.
* A CSV batch, and each CSV batch that names a changed file: the files that it names.

The scope also holds the defaults, briefs and CSV batches of the folders above, because these may claim the file. Grouping the
scope gives the same clips as grouping a full listing.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice

from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.ingest import READERS, head_or_none, read_texts
from i2v_assets.uploads.large_lists import PATIENCE_SECONDS, is_read, parse_list, unread_lists
from i2v_assets.uploads.near_names import spellings, words_of
from i2v_assets.uploads.roles import role_of, split_name, stem_key
from i2v_assets.uploads.scope import Group, UploadScope, split_key, with_parents
from i2v_assets.uploads.tree import UnreadableText, in_side_folder
from i2v_assets.uploads.voices import stems_beside
from resources.composed import composed
from resources.registry.registry import Registry
from resources.storage.bucket import Bucket, FolderListing, ObjectInfo
from resources.storage.keys import UPLOADS

FOLDER_PAGES = 20
"""Maximum LIST calls for the files of one folder; in a larger folder each name is queried on its own."""

MANY = 50
"""Number of affected sibling folders from which their parent is listed as a whole."""

MOST_OBJECTS = 100_000
"""Maximum objects of such a listing, or of a folder whose defaults changed; the nightly scan finds the rest."""

CROWD = 10
"""Number of files in one folder, named by CSV batches, from which the folder is listed instead of querying each file."""

DOCUMENTS = ("brief", "Brief", "_defaults", "_uploading-")
"""Name prefixes of the documents that decide about a folder; used if the folder is too large to list."""


class ScopeScanner:
    """Collects the scope of some keys, and caches its listings meanwhile."""

    def __init__(self, bucket: Bucket, registry: Registry) -> None:
        self._bucket = bucket
        self._registry = registry
        self._folders: dict[str, list[ObjectInfo]] = {}
        self._large: set[str] = set()
        self._whole: dict[str, tuple[list[str], list[ObjectInfo]]] = {}
        self._written: dict[Group, set[str]] = {}

    def gather(self, keys: Iterable[str]) -> UploadScope:
        """Return the scope of these keys, whether or not they still exist.

        Raises:
            StorageError: the bucket does not respond.
        """
        wanted = [
            key
            for key in dict.fromkeys(keys)
            if key.startswith(UPLOADS) and role_of(split_key(key)[1]) not in {"ignored", "companion"}
        ]
        wanted = [key for key in wanted if split_key(key)[1]]  # a folder marker has no name
        self._list_crowds({split_key(key)[0] for key in wanted})
        self._list_folders({above for key in wanted for above in with_parents(split_key(key)[0])})
        result = UploadScope()
        for key in wanted:
            result.groups[key] = self._groups(key)
            folder, name = split_key(key)
            self._written.setdefault(Group("name", folder, stem_key(name)), set()).add(split_name(name)[0])
        self._add_held(wanted, result)
        batches = self._batches_naming(wanted, result)
        self._collect(result, {above for key in wanted for above in with_parents(split_key(key)[0])})
        self._add_batches(result, batches)
        self._add_documents(result)
        return result

    def _add_held(self, keys: Collection[str], result: UploadScope) -> None:
        """Add what waits because of a document that changed, and what belongs to it."""
        documents = [key for key in keys if role_of(split_key(key)[1]) not in {"media", "convertible"}]
        held = {source: key for source, (_, key) in self._registry.holds().items() if key in result.groups}
        if not documents and not held:
            return
        affected = self._registry.claims.objects_of(documents) | held
        for source, document in affected.items():
            folder, name = split_key(source.partition("#")[0])
            if source.startswith(UPLOADS) and name and document in result.groups:
                group = Group("name", folder, stem_key(name))
                owner = self._owner(folder)
                result.groups[document].add(group if owner is None else Group("folder", owner))
                self._written.setdefault(group, set()).add(split_name(name)[0])
        self._list_folders(
            {above for groups in result.groups.values() for group in groups for above in with_parents(group.folder)}
        )

    def _add_documents(self, result: UploadScope) -> None:
        """Look up the documents that the objects belong to, so that it is known which of them are gone."""
        documents = set(self._registry.claims.documents_of(sorted(result.objects)).values())
        asked = sorted(key for key in documents - result.objects.keys() if key.startswith(UPLOADS))
        with ThreadPoolExecutor(READERS) as pool:
            heads = pool.map(partial(head_or_none, self._bucket), asked)
            result.objects |= {info.key: info for info in heads if info is not None}
        result.asked |= set(asked)

    # Listing

    def _list_crowds(self, folders: set[str]) -> None:
        """List the parent folder as a whole if many of its subfolders are affected."""
        beside: dict[str, int] = {}
        for folder in folders:
            if folder:
                above = folder.rpartition("/")[0]
                beside[above] = beside.get(above, 0) + 1
        for above, count in sorted(beside.items()):
            if count >= MANY and self._inside_whole(above) is None:
                # Each folder would cost about one LIST call; listing the parent pays off up to 250 objects per folder.
                listing = self._whole_or_none(above, min(MOST_OBJECTS, count * 250))
                if listing is not None:
                    self._keep_whole(above, listing)
                    self._large.discard(above)
                    for each in listing:
                        self._folders.setdefault(split_key(each.key)[0], []).append(each)

    def _whole_or_none(self, folder: str, at_most: int) -> list[ObjectInfo] | None:
        objects = list(islice(self._bucket.list(_prefix(folder)), at_most + 1))
        return objects if len(objects) <= at_most else None

    def _keep_whole(self, folder: str, objects: list[ObjectInfo]) -> None:
        objects.sort(key=lambda each: each.key)
        self._whole[folder] = ([each.key for each in objects], objects)

    def _inside_whole(self, folder: str) -> str | None:
        return next((above for above in with_parents(folder) if above in self._whole), None)

    def _list_folders(self, folders: set[str]) -> None:
        """List the files directly in each folder; in a very large folder only its documents."""
        missing = [folder for folder in folders if self._inside_whole(folder) is None and folder not in self._folders]

        def one(folder: str) -> tuple[str, FolderListing]:
            listing = self._bucket.list_folder(_prefix(folder), pages=FOLDER_PAGES)
            if listing.complete:
                return folder, listing
            documents = [each for name in DOCUMENTS for each in self._bucket.list(_prefix(folder) + name)]
            return folder, replace(listing, objects=tuple(documents))

        with ThreadPoolExecutor(READERS) as pool:
            for folder, listing in pool.map(one, missing):
                self._folders[folder] = [each for each in listing.objects if split_key(each.key)[0] == folder]
                if not listing.complete:
                    self._large.add(folder)
                elif not listing.has_folders:
                    self._keep_whole(folder, list(listing.objects))

    def _in_folder(self, folder: str, role: str) -> list[ObjectInfo]:
        return [info for info in self._folders.get(folder, ()) if role_of(split_key(info.key)[1]) == role]

    def _owner(self, folder: str) -> str | None:
        """Return the nearest folder at or above with a brief; ``uploads/`` itself never counts."""
        return next((above for above in with_parents(folder) if above and self._in_folder(above, "brief")), None)

    # Groups

    def _groups(self, key: str) -> set[Group]:
        folder, name = split_key(key)
        role = role_of(name)
        own = {Group("name", folder, stem_key(name))}
        if role == "batch":
            return {Group("list", folder, name)} | self._loose_in(folder)
        if role == "defaults":
            return {Group("folder", self._owner(folder) or folder)}
        if role in {"document", "mark"} or (role == "brief" and not folder):
            return own | self._loose_in(folder)
        owner = self._owner(folder)
        if role == "brief" and folder:
            # The change may move files between two nested briefs, so the outer folder is scanned too.
            outer = self._owner(folder.rpartition("/")[0])
            return {Group("folder", folder if outer is None else outer)}
        return {Group("name", folder, stem_key(name)) if owner is None else Group("folder", owner)}

    def _loose_in(self, folder: str) -> set[Group]:
        """Return what a document of a folder may hold: all below it; at the top the loose files of the top alone."""
        if folder:
            return {Group("folder", self._owner(folder) or folder)}
        return {Group("name", "", stem_key(split_key(info.key)[1])) for info in self._folders.get("", ())}

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
                for key in result.groups:  # objects outside the scope must not count as removed
                    result.groups[key].discard(Group("folder", folder))
                continue
            result.objects |= {info.key: info for info in self._below(root, folder)}
        loose: dict[str, set[str]] = {}
        for group in groups:
            if group.kind == "name" and not in_side_folder(group.folder):
                loose.setdefault(group.folder, set()).add(group.name)
        for folder, names in loose.items():
            beside = self._folders.get(folder, ()) if folder not in self._large else self._by_name(folder, names)
            wanted = names | stems_beside((split_key(info.key)[1] for info in beside), names)
            for info in beside:
                if stem_key(split_key(info.key)[1]) in wanted:
                    result.objects[info.key] = info
        for folder in above | {part for name in loose for part in with_parents(name)}:
            self._add_steering(result, folder)

    def _add_steering(self, result: UploadScope, folder: str) -> None:
        """Add the files of a folder that may steer those in it and below, each with the files of its name."""
        stems = set()
        for role in ("defaults", "mark", "document"):
            for info in self._in_folder(folder, role):
                result.objects[info.key] = info
                if role == "document":
                    stems.add(stem_key(split_key(info.key)[1]))
        if stems:
            beside = (info for info in self._folders[folder] if stem_key(split_key(info.key)[1]) in stems)
            result.objects |= {info.key: info for info in beside}

    def _below(self, root: str, folder: str) -> list[ObjectInfo]:
        names, objects = self._whole[root]
        prefix = _prefix(folder)
        return objects[bisect_left(names, prefix) : bisect_left(names, prefix[:-1] + "0")]  # "0" follows "/"

    def _by_name(self, folder: str, names: Collection[str]) -> list[ObjectInfo]:
        def one(name: str) -> list[ObjectInfo]:
            start = f"{_prefix(folder)}{name}"
            with_ending = [each for each in self._bucket.list(f"{start}.") if split_key(each.key)[0] == folder]
            bare = self._bucket.head(start)
            return [*with_ending, bare] if bare else with_ending

        with ThreadPoolExecutor(READERS) as pool:
            written = {each for name in names for each in self._written.get(Group("name", folder, name), {name})}
            spellings = {each for name in written for each in _spellings(name)}
            return [info for part in pool.map(one, sorted(spellings)) for info in part]

    # CSV batches

    def _batches_naming(self, keys: Collection[str], result: UploadScope) -> list[ObjectInfo]:
        """Return the CSV batches that changed or may name one of the keys; each becomes a group."""
        named = {group for key in keys for group in result.groups[key] if group.kind == "list"}
        near = {info.key: info for folder in self._folders for info in self._in_folder(folder, "batch")}
        refused = {row.source for row in self._registry.refusals.now()}
        faulty = sorted(
            key for key in refused - near.keys() if role_of(split_key(key)[1]) == "batch" and "#" not in key
        )
        with ThreadPoolExecutor(READERS) as pool:  # a list that is not UTF-8 is read again each time
            heads = pool.map(partial(head_or_none, self._bucket), faulty)
            near |= {info.key: info for info in heads if info is not None}
        cached = {
            key: text
            for key, (_, text) in self._registry.memory.texts().items()
            if role_of(split_key(key)[1]) == "batch"
        }
        fresh = {
            key: " ".join(spellings(text))  # its names are held as well
            for key, text in (read_texts(self._bucket, self._registry, near.values()) if near else {}).items()
            if not isinstance(text, UnreadableText)
        }
        words = {
            key: "".join(words_of(split_name(split_key(key)[1])[0]))
            for key in keys
            if role_of(split_key(key)[1]) not in {"batch", "brief", "defaults"}
        }
        for key, text in (cached | fresh).items():
            compact = _compact(text)
            for file, word in words.items():
                if word and word in compact:
                    group = Group("list", *split_key(key))
                    result.groups[file].add(group)
                    named.add(group)
        wanted = {_prefix(group.folder) + group.name for group in named}
        with ThreadPoolExecutor(READERS) as pool:
            heads = pool.map(partial(head_or_none, self._bucket), sorted(wanted - set(near)))
        return [*(near[key] for key in wanted if key in near), *(info for info in heads if info is not None)]

    def _add_batches(self, result: UploadScope, batches: Iterable[ObjectInfo]) -> None:
        """Add the CSV batches and every file that they, or the CSV batches already in scope, name."""
        result.objects |= {info.key: info for info in batches}
        every = [info for info in result.objects.values() if role_of(split_key(info.key)[1]) == "batch"]
        if not every:
            return
        self._list_folders({above for info in every for above in with_parents(split_key(info.key)[0])})
        for info in every:
            for folder in with_parents(split_key(info.key)[0]):
                self._add_steering(result, folder)
        texts = read_texts(self._bucket, self._registry, every)
        result.unread |= unread_lists(texts, PATIENCE_SECONDS)
        unseen: set[str] = set()
        for info in every:
            folder, _ = split_key(info.key)
            text = texts.get(info.key, "")
            for file in _files_of(info.key, "" if isinstance(text, UnreadableText) else text):
                for key in {_prefix(folder) + file, file}:
                    if key.startswith(UPLOADS) and key not in result.objects:
                        unseen.add(key)
        many = Counter(split_key(key)[0] for key in unseen)
        self._list_folders({folder for folder, count in many.items() if count >= CROWD})
        unseen |= {each for key in unseen for each in _spellings(key)} - result.objects.keys()
        listed = {each.key: each for folder in self._folders.values() for each in folder}
        complete = {
            key for key in unseen if split_key(key)[0] in self._folders and split_key(key)[0] not in self._large
        }
        result.objects |= {key: listed[key] for key in unseen if key in listed}
        asked = sorted(
            key for key in unseen - complete if key not in listed and self._inside_whole(split_key(key)[0]) is None
        )
        with ThreadPoolExecutor(READERS) as pool:
            result.objects |= {each.key: each for each in pool.map(self._bucket.head, asked) if each is not None}


@lru_cache(maxsize=64)  # the same unchanged lists at every tick
def _compact(text: str) -> str:
    """Return a text without anything that names may differ in: case, blanks, punctuation."""
    return "".join(word for written in spellings(text) for word in words_of(written))


def _spellings(name: str) -> set[str]:
    """Return a name with its other Unicode spellings, because a key may use any of them."""
    return {name} if name.isascii() else {name, composed(name), unicodedata.normalize("NFD", name)}


def _prefix(folder: str) -> str:
    return f"{UPLOADS}{folder}/" if folder else UPLOADS


def _files_of(key: str, text: str | bytes) -> set[str]:
    """Return the files that the rows of a CSV batch name; empty if it cannot be read, or not yet."""
    path = key.removeprefix(UPLOADS)
    try:
        rows, _ = parse_list(text, path) if is_read(text, path) else ((), ())
    except DocumentError:
        return set()
    files: set[str] = set()
    for row in rows:
        brief = row.brief
        files |= {ref.file for ref in brief.images or ()} | {ref.file for ref in brief.videos or ()}
        files |= {ref.file for ref in brief.audio or ()} | set((brief.dub or {}).values())
        files |= set(brief.single_files.values())
    return files | {re.sub(r"[\\/]+", "/", file).removeprefix("./") for file in files if "\\" in file}
