"""A ledger that comes back without its latest commits, or cannot be written: what was sent is not sent again."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
import sqlalchemy as sa

from resources.generation.types import Delivered, Held
from resources.ledger.database import Database
from resources.ledger.errors import LedgerFull
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.ledger.responses import Responses
from resources.runcomfy.client import RunComfyClient
from resources.wait_reason import WaitReason


@pytest.fixture
def promoted(postgres_server: Any, request: pytest.FixtureRequest) -> Any:
    """A second real database, the copy that is promoted."""
    name = "promoted_" + str(abs(hash(request.node.name)))
    url = postgres_server.create_database(name)
    database = Database.open(url)
    yield database
    database.close()
    postgres_server.drop_database(name)


def copied(source: Database, target: Database, *, claim: bool, row: bool) -> None:
    """What the standby has: everything, without the claim, or without the row at all."""
    with source.read() as old, target.write() as new:
        for table in ("ledger_requests", "ledger_services"):
            for found in old.execute(sa.text(f"SELECT * FROM {table}")).mappings():
                values = dict(found)
                if table == "ledger_requests" and row:
                    continue
                if table == "ledger_requests" and claim:
                    values |= {"state": "planned", "owner": None, "lease_until": None, "request_id": None}
                    values |= {"price_microdollars": None, "claimed_at": None, "submitted_at": None, "run_id": None}
                columns = ", ".join(values)
                places = ", ".join(f":{name}" for name in values)
                new.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), values)
        if not row and not claim:
            for found in old.execute(sa.text("SELECT * FROM ledger_submissions")).mappings():
                columns, places = ", ".join(found), ", ".join(f":{name}" for name in found)
                new.execute(sa.text(f"INSERT INTO ledger_submissions ({columns}) VALUES ({places})"), dict(found))


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("missing", ["claim", "row"])
def test_what_a_promoted_copy_lacks_is_written_again_and_not_sent_again(
    build_house: Any,
    lasting_sandbox: Any,
    postgres_url: str,
    promoted: Database,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    answered: bool,
) -> None:
    house = build_house(lasting_sandbox, postgres_url)
    order = house.order(1)
    real = RunComfyClient.submit
    before = house.ledger.database

    async def submit(self: RunComfyClient, *given: Any, **named: Any) -> Any:
        answer = await real(self, *given, **named)
        copied(before, promoted, claim=missing == "claim", row=missing == "row")
        house.ledger.database = promoted
        return answer

    monkeypatch.setattr(RunComfyClient, "submit", submit)
    if not answered:
        house.fault("submit", "disconnect_after")

        async def cut(self: RunComfyClient, *given: Any, **named: Any) -> Any:
            try:
                return await real(self, *given, **named)
            finally:
                copied(before, promoted, claim=missing == "claim", row=missing == "row")
                house.ledger.database = promoted

        monkeypatch.setattr(RunComfyClient, "submit", cut)
    outcome = house.one(order)
    assert len(house.charges()) == 1
    if answered:
        assert isinstance(outcome, Delivered)
        assert house.row(order).request_id == house.charges()[0]["request_id"]
    else:
        assert outcome.kind is WaitReason.UNKNOWN
        assert house.states([order]) == [State.UNKNOWN]
    monkeypatch.setattr(RunComfyClient, "submit", real)
    house.one(order)
    assert len(house.charges()) == 1
    house.ledger.database = before


def test_a_failover_in_the_middle_of_a_poll_sends_nothing_again(
    build_house: Any, lasting_sandbox: Any, postgres_url: str, promoted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build_house(lasting_sandbox, postgres_url)
    order = house.order(1)
    real = RunComfyClient.result
    before = house.ledger.database

    async def result(self: RunComfyClient, request_id: str) -> Any:
        if house.ledger.database is before:
            copied(before, promoted, claim=True, row=True)
            house.ledger.database = promoted
        return await real(self, request_id)

    monkeypatch.setattr(RunComfyClient, "result", result)
    assert isinstance(house.one(order), Delivered)
    assert len(house.charges()) == 1
    house.ledger.database = before


def test_a_full_disk_stops_the_submits_at_once_and_the_ids_are_recorded_later(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = house.orders(12)
    full = True
    real: Callable[..., Any] = Responses.submitted

    def submitted(self: Ledger, *given: Any, **named: Any) -> Any:
        if full:
            raise LedgerFull("The ledger's database cannot be used: database or disk is full.")
        return real(self, *given, **named)

    monkeypatch.setattr(Responses, "submitted", submitted)

    async def through() -> list[Any]:
        nonlocal full
        found = []
        async with (
            house.engine(submits=4, patience_seconds=0.5, lease_seconds=3) as engine,
            aclosing(engine.stream(orders)) as outcomes,
        ):
            async for outcome in outcomes:
                found.append(outcome)
            full = False
        return found

    outcomes = asyncio.run(through())
    assert all(isinstance(outcome, Held) for outcome in outcomes)
    assert {outcome.kind for outcome in outcomes} == {WaitReason.STORAGE}
    assert any("disk is full" in outcome.reason for outcome in outcomes)
    sent = len(house.charges())
    assert sent <= 4
    full = False
    monkeypatch.setattr(Responses, "submitted", real)
    assert {type(outcome) for outcome in house.run(orders)} == {Delivered}
    assert len(house.charges()) == 12
    assert house.charged_twice() == []


def test_a_full_disk_is_known_as_such(tmp_path: Any) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")

    def fill() -> None:
        with ledger.database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE filler (data BLOB)")
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(4000000))")

    with pytest.raises(LedgerFull):
        fill()
    ledger.close()
