"""The bucket's part in a submit: whose bucket it is, what it holds already, and the record without which nothing is sent.

Order: the claim is committed in the ledger, its record is put into the bucket on the condition that there is none, then the
POST goes out. A bucket that does not answer is a wait: no record, no POST.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resources.errors import I2VError, Verdict
from resources.generation.types import Cancelled, Failed, Held, Outcome
from resources.ledger.errors import LedgerError
from resources.ledger.records import NewRequest, OwnClaim, RequestRow, Sighting, State
from resources.storage.errors import StorageError, StorageUnavailable
from resources.storage.keys import video_key
from resources.wait_reason import WaitReason
from resources.witness.record import End, Finding, FoundRecord, RecordState, WitnessRecord, judge, sighting_of
from resources.witness.store import LedgerRefused, Place

if TYPE_CHECKING:
    from resources.generation.context import Context, InFlightRequest

log = logging.getLogger(__name__)

BELIEVED_SECONDS = 5.0
"""Seconds for which the bucket's word on which ledger may submit counts; the records guard against two at once meanwhile."""
CROSSINGS = 3
"""So often the record may change while it is being taken."""
SENT_SECONDS = 5.0
"""So long a submit waits for its second write; after that it is written beside the polling."""


@dataclass(slots=True)
class OpenRecord:
    """A record of this process that says `claimed`; ``unsent`` while nothing of its claim is under way."""

    etag: str
    record: WitnessRecord
    unsent: bool = True


def new_nonce() -> str:
    """Return what tells one claim from every other."""
    return secrets.token_hex(16)


