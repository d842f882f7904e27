"""Which clips go on: every state and reason, and how what is left of the day is spent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from i2v_assets.pipeline.dispatch_policy import (
    LONGEST_PAUSE,
    MAX_RUNS_WITHOUT_ANSWER,
    RUN_GRACE,
    Decisions,
    DispatchInputs,
    RunState,
    decide,
)
from i2v_assets.pipeline.film_budget import remember_requests_to_come, requests_to_come
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.registry.rows import ClipRow, ClipState
from resources.wait_reason import WaitReason

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def row(clip: str = "hero", **changes: object) -> ClipRow:
    values = dict.fromkeys(ClipRow.__dataclass_fields__) | {
        "clip": clip, "source": f"uploads/{clip}.jpg", "version": "1", "content": "{}", "priority": 0,
        "state": ClipState.WAITING, "extra_takes": 0, "retries": 0, "lost_runs": 0, "admitted_at": LONG_AGO, "updated_at": LONG_AGO,
        "planned_fingerprint": "f" * 64, "price_microdollars": 600_000,
    }  # fmt: skip
    return ClipRow(**(values | changes))  # type: ignore[arg-type]


CLOSED = DispatchInputs(
    now=NOW,
    window_open=False,
    dollars_left=0,
    requests_left=0,
    dollars_per_run=10**9,
    requests_per_run=10**3,
    approved=lambda row: False,
    is_unknown=lambda fingerprint: True,
    run_state=lambda row: RunState.ALIVE,
)
OPEN = replace(
    CLOSED,
    window_open=True,
    dollars_left=10**9,
    requests_left=10**3,
    approved=lambda row: True,
    is_unknown=lambda fingerprint: False,
)


@pytest.mark.parametrize("reason", ["approval", "window", "unknown", "budget"])
def test_a_gate_that_opens_lets_its_clips_go_on_and_no_others(reason: str) -> None:
    opened = {
        "approval": {"approved": lambda row: (row.planned_fingerprint, row.price_microdollars) == ("f" * 64, 600_000)},
        "window": {"window_open": True},
        "unknown": {"is_unknown": lambda fingerprint: False},
        "budget": {"dollars_left": 600_000, "requests_left": 1},
    }
    for open_gate, change in opened.items():
        world = replace(CLOSED, **change)  # type: ignore[arg-type]
        assert decide([row(waiting_for=reason)], world).due == (("hero",) if open_gate == reason else ())


@pytest.mark.parametrize("reason", ["person", "lost", "never", "a word of a later version", None])
def test_what_only_a_person_lets_go_on_stays(reason: str | None) -> None:
    assert decide([row(waiting_for=reason)], OPEN) == Decisions()


@pytest.mark.parametrize(
    ("reason", "pause"), [(reason, reason.retry_after) for reason in WaitReason if reason.retry_after is not None]
)
def test_what_passes_by_itself_is_tried_again_after_a_while(reason: str, pause: timedelta) -> None:
    early = row(waiting_for=reason, updated_at=NOW - pause)
    late = row(waiting_for=reason, updated_at=NOW - pause - timedelta(seconds=1))
    assert decide([early], CLOSED).due == ()
    assert decide([late], CLOSED).due == ("hero",)


@pytest.mark.parametrize(
    "state", [ClipState.DUE, ClipState.DELIVERED, ClipState.REFUSED, ClipState.FAILED, ClipState.WITHDRAWN]
)
def test_the_other_states_are_not_the_dispatchers(state: ClipState) -> None:
    assert decide([row(state=state, waiting_for="window")], OPEN) == Decisions()


@pytest.mark.parametrize("state", [ClipState.DISPATCHED, ClipState.WORKING])
@pytest.mark.parametrize("run", list(RunState))
@pytest.mark.parametrize("age", [RUN_GRACE, RUN_GRACE + timedelta(seconds=1)])
@pytest.mark.parametrize("lost", [0, MAX_RUNS_WITHOUT_ANSWER - 2, MAX_RUNS_WITHOUT_ANSWER - 1])
def test_a_clip_in_a_run_goes_where_its_run_went(state: ClipState, run: RunState, age: timedelta, lost: int) -> None:
    world = replace(CLOSED, run_state=lambda row: run)
    found = decide([row(state=state, updated_at=NOW - age, lost_runs=lost, retries=9)], world)

    if run is RunState.ALIVE:
        assert found == Decisions()
    elif run is RunState.CANCELED:
        assert found == Decisions(stopped_by_person=("hero",))
    elif age <= RUN_GRACE:
        assert found == Decisions(), "Dagster may still start its own retry"
    elif lost + 1 >= MAX_RUNS_WITHOUT_ANSWER:
        assert found == Decisions(given_up=("hero",))
    else:
        assert found == Decisions(due_after_lost_run=("hero",))


def test_a_clip_that_is_paid_for_is_never_given_up_and_its_gaps_grow() -> None:
    def after(lost: int, pause: timedelta) -> Decisions:
        world = replace(CLOSED, run_state=lambda row: RunState.ENDED, paid_for=lambda clip: clip == "hero")
        return decide([row(state=ClipState.WORKING, updated_at=NOW - pause, lost_runs=lost)], world)

    last = MAX_RUNS_WITHOUT_ANSWER - 1
    pauses = [RUN_GRACE * 2**doublings for doublings in range(7)]
    for doublings, pause in enumerate(pauses):
        assert after(last + doublings, pause) == Decisions()
        assert after(last + doublings, pause + timedelta(seconds=1)) == Decisions(due_after_lost_run=("hero",))
    assert after(99, LONGEST_PAUSE + timedelta(seconds=1)) == Decisions(due_after_lost_run=("hero",))


def test_a_made_video_is_delivered_although_a_person_stopped_the_run() -> None:
    world = replace(CLOSED, run_state=lambda row: RunState.CANCELED, made=lambda clip: clip == "hero")
    rows = [row(state=ClipState.WORKING), row("other", state=ClipState.WORKING)]
    assert decide(rows, world) == Decisions(to_fetch=("hero",), stopped_by_person=("other",))


@pytest.mark.parametrize("paused", [True, False])
def test_a_pause_holds_what_waits_for_its_end(paused: bool) -> None:
    found = decide([row(waiting_for="paused")], replace(CLOSED, paused=paused))
    assert found.due == (() if paused else ("hero",))


def waits_for_budget(clip: str, **changes: object) -> ClipRow:
    return row(clip, waiting_for="budget", **changes)


@pytest.mark.parametrize(
    ("dollars", "count", "expected"),
    [
        (0, 9, ()),
        (599_999, 9, ()),
        (600_000, 9, ("urgent",)),
        (600_000, 0, ()),
        (1_200_000, 1, ("urgent",)),
        (1_199_999, 9, ("urgent",)),
        (1_200_000, 9, ("urgent", "older")),
        (1_800_000, 9, ("urgent", "older", "newer")),
    ],
)
def test_the_day_is_spent_on_the_urgent_and_then_the_oldest(dollars: int, count: int, expected: tuple[str]) -> None:
    rows = [
        waits_for_budget("newer", admitted_at=NOW),
        waits_for_budget("older", admitted_at=NOW - timedelta(hours=1)),
        waits_for_budget("urgent", admitted_at=NOW, priority=1),
    ]
    assert decide(rows, replace(CLOSED, dollars_left=dollars, requests_left=count)).due == expected


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ({}, ("hero",)),
        ({"dollars_per_run": 600_000}, ("hero",)),
        ({"dollars_per_run": 599_999}, ()),
        ({"requests_per_run": 1}, ("hero",)),
        ({"requests_per_run": 0}, ()),
    ],
)
def test_what_no_run_may_pay_for_starts_no_run(caps: dict[str, int], expected: tuple[str]) -> None:
    assert decide([waits_for_budget("hero")], replace(OPEN, **caps)).due == expected  # type: ignore[arg-type]


def test_what_no_run_may_pay_for_takes_nothing_of_the_day() -> None:
    rows = [waits_for_budget("dear", priority=1, price_microdollars=2_000_000), waits_for_budget("cheap")]
    world = replace(CLOSED, dollars_left=2_000_000, requests_left=1, dollars_per_run=1_000_000)
    assert decide(rows, world).due == ("cheap",)


def test_a_clip_too_dear_for_what_is_left_lets_a_cheaper_one_pass() -> None:
    rows = [waits_for_budget("dear", priority=1, price_microdollars=2_000_000), waits_for_budget("cheap")]
    assert decide(rows, replace(CLOSED, dollars_left=1_000_000, requests_left=9)).due == ("cheap",)


def test_a_gate_is_asked_of_each_clip_on_its_own() -> None:
    asked: list[tuple[str, int | None]] = []

    def approved(row: ClipRow) -> bool:
        asked.append((row.clip, row.price_microdollars))
        return row.clip == "b"

    rows = [row(clip, waiting_for="approval", planned_fingerprint=clip, price_microdollars=None) for clip in "ab"]
    assert decide(rows, replace(CLOSED, approved=approved)).due == ("b",)
    assert asked == [("a", None), ("b", None)]


def test_a_clip_of_several_requests_goes_on_when_there_are_as_many_left() -> None:
    waits = [row("film", waiting_for="budget", priority=1), row("one", waiting_for="budget")]
    for left, per_run, due in ((2, 9, ("one",)), (3, 9, ("film",)), (4, 9, ("film", "one")), (9, 2, ("one",))):
        world = replace(
            OPEN, requests_left=left, requests_per_run=per_run, requests_of=lambda clip: 3 if clip.clip == "film" else 1
        )
        assert decide(waits, world).due == due


@pytest.mark.parametrize(("said", "needed"), [(None, 1), (0, 1), (1, 1), (3, 3)])
def test_a_clip_goes_on_whose_last_piece_another_run_claimed(tmp_path: Path, said: int | None, needed: int) -> None:
    waits = row(waiting_for="budget", price_microdollars=0)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        memory = Registry(ledger.database).memory
        if said is not None:
            remember_requests_to_come(memory, waits.clip, waits.planned_fingerprint or "", said)
        assert requests_to_come(memory, waits) == needed
        world = replace(OPEN, requests_of=lambda clip: requests_to_come(memory, clip))
        assert decide([waits], world).due == ("hero",)
