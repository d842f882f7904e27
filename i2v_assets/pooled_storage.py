"""Dagster's Postgres storage with one connection pool per process, and with fewer and shorter events.

Dagster's own storage opens a connection for each access, and the server starts a process for each connection. A run of 100
clips begins with 600 planned events of two accesses each, and an idle daemon and code server make hundreds of accesses a
minute. Here a run plans each asset once for its whole range, which is Dagster's own switch; Dagster's storage then no longer
shows which partitions are in progress or have failed, and this one does. With Dagster's own batches, which are off unless
DAGSTER_EVENT_BATCH_SIZE is set, it hands over many events at once.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dagster import AssetKey, DagsterEventType, EventLogEntry
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy.pool import NullPool

from i2v_assets.defs.dagster_internals import ConfigurableClassData
from i2v_assets.defs.lean_events import for_postgres, without_place, without_repetitions
from i2v_assets.defs.planned_ranges import PlannedRange, latest_attempts, planned_ranges

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

POOL_SIZE = 4
"""Connections of one process that stay open. A run needs one, or two within a transaction; the daemon evaluates sensors in four
threads. They are opened on demand, so a run holds one or two."""

POOL_OVERFLOW = -1
"""Further connections are opened on demand and closed after use, without a limit, like Dagster's own. Some accesses need a
second connection while they hold the first, so a limit could deadlock threads that wait for each other."""

EVENT_BATCH_SIZE = 200
"""Events that Dagster hands over at once; each is 1 KB, and the statement that writes them takes seven values of each."""

os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENT_BATCH_SIZE))

_engines: dict[str, sa.Engine] = {}


def engine_of(url: str, token_provider: "PgTokenProvider | None" = None) -> sa.Engine:
    """Return this process' engine for an address; it connects on first use."""
    engine = _engines.get(url)
    if engine is None:
        made = create_pg_engine(
            url,
            token_provider,
            isolation_level="AUTOCOMMIT",  # same as Dagster's own engine
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            # Test a connection before use, so that the pool reconnects after a restart of the server.
            pool_pre_ping=True,
        )
        sa.event.listen(made, "before_cursor_execute", _write_shorter_events, retval=True)
        engine = _engines.setdefault(url, made)  # of two concurrent threads one wins; the other engine never connected
    return engine


def _write_shorter_events(_1: Any, _2: Any, statement: str, parameters: Any, _3: Any, _4: bool) -> tuple[str, Any]:
    return statement, for_postgres(parameters) if isinstance(parameters, Mapping) else parameters


def _drop_inherited_engines() -> None:
    """Drop the engines in a forked child without closing their sockets, which belong to the parent."""
    for engine in _engines.values():
        engine.dispose(close=False)
    _engines.clear()


os.register_at_fork(after_in_child=_drop_inherited_engines)


class _Pooled:
    """Mixin that makes one of Dagster's storages use the process' engine."""

    postgres_url: str
    _token_provider: "PgTokenProvider | None"
    _webserver: sa.Engine | None = None

    @property
    def _engine(self) -> sa.Engine:
        return self._webserver or engine_of(self.postgres_url, self._token_provider)

    @_engine.setter
    def _engine(self, made: sa.Engine) -> None:
        # Dagster sets this twice: first to an engine without a pool, which never connects; then, in the webserver only, to a
        # pooled engine with the UI's statement timeout, which must be used.
        self._webserver = None if isinstance(made.pool, NullPool) else made


class PooledRunStorage(_Pooled, PostgresRunStorage):
    """Dagster's run storage with the process' engine."""


class PooledEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Dagster's event log storage with the process' engine; caches existing tables, which each event would query again.

    Reads and writes what Dagster's own storage reads, so `storage: postgres` may follow it.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        self._tables: set[str] = set()
        super().__init__(*given, **named)

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    # Fewer bytes

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event."""
        super().store_event(without_repetitions(event))

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        """Store what a check found beside its event, for the check's page."""
        super().store_asset_check_event(without_place(without_repetitions(event)), event_id)

    # Fewer events

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """Return True: a run plans each asset in one event that names the keys of its range."""
        return True

    def get_latest_asset_partition_materialization_attempts_without_materializations(
        self, asset_key: AssetKey, after_storage_id: int | None = None
    ) -> Mapping[str, tuple[str, int]]:
        """Return run and event of the partitions whose latest event is a planned one, also one that names a range."""
        alone = super().get_latest_asset_partition_materialization_attempts_without_materializations(
            asset_key, after_storage_id
        )
        attempts = latest_attempts(alone, self._planned_ranges(asset_key, after_storage_id))
        if attempts.keys() == alone.keys():
            return attempts
        made = self.get_latest_storage_id_by_partition(asset_key, DagsterEventType.ASSET_MATERIALIZATION, {*attempts})
        return {key: attempt for key, attempt in attempts.items() if made.get(key, 0) < attempt[1]}

    def get_latest_planned_materialization_info(self, asset_key: AssetKey, partition: str | None = None) -> Any:
        """Return the latest planned event of an asset or of a partition, also one that names a range; None without one."""
        found = super().get_latest_planned_materialization_info(asset_key, partition)
        if partition is None:
            return found
        ranges = self._planned_ranges(asset_key, found.storage_id if found else None, partition)
        last = max((each for each in ranges if partition in each.keys), key=lambda each: each.event, default=None)
        if last is None:
            return found
        of_asset: Any = super().get_latest_planned_materialization_info(asset_key)
        return type(of_asset)(storage_id=last.event, run_id=last.run)

    def _planned_ranges(
        self, asset: AssetKey, after: int | None, partition: str | None = None
    ) -> Iterator[PlannedRange]:
        with self.index_connection() as connection:
            return planned_ranges(connection, asset, after or 0, partition)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store many events: planned ones in one transaction, of which each asset remembers its last; others as Dagster does."""
        events = [without_repetitions(event) for event in events]
        if any(event.dagster_event_type is not DagsterEventType.ASSET_MATERIALIZATION_PLANNED for event in events):
            super().store_event_batch(events)
            return
        with self.index_transaction() as connection:
            statement = self.prepare_insert_event_batch(events).returning(sa.literal_column("id"))
            numbers = connection.execute(statement).scalars().all()
        last = {
            event.get_dagster_event().asset_key: (event, number) for event, number in zip(events, numbers, strict=True)
        }
        for event, number in last.values():
            self.store_asset_event(event, number)


class PooledScheduleStorage(_Pooled, PostgresScheduleStorage):
    """Dagster's schedule storage (ticks and cursors) with the process' engine."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Storage for `storage: custom:` in dagster.yaml; takes the configuration of `storage: postgres:`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        # The storages that this creates are replaced below. With autocreation off they never connect.
        super().__init__(postgres_url, False, inst_data, token_provider)
        self.should_autocreate_tables = should_autocreate_tables
        given: Any = {"should_autocreate_tables": should_autocreate_tables, "token_provider": token_provider}
        self._run_storage = PooledRunStorage(postgres_url, **given)
        self._event_log_storage = PooledEventLogStorage(postgres_url, **given)
        self._schedule_storage = PooledScheduleStorage(postgres_url, **given)

    @classmethod
    def from_config_value(  # Dagster's version names its own class
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Return the storage that dagster.yaml configures."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )
