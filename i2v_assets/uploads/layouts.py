"""The three upload layouts of a clip: a folder with a brief, a row of a CSV batch, a loose image."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from i2v_assets.briefs.brief import Brief, merge
from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.large_lists import is_read, parse_list
from i2v_assets.uploads.snapshot import (
    Claim,
    FileMissing,
    Finder,
    Outcome,
    Snapshot,
    UploadProblem,
    check_sizes,
    entry_files,
    languages,
    named_files,
    version_of,
)
from i2v_assets.uploads.tree import Entry, newest, read_brief, text_of
from i2v_assets.uploads.types import (
    CONVERTIBLE,
    MAY_HOLD_SOUND_ALONE,
    MEDIA_ENDINGS,
    Candidate,
    RefusedUpload,
    Settling,
    UploadFile,
    UploadKind,
    UploadObject,
    conversion,
    shown_name,
    split_name,
)
from resources.schemas.inputs import MediumKind
from resources.storage.keys import UPLOADS, slug

_ORDER = {MediumKind.IMAGE: 0, MediumKind.VIDEO: 1, MediumKind.AUDIO: 2}
_TEXT_NOT_READ = "Waiting until its brief, its CSV batch and its folder's defaults can be read."
_NO_BRIEF = Brief()


@dataclass(frozen=True, slots=True)
class _ClipSource:
    """A clip's name, its source, its age, and the object (and line) that defines it."""

    clip: str
    source: str
    since: datetime
    kind: UploadKind
    defined_in: str
    line: int | None = None

    def claim(self, outcome: Outcome) -> Claim:
        return Claim(self.clip, self.source, self.since, outcome, self.line)

    def settling(self, words: str) -> Claim:
        return self.claim(Settling(self.clip, self.source, words))

    def refused(self, words: str, remedy: str, key: str = "") -> Claim:
        return self.claim(RefusedUpload(key or self.defined_in, words, remedy, self.clip, self.line))

    def candidate(self, files: tuple[UploadFile, ...], own: Brief, merged: Brief) -> Claim:
        document_key = None if self.kind is UploadKind.LOOSE else self.defined_in
        version = version_of(files, own)
        return self.claim(Candidate(self.clip, self.source, self.kind, files, merged, version, document_key))

    def for_language(self, clip: str) -> "_ClipSource":
        return self if clip == self.clip else replace(self, clip=clip, source=f"{self.source}#{clip}")


def kind_of(entry: Entry) -> MediumKind | None:
    """Return the kind of a file by its ending, whether or not a route accepts it."""
    ending = split_name(entry.name)[1]
    return MEDIA_ENDINGS.get(ending) or CONVERTIBLE.get(ending)


def _complete(
    snapshot: Snapshot,
    origin: _ClipSource,
    changed: datetime,
    collect: Callable[[], tuple[UploadFile, ...]],
    *,
    own: Brief,
    defaults: Brief,
) -> Claim:
    """Return a candidate if all its files exist; settling while files are missing and the upload still changes."""
    try:
        files = collect()
        check_sizes(snapshot, files, changed)
    except FileMissing as missing:
        if snapshot.settled(changed):
            return origin.refused(missing.words, missing.remedy, missing.key)
        return origin.settling(missing.words)
    except UploadProblem as problem:
        return origin.refused(problem.words, problem.remedy, problem.key)
    return origin.candidate(files, own, merge(defaults, own) if own.model_fields_set else defaults)


# A folder with a brief


def folder_claims(snapshot: Snapshot, folder: str, briefs: Sequence[Entry], media: Sequence[Entry]) -> Iterator[Claim]:
    """Yield the clip of a folder, or one clip per language of its dub."""
    source, entry = f"{UPLOADS}{folder}/", briefs[0]
    since = min(each.object.modified_at for each in briefs)
    origin = _ClipSource(slug(source), source, since, UploadKind.FOLDER, entry.object.key)
    if len(briefs) > 1:
        names = " and ".join(sorted(each.name for each in briefs))
        yield origin.refused(f"The folder {shown_name(folder)} holds {names}.", "Keep one of them.")
        return
    try:
        own, defaults = read_brief(entry, snapshot.texts), snapshot.defaults.of(folder)
        if own is None or defaults is None:
            yield origin.settling(_TEXT_NOT_READ)
            return
        parts = list(languages(origin.clip, own))
    except DocumentError as error:
        yield origin.refused(error.message, error.remedy)
        return
    except UploadProblem as problem:
        yield origin.refused(problem.words, problem.remedy)
        return

    def find(name: str) -> UploadObject | None:
        entry = snapshot.tree.find(f"{source}{name}")
        return entry.object if entry else None

    changed = newest([entry, *media])
    for clip, part in parts:

        def collect(part: Brief = part) -> tuple[UploadFile, ...]:
            named = named_files(part, find)
            if part.names_media:
                return named
            media_files = _all_media(snapshot, folder, media, changed, dubbed=bool(named))
            return tuple(sorted((*media_files, *named), key=lambda file: _ORDER[file.kind]))

        yield _complete(snapshot, origin.for_language(clip), changed, collect, own=part, defaults=defaults)


