"""What the database promises about a committed claim, and ids that were given twice."""

from datetime import UTC
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.durability import promises
from resources.ledger.errors import IllegalTransition
from resources.ledger.ledger import Ledger
from resources.ledger.migrations.versions.v0009_service_bounds import DOUBLES
from resources.ledger.records import Caps, Claimed, NewRequest


def planned(ledger: Ledger, number: int) -> str:
    name = f"{number:064x}"
    ledger.plan(NewRequest(name, "sandbox", f"clip-{number}", 1, "family", "animate", number, 5, "{}"))
    return name


def claim(ledger: Ledger, name: str) -> None:
    caps = Caps(10**12, 10**6, 10**12, 10**6, UTC)
    claimed = ledger.claim(
        name, owner="one", run_id=None, lease_seconds=60, price_microdollars=1, model_id="m", caps=caps,
        max_in_flight=9,
    )  # fmt: skip
    assert isinstance(claimed, Claimed)


@pytest.mark.parametrize("level", ["off", "local", "remote_write"])
def test_a_commit_waits_for_the_disk_whatever_the_default(postgres_url: str, level: str) -> None:
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET synchronous_commit = {level}'))
    engine.dispose()
    database = Database.open(postgres_url)
    with database.write() as connection:
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar_one() == "on"
    found = {promise.name: promise for promise in promises(database)}
    assert found["ledger, commits"].holds
    assert level in found["ledger, commits"].text
    assert "no standby" in found["ledger, standby"].text
    database.close()


def test_a_stronger_promise_stays(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET synchronous_commit = remote_apply'))
    engine.dispose()
    database = Database.open(postgres_url)
    with database.read() as connection:
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar_one() == "remote_apply"
    database.close()


def test_fsync_that_is_off_is_told(postgres_url: str) -> None:
    """The server of the tests runs without it, to be quick."""
    database = Database.open(postgres_url)
    disk = next(promise for promise in promises(database) if promise.name == "ledger, disk")
    assert not disk.holds
    assert "fsync" in disk.text
    database.close()


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    assert [promise.holds for promise in promises(database)] == [True]
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_migration_marks_ids_that_were_given_twice(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'l.sqlite'}" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    ledger = Ledger.open(url)
    names = [planned(ledger, number) for number in (1, 2, 3)]
    for number, name in enumerate(names):
        claim(ledger, name)
        ledger.submitted(name, attempt=1, owner="one", request_id=f"r-{number}")
    with ledger.database.write() as connection:
        connection.exec_driver_sql("DROP INDEX uq_ledger_submissions_service_request_id")
        connection.exec_driver_sql("UPDATE ledger_submissions SET request_id = 'same'")
        connection.exec_driver_sql(DOUBLES.format(true="1" if kind == "sqlite" else "TRUE"))
        doubles = connection.exec_driver_sql("SELECT is_double FROM ledger_submissions ORDER BY id").scalars().all()
    assert [bool(double) for double in doubles] == [False, True, True]
    ledger.close()


def test_an_id_belongs_to_one_attempt(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}")
    first, second = planned(ledger, 1), planned(ledger, 2)
    claim(ledger, first)
    ledger.submitted(first, attempt=1, owner="one", request_id="r")
    claim(ledger, second)
    assert ledger.submitted(second, attempt=1, owner="one", request_id="r").state == "unknown"
    with pytest.raises(IllegalTransition):
        ledger.resolve(second, by="test", request_id="r")
    ledger.failed(first, attempt=1, reason="no", final=False)
    ledger.retry(first, by="test", attempt=1)
    claim(ledger, first)
    row = ledger.submitted(first, attempt=2, owner="one", request_id="r")
    assert row.state == "unknown"
    assert "earlier attempt" in (row.reason or "")
    ledger.close()
