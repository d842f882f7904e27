"""What happens to a delivered video while its file is still on local disk: facts, measures, previews."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from i2v_assets.making.quality import compared_media, expectation, thresholds
from i2v_assets.making.takes import Take
from i2v_assets.making.tools import Tools
from resources.media.errors import MediaError
from resources.media.previews import animated_webp, contact_sheet, glimpse, poster, smaller
from resources.media.probe import video_size
from resources.media.quality.judging import judge, score
from resources.media.quality.model import Finding, Measures
from resources.schemas.inputs import Medium
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageError

INLINE_POSTER_BYTES = 10_000
"""Of a poster in the event log: 15 KB at most as text, and base64 takes a third more than the bytes."""

INLINE_POSTER_SIDE = 320
"""Pixels on the longer side of that poster: what fits into these bytes without blur."""

BUCKET_POSTER_BYTES = 200_000
"""Of the poster in the bucket, 1280 pixels wide: what a page shows without being slow."""

ANIMATION = "preview.webp"


@dataclass(frozen=True)
class Finished:
    """What was made of a video: size, measures with their verdict, and files for the bucket by name and content type."""

    width: int
    height: int
    seconds: float
    measures: Measures | None = None
    findings: tuple[Finding, ...] = ()
    score: float | None = None
    inline_poster: str | None = None
    glimpse: str | None = None
    files: Mapping[str, tuple[bytes, str]] = field(default_factory=dict)


class Finisher:
    """Looks at videos in the pool's processes; what this run downloaded is not fetched again."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._thresholds = thresholds(tools.settings.quality)

    async def finish(self, take: Take) -> Finished:
        """Size, and where the settings say so measures and previews.

        Raises:
            MediaError: the file is no video; StorageError: it cannot be fetched.
        """
        settings, pool = self._tools.settings, self._tools.pool
        local = take.outcome.local_path
        if local is None or not local.exists():
            local = await asyncio.to_thread(self._fetched, take.outcome.video_key)
        try:
            if settings.measure:
                finished = await self._measured(take, local)
            else:
                finished = Finished(*await asyncio.to_thread(video_size, local, "the video"))
            if settings.previews:
                inline, tiny, files = await pool.run_async(previews_of, local)
                finished = replace(finished, inline_poster=inline, glimpse=tiny, files=files)
            return finished
        finally:
            if local != take.outcome.local_path:
                local.unlink(missing_ok=True)

    async def _measured(self, take: Take, local: Path) -> Finished:
        image, voice = compared_media(take.plan.inputs)
        copies = [await asyncio.to_thread(self._copy, medium) for medium in (image, voice)]
        try:
            plan = take.plan
            asked = expectation(plan.inputs, image=copies[0], voice=copies[1], may_be_silent=plan.may_be_silent)
            measures = await self._tools.pool.measure(local, asked)
            findings = judge(measures, asked, self._thresholds)
            size = (measures.width, measures.height, measures.seconds)
            return Finished(*size, measures, findings, score(measures, findings))
        finally:
            for copy in copies:
                if copy is not None:
                    copy.unlink(missing_ok=True)

    def _copy(self, medium: Medium | None) -> Path | None:
        return None if medium is None else self._fetched(medium.key)

    def _fetched(self, key: str) -> Path:
        return fetched(self._tools.bucket, key, self._tools.scratch)


def fetched(bucket: Bucket, key: str, scratch: Path) -> Path:
    """A local copy of an object, the caller's to delete."""
    path = scratch / uuid4().hex
    bucket.download(key, path)
    return path


def poster_again(bucket: Bucket, clip: str) -> tuple[str | None, str | None]:
    """The small and the tiny poster of a clip that was delivered before, from the one in the bucket; None where it is gone.

    A picture is no reason for a delivered clip to fail: whatever is in the way, it is told without one.
    """
    try:
        kept = bucket.read(keys.clip_key(clip, keys.POSTER), max_bytes=BUCKET_POSTER_BYTES)
        small = smaller(kept, INLINE_POSTER_BYTES, INLINE_POSTER_SIDE)
    except (StorageError, MediaError):
        return None, None
    return base64.b64encode(small).decode(), base64.b64encode(glimpse(small)).decode()


def previews_of(path: Path) -> tuple[str, str, dict[str, tuple[bytes, str]]]:
    """A small and a tiny poster as base64, and the files of `clip_preview`; runs in a process of the pool."""
    files = {
        keys.POSTER: (poster(path, max_bytes=BUCKET_POSTER_BYTES, longer_side=1280), "image/jpeg"),
        keys.CONTACT_SHEET: (contact_sheet(path), "image/jpeg"),
        ANIMATION: (animated_webp(path), "image/webp"),
    }
    small = poster(path, max_bytes=INLINE_POSTER_BYTES, longer_side=INLINE_POSTER_SIDE)
    return base64.b64encode(small).decode(), base64.b64encode(glimpse(small)).decode(), files
