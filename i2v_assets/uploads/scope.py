"""The scope of some changed keys: the objects to scan for them, and the groups that say which uploads it covers as a whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from i2v_assets.uploads.roles import stem_key
from resources.storage.bucket import ObjectInfo
from resources.storage.keys import UPLOADS


class Group(NamedTuple):
    """Objects that belong together: a folder with everything below it, the files of one name, or a CSV batch."""

    kind: str
    folder: str
    name: str = ""


@dataclass
class UploadScope:
    """The objects and groups that some keys affect.

    Attributes:
        objects: The existing objects, by key.
        groups: The groups of each requested key.
        cut: Folders that hold too many objects to scan.
        unread: Large CSV batches that are still being read, so that the files they name are not known.
    """

    objects: dict[str, ObjectInfo] = field(default_factory=dict)
    groups: dict[str, set[Group]] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    """Keys of documents that were looked up one by one: those that are not among the objects are gone."""
    unread: set[str] = field(default_factory=set)

    def covers(self, source: str) -> bool:
        """Return whether all files of an upload (or of an object's group) are in the scope."""
        return not self._every.isdisjoint(groups_of(source))

    def newest(self, groups: Iterable[Group]) -> datetime | None:
        """Return when the most recent object of some groups was written."""
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


def split_key(key: str) -> tuple[str, str]:
    """Return the folder below ``uploads/`` (empty at its top) and the name of a key."""
    folder, _, name = key.removeprefix(UPLOADS).rpartition("/")
    return folder, name


def groups_of(source: str) -> Iterator[Group]:
    """Yield every group that an upload's source, or a key, may belong to."""
    folder, name = split_key(source)
    yield Group("name", folder, stem_key(name))
    for above in with_parents(folder):
        yield Group("folder", above)
    end = source.find("#")
    while end != -1:  # the source of a row is the CSV batch's key, `#`, and the clip
        yield Group("list", *split_key(source[:end]))
        end = source.find("#", end + 1)
    yield Group("list", folder, name)


def with_parents(folder: str) -> list[str]:
    """Return a folder and its parents, nearest first; ``uploads/`` itself is the empty string."""
    folders = [folder]
    while folder:
        folder = folder.rpartition("/")[0]
        folders.append(folder)
    return folders
