"""The memory of the sensors: how a clip moves from upload to answer, and what a lost tick or run leaves behind."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, Claimed, NewRequest
from resources.registry.base import still_wanted
from resources.registry.registry import ClipState, Refusals, RefusedRow
from resources.wait_reason import WaitReason
from tests.resources.registry.conftest import Desk, upload


def test_the_highest_priority_goes_first_and_then_the_oldest(desk: Desk) -> None:
    desk.admit("z")
    desk.clock.now += timedelta(seconds=1)
    desk.admit("b", "a", present=("z", "a", "b"))
    desk.registry.admit([upload("urgent", priority=5)])
    assert [row.clip for row in desk.registry.due()] == ["urgent", "z", "a", "b"]
    assert [row.clip for row in desk.registry.due(limit=2)] == ["urgent", "z"]


def test_only_one_of_two_dispatches_gets_the_clip(desk: Desk) -> None:
    desk.admit("a", "b")
    assert desk.registry.dispatch(["a"], batch="1", sensor="uploads", tick=1) == ("a",)
    assert set(desk.registry.dispatch(["a", "b"], batch="2", sensor="dispatch", tick=1)) == {"b"}
    assert [row.batch for row in desk.registry.list()] == ["1", "2"]


def test_clips_dispatched_by_an_uncommitted_tick_are_due_again(desk: Desk) -> None:
    desk.admit("kept", "lost", "other")
    desk.registry.dispatch(["kept"], batch="1", sensor="uploads", tick=1)
    desk.registry.dispatch(["lost"], batch="2", sensor="uploads", tick=2)
    desk.registry.dispatch(["other"], batch="3", sensor="dispatch", tick=9)

    assert desk.registry.requeue_uncommitted("uploads", committed_tick=1) == 1

    assert desk.state("lost") is ClipState.DUE
    assert desk.state("kept") is desk.state("other") is ClipState.DISPATCHED


def test_a_run_that_started_survives_its_uncommitted_tick(desk: Desk) -> None:
    desk.admit("a")
    desk.registry.dispatch(["a"], batch="1", sensor="uploads", tick=2)
    desk.registry.mark_running(["a"], "run-1")
    assert desk.registry.requeue_uncommitted("uploads", committed_tick=1) == 0
    assert desk.state("a") is ClipState.WORKING


def test_an_upload_that_changed_while_its_run_worked_stays_due(desk: Desk) -> None:
    desk.admit("a")
    desk.registry.mark_running(["a"], "run-1")
    desk.admit("a", version="2")

    desk.answer("a", ClipState.DELIVERED, version="1", fingerprint="f1")

    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.answered_version, row.fingerprint) == (ClipState.DUE, "1", "f1")
    assert row.delivered_at is not None


def test_a_delivered_fingerprint_is_kept_until_the_next_delivery(desk: Desk) -> None:
    desk.admit("a")
    desk.answer("a", ClipState.DELIVERED, fingerprint="f1", price_microdollars=1)
    desk.answer("a", ClipState.WAITING, fingerprint="f2", price_microdollars=2, waiting_for="approval", reason="asks")
    row = desk.registry.get("a")
    assert row is not None
    assert (row.fingerprint, row.planned_fingerprint, row.price_microdollars) == ("f1", "f2", 2)
    assert (row.waiting_for, row.reason) == ("approval", "asks")


def test_retries_are_counted_until_the_upload_changes(desk: Desk) -> None:
    desk.admit("a")
    for expected in (1, 2):
        assert desk.registry.enqueue(["a"], count_retry=True) == 1
        row = desk.registry.get("a")
        assert row is not None
        assert row.retries == expected
    desk.admit("a", version="2")
    row = desk.registry.get("a")
    assert row is not None
    assert row.retries == 0


def test_lost_runs_are_counted_until_a_result_and_do_not_count_as_retries(desk: Desk) -> None:
    def counts() -> tuple[int, int]:
        row = desk.registry.get("a")
        assert row is not None
        return row.lost_runs, row.retries

    desk.admit("a")
    for expected in (1, 2):
        desk.registry.enqueue(["a"], lost_run=True)
        assert counts() == (expected, 0)
    desk.registry.enqueue(["a"], count_retry=True)
    assert counts() == (2, 1)
    desk.answer("a", ClipState.WAITING, waiting_for="service")
    assert counts() == (0, 1)
    desk.registry.enqueue(["a"], lost_run=True)
    desk.admit("a", version="2")
    assert counts() == (0, 0)


def test_delivered_clips_can_leave_the_partitions_and_come_back(desk: Desk) -> None:
    desk.admit("a", "b")
    desk.answer("a", ClipState.DELIVERED)
    desk.clock.now += timedelta(days=2)
    assert desk.registry.delivered_before(timedelta(days=1)) == ("a",)
    desk.registry.archive(["a"])
    assert desk.registry.delivered_before(timedelta(days=1)) == ()
    desk.admit("a", "b", version="2")
    assert desk.registry.dispatch(["a"], batch="1", sensor="uploads", tick=1) == ("a",)
    row = desk.registry.get("a")
    assert row is not None
    assert row.archived_at is None


def test_cached_facts_and_texts_belong_to_their_bytes(desk: Desk) -> None:
    registry = desk.registry
    registry.memory.remember_facts("uploads/a.jpg", "e1", {"width": 1})
    assert registry.memory.facts("uploads/a.jpg", "e1") == {"width": 1}
    assert registry.memory.facts("uploads/a.jpg", "e2") is None
    registry.memory.remember_facts("uploads/a.jpg", "e2", {"width": 2})
    assert registry.memory.facts("uploads/a.jpg", "e1") is None

    registry.memory.remember_texts({"uploads/a/brief.yaml": ("e1", "prompt: x")})
    registry.memory.remember_texts({"uploads/a/brief.yaml": ("e2", "prompt: y"), "uploads/b/brief.yaml": ("e1", "")})
    assert registry.memory.texts() == {"uploads/a/brief.yaml": ("e2", "prompt: y"), "uploads/b/brief.yaml": ("e1", "")}


def test_a_refusal_is_reported_once_and_resolved_when_its_upload_is_fixed(desk: Desk) -> None:
    def look(*rows: RefusedRow, covers: Callable[[str], bool] = lambda _: True) -> Refusals:
        return desk.registry.refusals.replace(rows, covers=covers)

    x, y = RefusedRow("uploads/x", "1", "Bad.", "Fix it."), RefusedRow("uploads/y", "1", "Bad.", "Fix it.")
    first = look(x, y)
    assert (set(first.refused), first.resolved) == ({"uploads/x", "uploads/y"}, ())
    assert look(x, y).refused == ()
    worse = replace(x, version="2", words="Worse.")
    assert look(worse, covers=lambda key: key == "uploads/x").refused == ("uploads/x",)
    assert desk.registry.refusals.now() == (worse, y)
    assert look(covers=lambda key: key == "uploads/y").resolved == ("uploads/y",)
    assert look().resolved == ("uploads/x",)
    assert desk.registry.refusals.now() == ()


def test_a_refusal_that_takes_the_place_of_another_is_a_change(desk: Desk) -> None:
    seen = set[str]()
    for version, words in (("1", "Bad."), ("2", "Bad otherwise.")):
        desk.registry.refusals.replace([RefusedRow("uploads/x", version, words, "Fix it.")])
        seen |= {desk.registry.revision(), desk.registry.revision()}
    assert len(seen) == 2


def test_a_clip_name_is_freed_when_no_refused_upload_uses_it(desk: Desk) -> None:
    def look(*rows: RefusedRow, covers: Callable[[str], bool] = lambda _: True) -> tuple[str, ...]:
        return desk.registry.refusals.replace(rows, covers=covers).freed

    brief = RefusedRow("uploads/x/brief.yaml", "1", "Bad.", "Fix it.", "x")
    assert look(brief) == ()
    image = RefusedRow("uploads/x/a.gif", "1", "Bad.", "Fix it.", "x")
    assert look(image) == ()  # another of its files is to blame now
    row = RefusedRow("uploads/l.csv#line-2", "1", "Bad.", "Fix it.", "a")
    assert look(image, row) == ()
    assert desk.registry.refusals.now("a") == (row,)
    assert look(image, replace(row, version="2", clip="b")) == ("a",)
    assert look(covers=lambda key: key == row.source) == ("b",)
    assert look() == ("x",)


def test_thousands_of_clips_need_at_most_one_statement_each(desk: Desk) -> None:
    names = tuple(f"clip-{number:04}" for number in range(1600))
    assert len(desk.admit(*names).new) == 1600
    assert len(desk.registry.dispatch(names, batch="1", sensor="uploads", tick=1)) == 1600
    desk.registry.mark_running(names, "run")
    assert desk.registry.counts() == {ClipState.WORKING: 1600}
    assert len(desk.registry.many(names)) == 1600
    assert desk.registry.enqueue(names) == 1600
    assert len(desk.admit("nobody").withdrawn) == 1600


# What is still wanted when it is to be paid


def claim(desk: Desk, clip: str, **changes: object):
    ledger, fingerprint = Ledger(desk.registry.ledger.database), clip * 64
    ledger.plan(NewRequest(fingerprint, "sandbox", clip, 1, "any", "animate", 1, 3, "{}"))
    caps = Caps(10**12, 10**6, 10**12, 10**6, UTC)
    values = {"owner": "o", "run_id": "r", "lease_seconds": 60, "price_microdollars": 1, "model_id": "m"}
    return ledger.claim(fingerprint, caps=caps, max_in_flight=99, **values, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda desk: None, None),
        (lambda desk: desk.admit("a", version="2"), WaitReason.REPLACED),
        (lambda desk: desk.admit("a", content='{"prompt": "another"}'), WaitReason.REPLACED),
        (lambda desk: desk.admit("b"), WaitReason.REPLACED),
        (lambda desk: desk.registry.stops.stop(["a"], by="anna", reason="x"), WaitReason.PERSON),
        (lambda desk: desk.registry.mark_running(["a"], "another"), WaitReason.STOPPED),
        (lambda desk: desk.registry.enqueue(["a"], lost_run=True), WaitReason.STOPPED),
        (lambda desk: Ledger(desk.registry.ledger.database).hold_service("sandbox", "anna"), WaitReason.PAUSED),
    ],
)
def test_a_claim_is_refused_for_what_is_not_wanted_any_more(desk: Desk, change, reason: WaitReason | None) -> None:
    desk.admit("a")
    (row,) = desk.registry.mark_running(["a"], "run")
    change(desk)
    found = claim(desk, "a", wanted=still_wanted(row, "run"))
    assert found.reason is reason if reason else isinstance(found, Claimed)


def test_a_stop_and_a_claim_never_miss_each_other(desk: Desk) -> None:
    for number in range(12):
        clip = "abcdef0123456789"[number]
        desk.admit(clip, present=tuple("abcdef0123456789"))
        (row,) = desk.registry.mark_running([clip], "run")
        with ThreadPoolExecutor(2) as pool:
            claimed = pool.submit(claim, desk, clip, wanted=still_wanted(row, "run"))
            stopped = pool.submit(desk.registry.stops.stop, [clip], by="anna", reason="x")
            sent = isinstance(claimed.result(), Claimed)
            assert stopped.result()[clip].marked
        assert sent == bool(desk.registry.stops.with_open_requests([clip]))
        again = claim(desk, clip, wanted=still_wanted(row, "run"))
        assert not isinstance(again, Claimed)


@pytest.mark.parametrize("state", [ClipState.DUE, ClipState.DISPATCHED, ClipState.WAITING, ClipState.WORKING])
def test_a_stop_works_in_every_state_before_a_request_is_sent(desk: Desk, state: ClipState) -> None:
    desk.admit("a")
    if state is ClipState.DISPATCHED:
        desk.registry.dispatch(["a"], batch="1", sensor="uploads", tick=1)
    if state is ClipState.WORKING:
        desk.registry.mark_running(["a"], "run")
    if state is ClipState.WAITING:
        desk.answer("a", ClipState.WAITING, waiting_for=WaitReason.BUDGET)
    found = desk.registry.stops.stop(["a"], by="anna", reason="x")["a"]
    row = desk.registry.get("a")
    assert row is not None
    assert (found.marked, found.held, row.stopped_by) == (True, state is not ClipState.WORKING, "anna")
    assert desk.registry.due() == ()
    assert desk.registry.mark_running(["a"], "late", batch="1") == ()
    assert desk.admit("a").changed == ()
    assert desk.admit("a", version="2").changed == ("a",)
    row = desk.registry.get("a")
    assert row is not None
    assert row.stopped_by is None


def test_a_write_that_finds_another_clip_than_was_read_changes_nothing(desk: Desk) -> None:
    desk.admit("a")
    desk.answer("a", ClipState.WAITING, waiting_for=WaitReason.APPROVAL)
    seen = desk.registry.get("a")
    assert seen is not None
    desk.clock.now += timedelta(seconds=1)
    desk.registry.stops.stop(["a"], by="anna", reason="x")
    assert desk.registry.enqueue(["a"], seen={"a": seen}) == 0
    assert not desk.registry.record_result("a", version="1", state=ClipState.FAILED, seen=seen)
    assert not desk.registry.record_result("a", version="1", state=ClipState.FAILED, run_id="run")
    assert not desk.registry.stops.unstop(seen)
    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.wait) == (ClipState.WAITING, WaitReason.PERSON)


def test_a_late_video_of_an_older_version_does_not_hide_that_the_newer_is_there(desk: Desk) -> None:
    desk.admit("a")
    desk.admit("a", version="2")
    desk.answer("a", ClipState.DELIVERED, version="2", fingerprint="new")
    desk.answer("a", ClipState.DELIVERED, version="1", fingerprint="old")
    row = desk.registry.get("a")
    assert row is not None
    assert (row.state, row.delivered_version, row.fingerprint) == (ClipState.DELIVERED, "2", "new")
