"""Prepares files for the models, once each, and keeps the results under `inputs/` by the hash of their bytes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from i2v_assets.planning.media import MeasuredMedium
from resources.media.facts import AudioFacts, ImageFacts, MediaFacts, VideoFacts, VoicePauses
from resources.media.limits import WorkLimits
from resources.media.pauses import PAUSES_VERSION, find_pauses
from resources.media.pool import MediaPool, scaled
from resources.media.preparation import Preparation
from resources.registry.registry import Registry
from resources.schemas.inputs import Medium, MediumKind
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import ObjectMissing

FACTS: dict[MediumKind, type[MediaFacts]] = {
    MediumKind.IMAGE: ImageFacts,
    MediumKind.AUDIO: AudioFacts,
    MediumKind.VIDEO: VideoFacts,
}


class Preparer:
    """Makes prepared files; one that was made before, by any run, is taken from the bucket.

    Args:
        bucket: where originals and results are.
        registry: where it is remembered what was made.
        scratch: folder for the files meanwhile.
        pool: where they are decoded.
    """

    def __init__(self, bucket: Bucket, registry: Registry, scratch: Path, pool: MediaPool) -> None:
        self._bucket = bucket
        self._registry = registry
        self._scratch = scratch
        self._pool = pool
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self, original: MeasuredMedium, preparation: Preparation) -> MeasuredMedium:
        """Return the prepared file, with the original's name.

        Raises:
            Unreadable: it cannot be prepared; StorageError: the bucket does not answer.
        """
        key = f"prepared:{original.medium.sha256}"
        if preparation.span_ms is not None:  # each part is remembered beside the others
            key += " {}-{}".format(*preparation.span_ms)
        async with self._locks[f"{key} {preparation.result_key}"]:
            known = await asyncio.to_thread(self._known, key, preparation)
            if known is None:
                known = await self._make(original, preparation)
                await asyncio.to_thread(self._registry.memory.remember_facts, key, preparation.result_key, known)
        return _measured(original, preparation, known)

    async def pauses(self, voice: MeasuredMedium) -> VoicePauses:
        """Return the pauses of a voice, measured once.

        Raises:
            Unreadable: it cannot be decoded; StorageError: the bucket does not answer.
        """
        key, version, memory = f"pauses:{voice.medium.sha256}", str(PAUSES_VERSION), self._registry.memory
        async with self._locks[key]:
            known = await asyncio.to_thread(memory.facts, key, version)
            if known is not None:
                return VoicePauses.model_validate(known)
            copy = self._scratch / uuid4().hex
            try:
                await asyncio.to_thread(self._fetch, voice.medium, copy)
                limits = _limits(voice)
                found = await self._pool.run_async(find_pauses, copy, voice.name, limits=limits, name=voice.name)
            finally:
                copy.unlink(missing_ok=True)
            await asyncio.to_thread(memory.remember_facts, key, version, found.model_dump())
            return found

    def _known(self, key: str, preparation: Preparation) -> dict[str, Any] | None:
        known = self._registry.memory.facts(key, preparation.result_key)
        if known is None:
            return None
        return known if self._bucket.head(known["key"]) is not None else None  # a bucket's rules may remove it

    async def _make(self, original: MeasuredMedium, preparation: Preparation) -> dict[str, Any]:
        source, target = self._scratch / uuid4().hex, self._scratch / uuid4().hex
        try:
            await asyncio.to_thread(self._fetch, original.medium, source)
            found = await self._pool.run_async(
                prepare_and_measure,
                source,
                target,
                preparation,
                original.name,
                limits=_limits(original),
                name=original.name,
            )
            return await asyncio.to_thread(self._store, target, found)
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def _fetch(self, medium: Medium, path: Path) -> None:
        from resources.schemas.inputs import sha256_file

        self._bucket.fetch(medium.key, path)
        if sha256_file(path) != medium.sha256:
            raise ObjectMissing(
                f"{medium.key} was replaced while it was prepared.", remedy="The new file is planned next."
            )

    def _store(self, target: Path, found: tuple[str, MediaFacts]) -> dict[str, Any]:
        from resources.schemas.inputs import sha256_file

        content_type, facts = found
        digest = sha256_file(target)
        key = keys.input_key(digest, content_type)
        self._bucket.upload_new(target, key, content_type)
        return {
            "key": key,
            "sha256": digest,
            "size_bytes": target.stat().st_size,
            "content_type": content_type,
            "facts": facts.model_dump(),
        }


def prepare_and_measure(source: Path, target: Path, preparation: Preparation, name: str) -> tuple[str, MediaFacts]:
    """Write the prepared file; return its content type and facts. Runs in a process of the pool."""
    from resources.media.prepare import prepare_file
    from resources.media.probe import probe_audio, probe_image, probe_video

    content_type = prepare_file(source, target, preparation, name)
    probe: dict[MediumKind, Callable[[Path, str], MediaFacts]] = {
        MediumKind.IMAGE: probe_image,
        MediumKind.AUDIO: probe_audio,
        MediumKind.VIDEO: probe_video,
    }
    return content_type, probe[preparation.kind](target, name)


def _limits(original: MeasuredMedium) -> WorkLimits:
    facts = original.facts
    pixels = 0 if isinstance(facts, AudioFacts) else facts.width * facts.height
    seconds = 1.0 if isinstance(facts, ImageFacts) else facts.seconds
    # Encoding a video costs four times what decoding it does.
    times = 4 if isinstance(facts, VideoFacts) else 1
    return scaled("convert", size_bytes=facts.size_bytes, pixels=times * pixels, seconds=seconds)


def _measured(original: MeasuredMedium, preparation: Preparation, known: dict[str, Any]) -> MeasuredMedium:
    before = original.medium
    medium = Medium(
        kind=preparation.kind,
        sha256=known["sha256"],
        key=known["key"],
        size_bytes=known["size_bytes"],
        content_type=known["content_type"],
        original_sha256=before.sha256,
        original_size_bytes=before.size_bytes,
        original_key=before.key,
        preparation=preparation.identity,
    )
    return MeasuredMedium(medium, original.name, FACTS[preparation.kind](**known["facts"]))
