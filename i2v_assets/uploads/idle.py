"""Knowing that nothing is new: a look over unchanged uploads costs little more than their listing.

What a look depends on is the listing, the registry's clips, the settings and, until everything has settled, the time. So a
look over settled uploads leaves a digest of these behind. The next one compares, and stops there if it is the same.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from i2v_assets.uploads.ingest import READERS, UploadScan, admit, head_or_none
from resources.registry.registry import Registry
from resources.settings import Settings
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.keys import UPLOADS

FULL_LOOK = timedelta(hours=1)
"""After this time a look is whole even if nothing is new: what people change in the database by hand is seen then."""

_MARGIN = timedelta(seconds=5)
"""Added to the settle time, since objects carry whole seconds of the server's clock."""

_MOST_ELSEWHERE = 100
"""Keys outside ``uploads/`` that lists may name for a look to be skipped: each costs a HEAD, which a listing does not show."""

_MOST_KEPT = 16
"""Buckets that one process remembers; a code location has one."""


@dataclass(frozen=True)
class LookSummary:
    """What the sensor says of a look: counts, and what settles; without the uploads themselves."""

    objects: int
    refused: int
    settling: int = 0
    first_settling: str = ""
    unread: int = 0
    held: int = 0
    first_held: str = ""
    ignored: int = 0
    idle: bool = False

    @classmethod
    def of(cls, scan: UploadScan) -> "LookSummary":
        """Return the summary of a whole scan."""
        settling = scan.grouping.settling
        first = settling[0].words if settling else ""
        holds = [each.hold.words for each in scan.held if each.hold is not None]
        return cls(
            scan.objects,
            len(scan.grouping.refused),
            len(settling),
            first,
            len(scan.unread),
            len(holds),
            holds[0] if holds else "",
            scan.grouping.ignored,
        )


@dataclass(frozen=True)
class _Remembered:
    digest: bytes
    at: datetime
    elsewhere: tuple[str, ...]
    summary: LookSummary


_remembered: dict[str, _Remembered] = {}
"""By bucket. Of a bucket's hundred thousand objects only a digest is kept."""


_latest: dict[str, LookSummary] = {}
"""By bucket: the latest look of this process, whether it left anything to do or not."""


def latest_look(bucket: Bucket) -> LookSummary | None:
    """Return what this process last saw below ``uploads/``; None if it has not looked."""
    return _latest.get(bucket.name)


def look(
    bucket: Bucket,
    registry: Registry,
    settings: Settings,
    *,
    patience: float | None = None,
    on_scan: Callable[[UploadScan], None] = lambda _: None,
) -> LookSummary:
    """Scan the uploads as `scan_uploads`, unless nothing has changed since the last look of this process.

    Args:
        bucket: The bucket.
        registry: The registry of clips and refusals.
        settings: What decides about an upload.
        patience: Seconds to wait for large lists; None for as long as it takes.
        on_scan: Told the scan if one was made.

    Raises:
        StorageError, LedgerError: the bucket or the registry does not respond; the next look starts over.
    """
    began = datetime.now(UTC)
    revision = registry.revision()
    objects = list(bucket.list(UPLOADS, markers=True))  # with markers, to refuse empty folders
    known = _remembered.get(bucket.name)
    elsewhere = known.elsewhere if known is not None else ()
    digest = _digest(bucket, objects, elsewhere, revision, settings)
    if known is not None and known.digest == digest and timedelta(0) <= began - known.at < FULL_LOOK:
        _latest[bucket.name] = known.summary
        return replace(known.summary, idle=True)
    registered = frozenset(registry.sources().values())
    unchanged = registry.revision() == revision
    if not unchanged:  # an upload that another scan admitted after the listing must not count as removed
        objects = list(bucket.list(UPLOADS, markers=True))
    scan = admit(bucket, registry, settings, objects, whole=True, covers=registered.__contains__, patience=patience)
    on_scan(scan)
    summary = LookSummary.of(scan)
    _remembered.pop(bucket.name, None)
    while len(_latest) >= _MOST_KEPT:
        del _latest[next(iter(_latest))]
    _latest[bucket.name] = summary
    if unchanged and _is_settled(scan, objects, bucket.now(), settings) and registry.revision() == revision:
        digest = _digest(bucket, objects, scan.elsewhere, revision, settings)
        while len(_remembered) >= _MOST_KEPT:
            del _remembered[next(iter(_remembered))]
        _remembered[bucket.name] = _Remembered(digest, began, scan.elsewhere, summary)
    return summary


def _is_settled(scan: UploadScan, objects: Sequence[ObjectInfo], now: datetime, settings: Settings) -> bool:
    """Return whether the same look later would do the same: it changed nothing, and no object is young enough to settle."""
    admission = scan.admission
    if admission.new or admission.changed or admission.withdrawn or scan.newly_refused:
        return False
    if scan.unread or scan.held or scan.grouping.settling or len(scan.elsewhere) > _MOST_ELSEWHERE:
        return False
    newest = max((each.modified_at for each in objects), default=None)
    return newest is None or newest + timedelta(seconds=settings.settle_seconds) + _MARGIN < now


def _digest(
    bucket: Bucket, objects: Iterable[ObjectInfo], elsewhere: Sequence[str], revision: str, settings: Settings
) -> bytes:
    """Return a digest of all that a look over settled uploads depends on."""
    found = hashlib.sha256()
    decides = settings.model_dump_json()
    found.update(
        repr((bucket.endpoint, bucket.name, bucket.prefix, settings.ledger_address, decides, revision)).encode()
    )
    _add(found, objects)
    if elsewhere:
        with ThreadPoolExecutor(READERS) as pool:
            _add(found, (info for info in pool.map(partial(head_or_none, bucket), elsewhere) if info is not None))
    return found.digest()


def _add(digest: "hashlib._Hash", objects: Iterable[ObjectInfo]) -> None:
    for each in objects:
        line = f"{each.key}\0{each.etag}\0{each.size_bytes}\0{each.modified_at}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
