"""All that this project uses of Dagster beyond its public interface, in one place.

An upgrade of Dagster may move or change any of it without a word. Then the code location still loads: what is gone is None,
`LOST` says what the project does without until it is found again, and the log says so once.
`tests/i2v_assets/defs/test_dagster_internals.py` fails for each. Everything else in the project imports `dagster` alone.

Two modules use members of Dagster's classes in subclasses of their own and are covered by the same test:
`i2v_assets/pooled_storage.py` (``_engine``, ``_token_provider`` and the three storages of `DagsterPostgresStorage`) and
`i2v_assets/run_launcher.py`. `i2v_assets/partition_page.py` changes a script of the UI, and has a test of its own.
"""

import importlib
import json
import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

log = logging.getLogger(__name__)

_LAUNCHER = "deploy: a run whose process is gone stays STARTED until its time limit (i2v_assets/run_launcher.py)"
_ALERTS = "alerts: sensors and schedules that fail are not told (i2v_assets/defs/alerts_sensor.py)"
_SQLITE = "speed: SQLite's connections are not kept, an event costs 12 ms of CPU instead of 3"
_EVENTS = "speed: Dagster writes each event to SQLite itself, for twice the CPU (i2v_assets/defs/event_rows.py)"
_CHECKS = "speed: the web server's pages of checks take minutes with many clips (i2v_assets/defs/check_states.py)"
_GUARD = "webserver: the UI is not served behind the guard (i2v_assets/webserver.py)"
_TAGS = "The tags keep the names that they have now; runs of a release that renames them are not understood."

LOST = {
    ("dagster._core.definitions.asset_checks.asset_check_evaluation", "AssetCheckEvaluationTargetMaterializationData"):
        "UI: checks of clips are shown as missing (i2v_assets/defs/event_log.py)",
    ("dagster._core.definitions.partitions.context", "partition_loading_context"): "tests, benchmarks: no sensor ticks",
    ("dagster._core.errors", "DagsterUserCodeUnreachableError"): _LAUNCHER,
    ("dagster._core.launcher", "CheckRunHealthResult"): _LAUNCHER,
    ("dagster._core.launcher", "WorkerStatus"): _LAUNCHER,
    ("dagster._core.scheduler.instigation", "InstigatorState"): _ALERTS,
    ("dagster._core.scheduler.instigation", "InstigatorTick"): _ALERTS,
    ("dagster._core.scheduler.instigation", "TickStatus"): _ALERTS,
    ("dagster._core.storage.event_log.sqlite.sqlite_event_log", "SqliteEventLogStorage"): _SQLITE,
    ("dagster._core.storage.event_log.schema", "SqlEventLogStorageTable"): _EVENTS,
    ("dagster._core.storage.event_log.schema", "AssetKeyTable"): _EVENTS,
    ("dagster._core.storage.event_log.schema", "AssetCheckExecutionsTable"): _EVENTS,
    ("dagster._core.storage.event_log.sqlite.sqlite_event_log", "INDEX_SHARD_NAME"): _EVENTS,
    ("dagster._core.storage.asset_check_execution_record", "AssetCheckExecutionRecordStatus"): _EVENTS,
    ("dagster._core.storage.asset_check_execution_record", "AssetCheckExecutionResolvedStatus"): _CHECKS,
    ("dagster._core.storage.asset_check_state", "AssetCheckState"): _CHECKS,
    ("dagster._core.asset_graph_view.serializable_entity_subset", "SerializableEntitySubset"): _CHECKS,
    ("dagster._core.storage.tags", "GRPC_INFO_TAG"): f"{_LAUNCHER}. {_TAGS}",
    ("dagster._core.storage.tags", "RETRY_NUMBER_TAG"): f"budget: an automatic retry would get a budget of its own. {_TAGS}",
    ("dagster._core.storage.tags", "WILL_RETRY_TAG"): f"alerts: a run that Dagster starts again is reported as failed. {_TAGS}",
    ("dagster._core.workspace.context", "WorkspaceProcessContext"): _GUARD,
    ("dagster._core.workspace.load_target", "WorkspaceFileTarget"): _GUARD,
    ("dagster._grpc.client", "DagsterGrpcClient"): _LAUNCHER,
    ("dagster._grpc.types", "GetCurrentRunsResult"): _LAUNCHER,
    ("dagster._serdes", "ConfigurableClassData"): "none: a type of i2v_assets/pooled_storage.py",
}  # fmt: skip
"""Each private name of Dagster, and what is lost without it."""


