"""Scan the uploads: group them into clips, register the complete ones, and write notes about refused ones."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from i2v_assets.clip_folder.notes import NO_MONEY
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES
from i2v_assets.uploads.grouping import Grouping, RefusedUpload, group_uploads, texts_wanted
from i2v_assets.uploads.large_lists import unread_lists
from resources.registry.registry import Admission, ClipState, RefusedRow, Registry, Upload
from resources.schemas.inputs import Service
from resources.settings import Settings
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing
from resources.storage.keys import UPLOADS

READERS = 16
"""Briefs read concurrently: each takes a round trip, and a thousand may arrive together."""


@dataclass(frozen=True)
class UploadScan:
    """The result of one scan."""

    objects: int
    grouping: Grouping
    admission: Admission
    newly_refused: tuple[RefusedUpload, ...]
    unread: frozenset[str] = frozenset()
    """Large lists that are still being read; the next scan takes them."""
    elsewhere: tuple[str, ...] = ()
    """Keys outside ``uploads/`` that CSV batches name, whether they exist or not."""


def scan_uploads(
    bucket: Bucket, registry: Registry, settings: Settings, *, patience: float | None = None
) -> UploadScan:
    """List the uploads and register every complete one; a second scan of unchanged uploads changes nothing.

    Args:
        bucket: The bucket.
        registry: The registry of clips and refusals.
        settings: The settle time and the maximum size.
        patience: Seconds to wait for large lists; None for as long as it takes.

    Raises:
        StorageError, LedgerError: the bucket or the registry does not respond; the next scan starts over.
    """
    # Read before the listing: an upload that another scan admits meanwhile must not count as removed.
    registered = frozenset(registry.sources().values())
    objects = list(bucket.list(UPLOADS, markers=True))  # with markers, to refuse empty folders
    return admit(bucket, registry, settings, objects, whole=True, covers=registered.__contains__, patience=patience)


def admit(
    bucket: Bucket,
    registry: Registry,
    settings: Settings,
    objects: list[ObjectInfo],
    *,
    whole: bool,
    covers: Callable[[str], bool],
    patience: float | None = None,
) -> UploadScan:
    """Register the complete uploads among some objects.

    Args:
        bucket: The bucket with the objects.
        registry: The registry of clips and refusals.
        settings: The settle time and the maximum size.
        objects: The listed objects.
        whole: True if the objects are a full listing of the uploads.
        covers: Returns whether the objects include all files of an upload, given its source. A covered upload that is
            not among the objects was removed. In a partial listing only covered uploads are admitted or refused.
        patience: Seconds to wait for large lists; None for as long as it takes.
    """
    texts = read_texts(bucket, registry, objects)
    unread = unread_lists(texts, patience)
    # What an unread list names is not known, so nothing counts as removed or corrected before it is.
    judges: Callable[[str], bool] = covers if not unread else lambda _: False
    taken = registry.sources()
    elsewhere: list[ObjectInfo] = []
    queried: set[str] = set()
    while True:
        grouping = group_uploads(
            objects,
            bucket.now(),
            settings.settle_seconds,
            texts,
            taken,
            elsewhere=elsewhere,
            max_bytes=settings.max_upload_bytes,
            whole=whole,
        )
        unseen = [key for key in grouping.unseen if key not in queried]
        if not unseen:
            break
        queried.update(unseen)
        with ThreadPoolExecutor(READERS) as pool:
            elsewhere += [info for info in pool.map(bucket.head, unseen) if info is not None]
    uploads = (
        Upload(each.clip, each.source, each.version, each.content(), each.priority)
        for each in grouping.candidates
        if whole or covers(each.source)
    )
    not_covered = {clip for clip, source in taken.items() if not judges(source)}
    admission = registry.admit(uploads, present=grouping.present | not_covered)
    refused = tuple(each for each in grouping.refused if whole or covers(each.key))
    notes = BucketAnswers(bucket)
    notes.withdrawn(admission.withdrawn)
    newly_refused = _update_refusals(
        notes,
        registry,
        refused,
        settings.service,
        present=grouping.present,
        covers=None if whole and not unread else judges,
    )
    return UploadScan(len(objects), grouping, admission, newly_refused, unread, tuple(sorted(queried)))


def read_texts(bucket: Bucket, registry: Registry, objects: Iterable[ObjectInfo]) -> dict[str, str | bytes]:
    """Return the texts of the briefs, defaults and CSV batches among the objects, by key.

    Texts that were read before come from the registry. Text that is not UTF-8 is returned as bytes, so that its parser refuses
    it: a prompt with replaced characters would be paid for.
    """
    wanted = {info.key: info for info in texts_wanted(objects)}
    cache = registry.memory.texts()
    texts: dict[str, str | bytes] = {
        key: cache[key][1] for key, info in wanted.items() if key in cache and cache[key][0] == info.etag
    }
    missing = [info for key, info in wanted.items() if key not in texts]

    def read(info: ObjectInfo) -> tuple[ObjectInfo, str | bytes | None]:
        if info.size_bytes == 0:
            return info, ""  # an empty object has no range to read
        try:
            # One byte more than the limit, so that the parser refuses the document as too large.
            with bucket.open_range(info.key, 0, MAX_BATCH_BYTES) as stream:
                return info, _text(stream.read())
        except ObjectMissing:
            return info, None  # deleted since the listing; the next scan will not list it

    with ThreadPoolExecutor(READERS) as pool:
        fresh = {info: text for info, text in pool.map(read, missing) if text is not None}
    registry.memory.remember_texts(
        {info.key: (info.etag, text) for info, text in fresh.items() if isinstance(text, str)}
    )
    return texts | {info.key: text for info, text in fresh.items()}


def _text(data: bytes) -> str | bytes:
    try:
        # A document over the limit is cut, perhaps within a character; it is refused for its size anyway.
        return data.decode("utf-8-sig", "strict" if len(data) <= MAX_BATCH_BYTES else "replace")
    except UnicodeDecodeError:
        return data


def _update_refusals(
    notes: BucketAnswers,
    registry: Registry,
    refused: tuple[RefusedUpload, ...],
    service: Service,
    *,
    present: frozenset[str],
    covers: Callable[[str], bool] | None,
) -> tuple[RefusedUpload, ...]:
    """Register the refusals, write a note for each new one, delete the notes of resolved ones, and return the new ones."""
    by_source = {upload.source: upload for upload in refused}
    rows = [
        RefusedRow(source, _version(upload), upload.words, upload.remedy, upload.clip)
        for source, upload in by_source.items()
    ]
    changes = registry.refusals.replace(rows, covers=covers)
    known = registry.many([clip for source in changes.refused if (clip := by_source[source].clip)])
    money = registry.ledger.money_by_clip({clip: row.planned_fingerprint for clip, row in known.items()})
    for source in changes.refused:
        upload = by_source[source]
        notes.refused_upload(
            source,
            upload.words,
            upload.remedy,
            clip=upload.clip,
            money=money.get(upload.clip or "", NO_MONEY),
            service=service,
        )
    for source in changes.resolved:
        notes.upload_accepted(source)
    notes.no_longer_refused(changes.freed)
    # If planning refused the clip earlier and its upload is back in that state, enqueue it to write that note again.
    freed = registry.many([clip for clip in changes.freed if clip in present])
    registry.enqueue([clip for clip, row in freed.items() if row.state is ClipState.REFUSED], seen=freed)
    return tuple(by_source[source] for source in changes.refused)


def _version(upload: RefusedUpload) -> str:
    return hashlib.sha256(f"{upload.clip}\n{upload.text}".encode()).hexdigest()[:16]
