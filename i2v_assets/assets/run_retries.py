"""Dagster's own retries of a run that crashed: they go on with what was asked for, and ask for nothing anew."""

import dagster as dg
from dagster._core.storage.tags import RETRY_NUMBER_TAG


def is_retry(run: dg.DagsterRun) -> bool:
    """Whether Dagster started it by itself, after an earlier one crashed; a person's re-execution is none."""
    return RETRY_NUMBER_TAG in run.tags


def asked_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The run that somebody asked for: with all its retries it has one budget, or three runs would have three.

    It is the root run but where a person has re-executed one, who asked again; of a run that was deleted meanwhile only
    the root is still known.
    """
    while is_retry(run) and run.parent_run_id is not None:
        before = instance.get_run_by_id(run.parent_run_id)
        if before is None:
            return run.root_run_id or run.run_id
        run = before
    return run.run_id
