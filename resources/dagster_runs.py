"""What Dagster knows of a run that pays: which run was asked for, whether it is a retry, and who stopped it."""

from typing import Literal

import dagster as dg

RETRY_NUMBER_TAG = "dagster/retry_number"
"""Dagster's own tag of the runs that it starts again; the test of `dagster_internals` compares it on an upgrade."""

TIME_LIMIT = "maximum runtime"
"""In the message of the cancel event that Dagster's run monitoring writes for its own limit (1.13)."""


AUTOMATIC = {
    RETRY_NUMBER_TAG: "an automatic retry",
    "dagster/sensor_name": "a sensor",
    "dagster/schedule_name": "a schedule",
    ".dagster/scheduled_execution_time": "a schedule",
    "dagster/backfill": "a backfill",
    "dagster/parent_backfill_id": "a backfill",
    "dagster/root_backfill_id": "a backfill",
    "dagster/from_automation_condition": "an automation condition",
    "dagster/auto_materialize": "an automation condition",
    "dagster/auto_observe": "an automation condition",
    "dagster/asset_evaluation_id": "an automation condition",
    "dagster/tick": "a sensor or schedule",
    "dagster/run_key": "a sensor or schedule",
    "i2v/batch": "a sensor",
}
"""Dagster's own tags of the runs that no person started, with who did. The test of `dagster_internals` compares them."""


def started_by(run: dg.DagsterRun) -> str | None:
    """Return what started a run by itself, such as ``a sensor``; None if a person did, also by executing a run again."""
    return next((what for tag, what in AUTOMATIC.items() if tag in run.tags), None)


def stop_kind(instance: dg.DagsterInstance, run_id: str) -> Literal["person", "other"]:
    """Return ``person`` if somebody pressed Terminate, else ``other`` (a deploy, an eviction, Dagster's own time limit)."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not dg.DagsterRunStatus.CANCELING:
        return "other"
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.PIPELINE_CANCELING).records
    by_limit = any(TIME_LIMIT in (record.event_log_entry.dagster_event.message or "") for record in events
                   if record.event_log_entry.dagster_event is not None)  # fmt: skip
    return "other" if by_limit else "person"


def is_retry(run: dg.DagsterRun) -> bool:
    """Return whether Dagster started the run by itself after an earlier one crashed; a re-execution by hand is not that."""
    return RETRY_NUMBER_TAG in run.tags


def asked_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return the id of the run that was asked for: all its retries share its budget.

    That is the root run, or the latest one that a person re-executed. If a run in between was deleted, it is the root.
    """
    while is_retry(run) and run.parent_run_id is not None:
        before = instance.get_run_by_id(run.parent_run_id)
        if before is None:
            return run.root_run_id or run.run_id
        run = before
    return run.run_id