def private(module: str, name: str, instead: Any = None) -> Any:
    """Return a private name of Dagster; ``instead`` with a warning if this release does not have it."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        log.warning("Dagster %s has no %s.%s. Lost: %s", dg.__version__, module, name, LOST[module, name])
        return instead


if TYPE_CHECKING:
    from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )
    from dagster._core.definitions.partitions.context import partition_loading_context
    from dagster._core.errors import DagsterUserCodeUnreachableError  # noqa: F401 - the test reads this list
    from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, TickStatus
    from dagster._core.storage.asset_check_execution_record import (
        AssetCheckExecutionRecordStatus,
        AssetCheckExecutionResolvedStatus,
    )
    from dagster._core.storage.asset_check_state import AssetCheckState
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable,  # noqa: F401 - the same
        AssetKeyTable,  # noqa: F401 - the same
        SqlEventLogStorageTable,  # noqa: F401 - the same
    )
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
        INDEX_SHARD_NAME,  # noqa: F401 - the same
        SqliteEventLogStorage,
    )
    from dagster._core.storage.tags import GRPC_INFO_TAG, RETRY_NUMBER_TAG, WILL_RETRY_TAG
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: F401 - the same
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._grpc.types import GetCurrentRunsResult
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy import Connection, Engine, Table

_INSTEAD: dict[str, Any] = {
    "partition_loading_context": lambda **_: nullcontext(),
    "GRPC_INFO_TAG": ".dagster/grpc_info",
    "RETRY_NUMBER_TAG": "dagster/retry_number",
    "WILL_RETRY_TAG": "dagster/will_retry",
}
"""What stands in for a name that a release of Dagster does not have; None for all others."""

_MODULES = {name: module for module, name in LOST}


def __getattr__(name: str) -> Any:
    """Return a private name of Dagster, looked for once, when it is first used: most lie in modules that few processes need."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = private(_MODULES[name], name, _INSTEAD.get(name))
    return found


__all__ = [
    "GRPC_INFO_TAG",
    "POSTGRES_MEMBERS",
    "RETRY_NUMBER_TAG",
    "SQLITE_MEMBERS",
    "WILL_RETRY_TAG",
    "CheckRunHealthResult",
    "CheckStateTypes",
    "ConfigurableClassData",
    "EventTables",
    "InstigatorState",
    "InstigatorTick",
    "SqliteMembers",
    "Target",
    "TickStatus",
    "WorkerStatus",
    "assets_below",
    "check_state_types",
    "current_runs",
    "event_tables",
    "open_workspace",
    "partition_loading_context",
    "postgres_engine",
    "sqlite_members",
    "targeting",
    "uses_changing_passwords",
]

SQLITE_MEMBERS = ("_connect", "has_table", "_has_asset_key_col_on_connection", "store_event")
POSTGRES_MEMBERS = ("_engine", "has_table")
"""The members of a storage that `storage_connections` has its own ways for."""


@dataclass(frozen=True)
class SqliteMembers:
    """What `storage_connections` needs of Dagster's SQLite event log."""

    connect: "Callable[[str], AbstractContextManager[Connection]]"
    """Opens a connection to a shard's file."""
    has_table: Callable[..., bool]
    has_asset_key_column: Callable[..., bool]
    """Whether the table has the column, asked with a connection as the second argument."""
    initialized: Collection[str]
    """The shards whose tables are there."""
    url_of: Callable[[str], str]
    store_event: Callable[[dg.EventLogEntry], None]
    row_of: Callable[[dg.EventLogEntry], dict[str, Any]]
    """An event as a row of the table of events."""
    store_tags: Callable[[Any, list[dg.EventLogEntry], list[int]], None]
    entry_of: Callable[[dg.EventLogEntry, int, bool], dict[str, Any]]
    """What the table of assets keeps of an event."""


@dataclass(frozen=True)
class EventTables:
    """The tables of Dagster's event log, its shard of all runs, and its words for how a check ended."""

    events: "Table"
    assets: "Table"
    checks: "Table"
    index: str
    passed: str
    failed: str


def event_tables() -> EventTables | None:
    """Return the tables of Dagster's event log; None if this release has others."""
    events, assets, checks, index, status = (
        __getattr__(name)
        for name in (
            "SqlEventLogStorageTable",
            "AssetKeyTable",
            "AssetCheckExecutionsTable",
            "INDEX_SHARD_NAME",
            "AssetCheckExecutionRecordStatus",
        )
    )
    if any(found is None for found in (events, assets, checks, index, status)):
        return None
    return EventTables(events, assets, checks, index, status.SUCCEEDED.value, status.FAILED.value)


@dataclass(frozen=True)
class CheckStateTypes:
    """What Dagster tells the states of a check's partitions with."""

    state: "type[AssetCheckState]"
    subset: "type[SerializableEntitySubset[dg.AssetCheckKey]]"
    planned: "AssetCheckExecutionRecordStatus"
    outcome: "dict[AssetCheckExecutionRecordStatus, AssetCheckExecutionResolvedStatus]"
    """How a check stands, by what its record says."""


def check_state_types() -> CheckStateTypes | None:
    """Return the types of the states of checks; None if this release has others."""
    names = (
        "AssetCheckState",
        "SerializableEntitySubset",
        "AssetCheckExecutionRecordStatus",
        "AssetCheckExecutionResolvedStatus",
    )
    state, subset, record, resolved = (__getattr__(name) for name in names)
    if any(found is None for found in (state, subset, record, resolved)):
        return None
    outcome = {
        record.PLANNED: resolved.IN_PROGRESS,
        record.SUCCEEDED: resolved.SUCCEEDED,
        record.FAILED: resolved.FAILED,
    }
    return CheckStateTypes(state, subset, record.PLANNED, outcome)


