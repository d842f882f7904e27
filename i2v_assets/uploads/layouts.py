"""The three ways to upload a clip: a folder with a brief, a row of a list, a loose image."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from i2v_assets.briefs.brief import Brief, merge
from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.csv_batches import parse_batch
from i2v_assets.uploads.snapshot import (
    Claim,
    FileMissing,
    Finder,
    Look,
    Outcome,
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
_WAITS_FOR_TEXT = "Waits until its brief, its list and its folder's defaults can be read."
_NO_BRIEF = Brief()


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a clip stands: its name, whose it is, since when, and which object (and line of it) tells about it."""

    clip: str
    source: str
    since: datetime
    kind: UploadKind
    blame: str
    line: int | None = None

    def claim(self, outcome: Outcome) -> Claim:
        return Claim(self.clip, self.source, self.since, outcome, self.line)

    def settling(self, words: str) -> Claim:
        return self.claim(Settling(self.clip, self.source, words))

    def refused(self, words: str, remedy: str, key: str = "") -> Claim:
        return self.claim(RefusedUpload(key or self.blame, words, remedy, self.clip, self.line))

    def candidate(self, files: tuple[UploadFile, ...], own: Brief, merged: Brief) -> Claim:
        said_in = None if self.kind is UploadKind.LOOSE else self.blame
        version = version_of(files, own)
        return self.claim(Candidate(self.clip, self.source, self.kind, files, merged, version, said_in))

    def for_language(self, clip: str) -> "_Spot":
        return self if clip == self.clip else replace(self, clip=clip, source=f"{self.source}#{clip}")


def kind_of(entry: Entry) -> MediumKind | None:
    """What a file is by its ending, usable or not."""
    ending = split_name(entry.name)[1]
    return MEDIA_ENDINGS.get(ending) or CONVERTIBLE.get(ending)


def _complete(
    look: Look,
    spot: _Spot,
    changed: datetime,
    collect: Callable[[], tuple[UploadFile, ...]],
    *,
    own: Brief,
    defaults: Brief,
) -> Claim:
    """A candidate when its files are all there; what is missing is waited for as long as something still moves."""
    try:
        files = collect()
        check_sizes(look, files, changed)
    except FileMissing as missing:
        if look.settled(changed):
            return spot.refused(missing.words, missing.remedy, missing.key)
        return spot.settling(missing.words)
    except UploadProblem as problem:
        return spot.refused(problem.words, problem.remedy, problem.key)
    return spot.candidate(files, own, merge(defaults, own) if own.model_fields_set else defaults)


# A folder with a brief


def folder_claims(look: Look, folder: str, briefs: Sequence[Entry], media: Sequence[Entry]) -> Iterator[Claim]:
    """The clip of a folder, or one for each language of its dub."""
    source, entry = f"{UPLOADS}{folder}/", briefs[0]
    since = min(each.object.modified_at for each in briefs)
    spot = _Spot(slug(source), source, since, UploadKind.FOLDER, entry.object.key)
    if len(briefs) > 1:
        names = " and ".join(sorted(each.name for each in briefs))
        yield spot.refused(f"The folder {shown_name(folder)} holds {names}.", "Keep one of them.")
        return
    try:
        own, defaults = read_brief(entry, look.texts), look.defaults.of(folder)
        if own is None or defaults is None:
            yield spot.settling(_WAITS_FOR_TEXT)
            return
        parts = list(languages(spot.clip, own))
    except DocumentError as error:
        yield spot.refused(error.message, error.remedy)
        return
    except UploadProblem as problem:
        yield spot.refused(problem.words, problem.remedy)
        return

    def find(name: str) -> UploadObject | None:
        found = look.tree.find(f"{source}{name}")
        return found.object if found else None

    changed = newest([entry, *media])
    for clip, said in parts:

        def collect(said: Brief = said) -> tuple[UploadFile, ...]:
            named = named_files(said, find)
            if said.names_media:
                return named
            found = _all_media(look, folder, media, changed, dubbed=bool(named))
            return tuple(sorted((*found, *named), key=lambda file: _ORDER[file.kind]))

        yield _complete(look, spot.for_language(clip), changed, collect, own=said, defaults=defaults)


