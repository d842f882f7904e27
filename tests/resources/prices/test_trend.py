"""What the latest costs say about the next one, whatever they are and however old."""

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.prices.trend import AgedCost, level_of

AMOUNTS = st.integers(1, 10**40)
AGES = st.integers(0, 10**9)
ONE_DOUBLED = [AgedCost(2_000_000 if at < 7 else 1_000_000, 12_000 + at) for at in range(14)]


@given(st.lists(st.builds(AgedCost, AMOUNTS, AGES), min_size=1, max_size=60))
@example(ONE_DOUBLED)
@example([AgedCost(10**at, at) for at in range(40)])
@example([AgedCost(1, age) for age in range(13)] + [AgedCost(3, 13)])
def test_a_level_is_found_of_any_costs_of_any_age(costs: list[AgedCost]) -> None:
    found = level_of(sorted(costs, key=lambda cost: cost.age))
    assert found.amount > 0
    assert math.isfinite(found.rise)
    assert 0 < found.used <= len(costs)


@given(st.lists(st.builds(AgedCost, st.integers(10**6, 10**7), st.integers(0, 200)), min_size=1, max_size=60), AGES)
def test_others_requests_since_change_a_level_and_no_more(costs: list[AgedCost], since: int) -> None:
    costs.sort(key=lambda cost: cost.age)
    later = level_of([AgedCost(cost.amount, cost.age + since) for cost in costs])
    now = level_of(costs)
    assert (later.used, later.rise, later.changed) == (now.used, now.rise, now.changed)


def test_a_change_of_long_ago_is_the_level_of_now() -> None:
    assert level_of(ONE_DOUBLED).amount == 2_000_000


def test_a_steep_rise_is_not_a_trend() -> None:
    steep = [AgedCost(round(10**9 * math.exp(-0.1 * age)), age) for age in range(40)]
    assert level_of(steep).used < 40
    assert level_of(steep).amount < 10**10


def _scattered(seed: int, *levels: int) -> list[AgedCost]:
    """Costs within 4 % of these levels, the latest first."""
    dice = random.Random(seed)
    return [AgedCost(round(level * dice.uniform(0.96, 1.04)), age) for age, level in enumerate(levels)]


@pytest.mark.parametrize(("count", "most"), [(8, 25), (14, 5), (20, 5), (50, 5)])
def test_costs_that_only_scatter_seldom_seem_to_change(count: int, most: int) -> None:
    level = 10**6
    assert sum(level_of(_scattered(seed, *[level] * count)).changed for seed in range(100)) <= most


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_change_among_costs_that_scatter_is_said(factor: float) -> None:
    new, old = round(10**6 * factor), 10**6
    for seed in range(50):
        assert level_of(_scattered(seed, *[new] * 7, *[old] * 7)).changed, seed


def test_eight_costs_may_show_a_trend() -> None:
    drifts = [AgedCost(round(10**6 * math.exp(-0.001 * age)), age) for age in range(0, 80, 10)]
    assert level_of(drifts).rise > 0
