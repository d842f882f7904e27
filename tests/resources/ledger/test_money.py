from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from resources.ledger.records import Claimed, OverBudget, Spend, State

BERLIN = ZoneInfo("Europe/Berlin")


def refused(outcome) -> OverBudget:
    assert isinstance(outcome, OverBudget)
    return outcome


def test_the_caps_hold_to_the_last_micro_dollar(book):
    book.caps = replace(book.caps, usd_per_day_microdollars=2_500_000)
    assert isinstance(book.claim(book.plan()), Claimed)
    name = book.plan()
    over = refused(book.claim(name, price_microdollars=1_500_001))
    assert over.cap == "usd_per_day"
    assert "$1.00 of at most $2.50 today" in over.text
    assert "costs $1.500001" in over.text
    assert book.row(name).state is State.PLANNED
    assert isinstance(book.claim(name, price_microdollars=1_500_000), Claimed)
    assert book.ledger.spent_today("sandbox") == Spend(2, 0, 2_500_000)


@pytest.mark.parametrize("service", ["runcomfy", "sandbox"])
def test_each_refusal_names_its_cap_and_the_variable_that_raises_it(book, service):
    for changes, cap in (
        ({"usd_per_day_microdollars": 1_999_999}, "usd_per_day"),
        ({"requests_per_day": 1}, "requests_per_day"),
        ({"usd_per_run_microdollars": 1_999_999}, "usd_per_run"),
        ({"requests_per_run": 1}, "requests_per_run"),
    ):
        run = f"run-{cap}"
        book.clock.forward(86_400)
        caps = replace(book.caps, **changes)
        assert isinstance(book.claim(book.plan(service=service), caps=caps, run_id=run), Claimed)
        name = book.plan(service=service)
        over = refused(book.claim(name, caps=caps, run_id=run))
        assert over.cap == cap
        # The sandbox's caps per day bound its runs too.
        variable = f"I2V_SANDBOX_BUDGET_{cap[:-3].upper()}DAY" if service == "sandbox" else f"I2V_BUDGET_{cap.upper()}"
        assert f". {variable} raises the limit." in over.text
        if cap.endswith("run"):
            assert isinstance(book.claim(name, caps=caps, run_id=f"another-{cap}"), Claimed)
            assert isinstance(book.claim(book.plan(service=service), caps=caps, run_id=None), Claimed)


@pytest.mark.parametrize("service", ["runcomfy", "sandbox"])
def test_a_cap_that_blocks_every_run_is_reported_before_todays_cap(book, service):
    book.caps = replace(book.caps, usd_per_day_microdollars=0, usd_per_run_microdollars=999_999)
    over = refused(book.claim(book.plan(service=service)))
    assert over.cap == "usd_per_run"
    variable = "I2V_SANDBOX_BUDGET_USD_PER_DAY" if service == "sandbox" else "I2V_BUDGET_USD_PER_RUN"
    assert over.text == f"This clip costs $1.00, but one run may spend at most $0.999999. {variable} raises the limit."
    book.caps = replace(book.caps, requests_per_run=0)
    over = refused(book.claim(book.plan(service=service)))
    assert over.cap == "requests_per_run"
    assert over.text == f"No run may send a request. {variable.replace('USD', 'REQUESTS')} raises the limit."
    assert refused(book.claim(book.plan(service=service), run_id=None)).cap == "usd_per_day", "no run, no cap of one"


def test_what_each_request_of_a_clip_cost(book):
    settled, open_, returned = book.plan(), book.plan(take=2), book.plan(take=3)
    other = book.plan(clip="other")
    for name in (settled, open_, returned, other):
        assert isinstance(book.claim(name), Claimed)
    book.ledger.submitted(settled, attempt=1, owner="a", request_id="r-1")
    book.ledger.succeeded(settled, attempt=1)
    book.ledger.settle(settled, 900_000, attempt=1)
    book.ledger.never_delivered(returned, attempt=1, owner="a", reason="refused connection")
    assert book.ledger.spend_of("hero") == {settled: Spend(1, 900_000, 0), open_: Spend(1, 0, 1_000_000)}
    assert book.ledger.spend_of("nobody") == {}


