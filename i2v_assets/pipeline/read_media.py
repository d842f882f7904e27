"""Reads a clip's files from the bucket once: hash, facts, and the small picture that the UI shows."""

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from i2v_assets.pipeline.prepare import FACTS, Preparer
from i2v_assets.uploads.types import UploadFile
from resources.media.errors import Unreadable
from resources.media.faces import count_large
from resources.media.facts import MediaFacts
from resources.media.limits import HEADER_AND_STILL, LARGEST_BYTES
from resources.media.pool import MediaPool, shared_pool
from resources.media.probe import sniff
from resources.media.scan import MediaScan, scan_media
from resources.registry.registry import Registry
from resources.schemas.inputs import Medium, MediumKind, sha256_file
from resources.storage.bucket import Bucket, ObjectInfo

THUMBNAIL_BYTES = 5_000
"""Small enough for the event log, which is kept for ever; large enough to know a picture again."""

THUMBNAIL_SIDE = 160
"""Pixels of the longer side: what the UI shows beside a table; a larger one costs seven times the CPU to fit the bytes."""

READ_VERSION = 4
"""Rises when more is measured: what was remembered by an older version is read again."""

VERSION_SECONDS = 12 * 3600.0
"""A version is believed to be there for so long: a bucket's rules may remove one that was written over after a day."""


@dataclass(frozen=True)
class Faces:
    """Whether the image is a portrait, the part of the frame that its largest face covers (0 to 1), and the large faces."""

    portrait: bool
    share: float
    large: int = 0


@dataclass(frozen=True)
class ReadFile:
    """One uploaded file as its bytes show it; ``problem`` says why it can be no medium.

    A ``foreseen`` file is not there yet: its facts are what is known of it, and nothing can be read.
    """

    key: str
    name: str
    medium: Medium | None = None
    facts: MediaFacts | None = None
    thumbnail: str | None = None
    glimpse: str | None = None
    faces: Faces | None = None
    problem: str = ""
    remedy: str = ""
    foreseen: bool = False


class MediaReader:
    """Reads files, and remembers what it read by key and ETag, so that the same bytes are fetched once.

    Args:
        bucket: where the files are.
        registry: where the results are remembered.
        scratch: folder for the copy while it is measured.
        pool: where files are decoded; the program's own if None.
    """

    def __init__(self, bucket: Bucket, registry: Registry, scratch: Path, pool: MediaPool | None = None) -> None:
        self._bucket = bucket
        self._registry = registry
        self._scratch = scratch
        self._pool = pool or shared_pool()

    @cached_property
    def preparer(self) -> Preparer:
        """What brings files within an endpoint's limits."""
        return Preparer(self._bucket, self._registry, self._scratch, self._pool)

    def read(self, key: str, etag: str, name: str) -> ReadFile:
        """Return one file. A damaged one is an answer, not an error.

        Raises:
            StorageError: the bucket does not answer, or the file is gone.
            MeasuringFailed: the process that read it died twice; MediaBug: an unexpected error.
        """
        known = self._known(key, etag)
        if known is None:
            copy = self._fetch(key)
            try:
                known = self._remember(
                    key, copy, self._pool.submit(*copy.job(name), limits=HEADER_AND_STILL, name=name).result
                )
            finally:
                copy.path.unlink(missing_ok=True)
            etag = copy.object.etag
        return _restored(key, name, known, etag)

    def sniff(self, path: Path, name: str) -> tuple[MediumKind, str] | None:
        """Return the kind and content type that a local file's bytes show; None if it is not an image, audio or video.

        Raises:
            OverLimit: it hit a limit; OSError: it cannot be read.
        """
        path.open("rb").close()
        return self._pool.run(sniff, path.absolute(), limits=HEADER_AND_STILL, name=name)

    async def read_async(self, file: UploadFile, at_once: asyncio.Semaphore) -> ReadFile:
        """Do the same for an event loop.

        Args:
            file: the file as it was listed.
            at_once: bounds the files that are fetched and opened; one that turns out slow to open leaves it.

        Raises:
            StorageError, MeasuringFailed, MediaBug: see `read`.
        """
        most = LARGEST_BYTES[file.kind]
        if file.size_bytes > most:  # not even fetched
            what = f"{file.name} has {file.size_bytes / 1e6:,.0f} MB; at most {most / 1e6:,.0f} MB of {file.kind} are read."
            return ReadFile(file.key, file.name, problem=what, remedy="Export a smaller file.")
        slot = _Slot(at_once)
        async with slot:
            known, etag = await asyncio.to_thread(self._known, file.key, file.etag), file.etag
            if known is not None:
                return _restored(file.key, file.name, known, etag)
            copy = await asyncio.to_thread(self._fetch, file.key)
            try:
                work, *arguments = copy.job(file.name)
                opened = self._pool.run_async(
                    work, *arguments, limits=HEADER_AND_STILL, name=file.name, on_slow=slot.release
                )
                done = await asyncio.gather(opened, return_exceptions=True)
            finally:
                copy.path.unlink(missing_ok=True)
        known = await asyncio.to_thread(self._remember, file.key, copy, lambda: _result(done[0]))
        return _restored(file.key, file.name, known, copy.object.etag)

    def _known(self, key: str, etag: str) -> dict[str, Any] | None:
        known = self._registry.memory.facts(key, etag)
        return known if known is not None and known.get("read_version") == READ_VERSION else None

    def _fetch(self, key: str) -> "_Copy":
        path = self._scratch / uuid4().hex
        there = self._bucket.fetch(key, path)  # it may be newer than what was listed: it is remembered as what it is
        return _Copy(path, there, sha256_file(path), path.stat().st_size)

    def _remember(self, key: str, copy: "_Copy", scanned: Callable[[], MediaScan]) -> dict[str, Any]:
        try:
            known = _plain(copy, scanned())
        except Unreadable as error:
            known = {"problem": error.message, "remedy": error.remedy}
        known |= {"read_version": READ_VERSION, "version_id": copy.object.version_id, "read_at": time.time()}
        self._registry.memory.remember_facts(key, copy.object.etag, known)
        return known


