"""Doubt: files that may change what is ordered and are not understood, and the loose images that wait because of them. Pure.

The scope of a doubt is the folder of its file and all below it; at the top of ``uploads/`` it is the loose files of the top
alone. A list also holds the folder of every file that it names or nearly names. A document that was saved twice is a doubt
if the copy says something else; one with the same text changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.yaml_reader import read_document
from i2v_assets.uploads.near_names import NearFiles, spellings, words_of
from i2v_assets.uploads.noise import original_of_conflict, originals_of
from i2v_assets.uploads.roles import (
    LIST_ENDINGS,
    MEDIA_ENDINGS,
    OFFICE_ENDINGS,
    TABLE_ENDINGS,
    TEXT_ENDINGS,
    looks_steering,
    role_of,
    shown_name,
    split_name,
    stem_key,
)
from i2v_assets.uploads.tree import Entry, Texts, Tree, UnreadableText
from i2v_assets.uploads.types import Candidate, Doubt, HoldReason, UploadHold
from resources.schemas.inputs import MediumKind

_YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Doubts:
    """The doubts of one scan, and what they hold.

    Attributes:
        by_key: Every doubt by the key of its file.
        of_folder: The doubt that holds each folder.
        of_object: The doubt that holds each object.
    """

    by_key: dict[str, Doubt] = field(default_factory=dict)
    of_folder: dict[str, Doubt] = field(default_factory=dict)
    of_object: dict[str, Doubt] = field(default_factory=dict)

    def add(self, doubt: Doubt) -> None:
        """Add a doubt; the first one of a folder or an object is the one that is shown."""
        self.by_key.setdefault(doubt.key, doubt)
        for folder in doubt.folders:
            self.of_folder.setdefault(folder, doubt)
        for key in doubt.keys:
            self.of_object.setdefault(key, doubt)

    def holding(self, folder: str, key: str) -> Doubt | None:
        """Return the doubt that holds a loose file, or None."""
        if (doubt := self.of_object.get(key)) is not None:
            return doubt
        if not folder:
            return self.of_folder.get("")
        while folder:
            if (doubt := self.of_folder.get(folder)) is not None:
                return doubt
            folder = folder.rpartition("/")[0]
        return None

    def all(self) -> tuple[Doubt, ...]:
        """Return every doubt, by key."""
        return tuple(self.by_key[key] for key in sorted(self.by_key))


def doubt_hold(doubt: Doubt) -> UploadHold:
    """Return the hold of a loose image that a doubt holds."""
    return UploadHold(HoldReason.DOUBT, doubt.words, doubt.remedy, doubt.key)


def list_doubt(entry: Entry, text: object, words: str, remedy: str, near: NearFiles) -> Doubt:
    """Return the doubt of a list that is refused as a whole: its scope, and the folders of the files that it names."""
    named = near.mentioned(entry.folder, text) if isinstance(text, str | bytes) else []
    folders = frozenset({entry.folder, *(each.folder for each in named)})
    keys = frozenset(each.object.key for each in named)
    return Doubt(entry.object.key, words, remedy, folders, keys)


def rows_doubt(entry: Entry, text: object, words: str, remedy: str, near: NearFiles) -> Doubt:
    """Return the doubt of a list with rows that cannot be read: the files that it names."""
    named = near.mentioned(entry.folder, text) if isinstance(text, str | bytes) else []
    return Doubt(entry.object.key, words, remedy, keys=frozenset(each.object.key for each in named))


def top_brief_doubt(entry: Entry, text: object, words: str, remedy: str, near: NearFiles) -> Doubt:
    """Return the doubt of a brief at the top of the uploads: the files that it names, or all loose files of the top."""
    named = near.mentioned("", text) if isinstance(text, str | bytes) else []
    if named:
        return Doubt(entry.object.key, words, remedy, keys=frozenset(each.object.key for each in named))
    return Doubt(entry.object.key, words, remedy, folders=frozenset({""}))


def near_documents(tree: Tree, entries: Iterable[Entry], texts: Texts) -> Iterator[Doubt]:
    """Yield a doubt for each file that is nearly a document; other files of unknown types yield nothing."""
    names: dict[str, set[tuple[str, ...]]] = {}
    for entry in tree.media if tree.documents else ():
        names.setdefault(entry.folder, set()).add(words_of(entry.name))
    for entry in entries:
        text = texts.get(entry.object.key)
        remedy = _remedy(entry)
        if isinstance(text, UnreadableText):
            words = f"{shown_name(entry.path)} cannot be read and may be a document: {text.words}"
            yield Doubt(entry.object.key, words, text.remedy, _scope(entry))
        elif _is_document_by_name(entry.name):
            words = f"{shown_name(entry.path)} looks like a document, but its name or type is not read."
            yield Doubt(entry.object.key, words, remedy, _scope(entry))
        elif isinstance(text, str | bytes) and split_name(entry.name)[1] in TEXT_ENDINGS:
            if parses_as_brief(text):
                words = f"{shown_name(entry.path)} holds the keys of a brief, but its name is not that of one."
                yield Doubt(entry.object.key, words, remedy, _scope(entry))
            elif _names_a_file(text, names.get(entry.folder, set())):
                words = f"{shown_name(entry.path)} names files of its folder, and is not understood."
                yield Doubt(entry.object.key, words, remedy, _scope(entry))


def beside_images(tree: Tree, entries: Iterable[Entry]) -> Iterator[Doubt]:
    """Yield a doubt for each text with the name of an image that is not a sidecar: ``hero.jpg.txt``, ``hero.md``, ``hero.prompt``.

    Somebody may mean it as the image's prompt, so that image waits.
    """
    asked = [entry for entry in entries if split_name(entry.name)[1] in _TEXTS]
    if not asked:
        return
    images: dict[tuple[str, str], list[Entry]] = {}
    for entry in tree.media:
        if MEDIA_ENDINGS.get(split_name(entry.name)[1]) is MediumKind.IMAGE:
            images.setdefault((entry.folder, stem_key(entry.name)), []).append(entry)
            images.setdefault((entry.folder, stem_key(f"{entry.name}.txt")), []).append(entry)
    for entry in asked:
        named = images.get((entry.folder, stem_key(entry.name)))
        if named:
            image = shown_name(named[0].name)
            words = f"{shown_name(entry.name)} may be the prompt of {image}, and its name is not that of one."
            remedy = f"Rename it to {shown_name(split_name(named[0].name)[0])}.txt if it is, or remove it."
            yield Doubt(entry.object.key, words, remedy, keys=frozenset(each.object.key for each in named))


_TEXTS = frozenset(
    {".txt", ".text", ".md", ".rst", ".caption", ".captions", ".prompt", ".desc", ".description", ".eml"}
)


def _scope(entry: Entry) -> frozenset[str]:
    return frozenset({entry.folder})


def _is_document_by_name(name: str) -> bool:
    ending = split_name(name)[1]
    if original_of_conflict(name):
        return ending in {*LIST_ENDINGS, *_YAML} or looks_steering(original_of_conflict(name) or "")
    return ending in OFFICE_ENDINGS or ending in _YAML or looks_steering(name)


def _remedy(entry: Entry) -> str:
    name, ending = entry.name, split_name(entry.name)[1]
    if original_of_conflict(name):
        return f"Keep what is right in {shown_name(original_of_conflict(name) or '')}, and remove the copy."
    if ending in {".ndjson", ".jl"}:
        return f"Rename it to {shown_name(split_name(name)[0])}.jsonl, or remove it."
    if ending in TABLE_ENDINGS or ".csv" in name.lower():
        return "Save the table as a .csv file in UTF-8, or remove it."
    what = "_defaults.yaml" if "default" in name.lower() else "brief.yaml"
    where = " in a folder of its own" if not entry.folder and what == "brief.yaml" else ""
    if ending in OFFICE_ENDINGS:
        return f"Save its text as {what}{where} with a plain text editor, or remove it."
    return f"Rename it to {what}{where} if it is one, or remove it."


def parses_as_brief(text: str | bytes) -> bool:
    """Return whether a text parses and has a key of a brief, whatever its value and its other keys are."""
    for written in spellings(text):
        for kind in ("yaml", "json"):
            with suppress(Exception):  # any text may be tried; one that breaks a parser is not a brief
                if not Brief.model_fields.keys().isdisjoint(read_document(written, "it", kind).data):
                    return True
    return False


def _names_a_file(text: str | bytes, names: set[tuple[str, ...]]) -> bool:
    lengths = {len(words) for words in names if words}
    for written in spellings(text):
        words = words_of(written)
        if any(words[start : start + length] in names for length in lengths for start in range(len(words))):
            return True
    return False


def taken_away(before: Candidate, now: Candidate, gone: Callable[[str], bool]) -> UploadHold | None:
    """Return the hold of a clip from which something was taken away, and nothing else changed.

    Args:
        before: The clip as it was admitted.
        now: The clip as it would be now.
        gone: Returns whether an object is certainly gone.
    """
    if before.source != now.source:
        return None
    for key in before.steered_by:
        if key not in now.steered_by and gone(key):
            words = f"{shown_name(key)}, which steered it, is gone."
            return UploadHold(HoldReason.TAKEN_AWAY, words, "Put it back.", key)
    had = {(file.key, file.etag) for file in before.files}
    has = {(file.key, file.etag) for file in now.files}
    lost = sorted({file.key for file in before.files} - {file.key for file in now.files})
    if lost and has < had and all(map(gone, lost)) and before.document_key == now.document_key:
        words = f"{shown_name(lost[0])}, which it was to be made with, is gone."
        return UploadHold(HoldReason.TAKEN_AWAY, words, "Put it back.", lost[0])
    document = now.document_key
    if document is not None and document == before.document_key and before.brief.given and not now.brief.given:
        words = f"{shown_name(document)} is empty now, and was not before."
        return UploadHold(HoldReason.TAKEN_AWAY, words, "Write it again.", document)
    return None


def copy_doubt(copy: Entry, original: Entry) -> Doubt:
    """Return the doubt of a copy that says something else than the document beside it."""
    words = f"{shown_name(copy.path)} lies beside {shown_name(original.name)} and says something else."
    return Doubt(copy.object.key, words, "Keep one of them.")


def says_the_same(one: Entry, other: Entry, texts: Texts) -> bool:
    """Return whether two documents have the same content; line ends do not count."""
    if one.object.etag == other.object.etag:
        return True
    first, second = texts.get(one.object.key), texts.get(other.object.key)
    if isinstance(first, str) and isinstance(second, str):
        return first.rstrip().splitlines() == second.rstrip().splitlines()
    return first is not None and first == second


def copies_of_lists(tree: Tree) -> dict[str, Entry]:
    """Return the first list that each copy in its folder is one of, by the copy's key: ``looks (1).csv`` of ``looks.csv``."""
    found: dict[str, Entry] = {}
    for entry in tree.batches:
        for original in originals_of(entry.name):
            beside = tree.find(entry.object.key.removesuffix(entry.name) + original)
            if beside is not None and beside.role == "batch":
                found[entry.object.key] = beside
    return found