def test_services_have_budgets_of_their_own(book):
    book.caps = replace(book.caps, requests_per_day=1)
    assert isinstance(book.claim(book.plan()), Claimed)
    assert isinstance(book.claim(book.plan(service="runcomfy")), Claimed)
    assert refused(book.claim(book.plan()))


def test_an_unknown_price_counts_as_a_request(book):
    book.claim(book.plan(), price_microdollars=None)
    assert book.ledger.spent_today("sandbox") == Spend(1, 0, 0)


@pytest.mark.parametrize("answer", ["never_delivered", "refused_for_now", "refused", "not charged"])
def test_a_reservation_that_cannot_be_charged_is_returned(book, answer):
    name = book.at(State.UNKNOWN if answer == "not charged" else State.SUBMITTING)
    assert book.ledger.spent_today("sandbox").microdollars == 1_000_000
    if answer == "not charged":
        book.ledger.resolve(name, by="ann", not_charged=True)
    else:
        more = {"final": False} if answer == "refused" else {}
        getattr(book.ledger, answer)(name, attempt=1, owner="a", reason="why", **more)
    assert book.ledger.spent_today("sandbox") == Spend(0, 0, 0)


@pytest.mark.parametrize("state", [State.UNKNOWN, State.FAILED, State.CANCELLED, State.SUCCEEDED])
def test_a_reservation_that_may_be_charged_stays_until_the_cost_is_known(book, state):
    name = book.at(state)
    assert book.ledger.spent_today("sandbox") == Spend(1, 0, 1_000_000)
    if state is State.UNKNOWN:
        book.ledger.resolve(name, by="ann", given_up=True)
        assert book.ledger.spent_today("sandbox") == Spend(1, 0, 1_000_000)
        assert book.ledger.unsettled("sandbox") == ()
    else:
        assert [row.fingerprint for row in book.ledger.unsettled("sandbox")] == [name]
        assert book.ledger.settle(name, 250_000).cost_microdollars == 250_000
        assert book.ledger.spent_today("sandbox") == Spend(1, 250_000, 0)
        assert book.ledger.unsettled("sandbox") == ()


def test_the_cost_of_an_earlier_attempt_still_counts(book):
    name = book.at(State.FAILED)
    book.ledger.retry(name, by="ann", attempt=1)
    (open_,) = book.ledger.unsettled("sandbox")
    assert (open_.attempt, open_.request_id) == (1, f"r-{name}")
    book.claim(name, owner="b")
    assert book.ledger.spent_today("sandbox") == Spend(2, 0, 2_000_000)
    book.ledger.settle(name, 900_000, attempt=open_.attempt)
    assert book.row(name).cost_microdollars is None
    assert book.ledger.spent_today("sandbox") == Spend(2, 900_000, 1_000_000)
    assert book.ledger.unsettled("sandbox") == ()