@dataclass(frozen=True)
class _Copy:
    """A file on local disk, and which object its bytes were."""

    path: Path
    object: ObjectInfo
    sha256: str
    size_bytes: int

    def job(self, name: str) -> tuple[Any, ...]:
        return scan_media, self.path.absolute(), name, THUMBNAIL_BYTES, THUMBNAIL_SIDE


class _Slot:
    """One of the places of a semaphore, given back once: early, or at the end of the block."""

    def __init__(self, at_once: asyncio.Semaphore) -> None:
        self._at_once = at_once
        self._held = False

    async def __aenter__(self) -> None:
        await self._at_once.acquire()
        self._held = True

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        if self._held:
            self._held = False
            self._at_once.release()


def _result(done: MediaScan | BaseException) -> MediaScan:
    if isinstance(done, BaseException):
        raise done
    return done


def _plain(copy: _Copy, scanned: MediaScan) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "kind": scanned.kind.value,
        "sha256": copy.sha256,
        "size_bytes": copy.size_bytes,
        "content_type": scanned.content_type,
        "facts": scanned.facts.model_dump(),
    }
    if (still := scanned.still) is not None:
        plain["thumbnail"] = base64.b64encode(still.thumbnail).decode()
        plain["glimpse"] = base64.b64encode(still.glimpse).decode()
        largest = max((face.share for face in still.faces), default=0.0)
        plain["faces"] = [still.portrait, largest, count_large(still.faces) if still.faces else 0]
    return plain


def _restored(key: str, name: str, known: dict[str, Any], etag: str) -> ReadFile:
    if "problem" in known:
        return ReadFile(key, name, problem=known["problem"], remedy=known["remedy"])
    kind = MediumKind(known["kind"])
    fresh = time.time() - known.get("read_at", 0.0) < VERSION_SECONDS
    medium = Medium(
        kind=kind,
        sha256=known["sha256"],
        key=key,
        size_bytes=known["size_bytes"],
        content_type=known["content_type"],
        etag=etag,
        version_id=known.get("version_id", "") if fresh else "",
    )
    return ReadFile(
        key,
        name,
        medium=medium,
        facts=FACTS[kind](**known["facts"]),
        thumbnail=known.get("thumbnail"),
        glimpse=known.get("glimpse"),
        faces=Faces(*known["faces"]) if "faces" in known else None,
    )
