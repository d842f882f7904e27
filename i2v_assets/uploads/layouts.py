"""The upload layouts that documents order: a folder with a brief, a row of a CSV batch."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.doubt import list_doubt, rows_doubt
from i2v_assets.uploads.large_lists import is_read, parse_list
from i2v_assets.uploads.media_order import order_key
from i2v_assets.uploads.roles import conversion, shown_name
from i2v_assets.uploads.snapshot import (
    MEDIA_ORDER,
    TEXT_NOT_READ,
    Claim,
    ClipSource,
    FileMissing,
    Finder,
    Snapshot,
    UploadProblem,
    complete,
    entry_files,
    languages,
    named_files,
)
from i2v_assets.uploads.tree import Entry, newest, read_brief, text_of
from i2v_assets.uploads.types import (
    Candidate,
    Doubt,
    HoldReason,
    RefusedUpload,
    UploadFile,
    UploadHold,
    UploadKind,
    UploadObject,
)
from resources.schemas.inputs import MediumKind
from resources.storage.keys import UPLOADS, slug

# A folder with a brief


def folder_claims(snapshot: Snapshot, folder: str, briefs: Sequence[Entry], media: Sequence[Entry]) -> Iterator[Claim]:
    """Yield the clip of a folder, or one clip per language of its dub."""
    source, entry = f"{UPLOADS}{folder}/", briefs[0]
    since = min(each.object.modified_at for each in briefs)
    steered = snapshot.defaults.keys_of(folder)
    origin = ClipSource(slug(source), source, since, UploadKind.FOLDER, entry.object.key, steered_by=steered)
    if len(briefs) > 1:
        names = " and ".join(sorted(each.name for each in briefs))
        yield origin.refused(f"The folder {shown_name(folder)} holds {names}.", "Keep one of them.")
        return
    try:
        own, defaults = read_brief(entry, snapshot.texts), snapshot.defaults.of(folder)
        if own is None or defaults is None:
            yield origin.settling(TEXT_NOT_READ)
            return
        snapshot.described.update((each.object.key, entry.object.key) for each in media)
        parts = list(languages(origin.clip, own))
    except DocumentError as error:
        yield origin.refused(error.message, error.remedy)
        return
    except UploadProblem as problem:
        yield origin.refused(problem.words, problem.remedy)
        return

    if (mark := snapshot.mark_of(folder)) is not None:
        for clip, _ in parts:
            yield origin.for_language(clip).settling(mark.words)
        return

    def find(name: str) -> UploadObject | None:
        entry = snapshot.tree.find(f"{source}{name}")
        return entry.object if entry else None

    changed = newest([entry, *media])
    for clip, part in parts:

        def collect(part: Brief = part) -> tuple[UploadFile, ...]:
            named = named_files(part, find, partial(suggest, snapshot, folder))
            if part.names_media:
                return named
            known = {file.key for file in named}
            others = [entry for entry in media if entry.object.key not in known]
            media_files = _all_media(snapshot, folder, others, changed, dubbed=bool(part.dub))
            return tuple(sorted((*media_files, *named), key=lambda file: MEDIA_ORDER[file.kind]))

        yield complete(snapshot, origin.for_language(clip), changed, collect, own=part, defaults=defaults)


def _all_media(
    snapshot: Snapshot, folder: str, media: Sequence[Entry], changed: datetime, *, dubbed: bool
) -> tuple[UploadFile, ...]:
    """Return every medium of a folder once it has settled: images first, each kind by roles and numbers in its names.

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
    return tuple(sorted(used, key=lambda file: (MEDIA_ORDER[file.kind], order_key(file.name))))


# Rows of a CSV batch


def batch_claims(snapshot: Snapshot, batch: Entry, unseen: set[str]) -> Iterator[Claim | RefusedUpload]:
    """Yield the clips of a CSV batch; its bad rows, or the whole file, as refusals.

    Args:
        snapshot: The inputs of this scan.
        batch: The CSV batch.
        unseen: Collects the named keys outside ``uploads/`` that the caller did not pass.
    """
    key = batch.object.key
    written = snapshot.texts.get(key)
    try:
        text = written if isinstance(written, bytes) else text_of(snapshot.texts, batch)
        defaults = snapshot.defaults.of(batch.folder)
        if text is None or defaults is None:
            words = f"{shown_name(batch.path)} names it, and waits until it and its folder's defaults can be read."
            snapshot.doubts.add(list_doubt(batch, written, words, "Correct the defaults.", snapshot.near))
            return
        if not is_read(text, batch.path):
            words = f"{shown_name(batch.path)} names it, and is still being read."
            doubt = rows_doubt(batch, written, words, "Wait for the next look.", snapshot.near)
            snapshot.doubts.add(replace(doubt, passing=True))
            return
        rows, bad = parse_list(text, batch.path)
    except DocumentError as error:
        snapshot.doubts.add(list_doubt(batch, written, error.message, error.remedy, snapshot.near))
        yield RefusedUpload(key, error.message, error.remedy)
        return
    if any(each.guessed for each in rows):  # it may name files that were not found, so all around it waits
        snapshot.doubts.add(list_doubt(batch, written, *_guessed(batch), snapshot.near))
    if bad:
        snapshot.doubts.add(rows_doubt(batch, written, bad[0].words, bad[0].remedy, snapshot.near))
    mark = snapshot.mark_of(batch.folder, batch.name)
    steered = snapshot.defaults.keys_of(batch.folder)
    find = partial(_listed_object, snapshot, batch, unseen)
    lines: dict[str, int] = {}
    for each in rows:
        base = _row_clip(batch, each.clip)
        if base in lines:
            words = f"{batch.path} line {each.line}: line {lines[base]} already defines the clip {base}."
            yield RefusedUpload(key, words, "Give each row a unique name in the column `clip`.", line=each.line)
            _claim_files(each.brief, find)  # what a refused row names is not a loose clip
            continue
        lines[base] = each.line
        since = batch.object.modified_at
        origin = ClipSource(base, f"{key}#{base}", since, UploadKind.ROW, key, each.line, steered)
        if mark is None:
            claims = _row_claims(snapshot, batch, origin, each.brief, defaults, find)
            yield from (_held_as_guessed(claim, batch) for claim in claims) if each.guessed else claims
        else:
            _claim_files(each.brief, find)
            yield from _row_settling(origin, each.brief, mark.words)
    for wrong in bad:
        for name in wrong.files:
            find(name)
        base = _row_clip(batch, wrong.clip) if wrong.clip is not None else ""
        if not base or base in lines:
            yield RefusedUpload(key, wrong.words, wrong.remedy, line=wrong.line)
            continue
        lines[base] = wrong.line
        origin = ClipSource(base, f"{key}#{base}", batch.object.modified_at, UploadKind.ROW, key, wrong.line)
        yield origin.refused(wrong.words, wrong.remedy)


