"""Ask for another take of a clip, withdraw it, or choose which take is the clip's video."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from i2v_assets.briefs.brief import MAX_TAKES
from i2v_assets.films.resolve import Shot
from i2v_assets.films.scan import following_shots
from i2v_assets.operations.clips import MOVING, ClipBusy, NotPossible, TakeNotFound, find_clip, takes_of, way_on
from i2v_assets.operations.stored_plan import stored_at_most, stored_plan
from i2v_assets.session import Session
from resources.ledger.errors import IllegalTransition, StaleClaim
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.money import dollars
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
        price_microdollars: The most that it may cost by the clip's latest plan; None if it has no price.
        pieces: Of a video of several pieces: how many it has; 0 for one request.
        from_piece: The first piece that is made anew; those before it are kept.
        following: Shots of films that start from this clip's last frame, and are made anew once the take is chosen.
    """

    clip: str
    take: int
    seed: int | None
    price_microdollars: int | None
    pieces: int = 0
    from_piece: int = 1
    following: tuple[Shot, ...] = ()

    @property
    def words(self) -> str:
        """What else the take makes anew, and at which price; empty if nothing."""
        return " ".join(part for part in (self._pieces_in_words(), following_in_words(self.following)) if part)

    def _pieces_in_words(self) -> str:
        if not self.pieces:
            return ""
        kept = f"{_numbered('Piece', 1, self.from_piece - 1)} kept; " if self.from_piece > 1 else ""
        anew = f"{_numbered('piece', self.from_piece, self.pieces)} made anew"
        costs = f" for at most {dollars(self.price_microdollars)}" if self.price_microdollars else ""
        words = f"{kept}{anew}{costs}, since each starts where the one before ends."
        return words[0].upper() + words[1:]


def _numbered(what: str, first: int, last: int) -> str:
    if first == last:
        return f"{what} {first} is"
    return f"{what}s {first} {'and' if last == first + 1 else 'to'} {last} are"


def following_in_words(shots: Sequence[Shot]) -> str:
    """Return which shots are made anew once another video of the shot before is shown, and their price."""
    if not shots:
        return ""
    names = ", ".join(shot.clip for shot in shots)
    price = sum(shot.price or 0 for shot in shots)
    costs = f" for about {dollars(price)}" if price else ""
    starts = "starts from its last frame and is" if len(shots) == 1 else "start from the last frame before them and are"
    return f"Once it is the clip's video, {names} {starts} made anew{costs}."


def retake_clip(
    session: Session, clip: str, seed: int | None = None, *, by: str, from_piece: int | None = None
) -> Retake:
    """Ask for another take with another seed, which is paid for; the clip becomes due.

    Args:
        session: The ledger, the registry and the bucket.
        clip: The clip.
        seed: The take's seed; None derives one.
        by: Who asks.
        from_piece: Of a video of several pieces: the first one that is made anew. None makes all of them anew.

    Raises:
        NoSuchClip: there is no such clip.
        NotPossible: the seed is outside 1 to `MAX_SEED`, the clip has `MAX_TAKES` takes, it waits for something else, or it
            has no such piece.
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
    base = row.chosen_take or 1
    pieces = _pieces_of(session, clip).get(base, ())
    if from_piece is not None and not 1 <= from_piece <= len(pieces):
        there = f"It has pieces 1 to {len(pieces)}." if pieces else "Its video is one request; leave the piece out."
        raise NotPossible(f"{clip} has no piece {from_piece}.", remedy=there)
    first = from_piece or 1
    after = (base, first) if first > 1 else None
    added = session.registry.add_take(clip, take=take, seed=seed, seen=row, most=MAX_TAKES, after=after)
    if added is None:
        now = session.registry.get(clip) or row
        raise ClipBusy(f"{clip} has changed meanwhile: it is {now.state}.", remedy="Ask again when it is done.")
    for request in session.ledger.list((State.CANCELLED,), clip=clip):
        # Asked for before and withdrawn unpaid: the same request again.
        if request.take == added and request.request_id is None and seed in (None, request.seed):
            with contextlib.suppress(StaleClaim, IllegalTransition):  # the run was faster
                session.ledger.retry(request.fingerprint, by=by, attempt=request.attempt)
    prices = [stored_at_most(piece) for piece in pieces[first - 1 :]]
    price = sum(each or 0 for each in prices) if pieces else row.price_microdollars
    following = following_shots(session.bucket, session.registry, session.settings.service, clip)
    return Retake(clip, added, seed, price, len(pieces), first, following)


def _pieces_of(session: Session, clip: str) -> Mapping[int, Sequence[Mapping[str, Any]]]:
    """Return the pieces of each take in the clip's latest plan; takes of one request are left out."""
    takes = stored_plan(session.bucket, clip).get("takes", ())
    return {take["take"]: take["pieces"] for take in takes if take.get("pieces")}


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


def choose_take(session: Session, clip: str, take: int) -> tuple[Shot, ...]:
    """Make a take that is there the clip's video; the clip becomes due, and nothing is made or paid for it.

    Return the shots of films that start from its last frame: they are made anew.

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
    succeeded = {request.fingerprint for request in requests if request.state is State.SUCCEEDED}
    made = sorted({request.take for request in requests if request.state is State.SUCCEEDED})
    for number, pieces in _pieces_of(session, clip).items():
        if number in made and not {piece.get("fingerprint") for piece in pieces} <= succeeded:
            made.remove(number)
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
    if take == (row.chosen_take or 1):
        return ()
    return following_shots(session.bucket, session.registry, session.settings.service, clip)