def _all_media(
    look: Look, folder: str, media: Sequence[Entry], changed: datetime, *, dubbed: bool
) -> tuple[UploadFile, ...]:
    """Every medium of a folder, once it has settled, images first, each kind by name.

    Of a dub no sound: the folder's other sounds are other languages, perhaps not written into the brief yet.
    """
    if not look.settled(changed):
        raise FileMissing("Waits until nothing in its folder changes any more.", "")
    start = len(folder) + 1
    for entry in media:
        if entry.role == "convertible":
            name = entry.path[start:]
            raise UploadProblem(
                f"{shown_name(name)} is of a type that no route takes.", conversion(name), entry.object.key
            )
    files = entry_files([entry for entry in media if entry.role == "media"], folder)
    used = [file for file in files if not (dubbed and file.kind is MediumKind.AUDIO)]
    if not used and not dubbed:
        raise FileMissing(
            f"The folder {shown_name(folder)} has a brief and no media.",
            "Upload an image or a voiceover beside the brief.",
        )
    return tuple(sorted(used, key=lambda file: (_ORDER[file.kind], file.name)))


# Rows of a list

_BETWEEN_NAMES = re.compile(r"[,;\t|\"'\r\n]")
"""What stands between names in a list, whether it is CSV or JSON."""


def batch_claims(look: Look, batch: Entry, unseen: set[str], listed: set[str]) -> Iterator[Claim | RefusedUpload]:
    """The clips of a list; its bad rows, or the whole list, as refusals.

    Args:
        look: The look at the uploads.
        batch: The list.
        unseen: Gets the keys outside ``uploads/`` that are named and were not shown.
        listed: Gets the keys that rows are made from.
    """
    key = batch.object.key
    try:
        text, defaults = text_of(look.texts, batch), look.defaults.of(batch.folder)
        if text is None or defaults is None:
            return
        rows, bad = parse_batch(text, batch.path, "csv" if split_name(batch.name)[1] == ".csv" else "jsonl")
    except DocumentError as error:
        hold_mentioned(look, batch, listed)
        yield RefusedUpload(key, error.message, error.remedy)
        return
    if bad:
        hold_mentioned(look, batch, listed)
    lines: dict[str, int] = {}
    for each in rows:
        base = _row_clip(batch, each.clip)
        if base in lines:
            words = f"{batch.path} line {each.line}: the clip {base} is in line {lines[base]} already."
            yield RefusedUpload(key, words, "Give each row a name of its own in the column `clip`.", line=each.line)
            continue
        lines[base] = each.line
        spot = _Spot(base, f"{key}#{base}", batch.object.modified_at, UploadKind.ROW, key, each.line)
        find = partial(_listed_object, look, batch.folder, unseen, listed)
        yield from _row_claims(look, spot, f"{batch.path} line {each.line}: ", each.brief, defaults, find)
    for wrong in bad:
        base = _row_clip(batch, wrong.clip) if wrong.clip is not None else ""
        if not base or base in lines:
            yield RefusedUpload(key, wrong.words, wrong.remedy, line=wrong.line)
            continue
        lines[base] = wrong.line
        spot = _Spot(base, f"{key}#{base}", batch.object.modified_at, UploadKind.ROW, key, wrong.line)
        yield spot.refused(wrong.words, wrong.remedy)


def _row_clip(batch: Entry, name: str) -> str:
    return slug(f"{batch.folder}/{name}" if batch.folder else name)


def hold_mentioned(look: Look, batch: Entry, listed: set[str]) -> None:
    """Every file whose name stands in a list that has a mistake counts as listed.

    It waits for the list to be mended: as a loose file it would be a clip that nobody asked for, and be paid for.
    """
    written = look.texts.get(batch.object.key) or ""
    text = written.decode("utf-8", "replace") if isinstance(written, bytes) else written
    for name in {part.strip() for part in _BETWEEN_NAMES.split(text)}:
        if (found := _shown_object(look, batch.folder, name)) is not None:
            listed.add(found.object.key)


