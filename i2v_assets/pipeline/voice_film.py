"""Make one talking video of several requests: one piece after the other, then joined with the voice over the whole."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

from i2v_assets.films.frames import PNG, store_first_frame
from i2v_assets.films.manifest import SANDBOX_FILM_NOTE
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.film_budget import FilmBudget
from i2v_assets.pipeline.postprocess import fetched
from i2v_assets.pipeline.takes import Generated, Take
from i2v_assets.planning.plan import Plan
from resources.generation.types import Cancelled, Delivered, Failed, GenerationRequest, Held, Outcome
from resources.ledger.records import RequestRow
from resources.media import joining, mixing
from resources.media.limits import JOIN
from resources.messages import counted
from resources.schemas.inputs import FirstFrame, Medium, MediumKind, sha256_file
from resources.storage import keys
from resources.storage.errors import ObjectMissing

log = logging.getLogger(__name__)

RequestOf = Callable[[Plan], GenerationRequest]
GenerateTake = Callable[[PipelineContext, Plan, GenerationRequest], Awaitable[Generated]]


async def generate_film(
    context: PipelineContext, budget: FilmBudget, plan: Plan, request_of: RequestOf, generate_take: GenerateTake
) -> Generated:
    """Bring the pieces of a plan to their outcomes, one after the other, and join them.

    A piece without a video stops those after it; the outcome says which pieces are kept.

    Raises:
        StorageError: the bucket does not answer; LedgerError: the ledger does not; MediaError: the pieces cannot be joined.
    """
    async with budget.room_for(plan, request_of(plan)) as held:
        return (
            Generated([held], [])
            if held is not None
            else await _generate_pieces(context, plan, request_of, generate_take)
        )


async def _generate_pieces(
    context: PipelineContext, plan: Plan, request_of: RequestOf, generate_take: GenerateTake
) -> Generated:
    made = Generated([], [])
    try:
        for piece in plan.pieces:
            sent = await _with_first_frame(context, piece, made.takes)
            one = await generate_take(context, sent, request_of(sent))
            if not one.takes:
                return Generated([_explained(plan, len(made.takes), one.outcomes[0])], [])
            made.add(one)
        outcome = await _joined(context, plan, made.takes, request_of(plan))
        return Generated([outcome], [Take(plan, outcome, _row_of(plan, made.takes, outcome), tuple(made.takes))])
    finally:
        made.discard()


# The frame that the next piece starts from


async def _with_first_frame(context: PipelineContext, piece: Plan, made: Sequence[Take]) -> Plan:
    frame = piece.inputs.first_frame
    if frame is None or not made or frame.of != made[-1].plan.fingerprint:
        return piece
    medium = await asyncio.to_thread(_frame_medium, context, frame, made[-1])
    return piece.model_copy(update={"inputs": piece.inputs.model_copy(update={"images": (medium,)})})


def _frame_medium(context: PipelineContext, frame: FirstFrame, before: Take) -> Medium:
    """Return a frame of the piece before; it is cut unless it was before."""
    key, png = keys.first_frame_key(frame.of, frame.at), context.scratch / f"{uuid4().hex}.png"
    video: Path | None = None
    try:
        if context.bucket.head(key) is None:
            video = _local(context, before)
            store_first_frame(context.bucket, frame, video, png, context.pool)
        context.bucket.fetch(key, png)  # another run may have been faster: what lies there counts
        return Medium(
            kind=MediumKind.IMAGE, sha256=sha256_file(png), key=key, size_bytes=png.stat().st_size, content_type=PNG
        )
    finally:
        png.unlink(missing_ok=True)
        if video is not None and video != before.outcome.local_path:
            video.unlink(missing_ok=True)


def _local(context: PipelineContext, take: Take) -> Path:
    local = take.outcome.local_path
    return (
        local
        if local is not None and local.exists()
        else fetched(context.bucket, take.outcome.video_key, context.scratch)
    )


# Without a video


def _explained(plan: Plan, made: int, outcome: Outcome) -> Outcome:
    """Return the outcome of a piece with the words that say which one it is, and what is kept of the others."""
    if isinstance(outcome, Delivered):
        return outcome
    count = len(plan.pieces)
    start, end = plan.pieces[made].span_ms or (0, 0)
    kept = [_numbers(1, made, "is made and kept", "are made and kept")] if made else []
    later = [_numbers(made + 2, count, "was not sent", "were not sent")] if made + 1 < count else []
    which = f"Piece {made + 1} of {count} ({start / 1000:.1f} to {end / 1000:.1f} s of the voice)"
    reason = " ".join([f"{which}: {outcome.reason}", *kept, *later])
    match outcome:
        case Held() | Failed() | Cancelled():
            return replace(outcome, reason=reason)


def _numbers(first: int, last: int, one: str, several: str) -> str:
    if first == last:
        return f"Piece {first} {one}."
    return f"Pieces {first} {'and' if last == first + 1 else 'to'} {last} {several}."


# The video of all pieces


async def _joined(context: PipelineContext, plan: Plan, made: Sequence[Take], order: GenerationRequest) -> Delivered:
    """Return the joined video; one that was joined of the very same pieces before is taken from the bucket."""
    key = keys.clip_key(plan.clip, keys.joined_video(plan.fingerprint))
    video = await asyncio.to_thread(_joined_before, context, key)
    already = video is not None and all(take.outcome.already for take in made)
    if video is None:
        path = await _join(context, plan, made)
        await asyncio.to_thread(context.bucket.upload, path, key, "video/mp4")
        log.info("Clip %s: joined %s.", plan.clip, counted(len(made), "piece"))
        video = _Video(sha256_file(path), path.stat().st_size, path)
    outcomes = [take.outcome for take in made]
    costs = [take.row.cost_microdollars for take in made]
    return Delivered(
        order=order,
        video_key=key,
        sha256=video.sha256,
        size_bytes=video.size_bytes,
        request_id=None,
        model_id=outcomes[0].model_id,
        attempt=max(outcome.attempt for outcome in outcomes),
        local_path=video.path,
        paid=any(outcome.paid for outcome in outcomes),
        adopted=any(outcome.adopted for outcome in outcomes),
        already=already,
        generation_seconds=_sum([outcome.generation_seconds for outcome in outcomes]),
        cost_microdollars=_total(costs),
        price_microdollars=_total([take.row.price_microdollars for take in made]),
        polls=sum(outcome.polls for outcome in outcomes),
    )


@dataclass(frozen=True)
class _Video:
    """A joined video, and its copy on local disk if there is one."""

    sha256: str
    size_bytes: int
    path: Path | None = None


def _joined_before(context: PipelineContext, key: str) -> _Video | None:
    there = context.bucket.head(key)
    if there is None:
        return None
    known = context.registry.memory.facts(key, there.etag)
    if known is not None:
        return _Video(known["sha256"], known["size_bytes"])
    path = fetched(context.bucket, key, context.scratch)
    found = _Video(sha256_file(path), path.stat().st_size, path)
    context.registry.memory.remember_facts(key, there.etag, {"sha256": found.sha256, "size_bytes": found.size_bytes})
    return found


async def _join(context: PipelineContext, plan: Plan, made: Sequence[Take]) -> Path:
    voice, scratch = plan.inputs.audios[0], context.scratch
    sound, output = scratch / uuid4().hex, scratch / f"{uuid4().hex}.mp4"
    videos: list[Path] = []
    try:
        await asyncio.to_thread(context.bucket.fetch, voice.uploaded_key, sound)
        if await asyncio.to_thread(sha256_file, sound) != voice.uploaded_sha256:
            raise ObjectMissing(
                f"{voice.uploaded_key} was replaced while its video was made.",
                remedy="The new one is planned next. Nothing more is sent for the old one.",
            )
        for take in made:
            videos.append(await asyncio.to_thread(_local, context, take))
        shots = [
            joining.Shot(path=video, name=f"piece {number}", seconds=_length(take.plan))
            for number, (video, take) in enumerate(zip(videos, made, strict=True), start=1)
        ]
        options = joining.FilmOptions(
            tracks=(mixing.Track(path=sound, name=voice.uploaded_key.rpartition("/")[2]),),
            own_sound=False,
            loudness_lufs=None,
            metadata={"comment": SANDBOX_FILM_NOTE} if context.settings.is_sandbox else {},
        )
        await context.pool.run_async(joining.join, shots, output, options, limits=JOIN, name="The video")
        return output
    finally:
        own = {take.outcome.local_path for take in made}
        for path in (sound, *(video for video in videos if video not in own)):
            path.unlink(missing_ok=True)


def _length(piece: Plan) -> Fraction:
    start, end = piece.span_ms or (0, 0)
    return Fraction(end - start, 1000)


def _row_of(plan: Plan, made: Sequence[Take], outcome: Delivered) -> RequestRow:
    """Return the pieces' rows as one: what the whole cost, and from when to when it was made."""
    rows = [take.row for take in made]
    return replace(
        rows[-1],
        fingerprint=plan.fingerprint,
        request_id=None,
        take=plan.take,
        price_microdollars=outcome.price_microdollars,
        cost_microdollars=outcome.cost_microdollars,
        video_key=outcome.video_key,
        video_sha256=outcome.sha256,
        video_bytes=outcome.size_bytes,
        duration=plan.inputs.duration,
        created_at=min(row.created_at for row in rows),
        submitted_at=min((row.submitted_at for row in rows if row.submitted_at is not None), default=None),
        replaced_sha256=None,
        told_microdollars=None,
    )


def _total(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _sum(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return sum(known) if known else None
