"""Takes beyond what the brief asks for."""

from resources.registry.registry import ClipState
from tests.resources.registry.conftest import Desk


def test_takes_and_choices_make_a_clip_due(desk: Desk) -> None:
    desk.admit("a")
    desk.answer("a", ClipState.DELIVERED)
    desk.registry.add_take("a", take=2, seed=77)
    desk.registry.add_take("a", take=3)
    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.extra_takes, row.take_seeds) == (ClipState.DUE, 2, '{"2": 77}')
    assert not desk.registry.choose("a", 2), "a run that makes what is due would be paid for"
    desk.answer("a", ClipState.DELIVERED)
    assert desk.registry.choose("a", 2)
    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.chosen_take) == (ClipState.DUE, 2)


def test_a_reroll_is_recorded_once_and_dropped_if_no_take_was_requested_since(desk: Desk) -> None:
    def row() -> tuple[int, str | None, ClipState]:
        found = desk.registry.get("a")
        assert found is not None
        return found.extra_takes, found.rerolls, found.state

    desk.admit("a", version="1")
    desk.answer("a", ClipState.DELIVERED)
    note, back = desk.registry.add_reroll, desk.registry.take_back_reroll
    assert note("a", version="1", take=2, extra_takes=0)
    assert row() == (1, "[2]", ClipState.DELIVERED), "the run that asks for it makes it itself"
    assert not note("a", version="1", take=2, extra_takes=0), "the number is taken"
    assert back("a", version="1", take=2, extra_takes=1)
    assert row() == (0, "[]", ClipState.DELIVERED)

    assert note("a", version="1", take=2, extra_takes=0)
    desk.registry.add_take("a", take=3)
    assert not back("a", version="1", take=2, extra_takes=1), "a person's take stands behind it"
    assert row() == (2, "[2]", ClipState.DUE)

    desk.registry.choose("a", 3)
    desk.admit("a", version="2")
    assert row() == (0, None, ClipState.DUE)
    found = desk.registry.get("a")
    assert found is not None
    assert (found.chosen_take, found.take_seeds) == (None, None)
    assert not note("a", version="1", take=2, extra_takes=0), "its run began with the old bytes"
    assert row() == (0, None, ClipState.DUE)


def test_takes_are_dropped_only_while_no_run_has_them(desk: Desk) -> None:
    desk.admit("a")
    desk.answer("a", ClipState.DELIVERED)
    desk.registry.add_take("a", take=2, seed=77)
    desk.registry.add_take("a", take=3, seed=78)
    asked = desk.registry.get("a")
    assert asked is not None
    desk.registry.mark_running(["a"], "run")
    assert not desk.registry.take_back(asked, last=1, extra=0)
    desk.answer("a", ClipState.WAITING, waiting_for="budget")
    assert desk.registry.take_back(asked, last=2, extra=1)
    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.waiting_for, row.extra_takes, row.take_seeds) == (
        ClipState.DELIVERED, None, 1, '{"2": 77}',
    )  # fmt: skip
    assert not desk.registry.take_back(asked, last=1, extra=0), "it is not as it was read"
