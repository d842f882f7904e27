"""What a person asks of a clip that is there: another take, or another choice among its takes."""

import difflib
from typing import TYPE_CHECKING

from i2v_assets.uploads.types import Candidate
from resources.errors import I2VError, Verdict
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.registry.registry import ClipRow, ClipState, Registry
from resources.schemas.inputs import MAX_SEED

if TYPE_CHECKING:
    from resources.registry.registry import ClipRow, Registry


class NoSuchClip(I2VError):
    """No clip has this name."""


def find_clip(registry: "Registry", clip: str) -> "ClipRow":
    """A clip by its name.

    Raises:
        NoSuchClip: there is none; names those that look like it, or why its upload was refused.
    """
    row = registry.get(clip)
    if row is None:
        for refused in registry.refusals.now(clip):
            raise NoSuchClip(f"{clip} is no clip yet, its upload is refused: {refused.words}", remedy=refused.remedy)
        near = difflib.get_close_matches(clip, [found.clip for found in registry.list()], 3)
        remedy = f"Did you mean {', '.join(near)}?" if near else "`i2v status` lists them."
        raise NoSuchClip(f"There is no clip {clip!r}.", remedy=remedy)
    return row


class NoSuchTake(I2VError):
    """A seed that no endpoint takes was given."""


class TakeNotFound(I2VError):
    """The clip has no take of this number that succeeded."""


class ClipBusy(I2VError):
    """The clip is on its way to something that would be paid for, or a run has it."""

    verdict = Verdict.RETRYABLE


MOVING = (State.SUBMITTING, State.SUBMITTED, State.UNKNOWN)
"""Requests that may have been sent and have not ended."""


def takes_of(row: ClipRow) -> int:
    """How many takes a clip has, those included that were asked for and are not made yet."""
    return (Candidate.from_content(row.content).brief.takes or 1) + row.extra_takes


def retake_clip(ledger: Ledger, registry: Registry, clip: str, seed: int | None, *, by: str) -> int:
    """Ask for another take; it becomes due. Returns its number.

    Raises:
        NoSuchClip: there is none; NoSuchTake: the seed is outside 1 to `MAX_SEED`.
    """
    row = find_clip(registry, clip)
    if seed is not None and not 1 <= seed <= MAX_SEED:
        raise NoSuchTake(f"{seed} is no seed.", remedy=f"Use a whole number from 1 to {MAX_SEED}, or leave it out.")
    take = takes_of(row) + 1
    for request in ledger.list((State.CANCELLED,), clip=clip):
        # Asked for before and withdrawn unpaid: the same request again, which nothing else would revive.
        if request.take == take and request.request_id is None and seed in (None, request.seed):
            ledger.retry(request.fingerprint, by=by, attempt=request.attempt)
    registry.add_take(clip, take=take, seed=seed)
    return take


def withdraw_retakes(ledger: Ledger, registry: Registry, row: ClipRow) -> tuple[int, ...]:
    """Take back the takes that were asked for beyond the brief's and never sent, and give their numbers.

    There are none where the clip waits for more than that: its upload has changed, or no video was delivered.
    """
    if row.state not in (ClipState.DUE, ClipState.WAITING) or row.delivered_version != row.version:
        return ()
    sent = {request.take for request in ledger.list(clip=row.clip) if request.request_id or request.state in MOVING}
    count = takes_of(row)
    briefs = count - row.extra_takes
    last = max((take for take in sent if briefs < take <= count), default=briefs)
    if last == count or not registry.take_back(row, last=last, extra=last - briefs):
        return ()
    return tuple(range(last + 1, count + 1))


def choose_take(ledger: Ledger, registry: Registry, clip: str, take: int) -> None:
    """Make a take that is there the clip's video; the clip becomes due, and nothing is made for it.

    Raises:
        NoSuchClip: there is none; TakeNotFound: it has no such take that succeeded; ClipBusy: a take that was asked for
            is not made yet, or a run has the clip: the run that shows the chosen take would make it.
    """
    row = find_clip(registry, clip)
    count = takes_of(row)
    requests = ledger.list(clip=clip)
    made = sorted({request.take for request in requests if request.state is State.SUCCEEDED})
    if take not in made or take > count:
        there = ", ".join(str(number) for number in made if number <= count) or "none yet"
        raise TakeNotFound(f"{clip} has no take {take} that succeeded.", remedy=f"Takes that are there: {there}.")
    owed = set(range(1, count + 1)) - {request.take for request in requests}
    owed |= {request.take for request in requests if request.state in (State.PLANNED, *MOVING)}
    if owed:
        numbers = ", ".join(map(str, sorted(owed)))
        raise ClipBusy(
            f"{clip} is {row.state}, and take {numbers} is asked for and not made yet: choosing would make it.",
            remedy=f"Choose when it is there, or cancel it first: i2v cancel {clip}",
        )
    if not registry.choose(clip, take):
        waits = f" ({row.reason})" if row.state is ClipState.WAITING and row.reason else ""
        raise ClipBusy(f"{clip} is {row.state}{waits}.", remedy="Choose when it is delivered.")
