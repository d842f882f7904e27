"""A look at the uploads: what lies there is grouped into clips, taken note of, and told to its owner where refused."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES
from i2v_assets.uploads.grouping import Grouping, RefusedUpload, group_uploads, texts_wanted
from resources.registry.registry import Admission, ClipState, RefusedRow, Registry, Upload
from resources.schemas.inputs import Service
from resources.settings import Settings
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import ObjectMissing
from resources.storage.keys import UPLOADS

READERS = 16
"""Briefs read at once: a brief takes a round trip each, and a thousand may arrive together."""


@dataclass(frozen=True)
class UploadScan:
    """What one look found and changed."""

    objects: int
    grouping: Grouping
    admission: Admission
    newly_refused: tuple[RefusedUpload, ...]


def scan_uploads(bucket: Bucket, registry: Registry, settings: Settings) -> UploadScan:
    """List the uploads and take note of every complete one. Walking it twice changes nothing the second time.

    Raises:
        StorageError, LedgerError: the bucket or the registry does not answer; the next look starts over.
    """
    known = frozenset(registry.sources().values())  # before the listing: what another look admits meanwhile is not gone
    objects = list(bucket.list(UPLOADS, markers=True))  # an empty folder is told to its owner
    return admit(bucket, registry, settings, objects, whole=True, covers=known.__contains__)


def admit(
    bucket: Bucket,
    registry: Registry,
    settings: Settings,
    objects: list[ObjectInfo],
    *,
    whole: bool,
    covers: Callable[[str], bool],
) -> UploadScan:
    """Take note of the complete uploads among some objects.

    Args:
        bucket: where they lie.
        registry: where they are noted.
        settings: how long they settle, how large they may be.
        objects: what was listed.
        whole: they are all that there are.
        covers: of which known uploads (by their source) the objects are all: one that is covered and not there is gone.
            Of a part of the uploads nothing else is admitted or refused.
    """
    texts = read_texts(bucket, registry, objects)
    taken = registry.sources()
    elsewhere: list[ObjectInfo] = []
    looked_up: set[str] = set()
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
        unseen = [key for key in grouping.unseen if key not in looked_up]
        if not unseen:
            break
        looked_up.update(unseen)
        with ThreadPoolExecutor(READERS) as pool:
            elsewhere += [found for found in pool.map(bucket.head, unseen) if found is not None]
    uploads = (
        Upload(found.clip, found.source, found.version, found.content(), found.priority)
        for found in grouping.candidates
        if whole or covers(found.source)
    )
    elsewhere_known = {clip for clip, source in taken.items() if not covers(source)}
    admission = registry.admit(uploads, present=grouping.present | elsewhere_known)
    refused = tuple(found for found in grouping.refused if whole or covers(found.key))
    answers = BucketAnswers(bucket)
    answers.withdrawn(admission.withdrawn)
    newly_refused = _tell_refused(
        answers, registry, refused, settings.service, present=grouping.present, covers=None if whole else covers
    )
    return UploadScan(len(objects), grouping, admission, newly_refused)


def read_texts(bucket: Bucket, registry: Registry, objects: Iterable[ObjectInfo]) -> dict[str, str | bytes]:
    """The briefs, defaults and lists among the objects; those that were read before come from the registry.

    What is not UTF-8 is handed over as bytes, for whose reader it is to refuse: half-read words would be paid for.
    """
    wanted = {found.key: found for found in texts_wanted(objects)}
    cache = registry.memory.texts()
    texts: dict[str, str | bytes] = {
        key: cache[key][1] for key, found in wanted.items() if key in cache and cache[key][0] == found.etag
    }
    missing = [found for key, found in wanted.items() if key not in texts]

    def read(found: ObjectInfo) -> tuple[ObjectInfo, str | bytes | None]:
        if found.size_bytes == 0:
            return found, ""  # an empty object has no range to read
        try:
            # One byte more than the largest that is read: the reader of the document then says that it is too large.
            with bucket.open_range(found.key, 0, MAX_BATCH_BYTES) as stream:
                return found, _text(stream.read())
        except ObjectMissing:
            return found, None  # deleted since the listing: the next look will not see it

    with ThreadPoolExecutor(READERS) as pool:
        fresh = {found: text for found, text in pool.map(read, missing) if text is not None}
    registry.memory.remember_texts(
        {found.key: (found.etag, text) for found, text in fresh.items() if isinstance(text, str)}
    )
    return texts | {found.key: text for found, text in fresh.items()}


def _text(data: bytes) -> str | bytes:
    try:
        # One that is too large is cut, perhaps within a letter, and refused for its size whatever it says.
        return data.decode("utf-8-sig", "strict" if len(data) <= MAX_BATCH_BYTES else "replace")
    except UnicodeDecodeError:
        return data


def _tell_refused(
    answers: BucketAnswers,
    registry: Registry,
    refused: tuple[RefusedUpload, ...],
    service: Service,
    *,
    present: frozenset[str],
    covers: Callable[[str], bool] | None,
) -> tuple[RefusedUpload, ...]:
    """Write a note for each new refusal; take back the notes of those that are gone."""
    by_source = {found.source: found for found in refused}
    rows = [
        RefusedRow(source, _version(found), found.words, found.remedy, found.clip)
        for source, found in by_source.items()
    ]
    news = registry.refusals.replace(rows, covers=covers)
    for source in news.refused:
        found = by_source[source]
        answers.refused_upload(source, found.words, found.remedy, clip=found.clip, service=service)
    for source in news.resolved:
        answers.upload_accepted(source)
    answers.no_longer_refused(news.freed)
    # A clip that its own plan refused before, and whose upload is again as it was then, is told that once more.
    known = registry.many([clip for clip in news.freed if clip in present])
    registry.enqueue([clip for clip, row in known.items() if row.state is ClipState.REFUSED])
    return tuple(by_source[source] for source in news.refused)


def _version(found: RefusedUpload) -> str:
    return hashlib.sha256(f"{found.clip}\n{found.text}".encode()).hexdigest()[:16]
