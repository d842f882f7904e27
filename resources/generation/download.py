"""From a successful request to the video in the bucket, streamed through the scratch folder."""

import asyncio
import hashlib
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from resources.errors import I2VError, Verdict
from resources.generation.context import Context, InFlightRequest
from resources.generation.poll import NotFoundDebounce
from resources.generation.types import Delivered, Held, Outcome, lost
from resources.ledger.records import RequestRow
from resources.runcomfy.errors import (
    DownloadError,
    DownloadFailed,
    OutputGone,
    RateLimited,
    RequestGone,
    ServiceError,
)
from resources.runcomfy.wire import RequestState, ResultAnswer
from resources.storage.errors import StorageError
from resources.storage.keys import video_key
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

RETRY_WAIT = 1.0
"""Seconds before the second try; doubles."""
HEAD_BYTES = 12
_EBML = b"\x1a\x45\xdf\xa3"
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""What an MP4 or MOV file begins with after its first length (ISO/IEC 14496-12); EBML begins WebM and Matroska."""


@dataclass(frozen=True, slots=True)
class _Local:
    path: Path
    sha256: str
    size_bytes: int


async def find_existing_video(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Delivered | None:
    """The video where the bucket has it: then nobody is asked and nothing is fetched, but for a delivery cut short."""
    key = row.video_key or video_key(row.fingerprint)
    info = await ctx.in_bucket(ctx.bucket.head, key)
    if info is None:
        return None
    if row.delivered_at is not None and row.video_sha256 is not None:
        return _delivered(flight, row, key, row.video_sha256, info.size_bytes, already=True)
    async with ctx.downloads:  # uploaded by a run that died before it wrote that down
        local = await _stored(ctx, key, flight)
    row = await ctx.in_ledger(
        ctx.ledger.delivered, row.fingerprint, video_key=key, sha256=local.sha256, size_bytes=local.size_bytes
    )
    return _delivered(flight, row, key, local.sha256, local.size_bytes, path=local.path)


async def fetch(ctx: Context, flight: InFlightRequest, row: RequestRow, answer: ResultAnswer | None) -> Outcome:
    """Download the video, store it once, and record the delivery.

    Args:
        ctx: The engine's shared state.
        flight: The order on its way.
        row: Its row, `succeeded`.
        answer: The verdict with fresh addresses; None asks the service for it.
    """
    failure: I2VError | None = None
    doubt = NotFoundDebounce()
    for attempt in range(1, ctx.options.download_tries + 1):
        if attempt > 1:
            await asyncio.sleep(RETRY_WAIT * 2 ** (attempt - 2) * ctx.rng.uniform(0.75, 1.25))
        try:
            answer = answer or await _ask(ctx, row)
            doubt.forget()
            if not answer.output_urls:
                raise DownloadFailed("The service says that it succeeded, and names no output.")
            async with ctx.downloads:
                return await _through_scratch(ctx, flight, row, answer)
        except RequestGone as error:
            failure = error
            if doubt.believes(time.monotonic()):
                return await _lost(ctx, flight, row, f"The service no longer has request {row.request_id}.", error)
            if attempt < ctx.options.download_tries:
                await asyncio.sleep(doubt.pause(ctx.rng))
        except OutputGone as error:
            failure = error
            if answer is not None and answer.output_urls and attempt >= 2:  # gone at a fresh address too
                return await _lost(ctx, flight, row, "The service no longer has the video.", error)
        except RateLimited as error:
            await ctx.pacer.refused(error)
            failure = error
        except (ServiceError, StorageError) as error:
            failure = error
            if error.verdict is not Verdict.RETRYABLE:
                break
        answer = None  # the next try asks for a fresh address
    failure = failure or DownloadFailed("The download did not succeed.")
    await ctx.release(row, f"made, and not fetched yet: {failure.message}")
    kind = WaitReason.STORAGE if isinstance(failure, StorageError) else WaitReason.DOWNLOAD
    return Held.by(failure, flight.order, kind, remedy="The next run fetches it.", request_id=row.request_id)


async def retry_lost_download(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Delivered | None:
    """A video that was given up as lost, asked for once more: that is free, and a new take is not."""
    try:
        answer = await _ask(ctx, row)
        if not answer.output_urls:
            return None
        async with ctx.downloads:
            return await _through_scratch(ctx, flight, row, answer)
    except RateLimited as error:
        await ctx.pacer.refused(error)
    except (ServiceError, StorageError) as error:
        log.info("Clip %s: its lost video is not back (%s).", flight.order.clip, error.message)
    return None


async def _ask(ctx: Context, row: RequestRow) -> ResultAnswer:
    """The verdict again, for a fresh address; settles a cost that was not known before."""
    async with ctx.polls:
        await ctx.pacer.clear()
        answer = await ctx.client.result(row.request_id or "")
    if answer.cost_microdollars is not None and row.cost_microdollars is None:
        await ctx.in_ledger(ctx.ledger.settle, row.fingerprint, answer.cost_microdollars, attempt=row.attempt)
    if answer.state is not RequestState.SUCCEEDED:
        raise DownloadFailed(f"The service said that it succeeded, and now says {answer.word}.")
    return answer


async def _through_scratch(ctx: Context, flight: InFlightRequest, row: RequestRow, answer: ResultAnswer) -> Delivered:
    key = video_key(row.fingerprint)
    path = _scratch_path(ctx, flight)
    kept = False
    try:
        got = await ctx.client.download(answer.output_urls[0], path)
        _check_container(path)
        local = _Local(path, got.sha256, got.size_bytes)
        metadata = {"sha256": local.sha256, "service": ctx.service}
        new = await ctx.in_bucket(ctx.bucket.upload_new, path, key, "video/mp4", metadata)
        if not new:  # somebody else stored it meanwhile; theirs stays, and the record speaks of what is there
            local = await _stored(ctx, key, flight)
        row = await ctx.in_ledger(
            ctx.ledger.delivered, row.fingerprint, video_key=key, sha256=local.sha256, size_bytes=local.size_bytes
        )
        kept = True
    finally:
        if not kept:
            path.unlink(missing_ok=True)
    return _delivered(flight, row, key, local.sha256, local.size_bytes, path=path)


def _scratch_path(ctx: Context, flight: InFlightRequest) -> Path:
    """Where the file goes.

    Raises:
        DownloadFailed: the disk is too full for another video.
    """
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(ctx.scratch).free
    if free < ctx.options.scratch_margin_bytes:
        raise DownloadFailed(
            f"The scratch folder's disk has only {free // 1024**2} MiB left.",
            remedy="Free some space, or point I2V_DATA_DIR elsewhere; the next run fetches the video.",
        )
    return ctx.scratch / f"{flight.order.fingerprint}.mp4"


async def _stored(ctx: Context, key: str, flight: InFlightRequest) -> _Local:
    """What the bucket holds, as a local file."""
    path = _scratch_path(ctx, flight)
    await ctx.in_bucket(ctx.bucket.download, key, path)
    return await asyncio.to_thread(_measured, path)


def _measured(path: Path) -> _Local:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return _Local(path, digest.hexdigest(), path.stat().st_size)


def _check_container(path: Path) -> None:
    """Refuse what is no video at all (an error page that came with HTTP 200): what is stored stays for ever.

    Raises:
        DownloadFailed: it begins like no video that the service makes.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[4:8] not in _BOXES and head[:4] != _EBML:
        raise DownloadFailed("What was fetched is no video file.")


