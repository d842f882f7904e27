"""Every call in every state: the table below is all that may happen."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from resources.ledger.errors import IllegalTransition, LedgerError, StaleClaim
from resources.ledger.records import ALLOWED, AlreadyClaimed, Claimed, State

Call = Callable[[Any, str], object]

P, SG, SD, OK, F, C, U = (
    State.PLANNED,
    State.SUBMITTING,
    State.SUBMITTED,
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
    State.UNKNOWN,
)

CALLS: dict[str, tuple[Call, dict[State, State]]] = {
    "claim": (lambda b, f: b.claim(f), {P: SG}),
    "submitted": (lambda b, f: b.ledger.submitted(f, attempt=1, owner="a", request_id="other"), {SG: SD, U: SD}),
    "never_delivered": (lambda b, f: b.ledger.never_delivered(f, attempt=1, owner="a", reason="dns"), {SG: P}),
    "refused_for_now": (lambda b, f: b.ledger.refused_for_now(f, attempt=1, owner="a", reason="429"), {SG: P}),
    "refused": (lambda b, f: b.ledger.refused(f, attempt=1, owner="a", reason="422", final=True), {SG: F}),
    "outcome_unknown": (lambda b, f: b.ledger.outcome_unknown(f, attempt=1, owner="a", reason="5xx"), {SG: U}),
    "succeeded": (lambda b, f: b.ledger.succeeded(f, attempt=1), {SD: OK, OK: OK}),
    "failed": (lambda b, f: b.ledger.failed(f, attempt=1, reason="no", final=False), {SD: F, F: F}),
    "cancelled": (lambda b, f: b.ledger.cancelled(f, attempt=1, reason="asked"), {SD: C, C: C}),
    "delivered": (lambda b, f: b.ledger.delivered(f, video_key="k", sha256="0" * 64, size_bytes=1), {OK: OK}),
    "lost": (lambda b, f: b.ledger.lost(f, "gone"), {OK: OK}),
    "retry": (lambda b, f: b.ledger.retry(f, by="ann", attempt=1), {F: P, C: P}),
    "withdraw": (lambda b, f: b.ledger.cancel_planned(f, "ann"), {P: C}),
    "resolve id": (lambda b, f: b.ledger.resolve(f, by="ann", request_id="found"), {U: SD}),
    "resolve free": (lambda b, f: b.ledger.resolve(f, by="ann", not_charged=True), {U: P}),
    "resolve given up": (lambda b, f: b.ledger.resolve(f, by="ann", given_up=True), {U: F}),
    "resubmit": (lambda b, f: b.ledger.resubmit_unknown(f, cap=1, attempt=1), {U: P}),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_moves_as_the_table_says_or_raises_and_changes_nothing(sqlite_book, call, state):
    act, table = CALLS[call]
    name = sqlite_book.at(state)
    before, count = sqlite_book.row(name), len(sqlite_book.ledger.events(name))
    if state in table:
        act(sqlite_book, name)
        assert sqlite_book.row(name).state is table[state]
    elif call == "claim":
        assert isinstance(act(sqlite_book, name), AlreadyClaimed)
        assert sqlite_book.row(name) == before
    else:
        with pytest.raises((IllegalTransition, StaleClaim)):
            act(sqlite_book, name)
        assert sqlite_book.row(name) == before
        late = sqlite_book.ledger.events(name)[count:]
        assert {event.what for event in late} <= {"late_answer", "stray_request"}


def test_the_table_holds_every_transition_and_no_other():
    tried = {(old, new) for _, table in CALLS.values() for old, new in table.items() if old is not new}
    assert tried == {(old, new) for old, targets in ALLOWED.items() for new in targets}


def test_every_transition_writes_one_event(book):
    name = book.at(State.FAILED)
    book.ledger.retry(name, by="ann", attempt=1)
    told = [(e.what, e.from_state, e.to_state, e.attempt, e.owner) for e in book.ledger.events(name)]
    assert told == [
        ("planned", None, P, 1, None),
        ("claimed", P, SG, 1, "a"),
        ("submitted", SG, SD, 1, "a"),
        ("failed", SD, F, 1, None),
        ("retry", F, P, 2, "ann"),
    ]


@pytest.mark.parametrize("old", State)
def test_the_database_itself_refuses_other_transitions(book, old):
    name = book.at(old)
    change = sa.text("UPDATE ledger_requests SET state = :new WHERE fingerprint = :name")
    for new in set(State) - {old}:
        with book.ledger.engine.connect() as connection:
            if new in ALLOWED[old]:
                assert connection.execute(change, {"new": new, "name": name}).rowcount == 1
            else:
                with pytest.raises(sa.exc.IntegrityError, match="no such transition"):
                    connection.execute(change, {"new": new, "name": name})
            connection.rollback()


@pytest.mark.parametrize("change", ["DELETE FROM ledger_events", "UPDATE ledger_events SET reason = 'nothing'"])
def test_events_are_only_ever_added(book, change):
    book.at(State.SUBMITTED)
    with book.ledger.engine.connect() as connection, pytest.raises(sa.exc.IntegrityError, match="only ever added"):
        connection.execute(sa.text(change))


def test_a_final_failure_is_never_planned_again(book):
    name = book.plan()
    book.claim(name)
    book.ledger.refused(name, attempt=1, owner="a", reason="content policy", final=True)
    with pytest.raises(IllegalTransition, match="content policy"):
        book.ledger.retry(name, by="ann", attempt=1)
    given_up = book.at(State.UNKNOWN)
    book.ledger.resolve(given_up, by="ann", given_up=True)
    with pytest.raises(IllegalTransition):
        book.ledger.retry(given_up, by="ann", attempt=1)


def test_a_retry_starts_clean_as_the_next_attempt(book):
    name = book.at(State.FAILED)
    row = book.ledger.retry(name, by="ann", attempt=1)
    assert (row.state, row.attempt, row.request_id, row.owner, row.price_microdollars) == (P, 2, None, None, None)
    assert isinstance(book.claim(name, owner="b"), Claimed)
    with pytest.raises(StaleClaim):
        book.ledger.failed(name, attempt=1, reason="an old poll", final=True)


def test_resolving_needs_exactly_one_decision(book):
    name = book.at(State.UNKNOWN)
    for words in ({}, {"not_charged": True, "given_up": True}, {"request_id": "x", "not_charged": True}):
        with pytest.raises(LedgerError, match="one of"):
            book.ledger.resolve(name, by="ann", **words)


def test_a_request_id_cannot_be_given_to_two_requests(book):
    first, second = book.at(State.SUBMITTED), book.at(State.UNKNOWN)
    with pytest.raises(IllegalTransition, match="belongs to request"):
        book.ledger.resolve(second, by="ann", request_id=f"r-{first}")
    assert book.row(second).state is U


def test_resubmission_is_capped_and_counted(book):
    name = book.at(State.UNKNOWN)
    row = book.ledger.resubmit_unknown(name, cap=1, attempt=1)
    assert row is not None
    assert (row.resubmissions, row.attempt) == (1, 2)
    book.claim(name)
    book.ledger.outcome_unknown(name, attempt=2, owner="a", reason="again")
    assert book.ledger.resubmit_unknown(name, cap=1, attempt=2) is None
    assert book.row(name).state is U


def test_two_callers_who_see_the_same_failure_make_one_new_attempt(book):
    name = book.at(State.FAILED)
    book.ledger.retry(name, by="ann", attempt=1)
    with pytest.raises(StaleClaim):
        book.ledger.retry(name, by="bob", attempt=1)
    book.claim(name)
    book.ledger.submitted(name, attempt=2, owner="a", request_id="second")
    book.ledger.failed(name, attempt=2, reason="no", final=False)
    with pytest.raises(StaleClaim):  # nor when the next one has failed too: that may be the last one allowed
        book.ledger.retry(name, by="bob", attempt=1)
    assert (book.row(name).state, book.row(name).attempt) == (F, 2)


@pytest.mark.parametrize("meanwhile", ["resubmitted", "resolved"])
def test_two_callers_who_see_the_same_unknown_outcome_resubmit_it_once(book, meanwhile):
    name = book.at(State.UNKNOWN)
    if meanwhile == "resubmitted":
        book.ledger.resubmit_unknown(name, cap=5, attempt=1)
    else:
        book.ledger.resolve(name, by="ann", request_id="found")
    before = book.row(name)
    with pytest.raises(StaleClaim):
        book.ledger.resubmit_unknown(name, cap=5, attempt=1)
    assert book.row(name) == before
