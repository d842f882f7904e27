"""Every scenario of the hostile service, some of them at once; `make hostile` runs this file."""

from collections.abc import Callable
from typing import Any

import pytest
from scenarios import ALL

TOGETHER = 8
"""Scenarios of one run: they share its deadline."""

SHARED = [each for each in ALL if not each.alone]
GROUPS = [SHARED[start : start + TOGETHER] for start in range(0, len(SHARED), TOGETHER)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].name)
def test_scenarios(attack: Callable[..., Any], group: list[Any]) -> None:
    attack(group)


@pytest.mark.parametrize("scenario", [each for each in ALL if each.alone], ids=lambda each: each.name)
def test_one_that_all_clips_feel(attack: Callable[..., Any], scenario: Any) -> None:
    attack([scenario])
