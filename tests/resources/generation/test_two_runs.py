"""Two runs at once over the same clips, as processes of their own: one charge each, and each run has every video."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resources.generation.types import Delivered
from resources.ledger.ledger import Ledger
from resources.ledger.records import State


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_two_runs_over_the_same_clips_pay_once(
    build_house: Any, lasting_sandbox: Any, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}" if database == "sqlite" else request.getfixturevalue("postgres_url")
    house = build_house(lasting_sandbox, url)
    orders = house.orders(12)
    both = [house.child(orders, url), house.child(list(reversed(orders)), url)]
    told = []
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
        told.append([json.loads(line) for line in out.splitlines()])
    assert [len(lines) for lines in told] == [12, 12]
    assert len(house.charges()) == 12
    assert house.charged_twice() == []
    assert sum(line["paid"] for lines in told for line in lines) == 12
    assert {line["clip"] for line in told[0] if line["paid"]}.isdisjoint(
        {line["clip"] for line in told[1] if line["paid"]}
    )
    with Ledger.open(url) as ledger:
        assert {row.state for row in ledger.list()} == {State.SUCCEEDED}


def test_what_another_run_is_working_on_is_waited_for(house: Any, tmp_path: Path) -> None:
    """The other run holds the claims; this one neither submits nor polls, and answers from the bucket in the end."""
    orders = house.orders(4)
    process = house.child(orders, tmp_path / "ledger.sqlite")
    outcomes = house.run(orders)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(outcomes) == 4
    assert len(house.charges()) == 4


@pytest.mark.parametrize("seen", ["failed", "unknown"])
def test_two_runs_that_see_the_same_end_make_one_new_attempt_of_it(
    house: Any, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    """One looks, the other makes the whole clip, then the first acts upon what it saw."""
    house.fault("submit", "http_422" if seen == "failed" else "disconnect_before")
    order = house.order(1, retry_by="test")
    house.one(replace(order, retry_by=None))
    assert house.states([order]) == [State(seen)]
    name = "retry" if seen == "failed" else "resubmit_unknown"
    real = getattr(house.ledger, name)
    other: list[Any] = []

    def late(*given: Any, **named: Any) -> Any:
        if not other:
            monkeypatch.setattr(house.ledger, name, real)
            with ThreadPoolExecutor(1) as thread:
                other.append(thread.submit(house.one, order, on_unknown="resubmit").result())
        return real(*given, **named)

    monkeypatch.setattr(house.ledger, name, late)
    mine = house.one(order, on_unknown="resubmit")
    assert isinstance(other[0], Delivered)
    assert isinstance(mine, Delivered)
    assert (mine.already, mine.attempt) == (True, 2)