async def _lost(
    ctx: Context, flight: InFlightRequest, row: RequestRow, reason: str, error: DownloadError | RequestGone
) -> Held:
    log.warning("Clip %s: %s (%s)", flight.order.clip, reason, error.message)
    await ctx.in_ledger(ctx.ledger.lost, row.fingerprint, reason)
    return lost(flight.order, reason, row.request_id)


def _delivered(
    flight: InFlightRequest,
    row: RequestRow,
    key: str,
    sha256: str,
    size_bytes: int,
    *,
    path: Path | None = None,
    already: bool = False,
) -> Delivered:
    started = row.started_at or row.submitted_at
    return Delivered(
        order=flight.order,
        video_key=key,
        sha256=sha256,
        size_bytes=size_bytes,
        request_id=row.request_id,
        model_id=row.model_id,
        attempt=row.attempt,
        local_path=path,
        paid=flight.paid,
        adopted=not flight.paid and not already,
        already=already,
        queue_seconds=(started - row.submitted_at).total_seconds() if started and row.submitted_at else None,
        generation_seconds=(row.finished_at - started).total_seconds() if started and row.finished_at else None,
        cost_microdollars=row.cost_microdollars,
        price_microdollars=row.price_microdollars,
        polls=flight.polls,
        notice_seconds=flight.notice,
    )
