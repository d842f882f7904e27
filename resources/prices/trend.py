"""What the latest costs say about the next one: a level, a new level, or a price that rises or falls all the time. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median, median_high
from typing import NamedTuple

WINDOWS = 50, 30, 20, 14
"""Costs that are looked at, the latest: as many as agree with one level or one trend. The first of them is all costs, however few: from
eight on they may show a trend, and without it a price that drifts would be expected too late."""
RECENT = 7
"""The latest of them that show a change of the price: their median stands three outliers, and a change counts after four."""
NEAR = 0.01
"""How far a cost may be from a level or trend that it agrees with, and from where a difference counts as a change: half of
the 2 % that a quote may be off."""
AGREEING = 0.7
"""Share of the costs that have to agree with a level or trend: most, with room for outliers and a few of the price before."""
STRAYING = 4
"""A change is more than this many times the usual distance of a cost from its level. Of costs that scatter evenly the farthest
are at twice that distance, and the medians of a few of them stray as far apart."""
STEEPEST = 3.0
"""Logarithm of how many times a price may rise or fall within one trend: 20 times. Nothing that drifts gets so far in 50
requests, and a line that is steeper has no end that can be reckoned with."""


class AgedCost(NamedTuple):
    """A cost in micro-dollars, and how many requests were claimed since its own."""

    amount: int
    age: int


@dataclass(frozen=True, slots=True)
class Level:
    """What the next request will cost.

    Attributes:
        amount: In micro-dollars.
        used: How many of the latest costs say so.
        rise: The share by which the price rises with each request; negative if it falls, 0 if it stays.
        changed: The costs before these were others.
    """

    amount: int
    used: int
    rise: float = 0.0
    changed: bool = False


def level_of(costs: Sequence[AgedCost]) -> Level:
    """Return what the next request will cost, by the costs of those like it, the latest first; there is at least one.

    The longest window decides of which most costs, and most of the latest, are within 1 % of its median, or of a line
    through them. Without one the latest seven decide.
    """
    if len(costs) <= RECENT:
        return Level(median_high(cost.amount for cost in costs), len(costs))
    since = costs[0].age
    costs = [AgedCost(cost.amount, cost.age - since) for cost in costs]  # the newest's is 0, so that no line runs far
    for size in WINDOWS:
        window = costs[:size]
        if size != WINDOWS[0] and len(window) < size:
            continue
        rise = _rise(window)
        span = window[-1].age
        if abs(rise) * span <= NEAR:
            rise = 0.0
        if abs(rise) * span > STEEPEST or not _agrees(window, rise):
            continue
        changed = len(window) < len(costs)
        if not rise:
            return Level(median_high(cost.amount for cost in window), len(window), changed=changed)
        # A trend is continued for half of the time in which it was seen, and not for ever.
        now = -min(since, span / 2)
        return Level(max(1, round(_at(window, rise, now))), len(window), rise, changed)
    latest, earlier = ([cost.amount for cost in part] for part in (costs[:RECENT], costs[RECENT:]))
    return Level(median_high(latest), RECENT, changed=_differ(latest, earlier))


def _differ(latest: Sequence[int], earlier: Sequence[int]) -> bool:
    """Return True if two levels are further apart than costs scatter about them, and by more than 1 %."""
    one, other = median_high(latest), median_high(earlier)
    scatter = median_high([*(abs(cost - one) for cost in latest), *(abs(cost - other) for cost in earlier)])
    return abs(one - other) > max(NEAR * one, STRAYING * scatter)


def _rise(window: Sequence[AgedCost]) -> float:
    """Return the median of the slopes between each two costs (Theil and Sen), which a quarter of outliers does not move."""
    logs = [(math.log(max(cost.amount, 1)), cost.age) for cost in window]
    slopes = [(one[0] - other[0]) / (other[1] - one[1]) for one, other in combinations(logs, 2) if one[1] != other[1]]
    return median(slopes) if slopes else 0.0


def _at(window: Sequence[AgedCost], rise: float, age: float) -> float:
    """Return what the line through a window says of a request of this age."""
    return math.exp(median(math.log(max(cost.amount, 1)) + rise * cost.age for cost in window) - rise * age)


def _agrees(window: Sequence[AgedCost], rise: float) -> bool:
    level = _at(window, rise, 0)
    near = [abs(cost.amount / (level * math.exp(-rise * cost.age)) - 1) <= NEAR for cost in window]
    return sum(near) >= AGREEING * len(near) and sum(near[:RECENT]) > RECENT // 2
