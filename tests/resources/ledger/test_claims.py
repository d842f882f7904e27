from datetime import timedelta

import pytest

from resources.ledger.errors import StaleClaim, UnknownRequest
from resources.ledger.leases import GRACE_SECONDS
from resources.ledger.records import AlreadyClaimed, AtCapacity, Claimed, State


def test_planning_twice_makes_one_request(book):
    name = book.plan(clip="hero")
    book.claim(name)
    book.plan(name, clip="the-same-picture")
    row = book.row(name)
    assert (row.clip, row.state) == ("hero", State.SUBMITTING)
    assert [event.what for event in book.ledger.events(name)] == ["planned", "claimed"]


def test_a_claim_holds_the_request(book):
    name = book.plan()
    claimed = book.claim(name)
    assert isinstance(claimed, Claimed)
    row = claimed.row
    assert row == book.row(name)
    assert (row.state, row.owner, row.run_id, row.price_microdollars) == (State.SUBMITTING, "a", "run-1", 1_000_000)
    assert row.lease_until == book.clock.now + timedelta(seconds=60)
    assert book.claim(name, owner="b") == AlreadyClaimed(row)


def test_an_unplanned_request_cannot_be_claimed(book):
    with pytest.raises(UnknownRequest):
        book.claim("f" * 64)


def test_only_live_leases_fill_the_slots(book):
    first, second = book.at(State.SUBMITTED), book.at(State.SUBMITTING)
    third = book.plan()
    assert book.claim(third, max_in_flight=2) == AtCapacity(2)
    book.ledger.release("a", fingerprint=first)
    assert isinstance(book.claim(third, max_in_flight=2), Claimed)
    book.clock.forward(61)
    assert isinstance(book.claim(book.plan(), max_in_flight=1), Claimed)
    assert book.row(second).state is State.SUBMITTING


def test_a_response_of_another_owner_or_attempt_changes_nothing(book):
    name = book.at(State.SUBMITTING)
    before = book.row(name)
    for attempt, owner in ((1, "b"), (2, "a"), (0, "a")):
        for answer in (
            lambda n, o: book.ledger.never_delivered(name, attempt=n, owner=o, reason="dns"),
            lambda n, o: book.ledger.refused(name, attempt=n, owner=o, reason="422", final=True),
            lambda n, o: book.ledger.outcome_unknown(name, attempt=n, owner=o, reason="5xx"),
            lambda n, o: book.ledger.submitted(name, attempt=n, owner=o, request_id="x"),
        ):
            with pytest.raises(StaleClaim):
                answer(attempt, owner)
    assert book.row(name) == before


def test_a_dead_owner_leaves_an_unknown_outcome(book):
    name, kept = book.at(State.SUBMITTING), book.plan()
    book.claim(kept, owner="b")
    book.clock.forward(50)
    assert book.ledger.heartbeat("b", 60) == 1
    assert book.ledger.expire() == ()
    book.clock.forward(11 + GRACE_SECONDS - 2)
    book.ledger.heartbeat("b", 60)
    assert book.ledger.expire() == ()  # its lease is over, and it is left alone a little longer
    book.clock.forward(2)
    (row,) = book.ledger.expire()
    assert (row.fingerprint, row.state, row.lease_until) == (name, State.UNKNOWN, None)
    assert book.row(kept).state is State.SUBMITTING
    assert book.ledger.events(name)[-1].what == "expired"


def test_a_request_without_an_owner_is_adopted(book):
    name = book.at(State.SUBMITTED)
    assert book.ledger.adopt(name, owner="b", run_id="run-2", lease_seconds=60) is None
    own = book.ledger.adopt(name, owner="a", run_id="run-1", lease_seconds=90)
    assert own is not None
    assert own.lease_until == book.clock.now + timedelta(seconds=90)
    book.clock.forward(91)
    assert [row.fingerprint for row in book.ledger.orphans("sandbox")] == [name]
    assert book.ledger.orphans("runcomfy") == ()
    adopted = book.ledger.adopt(name, owner="b", run_id="run-2", lease_seconds=60)
    assert adopted is not None
    assert (adopted.owner, adopted.run_id, adopted.state) == ("b", "run-2", State.SUBMITTED)
    assert book.ledger.orphans("sandbox") == ()
    assert book.ledger.heartbeat("a", 60) == 0
    book.ledger.succeeded(name, attempt=1)