def copies_of_sidecars(
    sidecars: Mapping[tuple[str, str], Sequence[Entry]], others: Iterable[Entry], texts: Texts
) -> dict[tuple[str, str], Doubt]:
    """Return the doubts of images whose sidecar was saved twice, by folder and stem: ``hero (1).yaml`` of ``hero.yaml``."""
    found: dict[tuple[str, str], Doubt] = {}
    for entry in others:
        for original in originals_of(entry.name):
            place, ending = (entry.folder, stem_key(original)), split_name(original)[1]
            for sidecar in sidecars.get(place, ()):
                if split_name(sidecar.name)[1] == ending and not says_the_same(entry, sidecar, texts):
                    found.setdefault(place, copy_doubt(entry, sidecar))
    return found


def copies_of_briefs(tree: Tree, texts: Texts) -> dict[str, Doubt]:
    """Return the doubts of folders whose brief was saved twice, by folder: ``brief (1).yaml`` of ``brief.yaml``."""
    found: dict[str, Doubt] = {}
    for entry in tree.documents:
        briefs = tree.briefs.get(entry.folder, ())
        if briefs and _is_of_a_brief(entry.name) and not says_the_same(entry, briefs[0], texts):
            found.setdefault(entry.folder, copy_doubt(entry, briefs[0]))
    return found


def _is_of_a_brief(name: str) -> bool:
    if split_name(name)[1] not in _OF_BRIEFS:
        return False
    names = (name, *originals_of(name))
    return any("brief" in each.lower() and (role_of(each) == "brief" or looks_steering(each)) for each in names)


_OF_BRIEFS = frozenset({".yaml", ".yml", ".json"})