def _shown_object(look: Look, folder: str, name: str) -> Entry | None:
    near = look.tree.find(f"{UPLOADS}{folder}/{name}" if folder else f"{UPLOADS}{name}")
    return near or look.tree.find(name)


def _listed_object(look: Look, folder: str, unseen: set[str], listed: set[str], name: str) -> UploadObject | None:
    """What a row means by a name: a path beside its list, or else another key of the bucket."""
    far = _shown_object(look, folder, name)
    found = far.object if far else look.elsewhere.get(name)
    if found is not None:
        listed.add(found.key)
    elif "/" in name and not name.startswith(UPLOADS):
        unseen.add(name)
    return found


def _row_claims(look: Look, spot: _Spot, where: str, brief: Brief, defaults: Brief, find: Finder) -> Iterator[Claim]:
    def collect(said: Brief) -> tuple[UploadFile, ...]:
        try:
            return named_files(said, find)
        except UploadProblem as problem:
            raise type(problem)(where + problem.words, problem.remedy) from None

    try:
        parts = list(languages(spot.clip, brief))
    except UploadProblem as problem:
        yield spot.refused(where + problem.words, problem.remedy)
        return
    for clip, said in parts:
        part = spot.for_language(clip)
        yield _complete(look, part, spot.since, partial(collect, said), own=said, defaults=defaults)


# Loose files


def loose_claims(look: Look, folder: str, stem: str, group: Sequence[Entry]) -> Iterator[Claim | RefusedUpload]:
    """The clip of an image with the files of its name; what is left over is refused once it has settled."""
    settled = look.settled(newest(group))
    kinds = [(entry, kind_of(entry)) for entry in group]
    stills = [entry for entry, kind in kinds if kind is MediumKind.IMAGE and entry.role == "media"]
    voices = [entry for entry, kind in kinds if kind is MediumKind.AUDIO]
    usable = [entry for entry in voices if entry.role == "media"]
    for entry in stills:
        key = entry.object.key
        spot = _Spot(slug(key), key, entry.object.modified_at, UploadKind.LOOSE, key)
        defaults = look.defaults.of(folder)
        if defaults is None:
            yield spot.settling(_WAITS_FOR_TEXT)
        elif not settled:
            yield spot.settling(f"Waits until {shown_name(stem)} does not change any more.")
        elif len(usable) > 1:
            names = " and ".join(sorted(shown_name(each.name) for each in usable))
            yield spot.refused(f"{shown_name(entry.name)} has two voiceovers: {names}.", "Keep one of them.")
        elif voices and not usable:
            # Animating the image alone would be paid for and is not what was meant.
            name = voices[0].name
            words = f"{shown_name(name)}, the voiceover of {shown_name(entry.name)}, is of a type that no route takes."
            yield spot.refused(words, conversion(name), voices[0].object.key)
        else:
            collect = partial(entry_files, [entry, *usable], folder)
            yield _complete(look, spot, newest(group), collect, own=_NO_BRIEF, defaults=defaults)
    if settled:
        for entry, kind in kinds:
            if entry not in stills and (refusal := _left_over(entry, kind, bool(stills))) is not None:
                yield refusal


def _left_over(entry: Entry, kind: MediumKind | None, has_image: bool) -> RefusedUpload | None:
    key, name = entry.object.key, shown_name(entry.name)
    if entry.role == "convertible":
        if kind is MediumKind.AUDIO and has_image:
            return None  # told with the image that it belongs to, or replaced by a converted one beside it
        return RefusedUpload(key, f"{name} is of a type that no route takes.", conversion(entry.name))
    if kind is MediumKind.VIDEO:
        return RefusedUpload(
            key,
            f"{name} is a video by itself, which is no clip.",
            "A reference video belongs in a folder of its own, with its image and a brief.yaml.",
        )
    if kind is MediumKind.AUDIO and not has_image:
        stem = shown_name(split_name(entry.name)[0])
        return RefusedUpload(
            key,
            f"{name} is a voiceover by itself, which is no clip.",
            f"Upload {stem}.jpg beside it, or put it in a folder of its own with a brief.yaml.",
        )
    return None
