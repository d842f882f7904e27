"""Marks of uploads under way: ``<folder>/_uploading-<id>.json`` holds its folder until it is removed or not renewed.

Any program may write one before it uploads a set of files, and remove it afterwards::

    {"files": ["brief.yaml", "img/1.jpg"], "expires": "2026-01-01T12:00:00Z"}

``files`` are the files that are still to come, relative to the mark's folder; ``expires`` may end it earlier than an hour after
it was written. Both may be left out. At the top of ``uploads/``, where everybody's files lie, a mark holds only the names that
it lists.

A file that a program is still writing, such as ``hero.mp3.part``, is a mark as well: it holds what has its name, and that of a
document all of its folder.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from i2v_assets.uploads.roles import MARK, file_under_way, role_of, shown_name, stem_key
from i2v_assets.uploads.tree import Entry, Texts

RENEW_AFTER = timedelta(minutes=5)
"""How often a program that uploads writes its mark again."""

ENDS_AFTER = timedelta(hours=1)
"""Time without renewal after which a mark counts as left behind: twelve renewals have failed by then."""


@dataclass(frozen=True, slots=True)
class UploadMark:
    """An upload that is under way.

    Attributes:
        key: The mark's key.
        folder: The folder that it holds.
        stems: The stems that it holds; None: it holds all.
        until: When it ends if it is not renewed.
        of_sidecar: True if it holds an image for the words beside it, which say nothing to a folder with a brief.
    """

    key: str
    folder: str
    stems: frozenset[str] | None
    until: datetime
    of_sidecar: bool = False

    @property
    def words(self) -> str:
        """Why something waits for it."""
        return f"An upload is under way ({shown_name(self.key)}, at most until {self.until:%H:%M} UTC)."


class Marks:
    """The marks of one listing that have not ended."""

    def __init__(self, entries: Iterable[Entry], texts: Texts, now: datetime) -> None:
        marks = [_read(entry, texts) for entry in entries]
        self.active = tuple(mark for mark in marks if mark.until > now)
        self._by_folder = {mark.folder: mark for mark in self.active if mark.stems is None}
        self._by_stem = {(mark.folder, stem): mark for mark in self.active for stem in mark.stems or ()}
        self._under_way_below = {
            folder: mark
            for (below, _), mark in self._by_stem.items()
            if not mark.of_sidecar
            for folder in _with_parents(below)
        }

    def holding(self, folder: str, name: str = "") -> UploadMark | None:
        """Return the mark that holds a file of a folder or of the top, or a folder with all its files, or None."""
        mark = self._by_stem.get((folder, stem_key(name))) if name else self._under_way_below.get(folder)
        if mark is not None or not folder:
            return mark or self._by_folder.get("")
        while folder:
            if folder in self._by_folder:
                return self._by_folder[folder]
            folder = folder.rpartition("/")[0]
        return None


def _with_parents(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


NO_MARKS = Marks((), {}, datetime.min.replace(tzinfo=UTC))


def mark_text(files: Iterable[str], expires: datetime) -> bytes:
    """Return the content of a mark."""
    plain = {"files": list(files), "expires": expires.astimezone(UTC).isoformat(timespec="seconds")}
    return json.dumps(plain, indent=1).encode()


def mark_name(upload_id: str) -> str:
    """Return the file name of a mark."""
    return f"{MARK}{upload_id}.json"


def _read(entry: Entry, texts: Texts) -> UploadMark:
    if target := file_under_way(entry.name):
        role, until = role_of(target), entry.object.modified_at + ENDS_AFTER
        stems = frozenset({stem_key(target)}) if role in {"media", "convertible", "document"} else None
        return UploadMark(entry.object.key, entry.folder, stems, until, of_sidecar=role == "document")
    content = _content(texts.get(entry.object.key))
    until = entry.object.modified_at + ENDS_AFTER
    if (told := _moment(content.get("expires"))) is not None:
        until = min(until, told)
    files = content.get("files")
    stems = None
    if not entry.folder and isinstance(files, list):
        # Of a folder that is sent to the top, its own files are none of the top's.
        stems = frozenset(stem_key(file) for file in files if isinstance(file, str) and "/" not in file)
    return UploadMark(entry.object.key, entry.folder, stems, until)


def _content(text: object) -> Mapping[str, Any]:
    """Return what a mark says; one that cannot be read holds all that it can."""
    if not isinstance(text, str):
        return {}
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
