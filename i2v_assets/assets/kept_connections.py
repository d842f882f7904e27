"""Keeps Dagster's SQLite event log connected for the length of a step.

Dagster's own way makes a new engine for each access, of which every asset event needs two to four: 12 ms of CPU for an
event, most of it setting up and compiling the same statements again, and finding out anew which tables and columns there
are. With one connection to each file and what was found remembered it is 3 ms. What is written, when it is committed and who
may read it stay the same. Other storages keep their connections by themselves.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

REPLACED = ("_connect", "has_table", "_has_asset_key_col_on_connection")
"""The methods of the storage that the block has its own ways for."""

log = logging.getLogger(__name__)

BUSY_SECONDS = 60
"""How long a write waits for another process' lock, as in Dagster's own connections."""


def _once_true(ask: Callable[..., bool], subject: int = 0) -> Callable[..., bool]:
    """The question, not asked again about a ``subject`` (which of its arguments) once the answer was yes."""
    there: set[object] = set()

    def remembered(*given: object) -> bool:
        if given[subject] not in there and ask(*given):
            there.add(given[subject])
        return given[subject] in there

    return remembered


@contextmanager
def kept_connections(instance: dg.DagsterInstance) -> Iterator[None]:
    """Within the block this process' accesses to the event log share connections; does nothing for other storages."""
    storage = instance.event_log_storage
    if type(storage) is not SqliteEventLogStorage or not all(hasattr(storage, name) for name in REPLACED):
        log.debug("The event log is not Dagster's SQLite one, and keeps its connections by itself.")
        yield
        return
    open_: dict[str, sa.Connection] = {}
    own = storage._connect
    kept = {
        "has_table": _once_true(storage.has_table),
        # Asked with the connection that is open, which says nothing new about the same file.
        "_has_asset_key_col_on_connection": _once_true(storage._has_asset_key_col_on_connection, 1),
    }

    @contextmanager
    def connect(shard: str) -> Iterator[sa.Connection]:
        if shard not in storage._initialized_dbs:
            with own(shard) as connection:
                yield connection
            return
        with storage._db_lock:
            if shard not in open_:
                # The lock keeps the threads apart, so SQLite's own check that there is only one has nothing to add.
                given = {"timeout": BUSY_SECONDS, "check_same_thread": False}
                open_[shard] = sa.create_engine(storage.conn_string_for_shard(shard), connect_args=given).connect()
            with open_[shard].begin():
                yield open_[shard]

    try:
        vars(storage).update(kept, _connect=connect)
        yield
    finally:
        for name in REPLACED:
            del vars(storage)[name]
        for connection in open_.values():
            connection.close()
            connection.engine.dispose()