def sqlite_members(storage: Any) -> SqliteMembers | None:
    """Return the members of Dagster's own SQLite event log; None for another storage, also one that lacks a member."""
    own: type[SqliteEventLogStorage] | None = __getattr__("SqliteEventLogStorage")
    if own is None or type(storage) is not own:
        return None
    try:
        return SqliteMembers(
            connect=storage._connect,
            has_table=storage.has_table,
            has_asset_key_column=storage._has_asset_key_col_on_connection,
            initialized=storage._initialized_dbs,
            url_of=storage.conn_string_for_shard,
            store_event=storage.store_event,
            row_of=storage._event_to_row,
            store_tags=storage._store_asset_event_tags,
            entry_of=storage._get_asset_entry_values,
        )
    except AttributeError:  # another release of Dagster: slower, but right
        return None


def postgres_engine(storage: object) -> "Engine | None":
    """Return the engine of a storage in Postgres, None for other storages."""
    from sqlalchemy import Engine

    engine = getattr(storage, "_engine", None)
    return engine if isinstance(engine, Engine) and engine.dialect.name == "postgresql" else None


def uses_changing_passwords(storage: object) -> bool:
    """Return whether Dagster asks for a new password at each connection."""
    return getattr(storage, "_token_provider", None) is not None


@dataclass(frozen=True)
class Target:
    """The materialization that the evaluation of a check is about."""

    storage_id: int
    run_id: str
    timestamp: float


def targeting(evaluation: dg.AssetCheckEvaluation, latest: Target) -> dg.AssetCheckEvaluation:
    """Return the evaluation of a check with the materialization that it is about."""
    made_of: type[AssetCheckEvaluationTargetMaterializationData] | None = __getattr__(
        "AssetCheckEvaluationTargetMaterializationData"
    )
    if made_of is None:
        return evaluation
    target = made_of(storage_id=latest.storage_id, run_id=latest.run_id, timestamp=latest.timestamp)
    return dg.AssetCheckEvaluation(
        asset_key=evaluation.asset_key,
        check_name=evaluation.check_name,
        passed=evaluation.passed,
        metadata=evaluation.metadata,
        target_materialization_data=target,
        severity=evaluation.severity,
        description=evaluation.description,
        blocking=evaluation.blocking,
        partition=evaluation.partition,
    )


def assets_below(context: dg.AssetExecutionContext) -> dict[str, set[str]]:
    """Return the other assets of the run that need an asset of this step, by that asset.

    Empty if this release of Dagster does not tell: then Dagster skips them without a word.
    """
    layer: Any = getattr(context.job_def, "asset_layer", None)
    if not hasattr(layer, "asset_graph") or not hasattr(layer, "selected_asset_keys"):
        return {}
    own, below = set(context.assets_def.keys), {}
    for key in context.selected_asset_keys:
        children = {child for child in layer.asset_graph.get(key).child_keys if child in layer.selected_asset_keys}
        if children := children - own:
            below[key.to_user_string()] = {child.to_user_string() for child in children}
    return below


def current_runs(grpc_info: str) -> Collection[str] | None:
    """Return the ids of the runs that a code server has in work, None if it does not answer.

    Args:
        grpc_info: where the server is, as Dagster writes it into a run's tag `GRPC_INFO_TAG`.
    """
    unreachable = private("dagster._core.errors", "DagsterUserCodeUnreachableError", ())
    connect = private("dagster._grpc.client", "DagsterGrpcClient")  # 0.15 s of CPU, and few processes ask
    result = private("dagster._grpc.types", "GetCurrentRunsResult")
    if connect is None or result is None:
        return None
    info = json.loads(grpc_info)
    client: DagsterGrpcClient = connect(
        host=info["host"],
        port=info.get("port"),
        socket=info.get("socket"),
        use_ssl=bool(info.get("use_ssl", False)),
    )
    try:
        answer = client.get_current_runs()
    except unreachable:
        return None
    found: GetCurrentRunsResult = dg.deserialize_value(answer, result)
    return found.current_runs


def open_workspace(instance: dg.DagsterInstance, path: str, version: str) -> AbstractContextManager[Any]:
    """Open what Dagster's webserver app is made from: the code locations of a workspace file.

    Raises:
        RuntimeError: this release of Dagster has no such thing.
    """
    context = private("dagster._core.workspace.context", "WorkspaceProcessContext")
    file = private("dagster._core.workspace.load_target", "WorkspaceFileTarget")
    if context is None or file is None:
        raise RuntimeError(f"Dagster {dg.__version__} cannot be served behind the guard. Install the locked version.")
    opened: WorkspaceProcessContext = context(instance, workspace_load_target=file([path]), version=version)
    return opened
