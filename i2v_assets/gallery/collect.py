"""Gather what the gallery shows: registry, ledger, and the manifests and plans of the bucket, each read once per version."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from i2v_assets.clip_folder.manifest import Manifest, ManifestError, read_manifest
from i2v_assets.clip_folder.notes import Answer, answer_of, refused_upload
from i2v_assets.gallery.entries import (
    GalleryEntry,
    Status,
    TakeCost,
    entry_of_answer,
    entry_of_manifest,
    entry_under_way,
)
from i2v_assets.uploads.under_way import UploadUnderWay
from resources.bounded_json import read_json
from resources.ledger.records import Money
from resources.messages import pasteable
from resources.problem import Problem, read_problems
from resources.registry.registry import ClipRow, ClipState, RefusedRow
from resources.schemas.inputs import Route, Service
from resources.storage import keys
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing
from resources.wait_reason import WaitReason

INDEX = f"{keys.GALLERY}_seen.json.gz"
"""Texts of the last build by key and ETag: 2 MB for 5,000 clips, instead of 5,000 reads per build."""

_MAX_INDEX_BYTES = 256 * 1024**2
"""Largest unpacked index, of some 500,000 clips; a larger one was not written here, and is made anew."""

READERS = 16
"""Small objects read concurrently; each takes a round trip."""

SHOWN_HASH = 16
"""Characters of a plan's hash in a command: as many as `i2v plan` shows."""

IN_WORK = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING)

_HASH = re.compile(r"[0-9a-f]{16,128}\Z")

FOR_APPROVAL = (WaitReason.APPROVAL, WaitReason.HEAP)
"""Waits that end with `i2v approve`."""

LANGUAGES = "languages.jpg"
LARGEST_DOCUMENT = 1024 * 1024
"""Maximum bytes of a manifest, a plan or a note; the longest prompts and twenty takes need a tenth of it."""


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
        with gzip.open(io.BytesIO(bucket.read(INDEX))) as packed:
            text = packed.read(_MAX_INDEX_BYTES + 1)
        stored = read_json(text) if len(text) <= _MAX_INDEX_BYTES else {}
    except (ObjectMissing, OSError, EOFError, ValueError, zlib.error):
        return {}
    return {key: kept for key, kept in stored.items() if _is_kept(kept)} if isinstance(stored, dict) else {}


def _is_kept(kept: object) -> bool:
    """Return whether a value of the index is what `TextCache` writes: an ETag and a text."""
    return isinstance(kept, list) and len(kept) == len(("etag", "text")) and all(isinstance(part, str) for part in kept)


@dataclass(frozen=True)
class Contents:
    """The entries, their manifests by clip, and the clips whose manifest cannot be read."""

    entries: tuple[GalleryEntry, ...]
    manifests: Mapping[str, Manifest]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What the registry and the ledger know of the clips without a (new) video.

    Attributes:
        rows: the registry's clips.
        refused: uploads that could become no clip.
        money: of each clip, by its name.
        costs: of takes, by their fingerprints.
        service: whose clips the rows are.
        retries_per_clip: how often a failed clip is tried again by itself.
        uploads: those that are not clips yet.
    """

    rows: Sequence[ClipRow]
    refused: Sequence[RefusedRow]
    money: Mapping[str, Money]
    costs: Mapping[str, TakeCost]
    service: Service
    retries_per_clip: int
    uploads: Sequence[UploadUnderWay] = ()

    def of(self, row: ClipRow) -> Answer | None:
        """The answer that the clip's note gives too."""
        money = self.money.get(row.clip, Money())
        return answer_of(row, money, service=self.service, retries_per_clip=self.retries_per_clip)


def gather(known: Answers, listed: Mapping[str, ObjectInfo], seen: TextCache, now: datetime | None = None) -> Contents:
    """Return one entry per clip that has an answer, and per upload that could become none.

    A clip that was delivered, and of which a newer version waits, failed or is refused, is shown with its video and why.

    Args:
        known: what the registry and the ledger know.
        listed: the objects of the bucket by key; those below ``clips/`` count.
        seen: reads them.
        now: the time of the build; None for the present.
    """
    now = now or datetime.now(UTC)
    manifest_keys = [key for key in listed if key.startswith(keys.CLIPS) and key.endswith(f"/{keys.MANIFEST}")]
    manifests: dict[str, Manifest] = {}
    unreadable: list[str] = []
    for key, text in seen.texts(manifest_keys).items():
        clip = key.split("/")[1]
        try:
            manifest = read_manifest(text.encode(errors="replace"), name=key)
        except ManifestError:
            unreadable.append(clip)
            continue
        if manifest.clip == clip and keys.is_slug(clip):
            manifests[clip] = manifest
        else:
            unreadable.append(clip)
    answers = {row.clip: (row, answer) for row in known.rows if (answer := known.of(row)) is not None}
    plans = seen.texts(keys.clip_key(clip, keys.PLAN) for clip in answers)
    entries = [
        _without_video(row, answer, _read_plan(plans.get(keys.clip_key(clip, keys.PLAN), "")), known)
        for clip, (row, answer) in answers.items()
        if clip not in manifests or keys.clip_key(clip, keys.VIDEO) not in listed
    ]
    entries += [
        _in_work(row, known)
        for row in known.rows
        if row.state in IN_WORK and (row.clip not in manifests or keys.clip_key(row.clip, keys.VIDEO) not in listed)
    ]
    without = {entry.clip for entry in entries}
    entries = [replace(entry, picture=keys.clip_key(entry.clip, keys.SOURCE_PICTURE) in listed) for entry in entries]
    for clip, manifest in manifests.items():
        if clip in without:
            continue
        row, note = answers.get(clip, (None, None))
        entry = entry_of_manifest(
            manifest, poster=keys.clip_key(manifest.clip, keys.POSTER) in listed, costs=known.costs, note=note
        )
        if row is not None:
            entry = replace(entry, command=_command(row, _read_plan(plans.get(keys.clip_key(clip, keys.PLAN), ""))))
        entries.append(entry)
    entries += [_settling(upload, now, known) for upload in known.uploads if upload.name not in manifests]
    entries += _refused_uploads(known, listed)
    return Contents(tuple(entries), manifests, tuple(unreadable))


