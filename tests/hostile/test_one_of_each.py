"""One scenario of each kind (`make hostile` runs them all, from all_scenarios.py)."""

from collections.abc import Callable
from typing import Any

import pytest
from scenarios import ALL, ONE_OF_EACH


def test_there_are_many_and_each_has_a_name() -> None:
    assert len(ALL) >= 60
    assert len({each.name for each in ALL}) == len(ALL)


def test_one_of_each_kind(attack: Callable[..., Any]) -> None:
    attack([each for each in ONE_OF_EACH if not each.alone])


@pytest.mark.parametrize("scenario", [each for each in ONE_OF_EACH if each.alone], ids=lambda each: each.name)
def test_one_that_all_clips_feel(attack: Callable[..., Any], scenario: Any) -> None:
    attack([scenario])
