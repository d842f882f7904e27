"""Loose images: each is ordered when its stem and its tree have rested and its scope is free of doubt; otherwise it waits."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from i2v_assets.briefs.brief import Brief
from i2v_assets.uploads.doubt import doubt_hold
from i2v_assets.uploads.memory import ObjectClaim
from i2v_assets.uploads.noise import is_source, original_of_conflict
from i2v_assets.uploads.roles import ASKED_WHAT_THEY_HOLD, conversion, shown_name, split_name
from i2v_assets.uploads.snapshot import TEXT_NOT_READ, Claim, ClipSource, Snapshot, complete, entry_files
from i2v_assets.uploads.tree import Entry, newest, tree_of
from i2v_assets.uploads.types import (
    Candidate,
    HoldReason,
    Kept,
    RefusedUpload,
    Settling,
    UploadHold,
    UploadKind,
)
from resources.schemas.inputs import MediumKind
from resources.storage.keys import SEQUENCES, UPLOADS, slug

NO_BRIEF = Brief()

RESTLESS = 20
"""Settle times after which a new tree that never rests counts as fed without a pause."""

WAIT_FOR_DOCUMENT = timedelta(hours=1)
"""How long an image in a tree that documents feed waits for its document before it is reported."""


def loose_claims(snapshot: Snapshot, folder: str, stem: str, group: Sequence[Entry]) -> Iterator[Claim | RefusedUpload]:
    """Yield the clip of an image with the files of its name; refuse the remaining files once they have settled."""
    settled = snapshot.settled(newest(group))
    kinds = [(entry, entry.kind) for entry in group]
    stills = [entry for entry, kind in kinds if kind is MediumKind.IMAGE and entry.role == "media"]
    voices = [entry for entry, kind in kinds if kind is MediumKind.AUDIO]
    for entry in stills:
        yield from _still(snapshot, folder, stem, entry, group, voices, settled=settled)
    if settled:
        for entry, kind in kinds:
            if entry in stills or (stills and kind is MediumKind.VIDEO and entry in _voices_to_use(group)):
                continue
            if (refusal := _left_over(entry, kind, bool(stills))) is not None:
                yield refusal


def _voices_to_use(group: Sequence[Entry]) -> list[Entry]:
    """Return the voices of a stem: sounds that are sent as they are before those that are prepared, and sounds before videos.

    A video may hold sound alone, or be part of a Live Photo, which only its content shows; the clip is refused if it is
    neither.
    """
    media = [entry for entry in group if entry.role == "media"]
    sounds = [entry for entry in media if entry.kind is MediumKind.AUDIO]
    ready = [entry for entry in sounds if split_name(entry.name)[1] in (".mp3", ".wav")]
    recordings = [entry for entry in media if split_name(entry.name)[1] in ASKED_WHAT_THEY_HOLD]
    any_sound = any(entry.kind is MediumKind.AUDIO for entry in group)
    return ready or sounds or ([] if any_sound else recordings)


def _still(
    snapshot: Snapshot,
    folder: str,
    stem: str,
    entry: Entry,
    group: Sequence[Entry],
    voices: Sequence[Entry],
    *,
    settled: bool,
) -> Iterator[Claim]:
    key = entry.object.key
    steered = snapshot.defaults.keys_of(folder)
    origin = ClipSource(slug(key), key, entry.object.modified_at, UploadKind.LOOSE, key, steered_by=steered)
    usable = _voices_to_use(group)
    choice = snapshot.defaults.loose_images(folder) or snapshot.memory.loose_images
    if choice == "ignore" or _is_of_a_film(snapshot, key) or _is_same_copy(snapshot, entry):
        return
    defaults = snapshot.defaults.of(folder)
    mark = snapshot.mark_of(folder, entry.name)
    if defaults is None:
        yield origin.settling(TEXT_NOT_READ)
    elif mark is not None:
        yield origin.settling(mark.words)
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
        verdict = _judge(snapshot, folder, entry, group, asks=choice == "approve")
        if isinstance(verdict, str):
            yield origin.settling(verdict)
        elif isinstance(verdict, Kept):
            yield origin.claim(verdict)
        else:
            collect = partial(entry_files, [entry, *usable], folder)
            claim = complete(snapshot, origin, newest(group), collect, own=NO_BRIEF, defaults=defaults)
            yield held(claim, verdict)


def held(claim: Claim, hold: UploadHold | None) -> Claim:
    """Return a claim whose candidate waits for a person; any other outcome stays."""
    if hold is None or not isinstance(claim.outcome, Candidate):
        return claim
    return Claim(claim.clip, claim.source, claim.since, claim.outcome.with_hold(hold), claim.line)


def _judge(
    snapshot: Snapshot, folder: str, entry: Entry, group: Sequence[Entry], *, asks: bool
) -> UploadHold | Kept | str | None:
    """Return why a loose image is not ordered: a hold, words to wait with, nothing to do at all; None if it is ordered."""
    key = entry.object.key
    doubt = snapshot.doubt_of(folder, key)
    if doubt is not None and doubt.passing:
        return doubt.words
    claim = snapshot.memory.claims.get(key)
    if claim is not None and claim.document != key:
        if claim.paid and claim.etag == entry.object.etag:
            return Kept(slug(key), key)
        return _claimed(snapshot, claim)
    if (original := original_of_conflict(entry.name)) is not None:
        words = f"{shown_name(entry.name)} is a sync program's copy of {shown_name(original)} with other bytes."
        return UploadHold(HoldReason.CONFLICT_COPY, words, "Keep the right one under its own name.", key)
    used = _voices_to_use(group)
    for other in group:
        if other.kind is MediumKind.VIDEO and other not in used:
            words = f"{shown_name(other.name)} has the image's name, and is not a voiceover."
            remedy = "Put a reference video in a folder with its image and a brief.yaml, or remove it."
            return UploadHold(HoldReason.COMPANION, words, remedy, other.object.key)
    if doubt is not None:
        return doubt_hold(doubt)
    verdict = _tree_rule(snapshot, folder, entry)
    if verdict is None and asks:
        words = "`loose_images: approve` asks for each image that no document names."
        return UploadHold(HoldReason.ASKED, words, "Name it in a document.", "")
    return verdict


def _claimed(snapshot: Snapshot, claim: ObjectClaim) -> UploadHold:
    name = shown_name(claim.document.removeprefix(UPLOADS))
    present = claim.document in snapshot.tree.by_key
    if present:
        words, remedy = f"It belonged to {name}, which does not name it any more.", f"Name it in {name} again."
    else:
        gone = claim.gone_since or snapshot.now
        words, remedy = f"It belonged to {name}, gone since {gone:%Y-%m-%d %H:%M} UTC.", f"Put {name} back."
    return UploadHold(HoldReason.CLAIMED, words, remedy, claim.document)


def _tree_rule(snapshot: Snapshot, folder: str, entry: Entry) -> UploadHold | str | None:
    tree = tree_of(folder)
    if not tree:
        return None  # the files at the top have nothing in common
    memory, now = snapshot.memory, snapshot.now
    known = memory.trees.get(tree)
    fed_by = known.fed_by if known is not None else None
    ordered_by_name = fed_by == "loose" or snapshot.defaults.loose_images(folder) == "order"
    if ordered_by_name:
        return None
    if fed_by == "documents" or snapshot.lists_steer(folder):
        if entry.object.key in memory.delivered_loose():
            return None
        if now < entry.object.modified_at + WAIT_FOR_DOCUMENT:
            return f"Documents order the clips of {shown_name(tree)}; waiting for one that names it."
        words = f"Documents order the clips of {shown_name(tree)}, and none names this image."
        remedy = f"Name it in one, or write `loose_images: order` in {shown_name(tree)}/_defaults.yaml."
        return UploadHold(HoldReason.NO_DOCUMENT, words, remedy, "")
    times = (snapshot.tree.changed_at.get(tree), known.changed_at if known else None)
    changed = max(filter(None, times), default=entry.object.modified_at)
    if snapshot.settled(changed) or _delivered_in(memory.delivered_loose(), tree):
        return None
    if known is not None and now > known.first_seen + RESTLESS * snapshot.settle:
        words = f"The new folder {shown_name(tree)} is fed without a pause: is it a hot folder?"
        remedy = (
            f"An approval of one of its clips, or `loose_images: order` in {shown_name(tree)}/_defaults.yaml, says so."
        )
        return UploadHold(HoldReason.HOT_FOLDER, words, remedy, "")
    return f"Waiting until the new folder {shown_name(tree)} stops changing."


def _delivered_in(sources: frozenset[str], tree: str) -> bool:
    return any(source.startswith(f"{UPLOADS}{tree}/") for source in sources)


def _is_of_a_film(snapshot: Snapshot, key: str) -> bool:
    claim = snapshot.memory.claims.get(key)
    return claim is not None and claim.gone_since is None and claim.document.startswith(SEQUENCES)


def _is_same_copy(snapshot: Snapshot, entry: Entry) -> bool:
    """Return whether a sync program's conflict copy holds the bytes of its original, which is enough."""
    original = original_of_conflict(entry.name)
    if original is None:
        return False
    other = snapshot.tree.find(f"{UPLOADS}{entry.folder}/{original}" if entry.folder else f"{UPLOADS}{original}")
    return other is not None and other.object.etag == entry.object.etag


def _left_over(entry: Entry, kind: MediumKind | None, has_image: bool) -> RefusedUpload | None:
    key, name = entry.object.key, shown_name(entry.name)
    if has_image and is_source(entry.name):
        return None
    if entry.role == "convertible":
        if kind is MediumKind.AUDIO and has_image:
            return None  # refused with its image, or replaced by a converted file beside it
        return RefusedUpload(key, f"{name} has a type that no route accepts.", conversion(entry.name))
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


__all__ = ["NO_BRIEF", "Settling", "held", "loose_claims"]
