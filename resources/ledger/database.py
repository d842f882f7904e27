"""The database under the ledger: SQLite or Postgres, its transactions, its errors, its migrations."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

import sqlalchemy as sa

from resources.errors import SettingsError
from resources.ledger.errors import LedgerError, LedgerUnavailable
from resources.ledger.sqlite_file import begin_file, check_file

BUSY_SECONDS = 30
"""How long a transaction waits for another one's lock before it gives up."""

ADVISORY_LOCK = 0x693276_6C6564
"""The Postgres lock that migrations take ("i2v led"); any number that Dagster does not use."""

VERSION_TABLE = "ledger_version"
"""Alembic's table; Dagster keeps its own `alembic_version` in the same database."""

MIGRATIONS = Path(__file__).parent / "migrations"

READING = {"i2v_reading": True}
"""Execution options of a transaction that only reads: on SQLite it takes no write lock."""

OWN_FAULTS = (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.ProgrammingError, sa.exc.NotSupportedError)
"""What a statement of this program did wrong. Everything else is the database's state, and passes: a standby after a
failover, for one, refuses writes as an InternalError."""

_alembic = threading.Lock()


class Database:
    """One engine with its two kinds of transactions.

    SQLite: WAL with synchronous=FULL, so that a committed row is on the disk before the caller goes on (and pays). A
    writing transaction takes the write lock when it begins, so it never fails half way; writers of one process queue up
    here instead of polling SQLite's lock.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._reading = engine.execution_options(**READING)
        self._writer = threading.Lock()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Connect, and bring the tables up to date; a SQLite file that is not there is begun.

        Raises:
            LedgerUnavailable: it cannot be reached or written.
            NotALedger: the SQLite file is empty, damaged or another program's.
            LedgerError: the URL is of another kind of database, or the tables are newer than this program.
            SettingsError: the URL is malformed.
        """
        database = cls(_engine(url))
        if (path := database.file) is not None:
            if path.exists():
                check_file(path)
            else:
                begin_file(path, _fill)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a Postgres database and for a URL in SQLite's own form."""
        name = self.engine.url.database or ""
        return Path(name) if self.is_sqlite and not name.startswith("file:") else None

    @property
    def place(self) -> str:
        """Where it is, for people: the file, or the server and the database, without user and password."""
        if self.file is not None:
            return str(self.file.absolute())
        url = self.engine.url
        return f"{url.host or os.environ.get('PGHOST') or 'local'}/{url.database or os.environ.get('PGDATABASE') or ''}"

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with _told(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is on the disk when this ends, or did not happen."""
        if self.is_sqlite:
            with self._writer, _told(), self.engine.begin() as connection:
                yield connection
        else:
            with _told(), self.engine.begin() as connection:
                yield connection

    def upsert(self, table: sa.Table) -> sa.Insert:
        """An INSERT that writes over the row of the same primary key; deleting first would let two writers collide."""
        statement = self._insert(table)
        taken = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        upsert: sa.Insert = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=taken)
        return upsert

    def _insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Bring the tables up to date, once, however many processes begin at the same time."""
        with self.read() as connection:
            if _version(connection) == head():
                return
        if self.is_sqlite:
            self._write_ahead_log()
        with _alembic, self.write() as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            found = _version(connection)
            if found == head():
                return
            if found is not None and found > head():
                raise LedgerError(
                    f"The ledger's tables are of version {found}, this program knows versions up to {head()}.",
                    remedy="Install the newer i2v-assets that made them.",
                )
            _upgrade(connection)

    def _write_ahead_log(self) -> None:
        """WAL stays set in the file; setting it needs the file alone, and SQLite does not wait for that by itself."""
        deadline = time.monotonic() + BUSY_SECONDS
        pause = 0.01
        while True:
            raw = self.engine.raw_connection()
            try:
                if raw.cursor().execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                    return
                raise LedgerUnavailable(
                    "SQLite cannot keep a write-ahead log for the ledger here.",
                    remedy="Put the data folder on a local disk, or set I2V_LEDGER_URL to a Postgres database.",
                )
            except self.engine.dialect.loaded_dbapi.OperationalError as error:
                if time.monotonic() > deadline or "locked" not in str(error):
                    raise _unavailable(error) from None
                time.sleep(pause)  # the lock of another process has no event to wait for
                pause = min(2 * pause, 0.5)
            finally:
                raw.close()


def _fill(draft: Path) -> None:
    """Make the tables in a new file; closing the last connection moves the write-ahead log into it."""
    database = Database(_engine(f"sqlite:///{draft}"))
    try:
        database.migrate()
    finally:
        database.close()


def head() -> str:
    """The newest migration that this program has: its file is called ``v<revision>_<name>.py``."""
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def _upgrade(connection: sa.Connection) -> None:
    """Alembic is imported here: most processes find the tables up to date and are spared its import."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _engine(url: str) -> sa.Engine:
    try:
        address = _address(url)
        kind = address.get_backend_name()
        if kind == "sqlite":
            if not address.database or address.database == ":memory:":
                raise LedgerError("A ledger in memory would forget what was paid.", remedy="Give it a file.")
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
            sa.event.listen(engine, "connect", _sqlite_connect)
            sa.event.listen(engine, "begin", _sqlite_begin)
            return engine
        if kind == "postgresql":
            if address.drivername == "postgresql":
                address = address.set(drivername="postgresql+psycopg")
            # A claim counts what was spent after it has waited for the service's row, and has to see what was committed
            # meanwhile. REPEATABLE READ, which a server may have as its default, would show it the time before.
            return sa.create_engine(
                address,
                isolation_level="READ COMMITTED",
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={BUSY_SECONDS}s"},
            )
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError):
        kind = "unknown"  # the message of these may hold the URL with its password
    except OSError as error:
        raise LedgerUnavailable(
            f"The ledger's folder cannot be made: {error.strerror}.", remedy="Check I2V_DATA_DIR and its rights."
        ) from None
    raise LedgerError(
        f"The ledger's URL is of the kind {kind}, not sqlite or postgresql+psycopg.",
        remedy="Set I2V_LEDGER_URL to postgresql+psycopg://user:password@host/database, or leave it empty for SQLite.",
    )


def _address(url: str) -> sa.URL:
    """The URL in its parts. Nothing of a malformed one is quoted: who knows which part of it is the password.

    Raises:
        SettingsError: a part is not where it should be.
        ArgumentError: it is no URL at all.
    """
    remedy = "Set I2V_LEDGER_URL to postgresql+psycopg://user:password@host:port/database."
    try:
        address = sa.make_url(url)
    except ValueError:
        raise SettingsError(
            "The ledger's URL has something else than a number where the port belongs; is there a host after the"
            " password, with an @ before it?",
            remedy=remedy,
        ) from None
    if address.get_backend_name() == "postgresql" and url.count("@") > 1:
        raise SettingsError(
            "The ledger's URL has more than one @, so that it is not certain where the password ends.",
            remedy=f"Write an @ within the user or the password as %40. {remedy}",
        )
    return address


def _sqlite_connect(connection: SqliteConnection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _sqlite_begin says, not where the driver guesses
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _sqlite_begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("i2v_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _told() -> Iterator[None]:
    """The driver's errors in the project's own words: those of SQLAlchemy may hold parameters or the URL."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if isinstance(error, OWN_FAULTS) and not error.connection_invalidated:
            raise
        raise _unavailable(error.orig) from None
    except sa.exc.TimeoutError:
        raise LedgerUnavailable("All connections to the ledger are in use.", remedy="Run it again later.") from None


def _unavailable(error: BaseException | None) -> LedgerUnavailable:
    lines = str(error).strip().splitlines() or [""]
    return LedgerUnavailable(
        f"The ledger's database cannot be used: {lines[0]}.",
        remedy="Check that its disk has room and can be written, or that I2V_LEDGER_URL points to a running Postgres.",
    )


CHUNK = 500
"""Keys per statement with an IN list: below SQLite's smallest limit of 999 bound variables."""


def chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The names in parts that one statement takes."""
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]
