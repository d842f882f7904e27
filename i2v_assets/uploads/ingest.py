"""Scan the uploads: group them into clips, register the complete ones, and write notes about refused ones."""

import codecs
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

from i2v_assets.clip_folder.notes import NO_MONEY
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES
from i2v_assets.uploads.grouping import Candidate, Grouping, RefusedUpload, group_uploads, texts_wanted
from i2v_assets.uploads.history import with_history
from i2v_assets.uploads.large_lists import unread_lists
from i2v_assets.uploads.memory import IntakeMemory
from i2v_assets.uploads.spreadsheets import SPREADSHEET_ENDINGS, read_spreadsheet
from i2v_assets.uploads.tree import UnreadableText, tree_of
from resources.registry.registry import Admission, ClipState, RefusedRow, Registry, Upload
from resources.registry.rows import ClaimChange, KnownTree, ObjectClaim, Standing
from resources.schemas.inputs import Service
from resources.settings import Settings
from resources.storage.bucket import Bucket, ObjectInfo
from resources.storage.errors import AccessDenied, BadRequest, ObjectMissing
from resources.storage.keys import UPLOADS, slug

READERS = 16
"""Briefs read concurrently: each takes a round trip, and a thousand may arrive together."""


DENIED_REMEDY = "Allow these credentials s3:GetObject on it, and kms:Decrypt if it is encrypted with a key of its own; or upload it again."


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
    held: tuple[Candidate, ...] = ()
    """Complete uploads that wait for a person."""


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
    asked: Collection[str] = (),
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
        asked: Keys that were looked up one by one: those that are not among the objects are gone.
        patience: Seconds to wait for large lists; None for as long as it takes.
    """
    texts = read_texts(bucket, registry, objects)
    unread = unread_lists(texts, patience) if texts else frozenset()
    # What an unread list names is not known, so nothing counts as removed or corrected before it is.
    judges: Callable[[str], bool] = covers if not unread else lambda _: False
    standing = registry.standing()
    taken = _taken(standing)
    claims, trees = registry.claims.all(), registry.claims.trees()
    memory = _memory(registry, settings, claims, trees)
    keys = {each.key for each in objects}

    def gone(key: str) -> bool:
        return not unread and key not in keys and (whole or covers(key) or key in asked)

    grouping, queried = _group(bucket, settings, objects, texts, taken, memory, whole=whole)
    candidates = tuple(each for each in grouping.candidates if whole or covers(each.source))
    if standing or claims:  # a first scan changes nothing that was there before
        candidates = with_history(
            candidates,
            standing,
            registry.contents_without_video(),
            lambda names: {clip: row.content for clip, row in registry.many(names).items()},
            memory,
            gone,
        )
    uploads = (
        Upload(each.clip, each.source, each.version, each.content(), each.priority, held=each.hold is not None)
        for each in candidates
    )
    not_covered = {clip for clip, source in taken.items() if not judges(source)}
    admission = registry.admit(uploads, present=grouping.present | not_covered)
    _remember(registry, settings, grouping, candidates, objects, claims, trees, memory, bucket.now(), gone, whole=whole)
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
    held = tuple(each for each in candidates if each.hold is not None)
    return UploadScan(len(objects), grouping, admission, newly_refused, unread, tuple(sorted(queried)), held)


def group_without_registering(
    bucket: Bucket,
    registry: Registry,
    settings: Settings,
    objects: Sequence[ObjectInfo],
    standing: Mapping[str, Standing],
) -> Grouping:
    """Return how a scan would group a full listing of the uploads; no clip is registered and no note is written.

    Raises:
        StorageError, LedgerError: the bucket or the registry does not respond.
    """
    texts = read_texts(bucket, registry, objects)
    taken = _taken(standing)
    memory = _memory(registry, settings, registry.claims.all(), registry.claims.trees())
    return _group(bucket, settings, objects, texts, taken, memory, whole=True)[0]


def _taken(standing: Mapping[str, Standing]) -> dict[str, str]:
    return {clip: each.source for clip, each in standing.items() if each.state is not ClipState.WITHDRAWN}


def _group(
    bucket: Bucket,
    settings: Settings,
    objects: Sequence[ObjectInfo],
    texts: Mapping[str, str | bytes | UnreadableText],
    taken: Mapping[str, str],
    memory: IntakeMemory,
    *,
    whole: bool,
) -> tuple[Grouping, set[str]]:
    """Return the grouping, and the keys outside ``uploads/`` that were looked up for it."""
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
            memory=memory,
        )
        unseen = [key for key in grouping.unseen if key not in queried]
        if not unseen:
            return grouping, queried
        queried.update(unseen)
        with ThreadPoolExecutor(READERS) as pool:
            elsewhere += [info for info in pool.map(partial(head_or_none, bucket), unseen) if info is not None]


def head_or_none(bucket: Bucket, key: str) -> ObjectInfo | None:
    """Return an object that exists and may be read; one that may not counts as missing, and its clip says so."""
    try:
        return bucket.head(key)
    except (AccessDenied, BadRequest):
        return None


def _memory(
    registry: Registry, settings: Settings, claims: Mapping[str, ObjectClaim], trees: Mapping[str, KnownTree]
) -> IntakeMemory:
    prompts = {
        tree_of(split_folder(claim.document))
        for claim in claims.values()
        if claim.paid and claim.document.endswith(".txt")
    }
    return IntakeMemory(
        claims=claims,
        trees=trees,
        delivered_loose=cache(registry.claims.delivered_loose),
        prompt_trees=frozenset(prompts),
        loose_images=settings.loose_images,
        ignore=settings.ignore_uploads,
    )


def split_folder(key: str) -> str:
    """Return the folder of a key below ``uploads/``."""
    return key.removeprefix(UPLOADS).rpartition("/")[0]


def _remember(
    registry: Registry,
    settings: Settings,
    grouping: Grouping,
    candidates: Iterable[Candidate],
    objects: Iterable[ObjectInfo],
    claims: Mapping[str, ObjectClaim],
    trees: Mapping[str, KnownTree],
    memory: IntakeMemory,
    now: datetime,
    gone: Callable[[str], bool],
    *,
    whole: bool,
) -> None:
    """Remember which document each object belongs to, and what feeds each tree."""
    clips = {
        file.key: (each.clip, each.version)
        for each in candidates
        if each.document_key is not None
        for file in each.files
    }
    etags = {each.key: each.etag for each in objects} if grouping.described else {}
    changes = (
        ClaimChange(key, document, etags[key], *clips.get(key, (None, None)))
        for key, document in grouping.described.items()
        if key in etags
    )

    def missing(document: str) -> bool | None:
        if not document.startswith(UPLOADS):
            return None  # a film's file, which the scan of the films knows
        if document in keys:
            return False
        return True if whole or gone(document) else None

    keys = {each.key for each in objects} if claims else frozenset()
    registry.claims.update(claims, changes, missing)
    registry.claims.remember_trees(_changed_trees(grouping, trees, memory, now, settings.settle_seconds))


def _changed_trees(
    grouping: Grouping, trees: Mapping[str, KnownTree], memory: IntakeMemory, now: datetime, settle_seconds: float
) -> dict[str, KnownTree]:
    changed: dict[str, KnownTree] = {}
    for name, state in grouping.trees.items():
        known = trees.get(name) or KnownTree(first_seen=now)
        newest = max(filter(None, (known.changed_at, state.changed_at)))
        fed_by, since = known.fed_by, known.fed_since
        if fed_by is None and any(each.startswith(f"{UPLOADS}{name}/") for each in memory.delivered_loose()):
            fed_by, since = "loose", now
        elif fed_by is None and state.fed_by_documents and newest + timedelta(seconds=settle_seconds) <= now:
            fed_by, since = "documents", now
        now_known = KnownTree(known.first_seen, newest, fed_by, since)
        if now_known != trees.get(name):
            changed[name] = now_known
    return changed


def read_texts(
    bucket: Bucket, registry: Registry, objects: Iterable[ObjectInfo]
) -> dict[str, str | bytes | UnreadableText]:
    """Return the texts of the briefs, defaults and CSV batches among the objects, by key.

    Texts that were read before come from the registry. Text that is not UTF-8 is returned as bytes, so that its parser refuses
    it: a prompt with replaced characters would be paid for. An object that cannot be read is returned with the cause.
    """
    wanted = {info.key: info for info in texts_wanted(objects)}
    cached = registry.memory.texts()
    texts: dict[str, str | bytes | UnreadableText] = {
        key: cached[key][1] for key, info in wanted.items() if key in cached and cached[key][0] == info.etag
    }
    missing = [info for key, info in wanted.items() if key not in texts]

    def read(info: ObjectInfo) -> tuple[ObjectInfo, str | bytes | UnreadableText | None]:
        if info.size_bytes == 0:
            return info, ""  # an empty object has no range to read
        try:
            # One byte more than the limit, so that the parser refuses the document as too large.
            with bucket.open_range(info.key, 0, MAX_BATCH_BYTES) as stream:
                return info, _text(stream.read(), info.key)
        except ObjectMissing:
            return info, None  # deleted since the listing; the next scan will not list it
        except AccessDenied as error:  # of this object alone, because the listing was answered
            return info, UnreadableText(error.message, DENIED_REMEDY)
        except BadRequest as error:
            return info, UnreadableText(error.message, error.remedy)

    with ThreadPoolExecutor(READERS) as pool:
        fresh = {info: text for info, text in pool.map(read, missing) if text is not None}
    registry.memory.remember_texts(
        {info.key: (info.etag, text) for info, text in fresh.items() if isinstance(text, str)}
    )
    return texts | {info.key: text for info, text in fresh.items()}


def _text(data: bytes, key: str) -> str | bytes:
    if key.lower().endswith(SPREADSHEET_ENDINGS):
        return read_spreadsheet(data, key.removeprefix(UPLOADS))
    try:
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return data.decode("utf-16")
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
    money = registry.ledger.money_by_clip(known.values())
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
    beside = _beside(by_source, registry)
    for source in changes.refused:
        if source in beside:
            notes.refused_beside(beside[source], by_source[source].words, by_source[source].remedy, service=service)
    unclaimed = {slug(source.partition("#")[0]) for source in changes.resolved} - registry.many(
        [slug(source.partition("#")[0]) for source in changes.resolved]
    ).keys()
    notes.no_longer_refused({*changes.freed, *(unclaimed - set(beside.values()))})
    # If planning refused the clip earlier and its upload is back in that state, enqueue it to write that note again.
    freed = registry.many([clip for clip in changes.freed if clip in present])
    registry.enqueue([clip for clip, row in freed.items() if row.state is ClipState.REFUSED], seen=freed)
    return tuple(by_source[source] for source in changes.refused)


def _beside(refused: Mapping[str, RefusedUpload], registry: Registry) -> dict[str, str]:
    """Return for each refusal that is not a clip's the folder of its name, where people look, unless a clip has that name."""
    named = {source: slug(each.key) for source, each in refused.items() if each.clip is None}
    taken = registry.many(sorted(set(named.values())))
    return {source: name for source, name in named.items() if name not in taken}


def _version(upload: RefusedUpload) -> str:
    return hashlib.sha256(f"{upload.clip}\n{upload.text}".encode()).hexdigest()[:16]
