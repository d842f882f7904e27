"""From a successful request to the video in the bucket: the output that is the video, streamed through the scratch folder."""

import asyncio
import hashlib
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from resources.errors import I2VError, Verdict
from resources.generation.context import Context, InFlightRequest
from resources.generation.not_found import hold_not_found
from resources.generation.poll import NotFoundDebounce
from resources.generation.types import Delivered, Held, Outcome, lost
from resources.ledger.records import RequestRow
from resources.media.is_video import Examined
from resources.media.pool import shared_pool
from resources.messages import counted
from resources.runcomfy.errors import (
    DownloadError,
    DownloadFailed,
    NoVideo,
    OutputGone,
    RateLimited,
    RequestGone,
    ServiceError,
)
from resources.runcomfy.wire import RequestState, ResultAnswer
from resources.schemas.inputs import sha256_file
from resources.storage.errors import StorageError
from resources.storage.keys import rejected_keys, video_key
from resources.wait_reason import WaitReason

log = logging.getLogger(__name__)

RETRY_WAIT = 1.0
"""Seconds before the second try; doubles."""

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


async def find_existing_video(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Delivered | None:
    """The video where the bucket has it: then the service is not asked and nothing is fetched, but for a file not looked at yet.

    None, too, if what is stored is not a video: then it is fetched again, as long as the service has it.
    """
    key = row.video_key or video_key(row.fingerprint)
    info = await ctx.in_bucket(ctx.bucket.head, key)
    if info is None:
        return None
    recorded = row.delivered_at is not None and row.video_sha256 is not None
    if recorded and row.video_checked:
        return _delivered(flight, row, key, row.video_sha256 or "", info.size_bytes, already=True)
    async with ctx.downloads:  # uploaded by a run that died before it wrote that down, or before files were looked at
        local = await _stored(ctx, key, flight)
        examined = await shared_pool().examine(local.path)
    if not examined.is_video:
        log.warning("Clip %s: %s is %s; it is fetched again.", flight.order.clip, key, examined.what)
        local.path.unlink(missing_ok=True)
        return None
    if recorded and row.video_sha256 != local.sha256:  # not ours to decide: `i2v verify` reports it
        local.path.unlink(missing_ok=True)
        return _delivered(flight, row, key, row.video_sha256 or "", info.size_bytes, already=True)
    row = await ctx.in_ledger(
        ctx.ledger.delivered, row.fingerprint, video_key=key, sha256=local.sha256, size_bytes=local.size_bytes
    )
    return _delivered(flight, row, key, local.sha256, local.size_bytes, path=local.path, already=recorded)


async def fetch(ctx: Context, flight: InFlightRequest, row: RequestRow, answer: ResultAnswer | None) -> Outcome:
    """Download the video, store it once, and record the delivery.

    Args:
        ctx: The engine's shared state.
        flight: The order on its way.
        row: Its row, `succeeded`.
        answer: The verdict with fresh addresses; None asks the service for it.
    """
    failure: I2VError | None = None
    doubt, budget = NotFoundDebounce(), Budget()
    for attempt in range(1, ctx.options.download_tries + 1):
        last = attempt == ctx.options.download_tries
        if attempt > 1:
            await asyncio.sleep(RETRY_WAIT * 2 ** (attempt - 2) * ctx.rng.uniform(0.75, 1.25))
        try:
            answer = answer or await _ask(ctx, row)
            doubt.forget()
            if not answer.output_urls:
                raise DownloadFailed("The service says that it succeeded, and names no output.")
            async with ctx.downloads:
                return await _through_scratch(ctx, flight, row, answer, budget, last_try=last)
        except RequestGone as error:
            failure = error
            if doubt.believes(time.monotonic()):
                return await _missing(ctx, flight, row, error)
            if not last:
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
            if error.verdict is not Verdict.RETRYABLE or budget.seconds <= 0:
                break
        answer = None  # the next try asks for a fresh address
    return await _not_fetched(ctx, flight, row, failure or DownloadFailed("The download did not succeed."))


async def _not_fetched(ctx: Context, flight: InFlightRequest, row: RequestRow, failure: I2VError) -> Held:
    """Leave a video for a later run, and say why."""
    if isinstance(failure, NoVideo):
        await ctx.in_ledger(ctx.ledger.ask_later, row.fingerprint, reason=failure.message)
    await ctx.release(row, f"made, and not fetched yet: {failure.message}")
    kind = WaitReason.DOWNLOAD
    if isinstance(failure, StorageError):
        kind = WaitReason.STORAGE
    elif isinstance(failure, NoVideo):
        kind = WaitReason.NO_VIDEO
    return Held.by(failure, flight.order, kind, remedy="The next run fetches it.", request_id=row.request_id)


async def retry_lost_download(ctx: Context, flight: InFlightRequest, row: RequestRow) -> Delivered | None:
    """A video that was given up as lost, asked for once more: that is free, and a new take is not."""
    try:
        answer = await _ask(ctx, row)
        if not answer.output_urls:
            return None
        async with ctx.downloads:
            return await _through_scratch(ctx, flight, row, answer, Budget(), last_try=True)
    except RateLimited as error:
        await ctx.pacer.refused(error)
    except (ServiceError, StorageError) as error:
        log.info("Clip %s: its lost video is not back (%s).", flight.order.clip, error.message)
    return None


async def _ask(ctx: Context, row: RequestRow) -> ResultAnswer:
    """The verdict again, for a fresh address; settles a cost that was not known before."""
    async with ctx.polls:
        await ctx.pacer.clear_for_poll()
        answer = await ctx.client.result(row.request_id or "")
    if answer.cost_microdollars is not None and row.cost_microdollars is None:
        await ctx.in_ledger(ctx.ledger.settle, row.fingerprint, answer.cost_microdollars, attempt=row.attempt)
    if answer.state is not RequestState.SUCCEEDED:
        raise DownloadFailed(f"The service said that it succeeded, and now says {answer.word}.")
    if row.not_found_since is not None:
        await ctx.in_ledger(ctx.ledger.found, row.fingerprint)
    return answer


async def _through_scratch(
    ctx: Context, flight: InFlightRequest, row: RequestRow, answer: ResultAnswer, budget: Budget, *, last_try: bool
) -> Delivered:
    key = video_key(row.fingerprint)
    path = _scratch_path(ctx, flight)
    kept = False
    try:
        local, others = await fetch_video(ctx, row.fingerprint, answer, path, budget, last_try=last_try)
        metadata = {"sha256": local.sha256, "service": ctx.service}
        new = await ctx.in_bucket(ctx.bucket.upload_new, path, key, "video/mp4", metadata)
        replaced = None if new else await _taken(ctx, flight, key, local, metadata)
        if isinstance(replaced, Local):  # somebody else stored it meanwhile; the record speaks of what is there
            replaced.path.replace(path)
            local, replaced = Local(path, replaced.sha256, replaced.size_bytes), None
        row = await ctx.in_ledger(
            ctx.ledger.delivered, row.fingerprint,
            video_key=key, sha256=local.sha256, size_bytes=local.size_bytes, replaced_sha256=replaced,
        )  # fmt: skip
        if others:
            await ctx.in_ledger(ctx.ledger.note, row.fingerprint, ctx.owner, others)
        kept = True
    finally:
        if not kept:
            path.unlink(missing_ok=True)
    return _delivered(flight, row, key, local.sha256, local.size_bytes, path=path)


async def _taken(
    ctx: Context, flight: InFlightRequest, key: str, local: Local, metadata: Mapping[str, str]
) -> Local | str:
    """Return the file that is stored already, if it is a video; else put ours in its place and return its SHA-256."""
    there = await ctx.in_bucket(ctx.bucket.head, key)
    stored = await _stored(ctx, key, flight, beside=True)
    if (await shared_pool().examine(stored.path)).is_video:
        return stored
    try:
        await withhold(ctx, flight.order.fingerprint, stored.path)
        etag = there.etag if there is not None else ""
        if not await ctx.in_bucket(ctx.bucket.replace, local.path, key, "video/mp4", metadata, etag=etag):
            raise DownloadFailed("The stored file changed while it was replaced; it is tried again.")
    finally:
        stored.path.unlink(missing_ok=True)
    log.warning("Clip %s: %s was not a video, and was replaced.", flight.order.clip, key)
    return stored.sha256


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


async def _stored(ctx: Context, key: str, flight: InFlightRequest, *, beside: bool = False) -> Local:
    """What the bucket holds, as a local file; ``beside`` the one that was fetched."""
    path = _scratch_path(ctx, flight)
    if beside:
        path = path.with_name(f"{path.stem}-stored{path.suffix}")
    await ctx.in_bucket(ctx.bucket.download, key, path)
    return await asyncio.to_thread(lambda: Local(path, sha256_file(path), path.stat().st_size))


async def _missing(ctx: Context, flight: InFlightRequest, row: RequestRow, error: RequestGone) -> Held:
    """Hold a video that was never fetched while the service does not know its request; one that was delivered is lost."""
    if row.delivered_at is None and not await ctx.in_ledger(ctx.ledger.given_up, row):
        reason = f"The service does not know request {row.request_id}, whose video it made."
        return await hold_not_found(ctx, flight, row, reason)
    return await _lost(ctx, flight, row, f"The service no longer has request {row.request_id}.", error)


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
        replaced_sha256=row.replaced_sha256,
        queue_seconds=(started - row.submitted_at).total_seconds() if started and row.submitted_at else None,
        generation_seconds=(row.finished_at - started).total_seconds() if started and row.finished_at else None,
        cost_microdollars=row.cost_microdollars,
        price_microdollars=row.price_microdollars,
        polls=flight.polls,
        notice_seconds=flight.notice,
    )


# From the addresses of a result to the one file that is the video; what is not a video is withheld


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
