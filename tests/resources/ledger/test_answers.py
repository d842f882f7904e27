from datetime import timedelta

import pytest

from resources.ledger.errors import IllegalTransition, LedgerError, StaleClaim
from resources.ledger.leases import GRACE_SECONDS
from resources.ledger.records import Claimed, State


def test_a_response_after_the_lease_is_accepted(book):
    name = book.at(State.SUBMITTING)
    book.clock.forward(61 + GRACE_SECONDS)
    book.ledger.expire()
    row = book.ledger.submitted(name, attempt=1, owner="a", request_id="late")
    assert (row.state, row.request_id) == (State.SUBMITTED, "late")
    found = book.ledger.find("late")
    assert found is not None
    assert found.fingerprint == name
    assert [r.fingerprint for r in book.ledger.orphans("sandbox")] == [name]


def test_other_late_responses_are_kept_as_events(book):
    name = book.at(State.SUBMITTING)
    book.clock.forward(61 + GRACE_SECONDS)
    book.ledger.expire()
    with pytest.raises(StaleClaim, match="ran out"):
        book.ledger.refused(name, attempt=1, owner="a", reason="422 bad prompt", final=True)
    assert book.row(name).state is State.UNKNOWN
    last = book.ledger.events(name)[-1]
    assert (last.what, last.reason) == ("late_answer", "refused: 422 bad prompt")


def test_a_late_request_id_stops_the_next_attempt_that_is_only_planned(book):
    name = book.at(State.UNKNOWN)
    book.ledger.resolve(name, by="ann", not_charged=True)
    assert book.ledger.spent_today("sandbox").requests == 0
    with pytest.raises(StaleClaim):
        book.ledger.submitted(name, attempt=1, owner="a", request_id="late")
    row = book.row(name)
    assert (row.state, row.attempt, row.request_id, row.lease_until) == (State.SUBMITTED, 2, "late", None)
    assert not isinstance(book.claim(name, owner="b"), Claimed)
    assert book.ledger.spent_today("sandbox").requests == 1
    adopted = book.ledger.adopt(name, owner="b", run_id=None, lease_seconds=60)
    assert adopted is not None
    assert book.ledger.succeeded(name, attempt=2, cost_microdollars=5).cost_microdollars == 5


def test_a_late_request_id_belongs_to_the_latest_claim_of_its_attempt(book):
    name = book.plan()
    assert isinstance(book.claim(name, owner="a"), Claimed)
    book.ledger.never_delivered(name, attempt=1, owner="a", reason="refused connection")
    assert isinstance(book.claim(name, owner="a"), Claimed)
    book.ledger.outcome_unknown(name, attempt=1, owner="a", reason="timeout")
    book.ledger.resolve(name, by="ann", not_charged=True)
    with pytest.raises(StaleClaim):
        book.ledger.submitted(name, attempt=1, owner="a", request_id="late")
    row = book.row(name)
    assert (row.state, row.request_id) == (State.SUBMITTED, "late")
    assert book.ledger.spent_today("sandbox").requests == 1


def test_a_late_request_id_of_an_old_attempt_is_found_and_counts(book):
    name = book.at(State.UNKNOWN)
    book.ledger.resolve(name, by="ann", not_charged=True)
    book.claim(name, owner="b")
    with pytest.raises(StaleClaim):
        book.ledger.submitted(name, attempt=1, owner="a", request_id="late")
    row = book.row(name)
    assert (row.state, row.attempt, row.owner, row.request_id) == (State.SUBMITTING, 2, "b", None)
    found = book.ledger.find("late")
    assert found is not None
    assert found.fingerprint == name
    assert book.ledger.spent_today("sandbox").requests == 2
    assert book.ledger.events(name)[-1].what == "stray_request"


def test_recording_the_same_response_twice_changes_nothing(book):
    name = book.at(State.SUBMITTED)
    steps = (
        lambda: book.ledger.submitted(name, attempt=1, owner="a", request_id=f"r-{name}"),
        lambda: book.ledger.started(name, book.clock.now),
        lambda: book.ledger.succeeded(name, attempt=1, cost_microdollars=7),
        lambda: book.ledger.delivered(name, video_key="k", sha256="0" * 64, size_bytes=3),
        lambda: book.ledger.settle(name, 7),
        lambda: book.ledger.lost(name, "gone"),
    )
    for step in steps:
        first = step()
        count = len(book.ledger.events(name))
        book.clock.forward(1)
        assert step() == first
        assert len(book.ledger.events(name)) == count


def test_a_second_request_id_of_one_attempt_is_refused_and_kept(book):
    name = book.at(State.SUBMITTED)
    with pytest.raises(IllegalTransition):
        book.ledger.submitted(name, attempt=1, owner="a", request_id="second")
    assert book.row(name).request_id == f"r-{name}"
    assert "second" in (book.ledger.events(name)[-1].reason or "")


def test_a_request_runs_from_planned_to_delivered(book):
    name = book.at(State.SUBMITTED)
    book.clock.forward(5)
    book.ledger.started(name, book.clock.now)
    done = book.clock.now + timedelta(seconds=25)
    book.clock.forward(40)
    book.ledger.succeeded(name, attempt=1, at=done)
    row = book.ledger.delivered(name, video_key="videos/x.mp4", sha256="ab" * 32, size_bytes=99)
    assert (row.video_key, row.video_sha256, row.video_bytes) == ("videos/x.mp4", "ab" * 32, 99)
    assert row.finished_at == done
    assert row.delivered_at == book.clock.now
    assert row.lease_until is None


def test_a_note_only_adds_an_event(book):
    name = book.at(State.SUBMITTED)
    before = book.row(name)
    book.ledger.note(name, "a", "cancel was not confirmed")
    assert book.row(name) == before
    assert book.ledger.events(name)[-1].reason == "cancel was not confirmed"


def test_generation_times_come_newest_first_and_by_model_and_duration(book):
    for seconds in (10, 20, 30):
        name = book.at(State.SUBMITTED)
        book.clock.forward(seconds)
        book.ledger.succeeded(name, attempt=1)
    model = book.row(name).model_id
    assert book.ledger.generation_times("sandbox", model, 5) == (30.0, 20.0, 10.0)
    assert book.ledger.generation_times("sandbox", model, 5, limit=1) == (30.0,)
    assert book.ledger.generation_times("sandbox", model, 6) == ()
    assert book.ledger.generation_times("runcomfy", model, 5) == ()
    skewed = book.at(State.SUBMITTED)
    book.ledger.succeeded(skewed, attempt=1, at=book.clock.now - timedelta(days=1))
    assert len(book.ledger.generation_times("sandbox", model, 5)) == 3


def test_lists_filter_and_order(book):
    first = book.at(State.SUBMITTED)
    book.clock.forward(1)
    second = book.plan(clip="other", service="runcomfy")
    names = [row.fingerprint for row in book.ledger.list()]
    assert names == [second, first]
    assert [row.fingerprint for row in book.ledger.list(newest_first=False, limit=1)] == [first]
    assert [row.fingerprint for row in book.ledger.list(states={State.PLANNED})] == [second]
    assert [row.fingerprint for row in book.ledger.list(clip="other")] == [second]
    assert [row.fingerprint for row in book.ledger.list(service="sandbox")] == [first]
    assert book.ledger.list(states=()) == ()


def test_a_cost_needs_a_submission(book):
    with pytest.raises(IllegalTransition):
        book.ledger.settle(book.plan(), 5)
    with pytest.raises(LedgerError, match="not a valid cost"):
        book.ledger.settle(book.at(State.SUCCEEDED), -1)
