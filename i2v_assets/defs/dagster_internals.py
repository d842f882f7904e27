"""All that this project uses of Dagster beyond its public interface, in one place.

An upgrade of Dagster may move or change any of it without a word; `tests/i2v_assets/defs/test_dagster_internals.py` then
names what is gone and what stops working. Everything else in the project imports `dagster` alone.

Two modules use members of Dagster's classes in subclasses of their own and are covered by the same test:
`i2v_assets/pooled_storage.py` (``_engine``, ``_token_provider`` and the three storages of `DagsterPostgresStorage`) and
`i2v_assets/run_launcher.py`.
"""

import json
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, InstigatorType, TickStatus
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.tags import GRPC_INFO_TAG, RETRY_NUMBER_TAG, WILL_RETRY_TAG
from dagster._serdes import ConfigurableClassData

__all__ = [
    "GRPC_INFO_TAG",
    "POSTGRES_MEMBERS",
    "RETRY_NUMBER_TAG",
    "SQLITE_MEMBERS",
    "WILL_RETRY_TAG",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "InstigatorState",
    "InstigatorTick",
    "InstigatorType",
    "SqliteMembers",
    "TickStatus",
    "WorkerStatus",
    "current_runs",
    "open_workspace",
    "partition_loading_context",
    "postgres_engine",
    "sqlite_members",
    "uses_changing_passwords",
]

SQLITE_MEMBERS = ("_connect", "has_table", "_has_asset_key_col_on_connection")
POSTGRES_MEMBERS = ("_engine", "has_table")
"""The members of a storage that `storage_connections` has its own ways for."""


@dataclass(frozen=True)
class SqliteMembers:
    """What `storage_connections` needs of Dagster's SQLite event log."""

    connect: Callable[[str], AbstractContextManager[sa.Connection]]
    """Opens a connection to a shard's file."""
    has_table: Callable[..., bool]
    has_asset_key_column: Callable[..., bool]
    """Whether the table has the column, asked with a connection as the second argument."""
    initialized: Collection[str]
    """The shards whose tables are there."""
    lock: AbstractContextManager[object]
    url_of: Callable[[str], str]


def sqlite_members(storage: object) -> SqliteMembers | None:
    """Return the members of Dagster's own SQLite event log; None for another storage, also one that lacks a member."""
    if type(storage) is not SqliteEventLogStorage:
        return None
    try:
        return SqliteMembers(
            connect=storage._connect,
            has_table=storage.has_table,
            has_asset_key_column=storage._has_asset_key_col_on_connection,
            initialized=storage._initialized_dbs,
            lock=storage._db_lock,
            url_of=storage.conn_string_for_shard,
        )
    except AttributeError:  # another release of Dagster: slower, but right
        return None


def postgres_engine(storage: object) -> sa.Engine | None:
    """Return the engine of a storage in Postgres, None for other storages."""
    engine = getattr(storage, "_engine", None)
    return engine if isinstance(engine, sa.Engine) and engine.dialect.name == "postgresql" else None


def uses_changing_passwords(storage: object) -> bool:
    """Return whether Dagster asks for a new password at each connection."""
    return getattr(storage, "_token_provider", None) is not None


def current_runs(grpc_info: str) -> Collection[str] | None:
    """Return the ids of the runs that a code server has in work, None if it does not answer.

    Args:
        grpc_info: where the server is, as Dagster writes it into a run's tag `GRPC_INFO_TAG`.
    """
    from dagster._core.errors import DagsterUserCodeUnreachableError
    from dagster._grpc.client import DagsterGrpcClient  # 0.15 s of CPU, and few processes ask
    from dagster._grpc.types import GetCurrentRunsResult

    info = json.loads(grpc_info)
    client = DagsterGrpcClient(
        host=info["host"],
        port=info.get("port"),
        socket=info.get("socket"),
        use_ssl=bool(info.get("use_ssl", False)),
    )
    try:
        answer = client.get_current_runs()
    except DagsterUserCodeUnreachableError:
        return None
    return dg.deserialize_value(answer, GetCurrentRunsResult).current_runs


def open_workspace(instance: dg.DagsterInstance, path: str, version: str) -> AbstractContextManager[Any]:
    """Open what Dagster's webserver app is made from: the code locations of a workspace file."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    return WorkspaceProcessContext(instance, workspace_load_target=WorkspaceFileTarget([path]), version=version)
