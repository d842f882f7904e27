"""Gathers what the gallery shows: registry rows, and the manifests and notes of the bucket, each read once per version."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from i2v_assets.clip_folder.manifest import Manifest, ManifestError, read_manifest
from i2v_assets.clip_folder.notes import Answer, AnswerKind, read_answer
from i2v_assets.gallery.entries import GalleryEntry, TakeCost, entry_of_answer, entry_of_manifest
from resources.registry.registry import ClipRow, ClipState
from resources.schemas.inputs import Route, Service
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing

INDEX = f"{keys.GALLERY}_seen.json.gz"
"""Texts of the last build by key and ETag: 2 MB for 5,000 clips, instead of 5,000 reads per build."""

READERS = 16
"""Small objects read concurrently; each takes a round trip."""

LANGUAGES = "languages.jpg"
LARGEST_DOCUMENT = 1024 * 1024
"""Maximum bytes of a manifest, a plan or a note; the longest prompts and twenty takes need a tenth of it."""

_NOTES = {
    ClipState.REFUSED: AnswerKind.REFUSED,
    ClipState.FAILED: AnswerKind.FAILED,
    ClipState.WAITING: AnswerKind.WAITING,
}


class TextCache:
    """Texts of the bucket by key and ETag, stored in the bucket between builds."""

    def __init__(self, bucket: Bucket, listed: Mapping[str, ObjectInfo]) -> None:
        self._bucket = bucket
        self._listed = listed
        self._before = _index(bucket)
        self._kept: dict[str, list[str]] = {}
        self.fetched = 0

    def texts(self, wanted: Iterable[str]) -> dict[str, str]:
        """Return the texts of the existing keys; reads only those that changed since the last build."""
        existing = [key for key in wanted if key in self._listed]
        changed = [key for key in existing if self._before.get(key, ["", ""])[0] != self._listed[key].etag]
        with ThreadPoolExecutor(READERS) as pool:
            fresh = dict(zip(changed, pool.map(self._read, changed), strict=True))
        self.fetched += len(changed)
        texts: dict[str, str] = {}
        for key in existing:
            text = fresh[key] if key in fresh else self._before[key][1]
            if text is not None:
                texts[key] = text
                self._kept[key] = [self._listed[key].etag, text]
        return texts

    def record_version(self, key: str, version: str) -> bool:
        """Record a version of a file that this build writes; return whether it differs from the last build's."""
        self._kept[key] = [version, ""]
        return self._before.get(key, ["", ""])[0] != version

    def _read(self, key: str) -> str | None:
        try:
            return self._bucket.read(key, max_bytes=LARGEST_DOCUMENT).decode("utf-8", "replace")
        except ObjectMissing:
            return None  # deleted since the listing

    def save(self) -> None:
        """Store the texts of this build for the next one."""
        if self._kept != self._before:
            packed = gzip.compress(json.dumps(self._kept, separators=(",", ":")).encode(), mtime=0)
            self._bucket.write(INDEX, packed, "application/gzip")


def _index(bucket: Bucket) -> dict[str, list[str]]:
    """Return the texts of the last build; a damaged index only causes a full read."""
    try:
        stored = json.loads(gzip.decompress(bucket.read(INDEX)))
    except (ObjectMissing, OSError, EOFError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


@dataclass(frozen=True)
class Contents:
    """The entries, their manifests by clip, and the clips whose manifest cannot be read."""

    entries: tuple[GalleryEntry, ...]
    manifests: Mapping[str, Manifest]
    unreadable: tuple[str, ...]


def gather(
    rows: Sequence[ClipRow],
    listed: Mapping[str, ObjectInfo],
    seen: TextCache,
    service: Service,
    costs: Mapping[str, TakeCost],
) -> Contents:
    """One entry per clip that has an answer, and per upload that could become none.

    A clip that was delivered, and of which a newer version waits, failed or is refused, is shown with its video and why.

    Args:
        rows: the registry's clips.
        listed: the objects of the bucket by key; those below ``clips/`` count.
        seen: reads them.
        service: whose clips the rows are.
        costs: of takes, by their fingerprints.
    """
    manifest_keys = [key for key in listed if key.startswith(keys.CLIPS) and key.endswith(f"/{keys.MANIFEST}")]
    manifests: dict[str, Manifest] = {}
    unreadable: list[str] = []
    for key, text in seen.texts(manifest_keys).items():
        clip = key.split("/")[1]
        try:
            manifests[clip] = read_manifest(text.encode(), name=key)
        except ManifestError:
            unreadable.append(clip)
    told = [row for row in rows if row.state in _NOTES]
    notes = seen.texts(keys.clip_key(row.clip, _NOTES[row.state].value) for row in told)
    plans = seen.texts(keys.clip_key(row.clip, keys.PLAN) for row in told)
    answers: dict[str, Answer] = {}
    entries: list[GalleryEntry] = []
    for row in told:
        key = keys.clip_key(row.clip, _NOTES[row.state].value)
        if key not in notes:
            continue
        answers[row.clip] = read_answer(_NOTES[row.state], notes[key])
        if row.clip not in manifests or keys.clip_key(row.clip, keys.VIDEO) not in listed:
            plan = plans.get(keys.clip_key(row.clip, keys.PLAN), "")
            entries.append(_told(row, answers[row.clip], plan, service))
    without = {entry.clip for entry in entries}
    entries += [
        entry_of_manifest(
            manifest,
            poster=keys.clip_key(manifest.clip, keys.POSTER) in listed,
            costs=costs,
            note=answers.get(clip),
        )
        for clip, manifest in manifests.items()
        if clip not in without
    ]
    entries += _refused_uploads(listed, seen, service)
    return Contents(tuple(entries), manifests, tuple(unreadable))


def _told(row: ClipRow, answer: Answer, plan: str, service: Service) -> GalleryEntry:
    planned = _first_take(plan)
    route = planned.get("route")
    inputs = planned.get("inputs")
    entry = entry_of_answer(
        row.clip,
        answer,
        row.updated_at,
        service=service,
        route=Route(route) if route in set(Route) else None,
        prompt=str(inputs.get("prompt") or "") if isinstance(inputs, dict) else "",
        cost_microdollars=row.price_microdollars if row.state is ClipState.WAITING else None,
    )
    return replace(entry, poster=False)


def _first_take(plan: str) -> dict[str, Any]:
    try:
        found = json.loads(plan).get("takes", [{}])[0]
    except (ValueError, AttributeError, IndexError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _refused_uploads(listed: Mapping[str, ObjectInfo], seen: TextCache, service: Service) -> list[GalleryEntry]:
    """Uploads that could become no clip: they have a note and no folder of their own."""
    entries = []
    for key, text in seen.texts(key for key in listed if key.startswith(keys.REFUSED)).items():
        answer = read_answer(AnswerKind.REFUSED, text)
        name = answer.title.removeprefix("REFUSED: ").removeprefix(keys.UPLOADS)
        file = key.removeprefix(keys.REFUSED)
        moment = listed[key].modified_at
        told = entry_of_answer(name, answer, moment, service=service, folder_key=keys.REFUSED, note_file=file)
        entries.append(replace(told, poster=False))
    return entries


def dub_groups(manifests: Iterable[Manifest]) -> dict[str, dict[str, Manifest]]:
    """Return the delivered languages of each dub with at least two, by group."""
    groups: dict[str, dict[str, Manifest]] = {}
    for manifest in manifests:
        if manifest.dub is not None:
            groups.setdefault(manifest.dub.group, {})[manifest.dub.language] = manifest
    return {group: dict(sorted(languages.items())) for group, languages in groups.items() if len(languages) > 1}
