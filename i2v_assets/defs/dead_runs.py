"""End runs whose process died: Dagster believes a run alive for hours if its code server died with it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipRow, ClipState, Registry
from resources.registry.run_beats import DEAD_AFTER

_STOPPING = dg.DagsterRunStatus.CANCELING
_AT_WORK = (dg.DagsterRunStatus.STARTED, _STOPPING)


def end_dead_runs(
    instance: dg.DagsterInstance, registry: Registry, ledger: Ledger, rows: Sequence[ClipRow]
) -> tuple[str, ...]:
    """Report the runs of these clips that gave no sign of life for `DEAD_AFTER` as failed, and return their ids.

    A run of an older version gives none: it counts as dead once no request of its clips is leased.
    """
    working = [row for row in rows if row.state is ClipState.WORKING and row.run_id]
    seen = registry.runs.seen({row.run_id for row in working if row.run_id})
    late = datetime.now(UTC) - DEAD_AFTER
    silent: dict[str, list[ClipRow]] = {}
    for row in working:
        if row.run_id and seen.get(row.run_id, row.updated_at) < late:
            silent.setdefault(row.run_id, []).append(row)
    leased = ledger.leased_clips() if any(run_id not in seen for run_id in silent) else frozenset()
    ended = []
    for run_id, clips in silent.items():
        if run_id not in seen and any(row.clip in leased for row in clips):
            continue
        run = instance.get_run_by_id(run_id)
        if run is None or run.status not in _AT_WORK:
            continue
        words = (
            f"The run gave no sign of life for {DEAD_AFTER.total_seconds() / 60:.0f} minutes: its process was killed."
        )
        if run.status is _STOPPING:
            instance.report_run_canceled(run, words)
        else:
            instance.report_run_failed(run, words)
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        ended.append(run_id)
    return tuple(ended)