class Witness:
    """What one engine knows of the bucket's records."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.open: dict[str, OpenRecord] = {}
        self._admitted_at: float | None = None
        self._failed_at = -BELIEVED_SECONDS
        self._failure: StorageError | None = None
        self._lock = asyncio.Lock()

    async def admit(self, ctx: "Context") -> None:
        """Make sure that the bucket knows this ledger as the one that may submit.

        Raises:
            LedgerRefused: it knows another.
            StorageError, LedgerError: it cannot be asked.
        """
        async with self._lock:
            if self._admitted_at is not None and time.monotonic() - self._admitted_at < BELIEVED_SECONDS:
                return
            if self._failure is not None and time.monotonic() - self._failed_at < BELIEVED_SECONDS:
                raise self._failure  # a hundred clips do not each wait for a bucket that is down
            try:
                if self._admitted_at is None:
                    self.place = await ctx.ask_bucket(self.place.admit, ctx.ledger, ctx.service)
                else:
                    await ctx.ask_bucket(self.place.check, ctx.ledger, ctx.service)
            except StorageError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            self._failure = None
            self._admitted_at = time.monotonic()


async def refuse_foreign(ctx: "Context", flight: "InFlightRequest") -> Held | None:
    """Return why this ledger may not submit to this bucket now, None if it may."""
    try:
        await ctx.witness.admit(ctx)
    except LedgerRefused as error:
        return ctx.stop_submitting(Held.by(error, flight.order, WaitReason.LEDGER))
    except StorageError as error:
        return _no_record(ctx, flight, error)
    return None


async def find_video(ctx: "Context", flight: "InFlightRequest", price_microdollars: int | None) -> bool:
    """Look for the video before a claim; True if it is there: then the row is taken to `succeeded`, and nothing is sent."""
    order = flight.order
    info = await ctx.ask_bucket(ctx.bucket.peek, video_key(order.fingerprint))  # a missing bucket takes no record
    if info is None:
        return False
    found = await ctx.ask_bucket(ctx.witness.place.latest, order.fingerprint)
    new = ctx.new_request(order)
    row = await ctx.in_ledger(ctx.ledger.get, order.fingerprint)
    seen = _video_sighting(new, found, row.attempt if row else 1)
    if seen.claimed_at is None:
        seen = replace(seen, claimed_at=info.modified_at, price_microdollars=price_microdollars)
    await ctx.in_ledger(ctx.ledger.sighted, replace(seen, finished_at=info.modified_at))
    log.info("Clip %s: its video is in the bucket; nothing is sent.", order.clip)
    return True


def _video_sighting(new: NewRequest, found: FoundRecord | None, attempt: int) -> Sighting:
    reason = "its video was in the bucket"
    if found is None or found.record is None:
        return Sighting(new, max(attempt, found.attempt if found else 1), State.SUCCEEDED, reason)
    seen = sighting_of(found, new.service)
    return replace(
        seen, new=new, attempt=max(attempt, found.attempt), target=State.SUCCEEDED, reason=reason, final=False
    )


async def record_claim(ctx: "Context", flight: "InFlightRequest", row: RequestRow, nonce: str) -> Held | bool:
    """Put the record of a committed claim into the bucket.

    Returns:
        True once it is there: send. False if the bucket knew better: the row says so now. Otherwise why it has to wait;
        the claim is returned then.
    """
    witness, name = ctx.witness, row.fingerprint
    record = WitnessRecord.claimed(row, ledger=ctx.ledger.id, nonce=nonce)
    before = witness.open.pop(name, None)
    etag = before.etag if before is not None and before.unsent and before.record.attempt == row.attempt else None
    try:
        for _ in range(CROSSINGS):
            written = await ctx.ask_bucket(witness.place.write, record, etag)
            if written is not None:
                witness.open[name] = OpenRecord(written, record)
                return True
            found = await ctx.ask_bucket(witness.place.latest, name)
            if found is None:
                etag = None
                continue
            unsent = await ctx.in_ledger(ctx.ledger.unsent_nonces, name, row.attempt)
            verdict = judge(found, attempt=row.attempt, nonce=nonce, ledger=record.ledger, unsent=unsent)
            if verdict is Finding.OURS:
                witness.open[name] = OpenRecord(found.etag, record)
                return True
            if verdict is Finding.ADOPT:
                await _adopt(ctx, row, found, nonce)
                return False
            etag = found.etag
        raise StorageUnavailable(
            "The request's record in the bucket changes all the time.", remedy="It is tried again."
        )
    except StorageError as error:
        await ctx.in_ledger(
            ctx.ledger.never_delivered, name, attempt=row.attempt, owner=ctx.owner, reason=error.message
        )
        return _no_record(ctx, flight, error)


async def _adopt(ctx: "Context", row: RequestRow, found: FoundRecord, nonce: str) -> None:
    new = NewRequest(
        row.fingerprint, row.service, row.clip, row.take, row.family, row.route, row.seed, row.duration, row.inputs_json,
        row.price_unit,
    )  # fmt: skip
    seen = replace(sighting_of(found, row.service), new=new)
    _, after = await ctx.in_ledger(
        ctx.ledger.sighted, seen, own=OwnClaim(owner=ctx.owner, attempt=row.attempt, nonce=nonce)
    )
    log.warning(
        "Request %s: the bucket has a record of it, so nothing was sent; it is %s now.",
        row.fingerprint[:12],
        after.state,
    )


def _no_record(ctx: "Context", flight: "InFlightRequest", error: StorageError) -> Held:
    held = Held.by(error, flight.order, WaitReason.STORAGE)
    if error.verdict is Verdict.RETRYABLE:
        return held
    remedy = f"{error.remedy} The credentials have to read and write requests/* (deploy/aws/template.yaml)."
    return ctx.stop_submitting(replace(held, remedy=remedy))


# After the POST


def under_way(ctx: "Context", row: RequestRow, *, sent: bool) -> None:
    """Note that a POST begins, or that it was proved that nothing arrived."""
    if (known := ctx.witness.open.get(row.fingerprint)) is not None:
        known.unsent = not sent


async def note_sent(ctx: "Context", row: RequestRow, request_id: str) -> None:
    """Write the request id into the record; at most a warning if that fails, since the ledger has it as well."""
    known = ctx.witness.open.pop(row.fingerprint, None)
    if known is None:
        return
    record = known.record.sent(request_id, datetime.now(UTC))
    try:
        if await ctx.in_bucket(ctx.witness.place.write, record, known.etag) is not None:
            return
        there = await ctx.in_bucket(ctx.witness.place.read, row.fingerprint, row.attempt)
        if there is not None and there.record is not None:
            if there.record.request_id == request_id:
                return  # the answer to the write was lost
            ours = there.record.nonce == record.nonce and there.record.state is RecordState.CLAIMED
            if ours and await ctx.in_bucket(ctx.witness.place.write, record, there.etag) is not None:
                return
        log.error("Request %s: its record in the bucket is another's by now.", request_id)
    except I2VError as error:
        log.warning("Request %s: its id could not be written to the bucket (%s).", request_id, error.message)


async def repair(ctx: "Context", row: RequestRow) -> None:
    """Bring the record of an adopted request up to date: its first run may have died before it wrote the id.

    A request of before the records gets one, so that it is not lost with the ledger either.
    """
    if row.request_id is None or row.claimed_at is None or row.model_id is None:
        return
    place = ctx.witness.place
    try:
        found = await ctx.ask_bucket(place.read, row.fingerprint, row.attempt)
        if found is None:
            record = WitnessRecord.claimed(row, ledger=ctx.ledger.id, nonce=new_nonce())
        elif found.record is None or found.record.state is not RecordState.CLAIMED:
            return
        else:
            record = found.record
        sent = record.sent(row.request_id, row.submitted_at or row.claimed_at)
        await ctx.ask_bucket(place.write, sent, found.etag if found else None)
    except (StorageError, LedgerError, ValueError) as error:
        log.info("Request %s: its record could not be brought up to date (%s).", row.request_id, error)


async def free(ctx: "Context", fingerprint: str) -> None:
    """Say in the bucket that nothing of a claim was sent, so that any ledger may take it."""
    known = ctx.witness.open.get(fingerprint)
    if known is None or not known.unsent:
        return
    del ctx.witness.open[fingerprint]
    with contextlib.suppress(StorageError):  # this ledger knows it anyhow
        await ctx.ask_bucket(ctx.witness.place.write, known.record.freed(), known.etag)


async def free_all(ctx: "Context") -> None:
    """The same for every claim of this engine that was returned."""
    await asyncio.gather(*(free(ctx, name) for name in tuple(ctx.witness.open)))


async def note_end(ctx: "Context", before: RequestRow, outcome: Outcome) -> None:
    """Write that an attempt ended without a video; only a hint: without it the service is asked once more.

    Args:
        ctx: the engine's shared state.
        before: the row before its last step.
        outcome: what the request came to.
    """
    fingerprint = before.fingerprint
    if not isinstance(outcome, Failed | Cancelled) or before.state not in (State.PLANNED, State.SUBMITTED):
        return
    try:
        row = await ctx.in_ledger(ctx.ledger.get, fingerprint)
        if row is None or row.state not in (State.FAILED, State.CANCELLED):
            return
        found = await ctx.ask_bucket(ctx.witness.place.read, fingerprint, row.attempt)
        if found is None or found.record is None or found.record.state is RecordState.ENDED:
            return
        end: End = "cancelled" if row.state is State.CANCELLED else "failed" if row.request_id else "refused"
        ctx.witness.open.pop(fingerprint, None)
        await ctx.ask_bucket(ctx.witness.place.write, found.record.ended(end, final=row.final), found.etag)
    except (StorageError, LedgerError) as error:
        log.info("Request %s: its end could not be written to the bucket (%s).", fingerprint[:12], error.message)


async def settle_unknown(ctx: "Context", row: RequestRow) -> bool:
    """Look up an unknown outcome in the bucket's record; True if that settled it."""
    try:
        found = await ctx.ask_bucket(ctx.witness.place.read, row.fingerprint, row.attempt)
    except StorageError:
        return False
    if found is None or found.record is None:
        return False
    _, after = await ctx.in_ledger(ctx.ledger.sighted, sighting_of(found, row.service))
    return after.state is not State.UNKNOWN
