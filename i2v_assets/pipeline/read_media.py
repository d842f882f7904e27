"""Reads a clip's files from the bucket once: hash, facts, and the small picture that the UI shows."""

import base64
import os
import threading
import time
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from resources.media.errors import MediaError
from resources.media.facts import AudioFacts, ImageFacts, MediaFacts, VideoFacts
from resources.registry.registry import Registry
from resources.schemas.inputs import Medium, MediumKind
from resources.storage.bucket import Bucket

THUMBNAIL_BYTES = 5_000
"""Small enough for the event log, which is kept for ever; large enough to know a picture again."""

THUMBNAIL_SIDE = 160
"""Pixels of the longer side: what the UI shows beside a table; a larger one costs seven times the CPU to fit the bytes."""

READ_VERSION = 2
"""Rises when more is measured: what was remembered by an older version is read again."""

VERSION_SECONDS = 12 * 3600.0
"""A version is believed to be there for so long: a bucket's rules may remove one that was written over after a day."""

_LOOKS = threading.BoundedSemaphore(os.cpu_count() or 1)
"""Files looked at at once: decoding keeps a core busy, and a photo of 12 megapixels takes 36 MB while it lasts."""

_FACTS: dict[MediumKind, type[MediaFacts]] = {
    MediumKind.IMAGE: ImageFacts,
    MediumKind.AUDIO: AudioFacts,
    MediumKind.VIDEO: VideoFacts,
}


@dataclass(frozen=True)
class Faces:
    """Whether the image is a portrait, and the part of the frame that its largest face covers (0 to 1)."""

    portrait: bool
    share: float


@dataclass(frozen=True)
class ReadFile:
    """One uploaded file as its bytes show it; ``problem`` says why it can be no medium."""

    key: str
    name: str
    medium: Medium | None = None
    facts: MediaFacts | None = None
    thumbnail: str | None = None
    glimpse: str | None = None
    faces: Faces | None = None
    problem: str = ""
    remedy: str = ""


class MediaReader:
    """Reads files, and remembers what it read by key and ETag, so that the same bytes are fetched once.

    Args:
        bucket: where the files are.
        registry: where the results are remembered.
        scratch: folder for the copy while it is measured.
    """

    def __init__(self, bucket: Bucket, registry: Registry, scratch: Path) -> None:
        self._bucket = bucket
        self._registry = registry
        self._scratch = scratch

    def read(self, key: str, etag: str, name: str) -> ReadFile:
        """One file. A damaged one is an answer, not an error.

        Raises:
            StorageError: the bucket does not answer, or the file is gone.
        """
        known = self._registry.memory.facts(key, etag)
        if known is None or known.get("read_version") != READ_VERSION:
            path = self._scratch / uuid4().hex
            # What is read now may be newer than what was listed: it is remembered as what it is.
            there = self._bucket.fetch(key, path)
            etag = there.etag
            with _LOOKS:
                known = self._measure(path, name) | {"read_version": READ_VERSION}
            known |= {"version_id": there.version_id, "read_at": time.time()}
            self._registry.memory.remember_facts(key, etag, known)
        return _restored(key, name, known, etag)

    def _measure(self, path: Path, name: str) -> dict[str, Any]:
        from resources.media.faces import is_portrait
        from resources.media.probe import probe_audio, probe_video, sha256_file, sniff
        from resources.media.stills import scan_image

        try:
            found = sniff(path)
            if found is None:
                return {
                    "problem": f"{name} is no image, audio or video that can be read.",
                    "remedy": "Upload a JPEG, PNG or WebP image, a WAV or MP3 sound, or an MP4 or MOV video.",
                }
            kind, content_type = found
            read: dict[str, Any] = {
                "kind": kind.value,
                "sha256": sha256_file(path),
                "size_bytes": path.stat().st_size,
                "content_type": content_type,
            }
            if kind is MediumKind.IMAGE:
                look = scan_image(path, name, THUMBNAIL_BYTES, THUMBNAIL_SIDE)
                read["facts"] = _plain(look.facts)
                read["thumbnail"] = base64.b64encode(look.thumbnail).decode()
                read["glimpse"] = base64.b64encode(look.glimpse).decode()
                read["faces"] = [
                    is_portrait(look.faces),
                    max((face.share for face in look.faces), default=0.0),
                ]
            elif kind is MediumKind.AUDIO:
                read["facts"] = _plain(probe_audio(path, name))
            else:
                read["facts"] = _plain(probe_video(path, name))
            return read
        except MediaError as error:
            return {"problem": error.message, "remedy": error.remedy}
        finally:
            path.unlink(missing_ok=True)


def _plain(facts: Any) -> dict[str, Any]:
    return asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else facts.model_dump()


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
        facts=_FACTS[kind](**known["facts"]),
        thumbnail=known.get("thumbnail"),
        glimpse=known.get("glimpse"),
        faces=Faces(*known["faces"]) if "faces" in known else None,
    )
