"""Takes: several generations of one clip, and which of them is its video. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from i2v_assets.plans import Plan
from resources.generation.model import Delivered
from resources.ledger import RequestRow
from resources.schemas.inputs import Service, fingerprint


@dataclass(frozen=True)
class Take:
    """One delivered take of a clip."""

    plan: Plan
    outcome: Delivered
    row: RequestRow


def with_seed(plan: Plan, service: Service, seed: int) -> Plan:
    """The same plan with a seed that a person chose, and so with another fingerprint."""
    inputs = plan.inputs.model_copy(update={"seed": seed})
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