def _all_media(
    snapshot: Snapshot, folder: str, media: Sequence[Entry], changed: datetime, *, dubbed: bool
) -> tuple[UploadFile, ...]:
    """Return every medium of a folder once it has settled: images first, each kind by name.

    A dub takes no sound from its folder: the other sounds belong to other languages, perhaps not in the brief yet.
    """
    if not snapshot.settled(changed):
        raise FileMissing("Waiting until its folder stops changing.", "")
    start = len(folder) + 1
    for entry in media:
        if entry.role == "convertible":
            name = entry.path[start:]
            raise UploadProblem(
                f"{shown_name(name)} has a type that no route accepts.", conversion(name), entry.object.key
            )
    files = entry_files([entry for entry in media if entry.role == "media"], folder)
    used = [file for file in files if not (dubbed and file.kind is MediumKind.AUDIO)]
    if not used and not dubbed:
        raise FileMissing(
            f"The folder {shown_name(folder)} has a brief but no media.",
            "Upload an image or a voiceover beside the brief.",
        )
    return tuple(sorted(used, key=lambda file: (_ORDER[file.kind], file.name)))


# Rows of a CSV batch

_BETWEEN_NAMES = re.compile(r"[,;\t|\"'\r\n]")
"""Separators between names in a CSV or JSONL batch."""


def batch_claims(
    snapshot: Snapshot, batch: Entry, unseen: set[str], listed: set[str]
) -> Iterator[Claim | RefusedUpload]:
    """Yield the clips of a CSV batch; its bad rows, or the whole file, as refusals.

    Args:
        snapshot: The inputs of this scan.
        batch: The CSV batch.
        unseen: Collects the named keys outside ``uploads/`` that the caller did not pass.
        listed: Collects the keys that rows use.
    """
    key = batch.object.key
    try:
        text, defaults = text_of(snapshot.texts, batch), snapshot.defaults.of(batch.folder)
        if text is None or defaults is None:
            return
        if not is_read(text, batch.path):
            hold_mentioned(snapshot, batch, listed)
            return
        rows, bad = parse_list(text, batch.path)
    except DocumentError as error:
        hold_mentioned(snapshot, batch, listed)
        yield RefusedUpload(key, error.message, error.remedy)
        return
    if bad:
        hold_mentioned(snapshot, batch, listed)
    lines: dict[str, int] = {}
    for each in rows:
        base = _row_clip(batch, each.clip)
        if base in lines:
            words = f"{batch.path} line {each.line}: line {lines[base]} already defines the clip {base}."
            yield RefusedUpload(key, words, "Give each row a unique name in the column `clip`.", line=each.line)
            continue
        lines[base] = each.line
        origin = _ClipSource(base, f"{key}#{base}", batch.object.modified_at, UploadKind.ROW, key, each.line)
        find = partial(_listed_object, snapshot, batch.folder, unseen, listed)
        yield from _row_claims(snapshot, origin, f"{batch.path} line {each.line}: ", each.brief, defaults, find)
    for wrong in bad:
        base = _row_clip(batch, wrong.clip) if wrong.clip is not None else ""
        if not base or base in lines:
            yield RefusedUpload(key, wrong.words, wrong.remedy, line=wrong.line)
            continue
        lines[base] = wrong.line
        origin = _ClipSource(base, f"{key}#{base}", batch.object.modified_at, UploadKind.ROW, key, wrong.line)
        yield origin.refused(wrong.words, wrong.remedy)


def _row_clip(batch: Entry, name: str) -> str:
    return slug(f"{batch.folder}/{name}" if batch.folder else name)


def hold_mentioned(snapshot: Snapshot, batch: Entry, listed: set[str]) -> None:
    """Count every file that a faulty CSV batch mentions as listed.

    It waits until the batch is corrected. As a loose file it would become a clip that was not asked for, and be paid for.
    """
    written = snapshot.texts.get(batch.object.key) or ""
    text = written.decode("utf-8", "replace") if isinstance(written, bytes) else written
    for name in {part.strip() for part in _BETWEEN_NAMES.split(text)}:
        if (entry := _find_entry(snapshot, batch.folder, name)) is not None:
            listed.add(entry.object.key)


def _find_entry(snapshot: Snapshot, folder: str, name: str) -> Entry | None:
    near = snapshot.tree.find(f"{UPLOADS}{folder}/{name}" if folder else f"{UPLOADS}{name}")
    return near or snapshot.tree.find(name)


