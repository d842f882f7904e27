"""From a listing of ``uploads/`` to clips: what belongs together, what is complete, what is refused and why.

* A loose image is a clip, with the voiceover of the same name beside it; complete when nothing of that name changed for
  `settle_seconds`.
* A folder with a brief is one clip of the files that the brief names; complete when all of them exist. A brief that names
  none takes every medium of its folder, once they have settled.
* A row of a list is a clip of the files that it names; those are then no loose clips. Media in a folder whose name begins
  with ``_`` never are.
* Two uploads whose names clean to one: who was admitted first keeps the name, the other is refused by name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from i2v_assets.uploads.layouts import batch_claims, folder_claims, hold_mentioned, loose_claims
from i2v_assets.uploads.snapshot import Claim, Look
from i2v_assets.uploads.tree import (
    Defaults,
    Entry,
    Texts,
    Tree,
    build_tree,
    in_side_folder,
    owners,
    texts_wanted,
    unforeseen,
)
from i2v_assets.uploads.types import (
    MEDIA_ENDINGS,
    Candidate,
    Grouping,
    RefusedUpload,
    Settling,
    UploadFile,
    UploadKind,
    UploadObject,
    composed,
    shown_name,
    split_name,
)
from resources.storage.keys import SEQUENCES, UPLOADS, slug

__all__ = [
    "Candidate",
    "Grouping",
    "RefusedUpload",
    "Settling",
    "UploadFile",
    "UploadKind",
    "UploadObject",
    "group_uploads",
    "texts_wanted",
]


def group_uploads(
    objects: Iterable[UploadObject],
    now: datetime,
    settle_seconds: float,
    read_text: Texts,
    taken: Mapping[str, str],
    *,
    elsewhere: Iterable[UploadObject] = (),
    max_bytes: int | None = None,
    whole: bool = True,
) -> Grouping:
    """Groups a listing of uploads into clips.

    Args:
        objects: The objects below ``uploads/``.
        now: The server's time (objects carry the server's times).
        settle_seconds: How long files must have been left alone.
        read_text: The text of each object that `texts_wanted` gives, by key; what depends on a missing one settles.
        taken: Clip names already given, each with its source; a name whose source is gone is free again.
        elsewhere: Objects outside ``uploads/`` that lists name, as far as they exist.
        max_bytes: Larger files are refused.
        whole: False when the listing covers a part of the uploads: then no given name is free again.
    """
    tree = build_tree(objects)
    defaults = Defaults(tree, read_text)
    settle = timedelta(seconds=settle_seconds)
    look = Look(now, settle, read_text, tree, defaults, {found.key: found for found in elsewhere}, max_bytes)
    unseen: set[str] = set()
    claims: list[Claim] = []
    refused = list(defaults.refused)
    for found in _everything(look, unseen):
        if isinstance(found, Claim):
            claims.append(found)
        else:
            refused.append(found)
    winners = _settle_names(claims, taken, refused, whole=whole)
    candidates = [each for each in winners if isinstance(each, Candidate)]
    refused += [each for each in winners if isinstance(each, RefusedUpload)]
    return Grouping(
        candidates=tuple(sorted(candidates, key=lambda each: (-each.priority, each.source))),
        settling=tuple(each for each in winners if isinstance(each, Settling)),
        refused=tuple(sorted(refused, key=lambda each: (each.key, each.line or 0))),
        unseen=tuple(sorted(unseen)),
        present=frozenset(each.clip for each in winners if each.clip is not None),
    )


def _everything(look: Look, unseen: set[str]) -> Iterator[Claim | RefusedUpload]:
    tree = look.tree
    for entry in tree.briefs.pop("", ()):
        words = f"{entry.name} lies at the top of uploads/, beside every other clip."
        yield RefusedUpload(entry.object.key, words, "Put it in a folder of its own, with the clip's media.")
    listed: set[str] = set()
    for batch in tree.batches:
        yield from _of_list(look, batch, unseen, listed)
    owner = owners(tree)
    owned: dict[str, list[Entry]] = {folder: [] for folder in tree.briefs}
    loose: dict[tuple[str, str], list[Entry]] = {}
    for entry in tree.media:
        folder = owner[entry.folder]
        if folder is not None:
            owned[folder].append(entry)
        elif entry.role == "unknown":
            yield _unknown(entry)
        elif entry.object.key not in listed and not in_side_folder(entry.folder):
            loose.setdefault((entry.folder, composed(split_name(entry.name)[0])), []).append(entry)
    for folder, briefs in tree.briefs.items():
        yield from _of_folder(look, folder, briefs, owned[folder])
    for (folder, stem), group in loose.items():
        yield from loose_claims(look, folder, stem, group)
    yield from _empty_folders(look, tree)


# A document is whatever anybody wrote. What its reader did not foresee costs that upload, never the look at all others.


def _of_list(look: Look, batch: Entry, unseen: set[str], listed: set[str]) -> list[Claim | RefusedUpload]:
    try:
        return list(batch_claims(look, batch, unseen, listed))
    except Exception as error:  # noqa: BLE001 - told to its owner, and in the log with its traceback
        hold_mentioned(look, batch, listed)
        return [unforeseen(batch, error)]


def _of_folder(look: Look, folder: str, briefs: list[Entry], media: list[Entry]) -> list[Claim]:
    try:
        return list(folder_claims(look, folder, briefs, media))
    except Exception as error:  # noqa: BLE001 - as above
        source = f"{UPLOADS}{folder}/"
        refused = replace(unforeseen(briefs[0], error), clip=slug(source))
        return [Claim(slug(source), source, briefs[0].object.modified_at, refused)]


def _unknown(entry: Entry) -> RefusedUpload:
    ending = shown_name(split_name(entry.name)[1])
    known = ", ".join(MEDIA_ENDINGS)
    what = (
        f"{shown_name(entry.name)} is of an unknown type ({ending})."
        if ending
        else f"{shown_name(entry.name)} has no type."
    )
    return RefusedUpload(
        entry.object.key, what, f"Uploads are {known}, brief.yaml, _defaults.yaml, .csv and .jsonl lists."
    )


def _empty_folders(look: Look, tree: Tree) -> Iterator[RefusedUpload]:
    """Folder markers with nothing below: some tools make one for each folder, so only an old lone one tells something."""
    marked = {folder for folder, _ in tree.markers}
    above = {folder.rpartition("/")[0] for folder in marked}
    for folder, marker in tree.markers:
        if folder in tree.folders or folder in above or not look.settled(marker.modified_at):
            continue
        if not in_side_folder(folder):
            words = f"The folder {shown_name(folder)} is empty."
            yield RefusedUpload(marker.key, words, "Upload media into it, or remove it.")


def _settle_names(
    claims: Iterable[Claim], taken: Mapping[str, str], refused: list[RefusedUpload], *, whole: bool
) -> list[Candidate | Settling | RefusedUpload]:
    """One outcome for each name; adds a refusal for every other upload that wants it."""
    by_name: dict[str, list[Claim]] = {}
    for claim in claims:
        by_name.setdefault(claim.clip, []).append(claim)
    winners: list[Candidate | Settling | RefusedUpload] = []
    for name, wanting in by_name.items():
        owner = taken.get(name)
        # Whether a film still has its shot does not show here, so its name is not free.
        free = whole and not (owner or "").startswith(SEQUENCES)
        if len(wanting) == 1 and (owner is None or owner == wanting[0].source or free):
            winners.append(wanting[0].outcome)
            continue
        first = min(wanting, key=lambda claim: (claim.source != owner, claim.since, claim.source))
        if owner is None or free or first.source == owner:
            owner = first.source
        for claim in wanting:
            if claim.source == owner:
                winners.append(claim.outcome)
            elif isinstance(claim.outcome, RefusedUpload):
                refused.append(replace(claim.outcome, clip=None))  # what is wrong with it comes before its name
            else:
                refused.append(_name_taken(claim, owner))
    return winners


def _name_taken(claim: Claim, owner: str) -> RefusedUpload:
    words = f"{_shown_source(claim.source)} would be the clip {claim.clip}, which is {_shown_source(owner)} already."
    return RefusedUpload(claim.source.partition("#")[0], words, "Rename one of them.", line=claim.line)


def _shown_source(source: str) -> str:
    return shown_name(source.removeprefix(UPLOADS))
