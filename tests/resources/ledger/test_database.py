import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import resources.registry.tables  # noqa: F401 - its tables are of the same database
from i2v_assets.cli.exit_codes import Exit, exit_code
from resources.errors import SettingsError
from resources.ledger.database import MIGRATIONS, VERSION_TABLE, Database, head
from resources.ledger.errors import LedgerError, LedgerUnavailable
from resources.ledger.ledger import Ledger
from resources.ledger.tables import metadata
from resources.registry.registry import RefusedRow, Registry

OPENER = """
import sys
from resources.ledger.ledger import Ledger
sys.stdin.readline()
with Ledger.open(sys.argv[1]) as ledger:
    print(ledger.list())
"""


def test_processes_that_open_an_empty_ledger_at_once_migrate_it_once(ledger_url):
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, ledger_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    ended = [(opener.communicate(timeout=60), opener.returncode) for opener in openers]
    assert [(told[0], code) for told, code in ended] == [("()\n", 0)] * 4, ended


def test_the_migrations_make_exactly_the_tables_of_the_code(ledger_url):
    database = Database.open(ledger_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "include_object": lambda thing, name, kind, reflected, other: kind != "index",
            },
        )
        assert compare_metadata(context, metadata) == []
        indexed = {
            (table.name, tuple(index["column_names"]))
            for table in metadata.sorted_tables
            for index in sa.inspect(connection).get_indexes(table.name)
        }
    wanted = {
        (table.name, tuple(column.name for column in index.columns))
        for table in metadata.sorted_tables
        for index in table.indexes
    }
    assert indexed == wanted
    database.close()


def test_the_newest_migration_is_found_without_alembic():
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == head()


def test_a_ledger_of_an_older_program_keeps_its_clips_and_refusals(ledger_url):
    database = Database.open(ledger_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        connection.execute(
            sa.text(
                "INSERT INTO registry_clips (clip, source, version, content, priority, state, extra_takes, retries,"
                " admitted_at, updated_at) VALUES ('hero', 'uploads/hero.jpg', '1', '{}', 0, 'waiting', 0, 1,"
                " '2026-03-10 12:00:00', '2026-03-10 12:00:00')"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO registry_clips (clip, source, version, content, priority, state, extra_takes, retries,"
                " admitted_at, updated_at, delivered_at, answered_version, waiting_for) VALUES"
                " ('made', 'uploads/made.jpg', '7', '{}', 0, 'delivered', 0, 0, :at, :at, :at, '7', NULL),"
                " ('asks', 'uploads/asks.jpg', '8', '{}', 0, 'waiting', 0, 0, :at, :at, :at, '8', 'approval'),"
                " ('held', 'uploads/held.jpg', '9', '{}', 0, 'waiting', 0, 0, :at, :at, :at, '9', 'budget')"
            ),
            {"at": "2026-03-10 12:00:00"},
        )
        connection.execute(sa.text("INSERT INTO registry_refused_uploads (key, version) VALUES ('uploads/x', '1')"))
    database.close()
    database = Database.open(ledger_url)
    registry = Registry(database)
    row = registry.get("hero")
    assert row is not None
    assert (row.retries, row.lost_runs) == (1, 0)
    made_of = {clip: found.delivered_version for clip, found in registry.many(["hero", "made", "asks", "held"]).items()}
    assert made_of == {"hero": None, "made": "7", "asks": "8", "held": None}
    assert registry.refusals.now() == (RefusedRow("uploads/x", "1", "", ""),)
    database.close()


def test_a_ledger_of_a_newer_program_is_left_alone(ledger_url):
    with Ledger.open(ledger_url) as ledger, ledger.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="version 9999"):
        Ledger.open(ledger_url)


def test_sqlite_waits_for_the_disk(sqlite_book):
    with sqlite_book.ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_a_writable_ledger_proves_it(book):
    book.ledger.prove_writable()
    book.ledger.prove_writable()


def test_a_read_only_ledger_is_detected_before_money_moves(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    Ledger.open(url).close()
    database = Database(sa.create_engine(f"sqlite:///file:{tmp_path / 'ledger.sqlite'}?mode=ro&uri=true"))
    with pytest.raises(LedgerUnavailable, match="readonly"):
        Ledger(database).prove_writable()


@pytest.mark.parametrize(
    "url",
    ["mysql://ann:hunter2@host/db", "hunter2", "sqlite://", "sqlite:///:memory:", "oracle+nothing://ann:hunter2@host"],
)
def test_other_urls_are_refused_without_their_password(url):
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url)
    assert "hunter2" not in caught.value.text


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg://ledger:hunter2/db", "port"),
        ("postgresql+psycopg://ledger:hunter2", "port"),
        ("postgresql+psycopg://ledger:x@hunter2:y@host/db", "port"),
        ("postgresql+psycopg://ledger:x@hunter2@127.0.0.1:1/db", "%40"),
        ("postgresql://ledger:x@127.0.0.1:1/hunter2@host/db", "%40"),
        ("postgresql://ledger:x@127.0.0.1:1?hunter2@host/db", "%40"),
    ],
)
def test_a_slightly_wrong_url_is_refused_without_any_part_of_it(url, told):
    with pytest.raises(SettingsError) as caught:
        Ledger.open(url)
    assert told in caught.value.text
    assert "hunter2" not in caught.value.text
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).replace(url, "")
    assert exit_code(caught.value) is Exit.USAGE


def test_an_unreachable_server_is_retryable_and_keeps_the_password():
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger.open("postgresql+psycopg://ann:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in caught.value.text
    assert caught.value.__suppress_context__


def test_an_address_without_its_driver_means_psycopg_3(ledger_url):
    with Ledger.open(ledger_url.replace("+psycopg:", ":")) as ledger:
        assert ledger.engine.dialect.driver in ("psycopg", "pysqlite")


def test_a_database_that_refuses_writes_counts_as_unavailable(postgres_url):
    with Ledger.open(postgres_url) as ledger:
        with ledger.engine.begin() as connection:
            name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        ledger.engine.dispose()  # a failover cuts the connections; the new ones meet a standby
        with pytest.raises(LedgerUnavailable, match="read-only"):
            ledger.prove_writable()
        assert ledger.list() == ()
