"""Why a run is being stopped: by a person, or by a deploy, an eviction, a crash or a time limit."""

from typing import Literal

import dagster as dg

TIME_LIMIT = "maximum runtime"
"""In the message of the cancel event that Dagster's run monitoring writes for its own limit (1.13)."""


def stop_kind(instance: dg.DagsterInstance, run_id: str) -> Literal["person", "other"]:
    """``person`` only for Terminate: it alone shows as CANCELING without being the run monitoring's own doing."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not dg.DagsterRunStatus.CANCELING:
        return "other"
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.PIPELINE_CANCELING).records
    by_limit = any(TIME_LIMIT in (record.event_log_entry.dagster_event.message or "") for record in events
                   if record.event_log_entry.dagster_event is not None)  # fmt: skip
    return "other" if by_limit else "person"
