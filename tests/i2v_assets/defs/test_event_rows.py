"""Events that are written by prepared statements leave the very rows that Dagster itself writes."""

import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from i2v_assets.defs import event_rows
from i2v_assets.defs.dagster_internals import SqliteEventLogStorage, event_tables
from i2v_assets.defs.event_log import latest_of, with_target
from i2v_assets.defs.event_rows import EventRows
from i2v_assets.defs.storage_connections import KeptLog, kept_connections

PARTS = dg.DynamicPartitionsDefinition(name="parts")
DIFFER = {"timestamp", "event_timestamp", "evaluation_event_timestamp", "create_timestamp"}
DIFFER |= {"last_materialization_timestamp", "run_id", "last_run_id"}
"""Columns that are others in every run."""
TEXTS = {"event", "last_materialization", "evaluation_event"}
"""Columns with the whole event, which has the run and the time in it: compared by their length."""


class Ours(dg.Config):
    """Whether the connections are kept."""

    kept: bool


def materialization(clip: str, version: str) -> dg.AssetMaterialization:
    tags = {"dagster/data_version": version, "dagster/code_version": "1"}
    return dg.AssetMaterialization("thing", partition=clip, metadata={"seconds": 3, "words": "ü" * 300}, tags=tags)


def plan_check(context: dg.AssetExecutionContext, clip: str) -> None:
    """Write what a run leaves of a check that it is going to make."""
    tables = event_tables()
    assert tables is not None
    planned = {"asset_key": dg.AssetKey("thing").to_string(), "check_name": "good", "partition": clip}
    planned |= {"run_id": context.run.run_id, "execution_status": "PLANNED"}
    storage: Any = context.instance.event_log_storage
    with storage.index_connection() as connection:
        connection.execute(tables.checks.insert(), planned)


@dg.asset(partitions_def=PARTS)
def things(context: dg.AssetExecutionContext, config: Ours) -> None:
    instance = context.instance
    with ExitStack() as stack:
        kept = stack.enter_context(kept_connections(instance)) if config.kept else KeptLog()
        plan_check(context, "two")
        for clip in ("one", "two"):
            with kept.at_once():
                context.log_event(materialization(clip, "first"))
                for name, passed in (("good", True), ("other", False)):
                    evaluation = dg.AssetCheckEvaluation(
                        asset_key=dg.AssetKey("thing"), check_name=name, passed=passed, partition=clip,
                        severity=dg.AssetCheckSeverity.WARN, metadata={"why": "because"},
                    )  # fmt: skip
                    context.log_event(with_target(instance, evaluation))
            assert not config.kept or kept.latest("thing", clip) == latest_of(instance, dg.AssetKey("thing"), clip)
        context.log_event(materialization("one", "second"))
        context.log_event(
            dg.AssetCheckEvaluation(asset_key=dg.AssetKey("thing"), check_name="good", passed=False, partition="one")
        )
        context.log_event(dg.AssetCheckEvaluation(asset_key=dg.AssetKey("thing"), check_name="whole", passed=True))
        context.log_event(dg.AssetMaterialization("elsewhere", metadata={"a": 1}))
        context.log_event(dg.AssetObservation("thing", partition="one", tags={"i2v/change": "x"}))
        if config.kept:
            with suppress(ZeroDivisionError), kept.at_once():
                context.log_event(materialization("undone", "first"))
                raise ZeroDivisionError
            assert kept.latest("thing", "undone") is None, "nothing is about a record that is not there"


def rows_of(home: Path, *, kept: bool) -> dict[str, list[dict[str, Any]]]:
    """Run the step, and return the rows of all files of the event log by table."""
    home.mkdir()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("parts", ["one", "two", "undone", "x"])
        ran = dg.materialize(
            [things], instance=instance, partition_key="x", run_config={"ops": {"things": {"config": {"kept": kept}}}}
        )
        assert ran.success
    found = {}
    for file in ("index", ran.run_id):
        with sqlite3.connect(home / "history" / "runs" / f"{file}.db") as connection:
            connection.row_factory = sqlite3.Row
            for table in ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions"):
                rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY id")]
                name = "index" if file == "index" else "run"
                found[f"{name}.{table}"] = [_comparable(row) for row in rows if _is_ours(row)]
    return found


def _is_ours(row: dict[str, Any]) -> bool:
    """Leave out what Dagster logs of the run and of the step itself, whose version is random."""
    kind = row.get("dagster_event_type", "ASSET_")
    return row.get("asset_key") != '["things"]' and "ASSET_" in (kind or "")


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: bool(value) if name in DIFFER or name in TEXTS or name.endswith("id") else value
        for name, value in row.items()
    }


def test_the_rows_are_those_that_dagster_writes(tmp_path: Path) -> None:
    ours, dagsters = rows_of(tmp_path / "ours", kept=True), rows_of(tmp_path / "dagsters", kept=False)
    assert ours == dagsters
    assert len(ours["index.asset_check_executions"]) == 5
    assert len(ours["index.asset_event_tags"]) == 3


def test_the_events_of_a_clip_are_not_left_to_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[tuple[str | None, str | None]] = []
    own = SqliteEventLogStorage.store_event

    def store_event(storage: Any, event: dg.EventLogEntry) -> None:
        about = event.dagster_event.event_specific_data if event.dagster_event else None
        left.append((event.dagster_event_type, getattr(about, "partition", None)))
        own(storage, event)

    monkeypatch.setattr(SqliteEventLogStorage, "store_event", store_event)
    rows_of(tmp_path / "ours", kept=True)
    assert (dg.DagsterEventType.ASSET_CHECK_EVALUATION, None) in left, "a check of the whole asset has its own way"
    kinds = {kind for kind, partition in left if kind and partition is not None}
    assert not kinds & {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.ASSET_MATERIALIZATION}


@pytest.mark.parametrize("as_dagster", [True, False])
def test_a_record_is_put_together_only_as_dagster_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_dagster: bool
) -> None:
    entries: list[tuple[dict[str, Any], dict[str, Any]]] = []
    ours, composed, made = EventRows._entry, event_rows._composed, []

    def entry(rows: EventRows, event: dg.EventLogEntry, number: int, text: str) -> dict[str, Any]:
        entries.append((ours(rows, event, number, text), rows._own.entry_of(event, number, True)))
        return entries[-1][0]

    def otherwise(event: dg.EventLogEntry, number: int, text: str) -> dict[str, Any]:
        made.append(number)
        return composed(event, number, text) | ({} if as_dagster else {"last_run_id": "another"})

    monkeypatch.setattr(EventRows, "_entry", entry)
    monkeypatch.setattr(event_rows, "_composed", otherwise)
    rows_of(tmp_path / "ours", kept=True)
    assert len(entries) == 5
    assert all(ours == dagsters for ours, dagsters in entries)
    assert len(made) == (5 if as_dagster else 1), "one that differs from Dagster's own is not used"
