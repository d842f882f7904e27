"""Find the files that a misspelt name could mean: the same path but for case, ending, slashes, quotes, blanks and accents."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias
from urllib.parse import unquote

from i2v_assets.uploads.roles import split_name
from i2v_assets.uploads.tree import Entry
from resources.composed import composed

Words: TypeAlias = tuple[str, ...]

_WORD = re.compile(r"[^\W_]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_ABSOLUTE = re.compile(r"^\s*[\"'“„«]?\s*(?:[a-zA-Z]:[\\/]|[\\/]{1,2}|~[\\/]|[a-z][a-z0-9+.-]*://)")

MOST_SUGGESTIONS = 50
"""Maximum files that one name may mean. More share a name such as ``1.jpg``, and then their folders decide."""


def spellings(text: str | bytes) -> Iterator[str]:
    """Yield the readings of a document: UTF-8, UTF-16 by its byte order mark, CP1252; with escapes of JSON and URLs undone."""
    if isinstance(text, bytes):
        if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
            yield from spellings(text.decode("utf-16", "replace"))
            return
        yield from spellings(text.decode("cp1252", "replace"))
        text = text.decode("utf-8", "replace")
    yield text
    if "\\u" in text:
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if "%" in text:
        yield unquote(text)


def words_of(text: str) -> Words:
    """Return the words of a name: without case, punctuation and blanks, with accents composed."""
    return tuple(_WORD.findall(composed(text).casefold()))


def _segments(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part.strip(" \"'.\u00a0")]


def _stem_words(name: str) -> Words:
    stem, ending = split_name(name.strip(" \"'“”„«»\u00a0"))
    return words_of(stem if len(ending) <= 5 else name)


@dataclass(frozen=True)
class NearFiles:
    """An index of media by the words of their names, built when the first name is asked for."""

    entries: Iterable[Entry]

    @cached_property
    def _by_stem(self) -> Mapping[Words, list[Entry]]:
        index: dict[Words, list[Entry]] = {}
        for entry in self.entries:
            if words := _stem_words(entry.name):
                index.setdefault(words, []).append(entry)
        return index

    def named(self, folder: str, name: str) -> list[Entry]:
        """Return the files that a document in `folder` could mean by `name`, the likeliest first."""
        found: dict[str, Entry] = {}
        for written in spellings(name):
            for entry in self._named(folder, written):
                found.setdefault(entry.object.key, entry)
        return list(found.values())[:MOST_SUGGESTIONS]

    def _named(self, folder: str, name: str) -> list[Entry]:
        parts = _segments(name)
        if not parts:
            return []
        asked = [words_of(part) for part in parts[:-1]]
        absolute = bool(_ABSOLUTE.match(name))
        near: list[tuple[int, str, Entry]] = []
        for entry in self._by_stem.get(_stem_words(parts[-1]), ()):
            ways = [words_of(part) for part in entry.folder.split("/") if part]
            below = _below(entry.folder, folder)
            shared = _shared_end(asked, ways)
            from_document = len([part for part in (below or "").split("/") if part])
            if (
                (below is not None and (absolute or not asked))
                or (asked and shared == len(asked))
                or (ways and shared == len(ways))
                or (from_document and shared >= from_document)
            ):
                near.append((-shared, entry.path, entry))
        return [entry for _, _, entry in sorted(near, key=lambda each: each[:2])]

    def mentioned(self, folder: str, text: str | bytes) -> list[Entry]:
        """Return the files whose path, from the top or from `folder`, a text holds; linear in the text and the files."""
        if folder and folder not in self._from_folders:
            self._from_folders[folder] = self._indexed(folder)
        indexes = [self._from_top, self._from_folders[folder]] if folder else [self._from_top]
        found: dict[str, Entry] = {}
        for written in spellings(text):
            words = words_of(written)
            for paths in indexes:
                found.update((entry.object.key, entry) for entry in paths.in_words(words))
        return list(found.values())

    @cached_property
    def _from_top(self) -> "_Paths":
        paths = _Paths()
        for entry in (entry for entries in self._by_stem.values() for entry in entries):
            paths.add(entry.path, entry)
        return paths

    @cached_property
    def _from_folders(self) -> "dict[str, _Paths]":
        """Indexes of paths from the folders whose documents asked; a file is in one for each folder above it at most."""
        return {}

    def _indexed(self, folder: str) -> "_Paths":
        paths = _Paths()
        for entry in self._files_below.get(folder, ()):
            paths.add(entry.path[len(folder) + 1 :], entry)
        return paths

    @cached_property
    def _files_below(self) -> Mapping[str, list[Entry]]:
        below: dict[str, list[Entry]] = {}
        for entry in (entry for entries in self._by_stem.values() for entry in entries):
            folder = entry.folder
            while folder:
                below.setdefault(folder, []).append(entry)
                folder = folder.rpartition("/")[0]
        return below


@dataclass(frozen=True)
class _Paths:
    """Files by the words of their paths.

    Attributes:
        by_first: The files by the words of their paths, by the first word.
        lengths: How many words the paths of each first word have.
    """

    by_first: dict[str, dict[Words, list[Entry]]] = field(default_factory=dict)
    lengths: dict[str, set[int]] = field(default_factory=dict)

    def add(self, path: str, entry: Entry) -> None:
        """Add a file by its path and, if that names a folder too, by its path without the ending."""
        words = words_of(path)
        for each in {words, words_of(split_name(path)[0]) if "/" in path else words} - {()}:
            self.by_first.setdefault(each[0], {}).setdefault(each, []).append(entry)
            self.lengths.setdefault(each[0], set()).add(len(each))

    def in_words(self, words: Words) -> Iterator[Entry]:
        """Yield the files whose paths stand in the words of a text."""
        for start, first in enumerate(words):
            for length in self.lengths.get(first, ()):
                yield from self.by_first[first].get(words[start : start + length], ())


def _below(folder: str, above: str) -> str | None:
    """Return a folder relative to one above it; None if it does not lie there."""
    if not above:
        return folder
    if folder == above:
        return ""
    return folder[len(above) + 1 :] if folder.startswith(f"{above}/") else None


def _shared_end(asked: list[Words], there: list[Words]) -> int:
    count = 0
    while count < min(len(asked), len(there)) and asked[-1 - count] == there[-1 - count]:
        count += 1
    return count
