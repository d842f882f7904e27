"""Group a listing of ``uploads/`` into clips: which files belong together, which are complete, and which are refused.

* A loose image is a clip, together with the voiceover of the same name. It is complete if no file of that name changed
  for `settle_seconds`.
* A folder with a brief is one clip, made from the files that the brief names. It is complete if all of them exist. If
  the brief names no files, the clip takes all media of its folder once they have settled.
* A row of a CSV batch is a clip, made from the files that it names; these are then not loose clips. Media in a folder
  whose name begins with ``_`` are never loose clips.
* If two uploads map to the same clip name, the one that was admitted first keeps it and the other is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from i2v_assets.uploads.doubt import (
    Doubts,
    beside_images,
    copies_of_briefs,
    copies_of_lists,
    copies_of_sidecars,
    copy_doubt,
    doubt_hold,
    list_doubt,
    near_documents,
    rows_doubt,
    says_the_same,
    top_brief_doubt,
)
from i2v_assets.uploads.layouts import batch_claims, folder_claims
from i2v_assets.uploads.loose import held, loose_claims
from i2v_assets.uploads.marks import NO_MARKS, Marks
from i2v_assets.uploads.memory import IntakeMemory
from i2v_assets.uploads.near_names import NearFiles
from i2v_assets.uploads.noise import is_companion_by_text, is_source
from i2v_assets.uploads.roles import MEDIA_ENDINGS, shown_name, split_name, stem_key
from i2v_assets.uploads.sidecars import sidecar_claims, sidecars_of
from i2v_assets.uploads.snapshot import Claim, Outcome, Snapshot
from i2v_assets.uploads.tree import (
    Defaults,
    Entry,
    Texts,
    Tree,
    build_tree,
    in_side_folder,
    owners,
    texts_wanted,
    tree_of,
    unexpected_failure,
)
from i2v_assets.uploads.types import (
    Candidate,
    Grouping,
    RefusedUpload,
    Settling,
    TreeState,
    UploadFile,
    UploadHold,
    UploadKind,
    UploadObject,
)
from i2v_assets.uploads.voices import other_voices
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


ALLOWED = f"Allowed are {', '.join(MEDIA_ENDINGS)}, brief.yaml, _defaults.yaml, .csv and .jsonl."


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
    memory: IntakeMemory | None = None,
) -> Grouping:
    """Group a listing of uploads into clips.

    Args:
        objects: The objects below ``uploads/``.
        now: The storage server's time, because objects carry that server's times.
        settle_seconds: Seconds without a change after which files count as settled.
        read_text: The text of each object in `texts_wanted`, by key; clips whose text is missing stay settling.
        taken: Admitted clip names, each with its source; a name is free again once its source is removed.
        elsewhere: Existing objects outside ``uploads/`` that CSV batches name.
        max_bytes: Larger files are refused.
        whole: False if the listing covers only a part of the uploads; then no admitted name is freed.
        memory: What earlier scans saw, and the owner's settings.
    """
    memory = memory or IntakeMemory()
    tree = build_tree(objects, memory.ignore)
    defaults = Defaults(tree, read_text)
    snapshot = Snapshot(
        now=now,
        settle=timedelta(seconds=settle_seconds),
        texts=read_text,
        tree=tree,
        defaults=defaults,
        elsewhere={item.key: item for item in elsewhere},
        max_bytes=max_bytes,
        taken=taken,
        memory=memory,
        marks=Marks(tree.marks, read_text, now) if tree.marks else NO_MARKS,
        near=NearFiles(tree.media),
        doubts=Doubts(),
        described={},
        list_folders=set(),
    )
    unseen: set[str] = set()
    claims: list[Claim] = []
    refused = list(defaults.refused)
    for claim in _all_claims(snapshot, unseen):
        if isinstance(claim, Claim):
            claims.append(claim)
        else:
            refused.append(claim)
    winners = _settle_names(claims, taken, refused, whole=whole)
    candidates = [each for each in winners if isinstance(each, Candidate)]
    refused += [each for each in winners if isinstance(each, RefusedUpload)]
    fed = {tree_of(snapshot.tree.by_key[key].folder) for key in snapshot.described if key in snapshot.tree.by_key}
    return Grouping(
        candidates=tuple(sorted(candidates, key=lambda each: (-each.priority, each.source))),
        settling=tuple(each for each in winners if isinstance(each, Settling)),
        refused=tuple(sorted(refused, key=lambda each: (each.key, each.line or 0))),
        unseen=tuple(sorted(unseen)),
        present=frozenset(each.clip for each in winners if each.clip is not None),
        described=snapshot.described,
        doubts=snapshot.doubts.all() if snapshot.doubts.by_key else (),
        ignored=tree.ignored,
        trees={name: TreeState(changed, name in fed) for name, changed in tree.changed_at.items()},
    )


def _all_claims(snapshot: Snapshot, unseen: set[str]) -> Iterator[Claim | RefusedUpload]:
    """Yield every claim: documents first, because they decide which files are loose and which are in doubt."""
    tree = snapshot.tree
    yield from _top_briefs(snapshot)
    if tree.batches:
        yield from _list_claims(snapshot, unseen)
    owner = owners(tree)
    owned: dict[str, list[Entry]] = {folder: [] for folder in tree.briefs}
    loose: dict[tuple[str, str], list[Entry]] = {}
    unknown: list[Entry] = []
    for entry in tree.media:
        folder = owner[entry.folder]
        if folder is not None:
            owned[folder].append(entry)
        elif entry.role == "unknown":
            unknown.append(entry)
        elif entry.object.key not in snapshot.described and not in_side_folder(entry.folder):
            loose.setdefault((entry.folder, stem_key(entry.name)), []).append(entry)
    copies = copies_of_briefs(tree, snapshot.texts) if tree.briefs else {}
    for folder, briefs in tree.briefs.items():
        claims = _folder_claims(snapshot, folder, briefs, owned[folder])
        doubt = copies.get(folder)
        yield from (held(claim, doubt_hold(doubt)) for claim in claims) if doubt else claims
    documents = [each for each in tree.documents if owner[each.folder] is None]
    sidecars, others = sidecars_of(snapshot, documents) if documents else ({}, [])
    if unknown or others:
        yield from _not_understood(snapshot, unknown, others, loose)
    holds = other_voices(loose) if len(loose) > 1 else {}
    saved_twice = copies_of_sidecars(sidecars, others, snapshot.texts) if sidecars else {}
    for (folder, stem), group in loose.items():
        beside = sidecars.get((folder, stem))
        if beside:
            doubt = saved_twice.get((folder, stem))
            for claim in _sidecar_claims(snapshot, folder, stem, group, beside):
                yield held(claim, doubt_hold(doubt)) if doubt and isinstance(claim, Claim) else claim
        else:
            yield from (_held(claim, holds) for claim in loose_claims(snapshot, folder, stem, group))
    yield from _empty_folders(snapshot, tree)


def _list_claims(snapshot: Snapshot, unseen: set[str]) -> Iterator[Claim | RefusedUpload]:
    """Yield the claims of every list. A list that was saved twice waits until one of both is gone; an equal copy is left out."""
    copies = copies_of_lists(snapshot.tree)
    differing = {
        copy.object.key: original.object.key
        for copy in snapshot.tree.batches
        if (original := copies.get(copy.object.key)) and not says_the_same(copy, original, snapshot.texts)
    }
    copy_of = {original: snapshot.tree.by_key[copy] for copy, original in differing.items()}
    for batch in snapshot.tree.batches:
        key = batch.object.key
        if key in copies and key not in differing:
            continue
        other = copies.get(key) or copy_of.get(key)
        for claim in _batch_claims(snapshot, batch, unseen):
            if other is None or isinstance(claim, RefusedUpload):
                yield claim
            elif key not in copies:
                yield held(claim, doubt_hold(copy_doubt(other, batch)))
        if key in copies and other is not None:
            doubt = copy_doubt(batch, other)
            yield RefusedUpload(key, doubt.words, doubt.remedy)
            snapshot.doubts.add(rows_doubt(batch, snapshot.texts.get(key), doubt.words, doubt.remedy, snapshot.near))


def _top_briefs(snapshot: Snapshot) -> Iterator[RefusedUpload]:
    for entry in snapshot.tree.briefs.pop("", ()):
        words = f"{entry.name} is directly in uploads/, beside all other clips."
        remedy = "Put it in a folder of its own, with the clip's media."
        text = snapshot.texts.get(entry.object.key)
        snapshot.doubts.add(top_brief_doubt(entry, text, words, remedy, snapshot.near))
        yield RefusedUpload(entry.object.key, words, remedy)


def _not_understood(
    snapshot: Snapshot,
    unknown: list[Entry],
    documents: list[Entry],
    loose: Mapping[tuple[str, str], list[Entry]],
) -> Iterator[RefusedUpload]:
    """Yield refusals of files that are not media; those that are nearly documents are doubts too."""
    documents = [each for each in documents if not _is_backup(snapshot.tree, each)]
    outside = [each for each in documents if not in_side_folder(each.folder)]
    near = near_documents(snapshot.tree, outside, snapshot.texts) if outside else ()
    doubtful = {each.key: each for each in near}
    for doubt in beside_images(snapshot.tree, [*outside, *unknown]):
        doubtful.setdefault(doubt.key, doubt)
    for doubt in doubtful.values():
        snapshot.doubts.add(doubt)
        yield RefusedUpload(doubt.key, doubt.words, doubt.remedy)
    for entry in (each for each in unknown + documents if each.object.key not in doubtful):
        if entry.role == "document" and is_companion_by_text(entry.name):
            snapshot.tree.ignored += 1
        elif not (is_source(entry.name) and (entry.folder, stem_key(entry.name)) in loose):
            yield _unknown(entry)


def _is_backup(tree: Tree, entry: Entry) -> bool:
    """Return whether a program kept a file as it was before, beside the one that is read: looks.csv.bak beside looks.csv."""
    stem, ending = split_name(entry.name)
    return ending in _BACKUPS and tree.find(entry.object.key.removesuffix(entry.name) + stem) is not None


_BACKUPS = frozenset({".bak", ".old", ".orig", ".save"})


# A document can hold anything. An unexpected error must refuse that upload alone and never stop the scan of the others.


def _batch_claims(snapshot: Snapshot, batch: Entry, unseen: set[str]) -> list[Claim | RefusedUpload]:
    try:
        return list(batch_claims(snapshot, batch, unseen))
    except Exception as error:  # noqa: BLE001 - becomes a refusal, with its traceback in the log
        refused = unexpected_failure(batch, error)
        text = snapshot.texts.get(batch.object.key)
        snapshot.doubts.add(list_doubt(batch, text, refused.words, refused.remedy, snapshot.near))
        return [refused]


def _sidecar_claims(
    snapshot: Snapshot, folder: str, stem: str, group: list[Entry], sidecars: list[Entry]
) -> list[Claim | RefusedUpload]:
    try:
        return list(sidecar_claims(snapshot, folder, stem, group, sidecars))
    except Exception as error:  # noqa: BLE001 - as above
        return [unexpected_failure(sidecars[0], error)]


def _folder_claims(snapshot: Snapshot, folder: str, briefs: list[Entry], media: list[Entry]) -> list[Claim]:
    try:
        return list(folder_claims(snapshot, folder, briefs, media))
    except Exception as error:  # noqa: BLE001 - as above
        source = f"{UPLOADS}{folder}/"
        refused = replace(unexpected_failure(briefs[0], error), clip=slug(source))
        return [Claim(slug(source), source, briefs[0].object.modified_at, refused)]


def _held(claim: Claim | RefusedUpload, holds: Mapping[str, UploadHold]) -> Claim | RefusedUpload:
    """Return a claim whose candidate waits for a person if one of the holds is for its upload."""
    hold = holds.get(claim.source)
    if (
        hold is None
        or isinstance(claim, RefusedUpload)
        or not isinstance(claim.outcome, Candidate)
        or claim.outcome.hold
    ):
        return claim
    return replace(claim, outcome=claim.outcome.with_hold(hold))


def _unknown(entry: Entry) -> RefusedUpload:
    ending = shown_name(split_name(entry.name)[1])
    what = (
        f"{shown_name(entry.name)} is of an unknown type ({ending})."
        if ending
        else f"{shown_name(entry.name)} has no type."
    )
    if ending in _ARCHIVES:
        return RefusedUpload(
            entry.object.key, f"{shown_name(entry.name)} is an archive.", "Upload the files that it holds."
        )
    return RefusedUpload(entry.object.key, what, ALLOWED)


_ARCHIVES = frozenset(
    {".zip", ".zipx", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".dmg", ".iso", ".sit"}
)


def _empty_folders(snapshot: Snapshot, tree: Tree) -> Iterator[RefusedUpload]:
    """Yield a refusal for each old folder marker with nothing below it; some tools create markers for every folder."""
    marked = {folder for folder, _ in tree.markers}
    above = {folder.rpartition("/")[0] for folder in marked}
    for folder, marker in tree.markers:
        if folder in tree.folders or folder in above or not snapshot.settled(marker.modified_at):
            continue
        if not in_side_folder(folder):
            words = f"The folder {shown_name(folder)} is empty."
            yield RefusedUpload(marker.key, words, "Upload media into it, or remove it.")


def _settle_names(
    claims: Iterable[Claim], taken: Mapping[str, str], refused: list[RefusedUpload], *, whole: bool
) -> list[Outcome]:
    """Return one outcome for each clip name, and append a refusal for every other upload with that name."""
    by_name: dict[str, list[Claim]] = {}
    for claim in claims:
        by_name.setdefault(claim.clip, []).append(claim)
    winners: list[Outcome] = []
    for name, rivals in by_name.items():
        owner = taken.get(name)
        # A listing does not show whether a film still has this shot, so the shot's name is not free.
        free = whole and not (owner or "").startswith(SEQUENCES)
        if len(rivals) == 1 and (owner is None or owner == rivals[0].source or free):
            winners.append(rivals[0].outcome)
            continue
        first = min(rivals, key=lambda claim: (claim.source != owner, claim.since, claim.source))
        if owner is None or free or first.source == owner:
            owner = first.source
        for claim in rivals:
            if claim.source == owner:
                winners.append(claim.outcome)
            elif isinstance(claim.outcome, RefusedUpload):
                refused.append(replace(claim.outcome, clip=None))  # its own problem comes before the name conflict
            else:
                refused.append(_name_taken(claim, owner))
    return winners


def _name_taken(claim: Claim, owner: str) -> RefusedUpload:
    words = (
        f"{_shown_source(claim.source)} maps to the clip name {claim.clip}, which {_shown_source(owner)} already has."
    )
    return RefusedUpload(claim.source.partition("#")[0], words, "Rename one of them.", line=claim.line)


def _shown_source(source: str) -> str:
    return shown_name(source.removeprefix(UPLOADS))
