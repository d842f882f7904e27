"""What Dagster itself knows to have failed: runs of jobs, and evaluations of sensors and schedules."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, InstigatorType, TickStatus
from dagster._core.storage.tags import WILL_RETRY_TAG

from i2v_assets.alerts import FailedRun, FailingTicks
from i2v_assets.jobs import make_clips_job
from i2v_assets.sensors.lost_runs import why_ended, words_of

TOLD_OTHERWISE = frozenset({make_clips_job.name, "__ASSET_JOB"})
"""Runs over clips, whose failures are those of their clips and are told as such; and those of a person's "Materialize",
who looks at them."""

SETTLED = timedelta(minutes=1)
"""Dagster notes that it will start a run again a moment after it noted its failure; a younger failure is told next time."""

MOST_RUNS = 200
"""Failed runs of one look: a schedule every five minutes makes twelve an hour."""

IN_A_ROW = {InstigatorType.SENSOR: 3, InstigatorType.SCHEDULE: 1}
"""Failed evaluations that are told. A sensor's next one is seconds away, and a restart of the bucket passes by itself; many
schedules come once a day."""


def failed_runs(instance: dg.DagsterInstance, since: datetime, now: datetime) -> list[FailedRun]:
    """Runs of jobs that failed since then and are not started again by Dagster, oldest first."""
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    found = []
    for record in instance.get_run_records(filters, limit=MOST_RUNS):
        run = record.dagster_run
        ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
        covered = run.job_name in TOLD_OTHERWISE or run.tags.get(WILL_RETRY_TAG) == "true"
        if not covered and since < ended < now - SETTLED:
            found.append(FailedRun(run.job_name, run.run_id, ended))
    return sorted(found, key=lambda run: run.at)


def with_words(instance: dg.DagsterInstance, runs: Iterable[FailedRun]) -> list[FailedRun]:
    """The same, with the words of each job's latest run: others are not quoted."""
    runs = list(runs)
    latest = {run.job: run for run in runs}
    whys = {}
    for run in latest.values():
        known = instance.get_run_by_id(run.run_id)
        whys[run.run_id] = why_ended(instance, known) if known is not None else ""
    return [FailedRun(run.job, run.run_id, run.at, whys.get(run.run_id, "")) for run in runs]


def failing_ticks(instance: dg.DagsterInstance, location: str | None) -> list[FailingTicks]:
    """Sensors and schedules of a code location (None: of all) that are on and fail, by name."""
    return sorted(_failing(instance, location), key=lambda each: each.name)


def _failing(instance: dg.DagsterInstance, location: str | None) -> Iterator[FailingTicks]:
    for state in instance.all_instigator_state():
        enough = IN_A_ROW.get(state.instigator_type)
        if enough is None or not state.is_running or not _is_of(state, location):
            continue
        # One more than are told: the latest may still be at work.
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=enough + 1)
        ended = [tick for tick in ticks if tick.status is not TickStatus.STARTED][:enough]
        if len(ended) == enough and all(tick.status is TickStatus.FAILURE for tick in ended):
            yield FailingTicks(state.name, _why(ended[0]))


def _is_of(state: InstigatorState, location: str | None) -> bool:
    return location is None or state.repository_selector.location_name == location


def _why(tick: InstigatorTick) -> str:
    return words_of(tick.error)