def test_a_cost_is_queried_with_growing_gaps_and_not_for_ever(book):
    name = book.at(State.FAILED)
    began, asked = book.clock.now, []
    while book.clock.now < began + timedelta(days=30):
        for row in book.ledger.unsettled("sandbox"):
            asked.append((book.clock.now - began) // timedelta(minutes=5))
            book.ledger.cost_unavailable(row.fingerprint, attempt=row.attempt, reason="no cost yet")
        book.clock.forward(300 if len(asked) < 5 else 3600)
    assert asked[:5] == [0, 1, 3, 7, 15]
    assert 10 <= len(asked) <= 12
    assert asked[-1] < 7 * 24 * 12
    assert book.ledger.spent_today("sandbox") == Spend(0, 0, 0)
    assert book.ledger.spend(began.date(), service="sandbox") == Spend(1, 0, 1_000_000)  # counted all the same
    assert book.ledger.settle(name, 5).cost_microdollars == 5


def test_a_cost_of_an_unknown_request_is_no_longer_queried(book):
    name = book.at(State.FAILED)
    book.ledger.retry(name, by="ann", attempt=1)  # an earlier attempt is asked for by itself
    for _ in range(3):
        (row,) = book.ledger.unsettled("sandbox")
        book.ledger.cost_unavailable(name, attempt=row.attempt, reason="unknown request", not_found=True)
        assert book.ledger.unsettled("sandbox") == ()
        book.clock.forward(3600)
    assert book.ledger.unsettled("sandbox") == ()
    assert book.ledger.spent_today("sandbox") == Spend(1, 0, 1_000_000)


def test_a_resubmitted_unknown_keeps_both_reservations(book):
    name = book.at(State.UNKNOWN)
    book.ledger.resubmit_unknown(name, cap=1, attempt=1)
    book.claim(name)
    assert book.ledger.spent_today("sandbox") == Spend(2, 0, 2_000_000)


def test_a_cost_counts_on_the_day_of_the_claim_however_late(book):
    name = book.at(State.SUCCEEDED)
    book.clock.forward(3 * 86_400)
    book.ledger.settle(name, 5)
    assert book.ledger.spend(date(2026, 3, 10), service="sandbox") == Spend(1, 5, 0)
    assert book.ledger.spent_today("sandbox") == Spend(0, 0, 0)


def test_the_day_begins_where_the_zone_says(book):
    book.caps = replace(book.caps, requests_per_day=1, zone=BERLIN)
    book.clock.now = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
    assert isinstance(book.claim(book.plan()), Claimed)
    name = book.plan()
    assert refused(book.claim(name)).cap == "requests_per_day"
    book.clock.now = datetime(2026, 3, 10, 23, 0, tzinfo=UTC)
    assert isinstance(book.claim(name), Claimed)
    assert book.ledger.spend(date(2026, 3, 10), service="sandbox", zone=UTC).requests == 2
    assert book.ledger.spend(date(2026, 3, 10), service="sandbox", zone=BERLIN).requests == 1


def test_the_day_on_which_clocks_change_is_one_day(book):
    # Berlin, 29 March 2026: 23 hours, from 23:00 to 22:00 UTC.
    book.caps = replace(book.caps, requests_per_day=1, zone=BERLIN)
    book.clock.now = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert isinstance(book.claim(book.plan()), Claimed)
    name = book.plan()
    book.clock.now = datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)
    assert refused(book.claim(name)).cap == "requests_per_day"
    book.clock.now = datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
    assert isinstance(book.claim(name), Claimed)


def test_the_spend_table_adds_up(book):
    for clip, cost in (("hero", 10), ("hero", 20), ("other", None)):
        name = book.plan(clip=clip)
        book.claim(name)
        book.ledger.submitted(name, attempt=1, owner="a", request_id=f"r-{name}")
        book.ledger.succeeded(name, attempt=1, cost_microdollars=cost)
    lines = book.ledger.spend_table(date(2026, 3, 10))
    assert [(line.clip, line.requests, line.settled_microdollars, line.reserved_microdollars) for line in lines] == [
        ("hero", 2, 30, 0),
        ("other", 1, 0, 1_000_000),
    ]
    assert {(line.day, line.route) for line in lines} == {(date(2026, 3, 10), "animate")}
    assert sum(line.microdollars for line in lines) == book.ledger.spent_today("sandbox").microdollars
    assert book.ledger.spend_table(date(2026, 3, 11)) == ()


def test_a_clip_counts_the_requests_that_it_is_planned_with_whichever_clip_sent_them(book):
    first, second = book.at(State.SUCCEEDED), book.at(State.SUBMITTED)
    book.ledger.settle(first, 700_000, attempt=1)
    twin = SimpleNamespace(clip="twin", planned_fingerprint=None, delivered_at=None)
    assert not book.ledger.money_of(twin).sent
    money = book.ledger.money_of(twin, first, second)  # the pieces of its plan
    assert (money.charged_microdollars, money.open_microdollars, money.open_requests) == (700_000, 1_000_000, 1)
    assert money.fingerprints == {first, second}
