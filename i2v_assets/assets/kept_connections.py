"""Keeps Dagster's SQLite event log connected for the length of a step.

Dagster's own way makes a new engine for each access, of which every asset event needs two to four: 12 ms of CPU for an
event, most of it setting up and compiling the same statements again. With one engine for each file it is 5 ms. What is
written, when it is committed and who may read it stay the same. Other storages keep their connections by themselves.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

log = logging.getLogger(__name__)

BUSY_SECONDS = 60
"""How long a write waits for another process' lock, as in Dagster's own connections."""


@contextmanager
def kept_connections(instance: dg.DagsterInstance) -> Iterator[None]:
    """Within the block this process' accesses to the event log share connections; does nothing for other storages."""
    storage = instance.event_log_storage
    if type(storage) is not SqliteEventLogStorage or not hasattr(storage, "_connect"):
        log.debug("The event log is not Dagster's SQLite one, and keeps its connections by itself.")
        yield
        return
    engines: dict[str, sa.Engine] = {}
    own = storage._connect

    @contextmanager
    def connect(shard: str) -> Iterator[sa.Connection]:
        if shard not in storage._initialized_dbs:
            with own(shard) as connection:
                yield connection
            return
        with storage._db_lock:
            if shard not in engines:
                address = storage.conn_string_for_shard(shard)
                engines[shard] = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS})
            with engines[shard].begin() as connection:
                yield connection

    try:
        storage._connect = connect  # type: ignore[method-assign]
        yield
    finally:
        del storage._connect
        for engine in engines.values():
            engine.dispose()
