"""How long the demo waits: while anything moves, however long that takes, and no longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from i2v_assets.cli.dev.demo_wait import DemoView, StillnessWatch, problem_words, still_words
from resources.registry.rows import ClipRow, ClipState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = ClipRow(
    clip="hero", source="uploads/hero.jpg", version="v", content="{}", priority=0, state=ClipState.WORKING, batch=None,
    run_id="run", answered_version=None, waiting_for=None, reason=None, fingerprint=None, planned_fingerprint=None,
    price_microdollars=None, chosen_take=None, extra_takes=0, take_seeds=None, retries=0, lost_runs=0, admitted_at=NOW,
    updated_at=NOW, delivered_at=None, delivered_version=None, archived_at=None,
)  # fmt: skip


def view(**row: object) -> DemoView:
    return DemoView(("hero",), {"hero": replace(ROW, **row)})


def test_it_waits_for_hours_while_anything_moves():
    watch, shown = StillnessWatch(seconds=300), view()
    for second in range(0, 36_000, 15):
        beating = replace(shown, beats={"run": NOW + timedelta(seconds=second)})
        assert not watch.stands_still(beating, float(second))
    assert not watch.stands_still(beating, second + 299.0)
    assert watch.stands_still(beating, second + 301.0)
    assert "hero" in still_words(beating, 300)


@pytest.mark.parametrize(
    ("row", "ended"),
    [
        ({"state": ClipState.DELIVERED}, True),
        ({"state": ClipState.FAILED}, True),
        ({"state": ClipState.REFUSED}, True),
        ({"state": ClipState.WAITING, "waiting_for": "approval"}, True),
        ({"state": ClipState.WAITING, "waiting_for": "deadline"}, False),
        ({"state": ClipState.WAITING, "waiting_for": "service"}, False),
        ({"state": ClipState.DUE}, False),
        ({"state": ClipState.DISPATCHED}, False),
    ],
)
def test_what_goes_on_by_itself_has_not_ended(row, ended):
    shown = view(**row)
    assert bool(shown.ended) is ended
    assert bool(shown.waits_for) is not ended


def test_it_says_what_it_waits_for():
    assert DemoView(("hero", "pet"), {}).waits_for == "the upload sensor to find its files (hero, pet)"
    assert view(state=ClipState.DISPATCHED).waits_for == "its run to start (hero)"
    assert "approval" not in view(state=ClipState.WAITING, waiting_for="service").waits_for


def test_a_clip_without_a_video_says_why():
    failed = replace(ROW, state=ClipState.FAILED, reason="The service made no video.", remedy="Run: i2v retry hero")
    assert problem_words("hero", failed) == "hero is failed. The service made no video. Run: i2v retry hero"
