"""Limits that hold for the whole fleet: two runs as processes of their own over one ledger."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.generation.engine import FLEET_SECONDS
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow

SLACK = timedelta(seconds=1.5)
"""A busy machine writes an answer down so much later than it was given."""


def _url(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> str:
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))


def _ended(processes: list[Any]) -> None:
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out


def _most_together(rows: list[RequestRow]) -> int:
    return max(
        sum(other.claimed_at <= row.claimed_at < other.finished_at for other in rows)  # type: ignore[operator]
        for row in rows
    )


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_the_slots_are_the_fleets_and_not_a_process(
    build_house: Any, lasting_sandbox: Any, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = _url(request, database, tmp_path)
    house = build_house(lasting_sandbox, url)
    options = {"prior_seconds": 0.3, "lease_seconds": 30, "max_in_flight": 3}
    _ended([house.child(house.orders(6, first=start), url, options=options) for start in (1, 101)])
    with Ledger.open(url) as ledger:
        rows = list(ledger.list())
    assert len({row.run_id for row in rows}) == 2
    assert len(house.charges()) == 12
    assert _most_together(rows) <= 3


def test_what_one_is_told_all_obey(build_house: Any, lasting_sandbox: Any, tmp_path: Path) -> None:
    """One of two runs hears Retry-After: soon neither of them submits, until it is over."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    house = build_house(lasting_sandbox, url)
    options = {"prior_seconds": 0.3, "lease_seconds": 30, "max_in_flight": 1}
    both = [house.child(house.orders(8, first=start), url, options=options) for start in (1, 101)]
    deadline = time.monotonic() + 60
    while len({row.run_id for row in house.ledger.list() if row.run_id}) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    pause = timedelta(seconds=FLEET_SECONDS + 5)
    house.fault("submit", "http_429", retry_after=pause.total_seconds())
    _ended(both)
    told = [
        (event.at, row.fingerprint)
        for row in house.ledger.list()
        for event in house.ledger.events(row.fingerprint)
        if event.what == "refused_for_now"
    ]
    ((at, _),) = told
    submitted = sorted(row.submitted_at for row in house.ledger.list())
    heard = at + timedelta(seconds=FLEET_SECONDS) + SLACK
    assert [when for when in submitted if heard < when < at + pause] == []
    assert submitted[-1] >= at + pause, "nothing was left to hold back"
    assert house.charged_twice() == []
