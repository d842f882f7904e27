"""Cancel clips: stop all that is not sent, withdraw its requests, and cancel what is queued at the service."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from i2v_assets.clip_folder import notes
from i2v_assets.clip_folder.writer import BucketAnswers
from i2v_assets.operations.clips import NotPossible, find_clip
from i2v_assets.operations.takes import withdraw_retakes
from i2v_assets.session import Session, open_client
from resources.generation.cancel import cancel_request, record_cancel
from resources.ledger.errors import IllegalTransition, StaleClaim
from resources.ledger.records import RequestRow, State
from resources.money import dollars
from resources.problem import Problem
from resources.registry.base import cancelled_words, retry_remedy
from resources.registry.registry import ClipRow, ClipState
from resources.registry.stops import Stopped
from resources.runcomfy.wire import CancelOutcome
from resources.storage import keys
from resources.wait_reason import WaitReason


class CancelCode(StrEnum):
    """What became of one thing that was to be cancelled."""

    WITHDRAWN = "withdrawn"
    """A request that was planned and not sent."""
    HELD = "held"
    """The clip: no sensor starts it until `i2v retry`."""
    RETAKES_WITHDRAWN = "retakes_withdrawn"
    """Takes that were asked for and not sent; the delivered video stays."""
    CANCELLED = "cancelled"
    """A request at the service, which confirmed it."""
    BEING_SENT = "being_sent"
    """A run is sending the request now: cancel again."""
    NOT_CANCELLABLE = "not_cancellable"
    """The generation has begun."""
    REQUESTED = "requested"
    """The service accepted the cancel and has not confirmed it."""
    UNCONFIRMED = "unconfirmed"
    """The service did not confirm the cancel."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """The request may have been sent: a person has to resolve it."""


_DONE = {CancelCode.WITHDRAWN, CancelCode.HELD, CancelCode.RETAKES_WITHDRAWN, CancelCode.CANCELLED}
_NEVER_SENT = {CancelCode.WITHDRAWN, CancelCode.HELD, CancelCode.RETAKES_WITHDRAWN}
_TEXTS = {
    CancelCode.HELD: "it is not started any more.",
    CancelCode.CANCELLED: "is cancelled; the service confirmed it.",
    CancelCode.BEING_SENT: "is being sent right now; cancel it again.",
    CancelCode.NOT_CANCELLABLE: "has begun and cannot be cancelled; it runs on and may be charged.",
    CancelCode.REQUESTED: "is to be cancelled, but the service has not confirmed it yet; it may be charged.",
    CancelCode.UNCONFIRMED: "may run on and be charged: the service did not confirm the cancellation.",
    CancelCode.RETAKES_WITHDRAWN: "is not made; the delivered video stays.",
    CancelCode.OUTCOME_UNKNOWN: "may have been sent: look it up at the service, then `i2v ledger resolve`.",
}


@dataclass(frozen=True)
class CancelStep:
    """One thing that was to be cancelled, and what became of it.

    Attributes:
        code: What became of it.
        takes: The takes that it is about; empty for the whole clip.
        request_id: The request at the service, if it has one.
        paid_microdollars: What earlier attempts of a withdrawn request cost or may still cost.
        pieces_microdollars: The same of its take's other requests, if the take is made of pieces.
    """

    code: CancelCode
    takes: tuple[int, ...] = ()
    request_id: str | None = None
    paid_microdollars: int = 0
    pieces_microdollars: int = 0

    @property
    def done(self) -> bool:
        """Whether nothing of it is made or charged any more."""
        return self.code in _DONE

    @property
    def sent(self) -> bool:
        """Whether it may have reached the service."""
        return self.code not in _NEVER_SENT

    @property
    def text(self) -> str:
        """Return the step in one sentence, for people."""
        if self.code is CancelCode.HELD:
            return _TEXTS[self.code]
        name = f"take {', '.join(map(str, self.takes))}" + (f" (request {self.request_id})" if self.request_id else "")
        if self.code is CancelCode.WITHDRAWN:
            costs = (("earlier attempts", self.paid_microdollars), ("its other pieces", self.pieces_microdollars))
            paid = [f"{what} cost {dollars(cost)}" for what, cost in costs if cost]
            return f"{name} is cancelled before it was sent; {' and '.join(paid) or 'nothing was paid'}."
        return f"{name} {_TEXTS[self.code]}"


@dataclass(frozen=True)
class Cancellation:
    """What a cancel did, in the order in which it was done; ``undo`` is the command that makes the clip after all."""

    clip: str
    steps: tuple[CancelStep, ...]
    undo: Literal["retry", "retake"]

    @property
    def done(self) -> bool:
        """Whether every step is done."""
        return all(step.done for step in self.steps)


def cancel_clip(session: Session, clip: str, *, by: str) -> Cancellation:
    """Cancel all of a clip that can be cancelled, and return each step. A delivered video stays.

    It works in every state before a request is sent: a run that has the clip sends nothing more of it.

    Raises:
        NoSuchClip: there is no such clip.
        NotPossible: nothing of it can be cancelled.
        ServiceError: the service refused the cancel, or the token.
    """
    row = find_clip(session.registry, clip)
    (cancelled,) = cancel_clips(session, [row.clip], by=by)
    if not cancelled.steps:
        now = session.registry.get(clip) or row
        if now.state is ClipState.WAITING and now.wait is WaitReason.PERSON:
            raise NotPossible(f"{clip} is cancelled already: there is nothing to cancel.", remedy=retry_remedy(clip))
        raise NotPossible(f"{clip} is {now.state}: there is nothing to cancel.")
    return cancelled


def cancel_clips(session: Session, clips: Sequence[str], *, by: str) -> tuple[Cancellation, ...]:
    """Cancel many clips, and return what became of each; one that has nothing to cancel has no steps.

    All of them are stopped first, so that none is sent while the others are cancelled.

    Raises:
        ServiceError: the service refused a cancel, or the token. No clip is sent any more even then.
    """
    reason = cancelled_words(by)
    stopped = session.registry.stops.stop(clips, by=by, reason=reason)
    asked = [clip for clip in dict.fromkeys(clips) if clip in stopped]
    found = [_cancel_stopped(session, clip, stopped[clip], by, reason) for clip in asked]
    return tuple(found)


def _cancel_stopped(session: Session, clip: str, stopped: Stopped, by: str, reason: str) -> Cancellation:
    """Cancel the requests of a clip that is stopped already, and write its note."""
    requests = session.ledger.list(clip=clip, newest_first=False)
    if not stopped.marked and any(request.state is State.PLANNED for request in requests):
        # A retry may be making the failed clip due at this moment: either it sees this stop, or the stop sees the clip.
        stopped = session.registry.stops.stop([clip], by=by, reason=reason, failed=True)[clip]
    steps = [step for request in requests if (step := _cancel_request(session, request, by)) is not None]
    row = session.registry.get(clip) or stopped.before
    undo: Literal["retry", "retake"] = "retry"
    if takes := withdraw_retakes(session.ledger, session.registry, row):
        BucketAnswers(session.bucket).no_longer_waiting(clip)
        steps.append(CancelStep(CancelCode.RETAKES_WITHDRAWN, takes))
        undo = "retake"
    elif stopped.marked and not any(step.sent for step in steps):
        steps.append(CancelStep(CancelCode.HELD))
        if stopped.held:  # otherwise its run writes the note
            _note(session, row, reason)
    return Cancellation(clip, tuple(steps), undo)


def _note(session: Session, row: ClipRow, reason: str) -> None:
    problem = Problem(reason, remedy=retry_remedy(row.clip))
    money = session.ledger.money_of(row)
    note = notes.waiting(row.clip, problem, money, reason=WaitReason.PERSON, service=session.settings.service)
    BucketAnswers(session.bucket).note(row.clip, note)


def clips_to_cancel(session: Session, *, everything: bool = False, csv_batch: str = "", folder: str = "") -> list[str]:
    """Return the clips that are not made yet: all of them, those of a list, or those below a folder of uploads.

    Args:
        session: the ledger, the registry and the bucket.
        everything: all clips.
        csv_batch: the key of a list in the bucket, with or without ``uploads/``.
        folder: the beginning of the keys of uploads, with or without ``uploads/``, up to a slash.

    Raises:
        NotPossible: no clip came from that list or folder.
    """
    rows = session.registry.list()
    where = ""
    if csv_batch:
        where = keys.UPLOADS + csv_batch.removeprefix(keys.UPLOADS)
        rows = tuple(row for row in rows if row.source.partition("#")[0] == where)
    elif folder:
        where = keys.UPLOADS + folder.removeprefix(keys.UPLOADS).rstrip("/")
        rows = tuple(row for row in rows if row.source.startswith(f"{where}/") or row.source == where)
    if not rows and not everything:
        raise NotPossible(f"No clip was uploaded as {where}.", remedy="`i2v status CLIP` says where a clip came from.")
    return [row.clip for row in rows if row.state in _TO_CANCEL]


_TO_CANCEL = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING, ClipState.WAITING, ClipState.FAILED)


def _cancel_request(session: Session, request: RequestRow, by: str) -> CancelStep | None:
    """Cancel one request of the clip; return None if it has ended."""
    takes = (request.take,)
    match request.state:
        case State.PLANNED:
            try:
                session.ledger.cancel_planned(request.fingerprint, by)
            except (IllegalTransition, StaleClaim):
                now = session.ledger.get(request.fingerprint)
                if now is None or now.state is State.PLANNED:
                    return CancelStep(CancelCode.BEING_SENT, takes)
                return _cancel_request(session, now, by)
            paid, of_pieces = _paid(session, request)
            return CancelStep(CancelCode.WITHDRAWN, takes, paid_microdollars=paid, pieces_microdollars=of_pieces)
        case State.SUBMITTING:
            return CancelStep(CancelCode.BEING_SENT, takes)
        case State.SUBMITTED:
            outcome = asyncio.run(_cancel_at_service(session, request.request_id or ""))
            record_cancel(session.ledger, request.fingerprint, request.attempt, outcome, by=by)
            return CancelStep(CancelCode(outcome.value), takes, request.request_id)
        case State.UNKNOWN:
            return CancelStep(CancelCode.OUTCOME_UNKNOWN, takes)
        case _:
            return None


async def _cancel_at_service(session: Session, request_id: str) -> CancelOutcome:
    async with open_client(session.settings) as client:
        return await cancel_request(client, request_id)


def _paid(session: Session, request: RequestRow) -> tuple[int, int]:
    """Return what a request's earlier attempts cost or may cost, and the same of the other pieces of its take.

    What an earlier version of the clip cost is not part of it.
    """
    spend, row = session.ledger.spend_of(request.clip), session.registry.get(request.clip)
    delivered = row.delivered_at if row is not None else None
    of_take = [each for each in session.ledger.list(clip=request.clip) if each.take == request.take]
    pieces = {
        each.fingerprint
        for each in of_take
        if each.delivered_at is None or delivered is None or each.delivered_at > delivered
    }
    costs = {name: each.settled_microdollars + each.reserved_microdollars for name, each in spend.items()}
    own = costs.pop(request.fingerprint, 0)
    return own, sum(cost for name, cost in costs.items() if name in pieces)
