"""Uploads that are not clips yet: still being sent, settling, or complete and not found by the sensor."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from i2v_assets.uploads.ingest import group_without_registering
from i2v_assets.uploads.roles import MARK, stem_key
from i2v_assets.uploads.types import Candidate, Grouping
from resources.registry.registry import Registry
from resources.registry.rows import Standing
from resources.settings import Settings
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.keys import UPLOADS

MOST_OBJECTS = 20_000
"""Objects that are listed for an answer: 20 LIST calls, about two seconds. The sensor lists more."""

MOST_AT_A_GLANCE = 5_000
"""Objects that are listed for a short answer: 5 LIST calls, 0.2 s of CPU."""


class UploadState(StrEnum):
    """How far an upload is that is not a clip yet."""

    SENDING = "uploading"
    SETTLING = "settling"
    FOUND = "found"


@dataclass(frozen=True)
class UploadUnderWay:
    """One upload that is not a clip yet.

    Attributes:
        name: The clip that it becomes, or the folder that is being uploaded.
        source: Its key.
        state: How far it is.
        words: What it waits for.
        seconds_left: Until its files have settled; None if something else has to happen first.
    """

    name: str
    source: str
    state: UploadState
    words: str
    seconds_left: int | None = None


@dataclass(frozen=True)
class UploadsNow:
    """What lies below ``uploads/`` now.

    Attributes:
        under_way: What is not a clip yet.
        modified_at: When each object was written.
        whole: False if there are more objects than were listed, so that nothing is known.
    """

    under_way: tuple[UploadUnderWay, ...] = ()
    modified_at: Mapping[str, datetime] = field(default_factory=dict)
    whole: bool = True


def uploads_now(bucket: Bucket, registry: Registry, settings: Settings, at_most: int = MOST_OBJECTS) -> UploadsNow:
    """Return what lies below ``uploads/`` and is not a clip yet, unless there are more objects than ``at_most``. Nothing is registered.

    Raises:
        StorageError, LedgerError: the bucket or the registry does not respond.
    """
    objects = list(islice(bucket.list(UPLOADS, markers=True), at_most + 1))
    if len(objects) > at_most:
        return UploadsNow(whole=False)
    modified_at = {each.key: each.modified_at for each in objects}
    standing = registry.standing()
    grouping = group_without_registering(bucket, registry, settings, objects, standing)
    newest, settle = _newest(objects), timedelta(seconds=settings.settle_seconds)
    found = [*_sending(objects), *_settling(grouping, newest, settle, bucket.now())]
    found += [_found(each) for each in grouping.candidates if _is_new(each, standing)]
    return UploadsNow(tuple(found), modified_at)


def _sending(objects: Iterable[ObjectInfo]) -> Iterable[UploadUnderWay]:
    for each in objects:
        folder, _, name = each.key.rpartition("/")
        if name.startswith(MARK):
            words = "Its files are still being uploaded."
            yield UploadUnderWay(f"{folder}/", each.key, UploadState.SENDING, words)


def _settling(
    grouping: Grouping, newest: Mapping[tuple[str, str], datetime], settle: timedelta, now: datetime
) -> Iterable[UploadUnderWay]:
    for each in grouping.settling:
        left = max((moment + settle - now for moment in _changes(each.source, newest)), default=timedelta(0))
        seconds = math.ceil(left.total_seconds()) if left > timedelta(0) else None
        yield UploadUnderWay(each.clip, each.source, UploadState.SETTLING, each.words, seconds)


def _found(candidate: Candidate) -> UploadUnderWay:
    words = "Its files are complete. The upload sensor takes it next."
    return UploadUnderWay(candidate.clip, candidate.source, UploadState.FOUND, words)


def _is_new(candidate: Candidate, standing: Mapping[str, Standing]) -> bool:
    known = standing.get(candidate.clip)
    return known is None or (known.source == candidate.source and known.version != candidate.version)


def _newest(objects: Iterable[ObjectInfo]) -> dict[tuple[str, str], datetime]:
    """Return when each group of files last changed: by folder and stem."""
    found: dict[tuple[str, str], datetime] = {}
    for each in objects:
        group = _group(each.key)
        found[group] = max(each.modified_at, found.get(group, each.modified_at))
    return found


def _group(key: str) -> tuple[str, str]:
    folder, _, name = key.rpartition("/")
    return folder, stem_key(name)


def _changes(source: str, newest: Mapping[tuple[str, str], datetime]) -> Iterable[datetime]:
    key = source.partition("#")[0]
    if key.endswith("/"):
        return [moment for (folder, _), moment in newest.items() if f"{folder}/".startswith(key)]
    return [newest[group] for group in [_group(key)] if group in newest]
