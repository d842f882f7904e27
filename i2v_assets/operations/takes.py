"""Ask for another take of a clip, withdraw it, or choose which take is the clip's video."""

import contextlib
from dataclasses import dataclass

from i2v_assets.briefs.brief import MAX_TAKES
from i2v_assets.operations.clips import MOVING, ClipBusy, NotPossible, TakeNotFound, find_clip, takes_of, way_on
from i2v_assets.session import Session
from resources.ledger.errors import IllegalTransition, StaleClaim
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.registry.registry import ClipRow, ClipState, Registry
from resources.schemas.inputs import MAX_SEED
from resources.wait_reason import WaitReason

_WITH_A_RUN = (ClipState.DISPATCHED, ClipState.WORKING)


@dataclass(frozen=True)
class Retake:
    """Another take that is due.

    Attributes:
        clip: The clip.
        take: The number of the take.
        seed: The seed that was given; None derives one.
        price_microdollars: What a take cost in the clip's latest plan; None if it has no price.
    """

    clip: str
    take: int
    seed: int | None
    price_microdollars: int | None


def retake_clip(session: Session, clip: str, seed: int | None = None, *, by: str) -> Retake:
    """Ask for another take with another seed, which is paid for; the clip becomes due.

    Raises:
        NoSuchClip: there is no such clip.
        NotPossible: the seed is outside 1 to `MAX_SEED`, the clip has `MAX_TAKES` takes, or it waits for something else.
        ClipBusy: a run has the clip, or it is due for one.
    """
    row = find_clip(session.registry, clip)
    if seed is not None and not 1 <= seed <= MAX_SEED:
        raise NotPossible(f"{seed} is not a seed.", remedy=f"Use a whole number from 1 to {MAX_SEED}, or leave it out.")
    if row.state in (*_WITH_A_RUN, ClipState.DUE):
        raise ClipBusy(f"{clip} is {row.state}: a run makes it first.", remedy="Ask again when it is done.")
    lost = row.state is ClipState.WAITING and row.wait is WaitReason.LOST
    if row.state not in (ClipState.DELIVERED, ClipState.FAILED) and not lost:
        raise NotPossible(f"{clip} is {row.state}.", remedy=way_on(row))
    take = takes_of(row) + 1
    if take > MAX_TAKES:
        raise NotPossible(f"{clip} has {takes_of(row)} takes.", remedy=f"A clip has at most {MAX_TAKES} takes.")
    added = session.registry.add_take(clip, take=take, seed=seed, seen=row, most=MAX_TAKES)
    if added is None:
        now = session.registry.get(clip) or row
        raise ClipBusy(f"{clip} has changed meanwhile: it is {now.state}.", remedy="Ask again when it is done.")
    for request in session.ledger.list((State.CANCELLED,), clip=clip):
        # Asked for before and withdrawn unpaid: the same request again.
        if request.take == added and request.request_id is None and seed in (None, request.seed):
            with contextlib.suppress(StaleClaim, IllegalTransition):  # the run was faster
                session.ledger.retry(request.fingerprint, by=by, attempt=request.attempt)
    return Retake(clip, added, seed, row.price_microdollars)


def withdraw_retakes(ledger: Ledger, registry: Registry, row: ClipRow) -> tuple[int, ...]:
    """Withdraw the takes that were asked for beyond the brief's and never sent, and return their numbers.

    There are none if the clip waits for more than that: its upload has changed, or no video was delivered.
    """
    if row.state not in (ClipState.DUE, ClipState.WAITING, ClipState.WORKING) or row.delivered_version != row.version:
        return ()
    if row.state is ClipState.WORKING and row.stopped_by is None:
        return ()  # its run may be claiming them
    sent = {request.take for request in ledger.list(clip=row.clip) if request.request_id or request.state in MOVING}
    count = takes_of(row)
    of_brief = count - row.extra_takes
    last = max((take for take in sent if of_brief < take <= count), default=of_brief)
    if last == count or not registry.take_back(row, last=last, extra=last - of_brief):
        return ()
    return tuple(range(last + 1, count + 1))


def choose_take(session: Session, clip: str, take: int) -> None:
    """Make a take that is there the clip's video; the clip becomes due, and nothing is made or paid for it.

    Raises:
        NoSuchClip: there is no such clip.
        TakeNotFound: it has no such take that succeeded.
        ClipBusy: a run has the clip, or a take that was asked for is not made yet: the run that shows the chosen take
            would make it.
    """
    row = find_clip(session.registry, clip)
    if row.state in _WITH_A_RUN:
        raise ClipBusy(f"{clip} is {row.state}: a run has it.", remedy="Choose again when it is done.")
    count = takes_of(row)
    requests = session.ledger.list(clip=clip)
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
    if not session.registry.choose(clip, take):
        waits = f" ({row.reason})" if row.state is ClipState.WAITING and row.reason else ""
        raise ClipBusy(f"{clip} is {row.state}{waits}.", remedy="Choose when it is delivered.")
