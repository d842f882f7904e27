"""The database under the ledger: SQLite or Postgres, its transactions, errors and migrations."""

import os
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

import sqlalchemy as sa

from resources.errors import SettingsError
from resources.ledger.errors import LedgerError, LedgerFull, LedgerUnavailable
from resources.ledger.sqlite_file import begin_file, check_file

BUSY_SECONDS = 30
"""Seconds that a transaction waits for another transaction's lock before it fails."""

ADVISORY_LOCK = 0x693276_6C6564
"""The Postgres lock that migrations take ("i2v led"); any number that Dagster does not use."""

VERSION_TABLE = "ledger_version"
"""Alembic's table; Dagster keeps its own `alembic_version` in the same database."""

MIGRATIONS = Path(__file__).parent / "migrations"

READING = {"i2v_reading": True}
"""Execution options of a read-only transaction: on SQLite it takes no write lock."""

OWN_FAULTS = (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.ProgrammingError, sa.exc.NotSupportedError)
"""Errors caused by this program's own statements. All others come from the state of the database and are temporary:
after a failover, for example, a standby refuses writes with an InternalError."""

_alembic = threading.Lock()


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A time in UTC, aware in Python. SQLite has no time zones and stores it naive, in a fixed width that sorts."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the value as it is stored in the database."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the stored value as an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One SQLAlchemy engine with read and write transactions.

    SQLite runs in WAL mode with synchronous=FULL, so that a committed row is on the disk before the caller continues
    (and pays). A write transaction takes the write lock when it begins, so it never fails half way. Writers of one
    process queue here instead of polling SQLite's lock.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._reading = engine.execution_options(**READING)
        self._writer = threading.Lock()
        self._upserts: dict[sa.Table, sa.Insert] = {}

    @classmethod
    def open(cls, url: str) -> "Database":
        """Connect and migrate the tables to the newest version. A SQLite file that does not exist is created.

        Raises:
            LedgerUnavailable: the database cannot be reached or written.
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
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a read-only transaction."""
        with _translated(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that is either on the disk when the block ends, or not made at all."""
        if self.is_sqlite:
            with self._writer, _translated(), self.engine.begin() as connection:
                yield connection
        else:
            with _translated(), self.engine.begin() as connection:
                yield connection

    def upsert(self, table: sa.Table) -> sa.Insert:
        """Return an INSERT that replaces the row of the same primary key.

        Deleting first would let two writers collide. It is built once for each table.
        """
        if table not in self._upserts:
            statement = self._insert(table)
            taken = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
            keys = list(table.primary_key.columns)
            self._upserts[table] = statement.on_conflict_do_update(index_elements=keys, set_=taken)
        return self._upserts[table]

    def insert_new(self, table: sa.Table) -> sa.Insert:
        """Return an INSERT that does nothing if the row exists."""
        insert: sa.Insert = self._insert(table).on_conflict_do_nothing()
        return insert

    def _insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Migrate the tables to the newest version, once, however many processes start at the same time."""
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
                    f"The ledger's tables have version {found}. This program knows versions up to {head()}.",
                    remedy="Install the i2v-assets version that made them, or a newer one.",
                )
            _upgrade(connection)

    def _write_ahead_log(self) -> None:
        """Set WAL mode, which stays set in the file.

        It needs the file alone, and SQLite does not wait for that by itself.
        """
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
                time.sleep(pause)  # another process's lock has no event to wait for
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
    """Return the newest migration of this program; its file is called ``v<revision>_<name>.py``."""
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def _upgrade(connection: sa.Connection) -> None:
    """Run the migrations. Alembic is imported here because most processes find the tables up to date."""
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
                raise LedgerError(
                    "A ledger in memory would lose the record of what was paid.",
                    remedy="Set I2V_LEDGER_URL to a file or a Postgres database.",
                )
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
            sa.event.listen(engine, "connect", _sqlite_connect)
            sa.event.listen(engine, "begin", _sqlite_begin)
            return engine
        if kind == "postgresql":
            if address.drivername == "postgresql":
                address = address.set(drivername="postgresql+psycopg")
            # A claim waits for the service's row and then sums the spend, so it must see what was committed meanwhile.
            # REPEATABLE READ, which a server may have as its default, would show the state before the wait.
            engine = sa.create_engine(
                address,
                isolation_level="READ COMMITTED",
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={BUSY_SECONDS}s"},
            )
            sa.event.listen(engine, "connect", _postgres_connect)
            return engine
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError):
        kind = "unknown"  # the text of these errors may contain the URL with its password
    except OSError as error:
        raise LedgerUnavailable(
            f"The ledger's folder cannot be created: {error.strerror}.",
            remedy="Check I2V_DATA_DIR and its permissions.",
        ) from None
    raise LedgerError(
        f"The ledger's URL is of the kind {kind}, not sqlite or postgresql+psycopg.",
        remedy="Set I2V_LEDGER_URL to postgresql+psycopg://user:password@host/database, or leave it empty for SQLite.",
    )


def _address(url: str) -> sa.URL:
    """Return the parsed URL. Errors quote no part of a malformed URL, because any part may be the password.

    Raises:
        SettingsError: a part is not in its place.
        ArgumentError: the text is not a URL.
    """
    remedy = "Set I2V_LEDGER_URL to postgresql+psycopg://user:password@host:port/database."
    try:
        address = sa.make_url(url)
    except ValueError:
        raise SettingsError(
            "The ledger's URL does not have a number as its port. Check that a host follows the password, with an @"
            " before it.",
            remedy=remedy,
        ) from None
    if address.get_backend_name() == "postgresql" and url.count("@") > 1:
        raise SettingsError(
            "The ledger's URL has more than one @, so it is unclear where the password ends.",
            remedy=f"Write an @ in the user or the password as %40. {remedy}",
        )
    return address


def _sqlite_connect(connection: SqliteConnection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _sqlite_begin, not where the driver guesses
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _postgres_connect(connection: Any, _record: Any) -> None:
    """Let a commit wait until it is on the disk, whatever the server, database or role has as its default.

    `remote_apply` promises more than `on`, so it stays.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
        )
    connection.commit()


def _sqlite_begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("i2v_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    """Convert database errors into LedgerUnavailable. SQLAlchemy's own may contain parameters or the URL."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if isinstance(error, OWN_FAULTS) and not error.connection_invalidated:
            raise
        raise _unavailable(error.orig) from None
    except sa.exc.TimeoutError:
        raise LedgerUnavailable("All connections to the ledger are in use.", remedy="Try again later.") from None


_DISK_FULL = ("53100", "SQLITE_FULL")
"""PostgreSQL's code of a full disk (its manual, appendix A), and SQLite's name for it."""


def _unavailable(error: BaseException | None) -> LedgerUnavailable:
    lines = str(error).strip().splitlines() or [""]
    name = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    kind = LedgerFull if name in _DISK_FULL else LedgerUnavailable
    return kind(
        f"The ledger's database cannot be used: {lines[0]}.",
        remedy="Check that its disk is writable and not full, or that I2V_LEDGER_URL points to a running Postgres.",
    )


CHUNK = 500
"""Keys per statement with an IN list: below SQLite's smallest limit of 999 bound variables."""


def chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the names in parts that fit into one statement."""
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]


def rows_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.ColumnElement[str], names: Collection[str]
) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    """Yield the rows of a query in which the column has one of these names."""
    for part in chunks(sorted(names)):
        yield from connection.execute(query.where(column.in_(part)))
