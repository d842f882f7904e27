"""Dagster's Postgres storage over one pool of connections for each process.

Dagster's own connects anew for each access, for which the server starts a process. The run of a range of 100 clips begins
with 600 planned events of two accesses each; the daemon and the code server make hundreds a minute while nothing happens.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy.pool import NullPool

from i2v_assets.defs.dagster_internals import ConfigurableClassData

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

POOL_SIZE = 4
"""Connections of one process that stay open. A run needs one at a time, and two within a transaction; the daemon's sensors
are evaluated by four threads. It opens them as they are needed, so a run holds one or two."""

POOL_OVERFLOW = -1
"""More are opened as they are needed and closed after use, without a limit, as Dagster's own are: some accesses need a
second connection while they hold the first, and threads that wait for each other's second would wait for ever."""

_engines: dict[str, sa.Engine] = {}


def engine_of(url: str, token_provider: "PgTokenProvider | None" = None) -> sa.Engine:
    """This process' engine for an address. Nothing is connected yet."""
    found = _engines.get(url)
    if found is None:
        made = create_pg_engine(
            url,
            token_provider,
            isolation_level="AUTOCOMMIT",  # as Dagster's own
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            # A connection is tried before it is used: after a restart of the server all are connected anew.
            pool_pre_ping=True,
        )
        found = _engines.setdefault(url, made)  # one of two threads at once wins; the other's has connected nothing
    return found


def _forget() -> None:
    """In a forked child: the sockets are its parent's, and stay open for it."""
    for engine in _engines.values():
        engine.dispose(close=False)
    _engines.clear()


os.register_at_fork(after_in_child=_forget)


class _Pooled:
    """Stands before one of Dagster's storages and gives it the process' engine in place of its own."""

    postgres_url: str
    _token_provider: "PgTokenProvider | None"
    _webserver: sa.Engine | None = None

    @property
    def _engine(self) -> sa.Engine:
        return self._webserver or engine_of(self.postgres_url, self._token_provider)

    @_engine.setter
    def _engine(self, made: sa.Engine) -> None:
        # Dagster makes two: at first one that keeps nothing, which never connects; in the webserver then one that keeps
        # connections with a time limit of the UI's own for each statement, which is used.
        self._webserver = None if isinstance(made.pool, NullPool) else made


class PooledRunStorage(_Pooled, PostgresRunStorage):
    """Dagster's runs."""


class PooledEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Dagster's events. That a table is there is not asked again once it was: each event of a partition would ask."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self._tables: set[str] = set()
        super().__init__(*given, **named)

    def has_table(self, table_name: str) -> bool:
        """Whether a table is there."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables


class PooledScheduleStorage(_Pooled, PostgresScheduleStorage):
    """Dagster's ticks, and what sensors and schedules remember."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Set as `storage: custom:` in dagster.yaml, with the configuration of `storage: postgres:`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        # The storages that this makes are replaced: without tables to look for they connect to nothing.
        super().__init__(postgres_url, False, inst_data, token_provider)
        self.should_autocreate_tables = should_autocreate_tables
        given: Any = {"should_autocreate_tables": should_autocreate_tables, "token_provider": token_provider}
        self._run_storage = PooledRunStorage(postgres_url, **given)
        self._event_log_storage = PooledEventLogStorage(postgres_url, **given)
        self._schedule_storage = PooledScheduleStorage(postgres_url, **given)

    @classmethod
    def from_config_value(  # Dagster's own names its class
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """From dagster.yaml."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )
