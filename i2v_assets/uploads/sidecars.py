"""Sidecars: a brief or a prompt beside an image of the same name, ``NAME.yaml``, ``NAME.json`` or ``NAME.txt``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.brief_reader import parse_brief
from i2v_assets.briefs.yaml_reader import DocumentError, read_document
from i2v_assets.uploads.doubt import parses_as_brief
from i2v_assets.uploads.layouts import suggest
from i2v_assets.uploads.loose import held, loose_claims
from i2v_assets.uploads.roles import SIDECAR_ENDINGS, shown_name, split_name, stem_key
from i2v_assets.uploads.snapshot import (
    TEXT_NOT_READ,
    Claim,
    ClipSource,
    Snapshot,
    UploadProblem,
    complete,
    entry_files,
    named_files,
)
from i2v_assets.uploads.tree import Entry, document_format, in_side_folder, newest, text_of, tree_of
from i2v_assets.uploads.types import (
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

MAX_PROMPT = 5_000
"""Maximum characters of a prompt in a text file: the longest that any route takes."""

_ADDRESS = re.compile(r"://|\bwww\.|[^\s@]+@[^\s@]+\.\w", re.IGNORECASE)
_KEY_LINE = re.compile(r"^\s*[\w-]+(?: [\w-]+)?\s*:(?:\s|$)", re.MULTILINE)


def sidecars_of(
    snapshot: Snapshot, documents: Iterable[Entry]
) -> tuple[dict[tuple[str, str], list[Entry]], list[Entry]]:
    """Return the sidecars by folder and stem, and the files that are none.

    A JSON file without keys of a brief, and an empty file, say nothing: neither is returned.
    """
    asked = [entry for entry in documents if split_name(entry.name)[1] in SIDECAR_ENDINGS]
    if not asked:
        return {}, list(documents)
    images = {(entry.folder, stem_key(entry.name)) for entry in snapshot.tree.media if entry.kind is MediumKind.IMAGE}
    sidecars: dict[tuple[str, str], list[Entry]] = {}
    others: list[Entry] = []
    for entry in documents:
        place = (entry.folder, stem_key(entry.name))
        ending = split_name(entry.name)[1]
        if ending not in SIDECAR_ENDINGS or place not in images:
            others.append(entry)
        elif not in_side_folder(entry.folder) and not _says_nothing(snapshot, entry, ending):
            sidecars.setdefault(place, []).append(entry)
    return sidecars, others


def _says_nothing(snapshot: Snapshot, entry: Entry, ending: str) -> bool:
    text = snapshot.texts.get(entry.object.key)
    if not isinstance(text, str):
        return False
    if not text.strip():
        return True
    if ending != ".json":
        return False
    try:
        data = read_document(text, entry.path, "json").data
    except DocumentError:
        return not any(f'"{name}"' in text for name in ("prompt", "motion", "images", "audio", "duration", "route"))
    return not data.keys() & Brief.model_fields.keys()


def sidecar_claims(
    snapshot: Snapshot, folder: str, stem: str, group: Sequence[Entry], sidecars: Sequence[Entry]
) -> Iterator[Claim | RefusedUpload]:
    """Yield the clip of an image with its sidecar; a sidecar that cannot be used holds the image."""
    kinds = [(entry, entry.kind) for entry in group]
    stills = [entry for entry, kind in kinds if kind is MediumKind.IMAGE and entry.role == "media"]
    voices = [entry for entry, kind in kinds if kind is MediumKind.AUDIO]
    unusable = any(voice.role != "media" for voice in voices) or len(voices) > 1
    others = [kind for _, kind in kinds if kind is MediumKind.VIDEO]
    if len(stills) != 1 or unusable or others:
        # Which file the sidecar is about, or what belongs to it, is not certain.
        names = " and ".join(sorted(shown_name(each.name) for each in (*group, *sidecars)))
        words = f"{names} have one name, and it is not certain which belong together."
        keys = frozenset(each.object.key for each in group)
        key = sidecars[0].object.key
        snapshot.doubts.add(Doubt(key, words, "Put them in a folder of their own with a brief.yaml.", keys=keys))
        yield from loose_claims(snapshot, folder, stem, group)
        return
    still = stills[0]
    document = sidecars[0]
    steered = snapshot.defaults.keys_of(folder)
    key = still.object.key
    origin = ClipSource(
        slug(key), key, still.object.modified_at, UploadKind.SIDECAR, document.object.key, steered_by=steered
    )
    changed = newest([*group, *sidecars])
    mark = snapshot.mark_of(folder, still.name)
    if mark is not None:
        yield origin.settling(mark.words)
        return
    if not snapshot.settled(changed):
        yield origin.settling(f"Waiting until {shown_name(stem)} stops changing.")
        return
    if len(sidecars) > 1:
        names = " and ".join(sorted(shown_name(each.name) for each in sidecars))
        yield origin.refused(f"{shown_name(still.name)} has more than one brief beside it: {names}.", "Keep one.")
        return
    try:
        own, defaults = _read(snapshot, document), snapshot.defaults.of(folder)
    except DocumentError as error:
        yield origin.refused(error.message, error.remedy)
        return
    except UploadProblem as problem:
        yield origin.refused(problem.words, problem.remedy)
        return
    if own is None or defaults is None:
        yield origin.settling(TEXT_NOT_READ)
        return
    snapshot.described.update((each.object.key, document.object.key) for each in group)

    def find(name: str) -> UploadObject | None:
        found = snapshot.tree.find(f"{UPLOADS}{folder}/{name}" if folder else f"{UPLOADS}{name}")
        if found is not None:
            snapshot.described[found.object.key] = document.object.key
        return found.object if found else None

    def collect() -> tuple[UploadFile, ...]:
        named = named_files(own, find, partial(suggest, snapshot, folder))
        if own.names_media:
            return named
        known = {file.key for file in named}
        return (*entry_files([each for each in (still, *voices) if each.object.key not in known], folder), *named)

    claim = complete(snapshot, origin, changed, collect, own=own, defaults=defaults)
    yield held(claim, _first_prompt(snapshot, folder, document))


def _first_prompt(snapshot: Snapshot, folder: str, document: Entry) -> UploadHold | None:
    if split_name(document.name)[1] != ".txt" or tree_of(folder) in snapshot.memory.prompt_trees:
        return None
    where = tree_of(folder) or "uploads"
    words = f"{shown_name(document.name)} would be its prompt, the first text file of {shown_name(where)} that is one."
    remedy = "One approval answers for all of this folder."
    return UploadHold(HoldReason.PROMPT_FILE, words, remedy, document.object.key)


def _read(snapshot: Snapshot, document: Entry) -> Brief | None:
    text = text_of(snapshot.texts, document)
    if text is None:
        return None
    if split_name(document.name)[1] != ".txt":
        brief = parse_brief(text, document.path, document_format(document.name))
        if brief.dub:
            raise UploadProblem(f"{shown_name(document.path)} sets `dub`.", "Put it in a folder with a brief.yaml.")
        return brief
    name = shown_name(document.path)
    if parses_as_brief(text):
        stem = shown_name(split_name(document.name)[0])
        raise UploadProblem(f"{name} holds the keys of a brief.", f"Rename it to {stem}.yaml.")
    prompt = " ".join(text.split())
    if len(prompt) > MAX_PROMPT:
        raise UploadProblem(
            f"{name} has {len(prompt):,} characters; a prompt has at most {MAX_PROMPT:,}.", "Shorten it, or remove it."
        )
    if _ADDRESS.search(text) or _KEY_LINE.search(text):
        raise UploadProblem(
            f"{name} holds addresses or lines with keys, which are not a prompt.",
            "Write the prompt alone, or write a brief.yaml, or remove the file.",
        )
    return Brief(prompt=prompt)
