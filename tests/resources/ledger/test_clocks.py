"""Hosts whose clocks are wrong: their leases and pauses bind nobody for longer than the longest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.generation.context import Hold
from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, Claimed, NewRequest, State

CAPS = Caps(10**12, 10**6, 10**12, 10**6, UTC)


def planned(ledger: Ledger, number: int) -> str:
    name = f"{number:064x}"
    ledger.plan(NewRequest(name, "sandbox", f"clip-{number}", 1, "family", "animate", number, 5, "{}"))
    return name


def claim(ledger: Ledger, name: str, owner: str, most: int = 1) -> Any:
    return ledger.claim(
        name, owner=owner, run_id=None, lease_seconds=60, price_microdollars=1, model_id="m", caps=CAPS,
        max_in_flight=most,
    )  # fmt: skip


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=365)])
def test_a_lease_of_a_clock_that_is_ahead_counts_as_run_out(tmp_path: Path, ahead: timedelta) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    wrong = Ledger.open(url, lambda: datetime.now(UTC) + ahead)
    right = Ledger.open(url)
    first, second, third = (planned(right, number) for number in (1, 2, 3))
    assert isinstance(claim(wrong, first, "wrong"), Claimed)
    wrong.submitted(first, attempt=1, owner="wrong", request_id="r-1")
    assert isinstance(claim(wrong, second, "wrong", 9), Claimed)
    assert isinstance(claim(right, third, "right"), Claimed), "its slots are free"
    assert [row.fingerprint for row in right.orphans("sandbox")] == [first]
    assert right.adopt(first, owner="right", run_id=None, lease_seconds=60) is not None
    assert [row.fingerprint for row in right.expire()] == [second]
    assert right.get(second).state is State.UNKNOWN
    wrong.pause("sandbox", datetime.now(UTC) + ahead + timedelta(minutes=5))
    assert right.paused_until("sandbox") is None
    right.pause("sandbox", datetime.now(UTC) + timedelta(minutes=5))
    assert right.paused_until("sandbox") is not None


def test_on_postgres_the_servers_clock_decides(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.ledger import records

    ledger = Ledger.open(postgres_url)
    name = planned(ledger, 1)
    monkeypatch.setattr(records, "datetime", _Ahead)
    claimed = claim(ledger, name, "ahead")
    monkeypatch.undo()
    assert abs((claimed.row.lease_until - datetime.now(UTC)).total_seconds() - 60) < 10
    ledger.close()


class _Ahead(datetime):
    """A host a year ahead."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + timedelta(days=365)


@pytest.mark.parametrize(("back", "good"), [(timedelta(seconds=2), True), (timedelta(hours=2), False)])
def test_an_owner_whose_clock_was_set_back_looks_again_before_it_sends(back: timedelta, good: bool) -> None:
    """By then the others may have counted its lease as one of a wrong clock, and a person may have let it go."""
    now = datetime.now(UTC)
    hold = Hold.of(now + timedelta(seconds=60), 60, since=0.0)
    assert hold.good(now, 0.0)
    assert hold.good(now - back, 0.0) is good
