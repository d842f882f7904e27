"""A process that is held up between its claim and its POST, and comes back when others have decided."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from resources.generation.types import Delivered
from resources.ledger.records import State
from resources.runcomfy.client import RunComfyClient


def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


class Freeze:
    """Holds the first who comes by, until told to go on."""

    def __init__(self) -> None:
        self.frozen, self.go_on = threading.Event(), threading.Event()

    def pass_by(self) -> None:
        if not self.frozen.is_set():
            self.frozen.set()
            assert self.go_on.wait(60)


def pays_once(house: Any, freeze: Freeze) -> None:
    """The first run freezes; its claim expires and is sent again by a second run; then the first wakes."""
    order = house.order(1)
    outcomes: list[Any] = []
    first = threading.Thread(target=lambda: outcomes.extend(house.run([order], lease_seconds=1, grace_seconds=0)))
    first.start()
    assert freeze.frozen.wait(30)
    until(lambda: house.ledger.expire(grace_seconds=0))
    second = house.one(order, on_unknown="resubmit")
    assert isinstance(second, Delivered)
    freeze.go_on.set()
    first.join(60)
    assert [(type(found), found.already) for found in outcomes] == [(Delivered, True)]
    assert len(house.charges()) == 1


def test_a_claim_held_up_beyond_its_lease_sends_nothing(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze = Freeze()
    claim = house.ledger.claim

    def frozen(*args: Any, **named: Any) -> Any:
        got = claim(*args, **named)
        freeze.pass_by()
        return got

    monkeypatch.setattr(house.ledger, "claim", frozen)
    monkeypatch.setattr(house.ledger, "heartbeat", lambda *_: 0)  # a frozen process has none
    pays_once(house, freeze)


def test_a_connection_that_takes_longer_than_the_lease_sends_nothing(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = Freeze()
    submit = RunComfyClient.submit

    async def slow(self: RunComfyClient, *args: Any, **named: Any) -> Any:
        await asyncio.to_thread(freeze.pass_by)
        return await submit(self, *args, **named)

    monkeypatch.setattr(RunComfyClient, "submit", slow)
    monkeypatch.setattr(house.ledger, "heartbeat", lambda *_: 0)
    pays_once(house, freeze)


def test_a_claim_that_is_old_and_still_ours_is_renewed_and_sent(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = house.ledger.claim

    def slow(*args: Any, **named: Any) -> Any:
        got = claim(*args, **named)
        until(lambda: got.row.lease_until < house.ledger._now())
        return got

    monkeypatch.setattr(house.ledger, "claim", slow)
    monkeypatch.setattr(house.ledger, "heartbeat", lambda *_: 0)
    order = house.order(1)
    assert isinstance(house.one(order, lease_seconds=1), Delivered)
    assert house.states([order]) == [State.SUCCEEDED]
    assert house.what(order).count("claimed") == 1