def _listed_object(
    snapshot: Snapshot, folder: str, unseen: set[str], listed: set[str], name: str
) -> UploadObject | None:
    """Return the object that a row refers to: a path beside its batch, or another key of the bucket."""
    entry = _find_entry(snapshot, folder, name)
    upload = entry.object if entry else snapshot.elsewhere.get(name)
    if upload is not None:
        listed.add(upload.key)
    elif "/" in name and not name.startswith(UPLOADS):
        unseen.add(name)
    return upload


def _row_claims(
    snapshot: Snapshot, origin: _ClipSource, where: str, brief: Brief, defaults: Brief, find: Finder
) -> Iterator[Claim]:
    def collect(part: Brief) -> tuple[UploadFile, ...]:
        try:
            return named_files(part, find)
        except UploadProblem as problem:
            raise type(problem)(where + problem.words, problem.remedy) from None

    try:
        parts = list(languages(origin.clip, brief))
    except UploadProblem as problem:
        yield origin.refused(where + problem.words, problem.remedy)
        return
    for clip, part in parts:
        part_origin = origin.for_language(clip)
        yield _complete(snapshot, part_origin, origin.since, partial(collect, part), own=part, defaults=defaults)


# Loose files


def loose_claims(snapshot: Snapshot, folder: str, stem: str, group: Sequence[Entry]) -> Iterator[Claim | RefusedUpload]:
    """Yield the clip of an image with the files of its name; refuse the remaining files once they have settled."""
    settled = snapshot.settled(newest(group))
    kinds = [(entry, kind_of(entry)) for entry in group]
    stills = [entry for entry, kind in kinds if kind is MediumKind.IMAGE and entry.role == "media"]
    voices = [entry for entry, kind in kinds if kind is MediumKind.AUDIO]
    usable = _voices_to_use(kinds)
    for entry in stills:
        key = entry.object.key
        origin = _ClipSource(slug(key), key, entry.object.modified_at, UploadKind.LOOSE, key)
        defaults = snapshot.defaults.of(folder)
        if defaults is None:
            yield origin.settling(_TEXT_NOT_READ)
        elif not settled:
            yield origin.settling(f"Waiting until {shown_name(stem)} stops changing.")
        elif len(usable) > 1:
            names = " and ".join(sorted(shown_name(each.name) for each in usable))
            yield origin.refused(f"{shown_name(entry.name)} has more than one voiceover: {names}.", "Keep one of them.")
        elif voices and not usable:
            # Animating the image alone would cost money and is not what the upload means.
            name = voices[0].name
            words = f"{shown_name(name)}, the voiceover of {shown_name(entry.name)}, has a type that no route accepts."
            yield origin.refused(words, conversion(name), voices[0].object.key)
        else:
            collect = partial(entry_files, [entry, *usable], folder)
            yield _complete(snapshot, origin, newest(group), collect, own=_NO_BRIEF, defaults=defaults)
    if settled:
        for entry, kind in kinds:
            if entry not in stills and (refusal := _left_over(entry, kind, bool(stills))) is not None:
                yield refusal


def _voices_to_use(kinds: Sequence[tuple[Entry, MediumKind | None]]) -> list[Entry]:
    """Return the voices of a stem: sounds that are sent as they are before those that are prepared, and sounds before videos.

    A video may hold sound alone, which only its content shows; the clip is refused if it holds a picture.
    """
    media = [(entry, kind) for entry, kind in kinds if entry.role == "media"]
    sounds = [entry for entry, kind in media if kind is MediumKind.AUDIO]
    ready = [entry for entry in sounds if split_name(entry.name)[1] in (".mp3", ".wav")]
    mixed = [entry for entry, _ in media if split_name(entry.name)[1] in MAY_HOLD_SOUND_ALONE]
    any_sound = any(kind is MediumKind.AUDIO for _, kind in kinds)
    return ready or sounds or ([] if any_sound else mixed)


def _left_over(entry: Entry, kind: MediumKind | None, has_image: bool) -> RefusedUpload | None:
    key, name = entry.object.key, shown_name(entry.name)
    if entry.role == "convertible":
        if kind is MediumKind.AUDIO and has_image:
            return None  # refused with its image, or replaced by a converted file beside it
        return RefusedUpload(key, f"{name} has a type that no route accepts.", conversion(entry.name))
    if kind is MediumKind.VIDEO and has_image and split_name(entry.name)[1] in MAY_HOLD_SOUND_ALONE:
        return None  # told with its image
    if kind is MediumKind.VIDEO:
        return RefusedUpload(
            key,
            f"{name} is a video alone, which does not make a clip.",
            "Put a reference video in a folder of its own, with its image and a brief.yaml.",
        )
    if kind is MediumKind.AUDIO and not has_image:
        stem = shown_name(split_name(entry.name)[0])
        return RefusedUpload(
            key,
            f"{name} is a voiceover alone, which does not make a clip.",
            f"Upload {stem}.jpg beside it, or put it in a folder of its own with a brief.yaml.",
        )
    return None
