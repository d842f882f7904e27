"""Retries, archiving, and reports of overdue clips."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from i2v_assets.defs.maintenance import archive_job, retry_failed_job, waiting_job, watch
from i2v_assets.defs.overdue_check import late_since
from i2v_assets.defs.run_requests import add_keys, request_runs
from i2v_assets.defs.schedules import SCHEDULES, archive_schedule, retry_schedule, waiting_schedule
from resources.registry.overdue import Waits
from resources.registry.registry import ClipState
from resources.settings import load_settings


def test_failed_clips_are_tried_again_as_often_as_allowed_and_final_ones_never(shelf: Any) -> None:
    shelf.admit("again", "final")
    shelf.answer("again", state=ClipState.FAILED, waiting_for="retry")
    shelf.answer("final", state=ClipState.FAILED, waiting_for="never")
    assert len(shelf.tick(retry_schedule).run_requests) == 1
    assert shelf.run(retry_failed_job).success
    assert [row.clip for row in shelf.registry.due()] == ["again"]
    shelf.answer("again", state=ClipState.FAILED, waiting_for="retry")
    assert "No failed clip" in shelf.tick(retry_schedule).skip_message
    shelf.run(retry_failed_job)
    assert shelf.registry.due() == ()
    shelf.admit("again", version="v2")  # a corrected upload counts afresh
    shelf.answer("again", state=ClipState.FAILED, waiting_for="retry")
    assert len(shelf.tick(retry_schedule).run_requests) == 1


def _dispatch(shelf: Any) -> list[dg.RunRequest]:
    return request_runs(
        shelf.instance, shelf.registry, shelf.registry.due(), sensor="uploads", tick=1, clips_per_run=100
    )


def test_delivered_clips_leave_the_partitions_and_come_back(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_ARCHIVE_AFTER_DAYS", "30")
    shelf.forward(days=-40)
    shelf.admit("old", "failed")
    _dispatch(shelf)
    shelf.answer("old", state=ClipState.DELIVERED, fingerprint="a" * 64)
    shelf.answer("failed", state=ClipState.FAILED, waiting_for="never")
    shelf.forward(days=39)
    shelf.admit("fresh")
    _dispatch(shelf)
    shelf.answer("fresh", state=ClipState.DELIVERED, fingerprint="b" * 64)
    shelf.forward(days=1)
    assert shelf.run(archive_job).success
    assert shelf.keys() == ["failed", "fresh"]
    assert shelf.registry.get("old").state is ClipState.DELIVERED
    shelf.admit("old", version="v2")
    assert len(_dispatch(shelf)) == 1
    assert shelf.keys() == ["failed", "fresh", "old"]
    shelf.answer("old", state=ClipState.DELIVERED, fingerprint="c" * 64)
    shelf.run(archive_job)
    assert shelf.keys()[-1] == "old"  # delivered anew: its days count from now


def test_a_retake_of_an_archived_clip_brings_its_key_back(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_ARCHIVE_AFTER_DAYS", "1")
    shelf.forward(days=-3)
    shelf.admit("old")
    _dispatch(shelf)
    shelf.answer("old", state=ClipState.DELIVERED, fingerprint="a" * 64)
    shelf.forward(days=3)
    shelf.run(archive_job)
    assert shelf.keys() == []
    shelf.registry.add_take("old", take=2)
    assert len(_dispatch(shelf)) == 1
    assert shelf.keys() == ["old"]
    assert shelf.registry.get("old").archived_at is None


def test_an_archive_that_died_half_way_is_ended_by_the_next(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_ARCHIVE_AFTER_DAYS", "1")
    shelf.forward(days=-3)
    shelf.admit("one", "two")
    add_keys(shelf.instance, ["one", "two"])
    shelf.answer("one", "two", state=ClipState.DELIVERED, fingerprint="a" * 64)
    shelf.forward(days=3)
    shelf.registry.archive(["one", "two"])  # and no key was removed
    shelf.run(archive_job)
    assert shelf.keys() == []


def test_archiving_is_off_by_default(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add_keys(shelf.instance, ["one"])
    skipped = shelf.tick(archive_schedule).skip_message
    assert "I2V_ARCHIVE_AFTER_DAYS is 0" in skipped
    assert "it displays up to" not in skipped
    monkeypatch.setattr("i2v_assets.defs.schedules.UI_KEYS", 0)
    assert "it displays up to" in shelf.tick(archive_schedule).skip_message


def _checks(result: dg.ExecuteInProcessResult) -> list[tuple[str | None, bool]]:
    found = [
        event.event_specific_data for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    return [(each.partition, each.passed) for each in found]


def test_a_clip_that_waits_too_long_warns_once_and_is_cleared(shelf: Any) -> None:
    shelf.forward(hours=-13)
    shelf.admit("late", "delivered")
    shelf.answer("late", state=ClipState.WAITING, waiting_for="budget", reason="Today's budget is reached.")
    shelf.tick(waiting_schedule)  # sees them wait
    shelf.answer("delivered", state=ClipState.DELIVERED, fingerprint="a" * 64)
    shelf.forward(hours=12.9)
    shelf.admit("young")
    shelf.registry.enqueue(["late"])  # a further try does not begin the wait anew
    assert len(shelf.tick(waiting_schedule).run_requests) == 1
    assert _checks(shelf.run(waiting_job)) == [("late", False)]
    assert "No clip became overdue" in shelf.tick(waiting_schedule).skip_message
    assert _checks(shelf.run(waiting_job)) == []
    shelf.answer("late", state=ClipState.DELIVERED, fingerprint="b" * 64)
    assert len(shelf.tick(waiting_schedule).run_requests) == 1
    assert _checks(shelf.run(waiting_job)) == [("late", True)]
    assert "No clip became overdue" in shelf.tick(waiting_schedule).skip_message


def _watched(shelf: Any) -> tuple[list[str], list[str]]:
    """Return the overdue clips and those no longer overdue at the shelf's time, and mark them as reported."""
    waits = Waits(shelf.ledger.database, lambda: shelf.now)
    found = watch(shelf.ledger.database, load_settings(), lambda: shelf.now)
    waits.mark_reported([wait.clip for wait in found.late], found.over)
    return [wait.clip for wait in found.late], list(found.over)


