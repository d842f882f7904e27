"""Cancel a clip: withdraw what was not sent, cancel what is queued at the service, and hold what no run has yet."""

import asyncio
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
from resources.registry.registry import ClipRow, ClipState
from resources.runcomfy.wire import CancelOutcome
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
    """

    code: CancelCode
    takes: tuple[int, ...] = ()
    request_id: str | None = None
    paid_microdollars: int = 0

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
            paid = (
                f"earlier attempts cost {dollars(self.paid_microdollars)}"
                if self.paid_microdollars
                else "nothing was paid"
            )
            return f"{name} is cancelled before it was sent; {paid}."
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

    Raises:
        NoSuchClip: there is no such clip.
        NotPossible: nothing of it can be cancelled.
        ServiceError: the service refused the cancel, or the token.
    """
    row = find_clip(session.registry, clip)
    requests = session.ledger.list(clip=clip, newest_first=False)
    steps = [step for request in requests if (step := _cancel_request(session, request, by)) is not None]
    undo: Literal["retry", "retake"] = "retry"
    if takes := withdraw_retakes(session.ledger, session.registry, row):
        BucketAnswers(session.bucket).no_longer_waiting(clip)
        steps.append(CancelStep(CancelCode.RETAKES_WITHDRAWN, takes))
        undo = "retake"
    elif not any(step.sent for step in steps) and hold_clip(session, row, by=by):
        steps.append(CancelStep(CancelCode.HELD))
    if not steps:
        raise NotPossible(f"{clip} is {row.state}: there is nothing to cancel.")
    return Cancellation(clip, tuple(steps), undo)


def hold_clip(session: Session, row: ClipRow, *, by: str) -> bool:
    """Keep the sensors from starting a clip until `i2v retry`; return False if a run has it or a person holds it already."""
    if row.state not in (ClipState.DUE, ClipState.WAITING) or row.wait is WaitReason.PERSON:
        return False
    problem = Problem(f"It was cancelled by {by}.", remedy=f"To make it after all, run: i2v retry {row.clip}")
    money = session.ledger.money_of(row.clip, row.planned_fingerprint)
    note = notes.waiting(row.clip, problem, money, reason=WaitReason.PERSON, service=session.settings.service)
    BucketAnswers(session.bucket).note(row.clip, note)
    session.registry.record_result(
        row.clip,
        version=row.version,
        state=ClipState.WAITING,
        reason=problem.what,
        remedy=problem.remedy,
        waiting_for=WaitReason.PERSON,
    )
    return True


def _cancel_request(session: Session, request: RequestRow, by: str) -> CancelStep | None:
    """Cancel one request of the clip; return None if it has ended."""
    takes = (request.take,)
    match request.state:
        case State.PLANNED:
            try:
                session.ledger.cancel_planned(request.fingerprint, by)
            except (IllegalTransition, StaleClaim):
                return CancelStep(CancelCode.BEING_SENT, takes)
            return CancelStep(CancelCode.WITHDRAWN, takes, paid_microdollars=_paid(session, request))
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


def _paid(session: Session, request: RequestRow) -> int:
    spent = session.ledger.spend_of(request.clip).get(request.fingerprint)
    return spent.settled_microdollars + spent.reserved_microdollars if spent is not None else 0