def _held_as_guessed(claim: Claim, batch: Entry) -> Claim:
    """Return the claim of a row whose list is in an encoding that was guessed: it waits for a person."""
    if not isinstance(claim.outcome, Candidate) or claim.outcome.hold is not None:
        return claim
    words, remedy = _guessed(batch)
    hold = UploadHold(HoldReason.ENCODING, words, remedy, batch.object.key)
    return replace(claim, outcome=claim.outcome.with_hold(hold))


def _guessed(batch: Entry) -> tuple[str, str]:
    words = f"{shown_name(batch.path)} is not UTF-8. Read as Windows text, its names and prompts may differ."
    return words, "Save the list as CSV (UTF-8), or check the prompt with `i2v plan`."


def _claim_files(brief: Brief, find: Finder) -> None:
    for refs in (brief.images, brief.videos, brief.audio):
        for ref in refs or ():
            find(ref.file)
    for name in (*(brief.dub or {}).values(), *brief.single_files.values()):
        find(name)


def _row_settling(origin: ClipSource, brief: Brief, words: str) -> Iterator[Claim]:
    try:
        parts = list(languages(origin.clip, brief))
    except UploadProblem:
        parts = [(origin.clip, brief)]
    for clip, _ in parts:
        yield origin.for_language(clip).settling(words)


def _row_clip(batch: Entry, name: str) -> str:
    return slug(f"{batch.folder}/{name}" if batch.folder else name)


def _find_entry(snapshot: Snapshot, folder: str, name: str) -> Entry | None:
    near = snapshot.tree.find(f"{UPLOADS}{folder}/{name}" if folder else f"{UPLOADS}{name}")
    return near or snapshot.tree.find(name) or _with_slashes(snapshot, folder, name)


def _with_slashes(snapshot: Snapshot, folder: str, name: str) -> Entry | None:
    r"""Return the file that a path with Windows' separators names (``img\0001.jpg``); a whole path of a disk names none."""
    slashed = re.sub(r"[\\/]+", "/", name).removeprefix("./")
    if "\\" not in name or slashed.startswith("/") or ":" in slashed.partition("/")[0]:
        return None
    return _find_entry(snapshot, folder, slashed)


def _listed_object(snapshot: Snapshot, batch: Entry, unseen: set[str], name: str) -> UploadObject | None:
    """Return the object that a row refers to: a path beside its batch, or another key of the bucket.

    Each object belongs to the batch from then on. If there is none, the files that the name could mean are held.
    """
    entry = _find_entry(snapshot, batch.folder, name)
    upload = entry.object if entry else snapshot.elsewhere.get(name)
    if upload is not None:
        snapshot.described[upload.key] = batch.object.key
        snapshot.list_folders.add(batch.folder)
        if entry is not None:
            snapshot.list_folders.add(entry.folder)
        return upload
    if "/" in name and not name.startswith(UPLOADS):
        unseen.add(name)
    near = snapshot.near.named(batch.folder, name)
    if near:
        words = f"{shown_name(batch.path)} names {shown_name(name)}, which does not exist and could mean this file."
        keys = frozenset(each.object.key for each in near)
        snapshot.doubts.add(Doubt(batch.object.key, words, "Correct the name in the list.", keys=keys))
    return None


def suggest(snapshot: Snapshot, folder: str, name: str) -> str:
    """Return the file that a name in a document of a folder could mean, as a question; empty if there is none."""
    near = snapshot.near.named(folder, name)
    if not near:
        return ""
    path = near[0].path
    inside = path[len(folder) + 1 :] if folder and path.startswith(f"{folder}/") else path
    return f"Did you mean `{shown_name(inside)}`?"


def _row_claims(
    snapshot: Snapshot, batch: Entry, origin: ClipSource, brief: Brief, defaults: Brief, find: Finder
) -> Iterator[Claim]:
    where = f"{batch.path} line {origin.line}: "

    def collect(part: Brief) -> tuple[UploadFile, ...]:
        try:
            return named_files(part, find, partial(suggest, snapshot, batch.folder))
        except UploadProblem as problem:
            raise type(problem)(where + problem.words, problem.remedy) from None

    try:
        parts = list(languages(origin.clip, brief))
    except UploadProblem as problem:
        _claim_files(brief, find)
        yield origin.refused(where + problem.words, problem.remedy)
        return
    for clip, part in parts:
        part_origin = origin.for_language(clip)
        yield complete(snapshot, part_origin, origin.since, partial(collect, part), own=part, defaults=defaults)
