"""From the addresses of a result to the one file that is the video; what is none is withheld."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from resources.errors import Verdict
from resources.generation.context import Context
from resources.media.is_video import Examined
from resources.media.pool import shared_pool
from resources.messages import counted
from resources.runcomfy.errors import DownloadError, DownloadFailed, NoVideo
from resources.runcomfy.wire import ResultAnswer
from resources.storage.keys import rejected_keys

log = logging.getLogger(__name__)

CLIP_SECONDS = 1800.0
"""Seconds that the downloads of one clip may take in all its tries, the waiting for a slot not counted: 2 GiB at 10 Mbit/s,
the slowest plausible line."""


@dataclass(slots=True)
class Budget:
    """The time that is left for the downloads of one clip."""

    seconds: float = CLIP_SECONDS


@dataclass(frozen=True, slots=True)
class Local:
    """A file on the scratch disk."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Output:
    file: Local
    examined: Examined


async def fetch_video(
    ctx: Context, fingerprint: str, answer: ResultAnswer, path: Path, budget: Budget, *, last_try: bool
) -> tuple[Local, str]:
    """Download the video of a result to ``path``: the first below `video` or `videos`, else the one of the largest picture.

    Args:
        ctx: The engine's shared state.
        fingerprint: Of the request.
        answer: The result, with at least one address.
        path: Where the file goes.
        budget: The time that is left; it is used up here.
        last_try: Content with another output if the one that is called the video cannot be fetched now.

    Returns:
        The file, and a note on the other outputs; empty if there are none.

    Raises:
        NoVideo: what was fetched is not a video; it is kept below ``videos/_rejected/``.
        DownloadError: nothing could be fetched.
    """
    urls, named = answer.output_urls, answer.named_videos
    seen: list[_Output] = []
    failures: list[DownloadError] = []
    chosen: _Output | None = None
    try:
        for number, url in enumerate(urls):
            if number == named and not last_try and (again := _retryable(failures)) is not None:
                raise again  # the video itself may come at the next try: a cover beside it is not taken for it
            try:
                output = await _one(ctx, url, path.with_name(f"{path.stem}-{number}{path.suffix}"), budget)
            except DownloadError as error:
                failures.append(error)
                continue
            seen.append(output)
            if output.examined.is_video and number < named:
                chosen = output
                break
        if chosen is None:
            videos = [output for output in seen if output.examined.is_video]
            chosen = max(videos, key=lambda output: output.examined.pixels, default=None)
        if chosen is None:
            suspects = seen[:named] if named else seen
            raise await _nothing(ctx, fingerprint, suspects, failures)
        chosen.file.path.replace(path)
        return Local(path, chosen.file.sha256, chosen.file.size_bytes), _others(seen, chosen, len(urls))
    finally:
        for output in seen:
            output.file.path.unlink(missing_ok=True)


async def withhold(ctx: Context, fingerprint: str, path: Path) -> str | None:
    """Keep a file that is not a video below ``videos/_rejected/``; return its key, None if enough are kept already."""
    digest, size = await asyncio.to_thread(_identity, path)
    for key in rejected_keys(fingerprint):
        there = await ctx.in_bucket(ctx.bucket.head, key)
        if there is None:
            if await ctx.in_bucket(ctx.bucket.upload_new, path, key, "application/octet-stream", {}):
                return key
        elif (there.etag, there.size_bytes) == (digest, size):
            return key
    return None


async def _one(ctx: Context, url: SecretStr, path: Path, budget: Budget) -> _Output:
    began = time.monotonic()
    try:
        async with asyncio.timeout(max(budget.seconds, 0.0)):
            got = await ctx.client.download(url, path)
    except TimeoutError:
        raise DownloadFailed(
            f"Its downloads took longer than {CLIP_SECONDS / 60:.0f} minutes in all.",
            remedy="The next run fetches it; check the network if this recurs.",
        ) from None
    finally:
        budget.seconds -= time.monotonic() - began
    return _Output(Local(path, got.sha256, got.size_bytes), await shared_pool().examine(path))


async def _nothing(
    ctx: Context, fingerprint: str, suspects: list[_Output], failures: list[DownloadError]
) -> DownloadError:
    """Return the error of a result without a video, once what it gave instead is kept."""
    if not suspects:
        return _retryable(failures) or next(iter(failures), DownloadFailed("No output is a video."))
    keys = [await withhold(ctx, fingerprint, output.file.path) for output in suspects]
    kept = sorted({key for key in keys if key is not None})
    words = ", ".join(dict.fromkeys(output.examined.what for output in suspects))
    where = f" It is kept as {', '.join(kept)}." if kept else ""
    return NoVideo(
        f"What the service gives as the video is {words}.{where}",
        remedy="It is asked for again every hour; show the file to the service.",
    )


def _retryable(failures: list[DownloadError]) -> DownloadError | None:
    return next((error for error in failures if error.verdict is Verdict.RETRYABLE), None)


def _others(seen: list[_Output], chosen: _Output, total: int) -> str:
    """Return a note on what a result has beside the video, without an address."""
    if total == 1:
        return ""
    looked = [output.examined.what for output in seen if output is not chosen]
    unseen = total - len(seen)
    if unseen:
        looked.append(f"{unseen} not fetched")
    return f"the service named {counted(total - 1, 'more output')}: {', '.join(looked)}"


def _identity(path: Path) -> tuple[str, int]:
    """Return a file's MD5, which is the ETag of an object that was written in one piece, and its size."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return digest, path.stat().st_size