def _without_video(row: ClipRow, answer: Answer, plan: Mapping[str, Any], known: Answers) -> GalleryEntry:
    takes = plan.get("takes")
    planned = takes[0] if isinstance(takes, list) and takes and isinstance(takes[0], dict) else {}
    route, inputs = planned.get("route"), planned.get("inputs")
    prompt = inputs.get("prompt") if isinstance(inputs, dict) else None
    money = known.money.get(row.clip, Money())
    if money.may_have_been_paid:
        cost: int | None = money.microdollars
    else:
        cost = row.price_microdollars if row.state is ClipState.WAITING else None
    entry = entry_of_answer(
        row.clip,
        _with_problems(answer, plan) if row.state is ClipState.REFUSED else answer,
        row.updated_at,
        service=known.service,
        route=Route(route) if isinstance(route, str) and route in set(Route) else None,
        prompt=prompt if isinstance(prompt, str) else "",
        cost_microdollars=cost,
    )
    return replace(
        entry,
        poster=False,
        estimated=not money.charged_microdollars or bool(money.open_requests),
        command=_command(row, plan),
    )


def _command(row: ClipRow, plan: Mapping[str, Any]) -> str:
    """Return what a person runs to let a clip go on that waits for approval; empty if it does not."""
    agreed = plan.get("plan_hash")
    if row.wait not in FOR_APPROVAL or not isinstance(agreed, str) or not _HASH.match(agreed):
        return ""  # what people copy into a shell is a hash and nothing else, whoever wrote the plan
    return pasteable(f"i2v approve {agreed[:SHOWN_HASH]}")


def _in_work(row: ClipRow, known: Answers) -> GalleryEntry:
    waits = "It is being made." if row.state is ClipState.WORKING else "Its run has not begun yet."
    entry = entry_under_way(row.clip, Status.WORKING, row.updated_at, waits, service=known.service)
    money = known.money.get(row.clip, Money())
    cost = money.microdollars if money.may_have_been_paid else row.price_microdollars
    return replace(entry, cost_microdollars=cost, estimated=True)


def _settling(upload: UploadUnderWay, now: datetime, known: Answers) -> GalleryEntry:
    left = f"{upload.seconds_left} s were left when this page was made." if upload.seconds_left else ""
    return entry_under_way(upload.name, Status.SETTLING, now, upload.words, service=known.service, next_step=left)


def _with_problems(answer: Answer, plan: Mapping[str, Any]) -> Answer:
    """Return a refusal with each problem of its own, as `plan.json` has them; the registry keeps them in one."""
    try:
        problems = read_problems(plan.get("problems"))
    except ValueError:
        return answer
    return replace(answer, problems=problems or answer.problems)


def _read_plan(text: str) -> Mapping[str, Any]:
    try:
        found = read_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refused_uploads(known: Answers, listed: Mapping[str, ObjectInfo]) -> list[GalleryEntry]:
    """Return an entry for each upload that could become no clip: it has a note and no folder of its own.

    Answers to commands in the bucket lie there too and are not about an upload.

    A file of a film that another file makes already has a note and no row; its entry leads to the note.
    """
    rows = {keys.refused_key(row.source): row for row in known.refused}
    commands = {keys.command_answer_key(key) for key in listed if key.startswith(keys.COMMAND_RECORDS)}
    entries = []
    for key in (key for key in listed if key.startswith(keys.REFUSED) and key not in commands):
        file, row = key.removeprefix(keys.REFUSED), rows.get(key)
        if row is not None:
            name, problem = row.source.removeprefix(keys.UPLOADS), Problem(row.words, remedy=row.remedy)
        else:
            name, problem = file.removesuffix(".txt"), Problem("Its note says why.")
        entry = entry_of_answer(
            name,
            refused_upload(row.source if row is not None else name, problem),
            listed[key].modified_at,
            service=known.service,
            folder_key=keys.REFUSED,
            note_file=file,
        )
        entries.append(replace(entry, poster=False))
    return entries


def dub_groups(manifests: Iterable[Manifest]) -> dict[str, dict[str, Manifest]]:
    """Return the delivered languages of each dub with at least two, by group."""
    groups: dict[str, dict[str, Manifest]] = {}
    for manifest in manifests:
        if manifest.dub is not None and keys.is_slug(manifest.dub.group):
            groups.setdefault(manifest.dub.group, {})[manifest.dub.language] = manifest
    return {group: dict(sorted(languages.items())) for group, languages in groups.items() if len(languages) > 1}
