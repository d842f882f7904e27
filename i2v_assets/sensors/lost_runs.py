"""Runs that ended without an answer for a clip: which run that was, and what Dagster knows of its end."""

from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.dispatch import RunState
from i2v_assets.manifest import scrubbed
from i2v_assets.sensors.tags import BATCH_TAG
from resources.ledger.registry import ClipRow

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
MOST_WORDS = 600
"""Characters of an error that a note quotes; the run's page has all of it."""

_TELLING = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}


def latest_run(instance: dg.DagsterInstance, row: ClipRow) -> dg.DagsterRun | None:
    """The run that a clip is in, or the latest of its automatic retries.

    A person's run has no batch, and the row may still name that of an earlier one: so the run is asked, where it began.
    """
    begun = instance.get_run_by_id(row.run_id) if row.run_id else None
    batch = begun.tags.get(BATCH_TAG) if begun else row.batch
    if batch is not None:
        runs = list(instance.get_runs(dg.RunsFilter(tags={BATCH_TAG: batch})))
    elif begun is not None:
        root = begun.root_run_id or begun.run_id
        runs = [begun, *instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": root}))]
    else:
        return None
    return max(runs, key=lambda run: int(run.tags.get("dagster/retry_number", "0")), default=None)


def run_state(instance: dg.DagsterInstance, row: ClipRow) -> RunState:
    """What became of the run that a clip is in."""
    latest = latest_run(instance, row)
    if latest is None:
        return RunState.GONE
    if latest.status is dg.DagsterRunStatus.CANCELED:
        return RunState.CANCELED
    return RunState.ENDED if latest.status in ENDED else RunState.ALIVE


def why_ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The run's own words on its failure, without secrets; empty where it left none (a killed process leaves none)."""
    records = instance.get_records_for_run(run.run_id, of_type=_TELLING).records
    found = [event for record in records if (event := record.event_log_entry.dagster_event) is not None]
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ENGINE_EVENT):
        for event in reversed(found):
            if event.event_type is kind and (words := _words(event)):
                return scrubbed(" ".join(words.split()))[:MOST_WORDS]
    return ""


def _words(event: dg.DagsterEvent) -> str:
    if event.event_type is dg.DagsterEventType.STEP_FAILURE:
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return data.user_failure_data.description  # told for people by the step itself
        return _innermost(data.error)
    return _innermost(event.engine_event_data.error)


def _innermost(error: "SerializableErrorInfo | None") -> str:
    """The message of the error behind the others: the outer ones are Dagster's own, about the step that failed."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error is not None else ""