@pytest.mark.parametrize("state", sorted(set(State) - {State.SUBMITTED, State.SUCCEEDED}))
def test_only_requests_at_the_service_are_adopted(book, state):
    name = book.at(state)
    book.clock.forward(61)
    assert book.ledger.adopt(name, owner="b", run_id=None, lease_seconds=60) is None


def test_a_success_without_its_video_is_an_orphan_until_delivered_or_lost(book):
    name, gone = book.at(State.SUCCEEDED), book.at(State.SUCCEEDED)
    assert book.ledger.orphans("sandbox") == ()
    assert book.ledger.release("a") == 2
    assert {row.fingerprint for row in book.ledger.orphans("sandbox")} == {name, gone}
    row = book.ledger.adopt(name, owner="b", run_id=None, lease_seconds=60)
    assert row is not None
    assert row.state is State.SUCCEEDED
    book.ledger.delivered(name, video_key="videos/x.mp4", sha256="0" * 64, size_bytes=10)
    assert book.ledger.lost(gone, "404 at the service, not in the bucket").lost
    book.clock.forward(1000)
    assert book.ledger.orphans("sandbox") == ()
    assert book.ledger.adopt(gone, owner="b", run_id=None, lease_seconds=60) is None


@pytest.mark.parametrize("taken", ["not at all", "by time", "by a resubmit", "by a later claim"])
def test_a_claim_is_renewed_only_while_the_owner_holds_it(book, taken):
    name = book.at(State.SUBMITTING)
    book.clock.forward(61 + GRACE_SECONDS)
    if taken != "not at all":
        book.ledger.expire()
    if taken in ("by a resubmit", "by a later claim"):
        book.ledger.resubmit_unknown(name, cap=1, attempt=1)
    if taken == "by a later claim":
        assert isinstance(book.claim(name), Claimed)  # by the same owner, even: it is another attempt
    before = book.row(name)
    row = book.ledger.renew(name, attempt=1, owner="a", lease_seconds=60)
    if taken == "not at all":
        assert row is not None
        assert row.lease_until == book.clock.now + timedelta(seconds=60)
        return
    assert row is None
    assert book.row(name) == before
    assert (book.ledger.events(name)[-1].what == "late_answer") == (taken == "by time")


def test_release_releases_only_requests_at_the_service(book):
    name, open_ = book.at(State.SUBMITTED), book.at(State.SUBMITTING)
    assert book.ledger.release("a") == 1
    assert book.row(name).lease_until is None
    assert book.row(open_).lease_until is not None
    assert book.ledger.heartbeat("a", 60) == 1


def test_a_pause_applies_to_all_processes_and_is_never_shortened(book):
    until = book.clock.now + timedelta(seconds=30)
    assert book.ledger.paused_until("sandbox") is None
    book.ledger.pause("sandbox", until)
    book.ledger.pause("sandbox", until - timedelta(seconds=20))
    assert book.ledger.paused_until("sandbox") == until
    assert book.ledger.paused_until("runcomfy") is None
    book.clock.forward(31)
    assert book.ledger.paused_until("sandbox") is None


def test_approvals_hold_for_the_price_and_below(book):
    book.ledger.approve("hash", {"f" * 64: 500, "e" * 64: None}, by="ann")
    assert book.ledger.is_approved("f" * 64, 500)
    assert book.ledger.is_approved("f" * 64, 400)
    assert not book.ledger.is_approved("f" * 64, 501)
    assert not book.ledger.is_approved("f" * 64, None)
    assert book.ledger.is_approved("e" * 64, None)
    assert not book.ledger.is_approved("e" * 64, 1)
    assert not book.ledger.is_approved("d" * 64, 1)
