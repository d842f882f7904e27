"""Takes: several generations of one clip, and which of them is its video. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from i2v_assets.briefs.brief import Brief
from i2v_assets.planning.plan import Plan
from i2v_assets.planning.voice_film import reseeded, with_other_seed
from resources.generation.types import Delivered, Outcome
from resources.ledger.records import RequestRow
from resources.registry.rows import ClipRow
from resources.schemas.inputs import Service, fingerprint


@dataclass(frozen=True)
class Take:
    """One delivered take of a clip."""

    plan: Plan
    outcome: Delivered
    row: RequestRow
    pieces: tuple["Take", ...] = ()
    """Of a film: its pieces in order; the row is then the sum of theirs."""


@dataclass
class Generated:
    """The outcomes of a clip's takes, in order, and those takes that have a video."""

    outcomes: list[Outcome]
    takes: list[Take]

    def add(self, more: "Generated") -> None:
        """Add further takes."""
        self.outcomes += more.outcomes
        self.takes += more.takes

    def discard(self) -> None:
        """Delete the files on local disk."""
        for take in self.takes:
            if take.outcome.local_path is not None:
                take.outcome.local_path.unlink(missing_ok=True)


@dataclass(frozen=True)
class TakeOrder:
    """What a person asked of a take: a seed, and of a film from which piece on it is made anew, after which take."""

    seed: int | None = None
    from_piece: int | None = None
    base: int = 1


def take_order(row: ClipRow, number: int) -> TakeOrder:
    """What the clip's row says of one take."""
    found = json.loads(row.take_seeds or "{}").get(str(number))
    return TakeOrder(**found) if isinstance(found, dict) else TakeOrder(found)


def with_seed(plan: Plan, service: Service, seed: int) -> Plan:
    """The same plan with a seed that a person chose, and so with another fingerprint."""
    if plan.pieces:
        return reseeded(service, plan, seed)
    inputs = with_other_seed(plan.inputs, seed)
    return plan.model_copy(update={"inputs": inputs, "fingerprint": fingerprint(service, inputs, plan.take)})


def choose(
    takes: Sequence[Take],
    scores: Mapping[str, float],
    *,
    by_person: int | None,
    rule: Literal["first", "best"],
) -> Take:
    """Which take is the clip's video.

    Args:
        takes: the delivered takes, in order; at least one.
        scores: quality from 0 to 1 by fingerprint, as far as it was measured.
        by_person: the number of the take that a person chose; it wins while it is there.
        rule: `first`, or `best` by score (the earlier of two equals).
    """
    chosen = next((take for take in takes if take.plan.take == by_person), None)
    if chosen is not None:
        return chosen
    if rule == "best":
        return max(takes, key=lambda take: (scores.get(take.plan.fingerprint, 0.0), -take.plan.take))
    return takes[0]


def rerolled(row: ClipRow) -> tuple[int, ...]:
    """The numbers of the takes that a low score asked for before."""
    return tuple(sorted(json.loads(row.rerolls or "[]")))


def asked_takes(brief: Brief, row: ClipRow) -> tuple[int, ...]:
    """The numbers of the takes that the brief or a person asks for."""
    return tuple(number for number in range(1, (brief.takes or 1) + row.extra_takes + 1) if number not in rerolled(row))


def reroll_takes(brief: Brief, row: ClipRow, *, measured: bool) -> tuple[int, ...]:
    """The numbers of the rerolls that there are and of those that there may still be, in the order in which they are made.

    Args:
        brief: what is asked for.
        row: the clip.
        measured: videos are measured; without a score no further one is made.
    """
    before = rerolled(row)
    if brief.reroll is None or not measured or row.chosen_take is not None:  # who has chosen wants no other
        return before
    following = (brief.takes or 1) + row.extra_takes + 1
    return (*before, *range(following, following + max(0, brief.reroll.at_most - len(before))))


def reroll_allowed(brief: Brief, row: ClipRow, *, refused: bool, settled: bool) -> bool:
    """Whether a reroll may be paid for where the score is low; the gates are asked besides.

    Args:
        brief: what is asked for.
        row: the clip.
        refused: another take was refused for good: the same picture and prompt are not paid for again.
        settled: this very video was delivered before, and the clip is not run by hand: a better one was not asked for.
    """
    return brief.reroll is not None and row.chosen_take is None and not refused and not settled