def test_a_wait_for_a_person_gives_no_warning_and_does_not_count(shelf: Any) -> None:
    shelf.admit("asked", "stuck")
    assert _watched(shelf) == ([], [])
    shelf.answer("stuck", state=ClipState.WAITING, waiting_for="budget")
    shelf.answer("asked", state=ClipState.WAITING, waiting_for="approval")
    told = []
    for _ in range(4):
        shelf.forward(hours=11)
        told += _watched(shelf)[0]
    assert told == ["stuck"]
    shelf.registry.enqueue(["asked"])  # somebody approved it
    shelf.forward(hours=11.9)
    assert _watched(shelf) == ([], [])
    shelf.forward(hours=0.2)
    assert _watched(shelf) == (["asked"], [])
    shelf.answer("asked", state=ClipState.WAITING, waiting_for="person")
    assert _watched(shelf) == ([], ["asked"])  # a person stopped it: it is a person's turn
    shelf.forward(hours=20)
    assert _watched(shelf) == ([], [])
    assert late_since(shelf.ledger.database, load_settings(), "asked", lambda: shelf.now) is None
    assert late_since(shelf.ledger.database, load_settings(), "stuck", lambda: shelf.now) is not None


def test_only_time_inside_the_window_counts(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.now = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
    monkeypatch.setenv("I2V_GENERATE_ONLY", "22:00-06:00")
    shelf.admit("night")
    assert _watched(shelf) == ([], [])
    shelf.answer("night", state=ClipState.WAITING, waiting_for="window")
    shelf.forward(days=1)  # 16 hours of a closed window and 8 of an open one
    assert _watched(shelf) == ([], [])
    shelf.forward(hours=16)
    assert _watched(shelf) == ([], [])
    assert late_since(shelf.ledger.database, load_settings(), "night", lambda: shelf.now) is None
    shelf.forward(hours=4.1)  # more than 12 hours in two nights
    assert late_since(shelf.ledger.database, load_settings(), "night", lambda: shelf.now) is not None
    assert _watched(shelf) == (["night"], [])


def test_a_wait_for_a_person_is_reported_once_with_its_remedy(shelf: Any) -> None:
    shelf.forward(hours=-13)
    shelf.admit("late")
    shelf.tick(waiting_schedule)
    shelf.forward(hours=13)
    assert _checks(shelf.run(waiting_job)) == [("late", False)]
    shelf.answer("late", state=ClipState.WAITING, waiting_for="approval")
    ran = shelf.run(waiting_job)
    assert _checks(ran) == [("late", True)]
    (said,) = [
        event.event_specific_data.metadata
        for event in ran.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    assert "waiting for a person" in said["waits for"].value
    assert "i2v approve" in said["waits for"].value
    assert _checks(shelf.run(waiting_job)) == []


def test_many_overdue_clips_are_reported_in_parts(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2v_assets.defs.maintenance.MAX_WARNINGS", 3)
    shelf.forward(days=-1)
    shelf.admit("a", "b", "c", "d", "e")
    shelf.tick(waiting_schedule)
    shelf.forward(days=1)
    assert len(_checks(shelf.run(waiting_job))) == 3
    assert len(_checks(shelf.run(waiting_job))) == 2
    assert len(_checks(shelf.run(waiting_job))) == 0


def test_every_schedule_states_its_cost() -> None:
    for schedule in SCHEDULES:
        text = (schedule.description or "").lower()
        assert "free" in text or "cost" in text, schedule.name
