"""The sequences sensor: each file below `sequences/` becomes a film."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.failures import as_dagster_failure, end_silent_runs
from i2v_assets.defs.films import film_job
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.partitions import sequences
from i2v_assets.defs.run_requests import request_runs
from i2v_assets.defs.runs import why_ended
from i2v_assets.defs.specs import AT_LOAD
from resources.dagster_resources import BucketResource, LedgerResource
from resources.ledger.records import utc_now
from resources.messages import counted, plain
from resources.problem import Problem
from resources.registry.rows import ClipRow
from resources.settings import load_settings
from resources.storage import keys
from resources.storage.keys import SEQUENCES

if TYPE_CHECKING:
    from i2v_assets.films.scan import FilmCache, FilmScan
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

NAME = "sequences"

FILM_TAG = "i2v/film"
"""Name and version of the film that a run joins."""

FIRST_GAP = timedelta(minutes=1)
LONGEST_GAP = timedelta(hours=6)
"""After a failed join the next one waits, twice as long each time: joining is free, but the same shots may fail again. It never
ends, since what failed may have been the bucket or the machine; six hours cost nothing and find the day on which it is well."""

JOINED_AGAIN, MOST_JOINED_AGAIN = timedelta(minutes=10), 5
"""A film that was joined five times within ten minutes, and is due again, waits: each join takes a core for some seconds."""

MOST_RUNS = 20
"""Runs of a film's version that are looked at: more failures than the gap has steps."""

_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@cache
def _cache() -> "FilmCache":
    """Return what this process read of the films before."""
    from i2v_assets.films.scan import FilmCache

    return FilmCache()


@dg.sensor(
    name=NAME,
    jobs=[make_clips_job, film_job],
    minimum_interval_seconds=AT_LOAD.sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Finds films in `sequences/*.yaml`. Their own shots are made as clips, which costs money within the budget; "
        "joining is free and happens when all shots of a film are there."
    ),
)
def sequences_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """Scan the films; the cursor is only the number of the last committed tick."""
    from i2v_assets.films.scan import scan_films
    from resources.registry.agreed_prices import CatalogueMemory

    settings = load_settings()
    committed = int(context.cursor or 0)
    with as_dagster_failure(), ledger.open() as (requests, registry):
        registry.requeue_uncommitted(NAME, committed)
        agreed = CatalogueMemory(requests.database).agreed(settings.service)
        store = bucket.open()
        scan = scan_films(store, registry, agreed, _cache(), sandbox=settings.is_sandbox)
        add_films(context.instance, scan)
        due = [row for row in registry.due() if _is_shot(row)]
        runs = request_runs(
            context.instance,
            registry,
            due,
            sensor=NAME,
            tick=committed + 1,
            clips_per_run=settings.clips_per_run,
            job_name=make_clips_job.name,
        )
        runs += film_runs(context.instance, registry, scan, store, sandbox=settings.is_sandbox)
    for name, reason in scan.refused.items():
        context.log.warning(plain(f"Film refused: {name}: {reason}"))
    if not runs:
        return dg.SkipReason(summary(scan))
    context.log.info(plain(f"Due: {counted(len(due), 'shot')}, {counted(len(scan.due), 'film')}. {summary(scan)}"))
    return dg.SensorResult(run_requests=runs, cursor=str(committed + 1))


def _is_shot(row: ClipRow) -> bool:
    return row.source.startswith(SEQUENCES)


def add_films(instance: dg.DagsterInstance, scan: "FilmScan") -> None:
    """Add the missing partitions."""
    name = str(sequences.name)
    present = set(instance.get_dynamic_partitions(name)) if scan.films else set()
    new = [film.name for film in scan.films if film.name not in present]
    if new:
        instance.add_dynamic_partitions(name, new)


def film_runs(
    instance: dg.DagsterInstance, registry: "Registry", scan: "FilmScan", bucket: "Bucket", *, sandbox: bool
) -> list[dg.RunRequest]:
    """Return a run request for each due film, unless a run is active or the latest failures are too fresh.

    A run that was killed, or that could not reach the bucket, left no note; it is written here.
    """
    now = utc_now()
    requests = []
    for name, version in scan.due.items():
        tag = {FILM_TAG: f"{name}:{version}"}
        before = instance.get_run_records(dg.RunsFilter(tags=tag), limit=MOST_RUNS)
        active = [record.dagster_run for record in before if record.dagster_run.status not in _ENDED]
        if active:
            end_silent_runs(instance, registry, active)
            continue
        joined = [record for record in before if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS]
        if sum(now - _ended_at(record) < JOINED_AGAIN for record in joined) >= MOST_JOINED_AGAIN:
            continue  # something takes the film away as often as it is joined
        failures = consecutive_failures([record.dagster_run.status for record in before])
        if failures:
            latest = before[0]
            again = _ended_at(latest) + gap_after(failures)
            if f"{keys.SEQUENCES}{name}/{keys.FAILED_NOTE}" not in scan.listed:
                _note_failure(instance, bucket, name, latest.dagster_run, again, sandbox=sandbox)
            if now < again:
                continue
        key = f"{name}:{version}:{before[0].dagster_run.run_id if before else 0}"
        requests.append(dg.RunRequest(run_key=key, partition_key=name, tags=tag, job_name=film_job.name))
    return requests


def consecutive_failures(latest_first: Sequence[dg.DagsterRunStatus]) -> int:
    """Return how many of the latest runs failed in a row; a success ends the count."""
    count = 0
    for status in latest_first:
        if status is dg.DagsterRunStatus.SUCCESS:
            break
        count += 1
    return count


def gap_after(failures: int) -> timedelta:
    """Return how long the next join waits after so many failures in a row."""
    return min(LONGEST_GAP, FIRST_GAP * (1 << min(failures - 1, MOST_RUNS)))


def _ended_at(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def _note_failure(
    instance: dg.DagsterInstance, bucket: "Bucket", name: str, run: dg.DagsterRun, again: datetime, *, sandbox: bool
) -> None:
    from i2v_assets.films.notes import write_film_failure

    words = why_ended(instance, run) or "The run that joined it ended without a word; its process may have been killed."
    remedy = f"See the log of run {run.run_id} in the Dagster UI, or materialize the film there to try it now."
    write_film_failure(bucket, name, Problem(words, remedy=remedy), again, sandbox=sandbox)


def summary(scan: "FilmScan") -> str:
    """Return one line on the films and their states."""
    waiting = [film for film in scan.resolved.values() if film.name not in scan.refused and film.version is None]
    parts = [counted(len(waiting), "waiting for its shots", "wait for their shots")] if waiting else []
    parts += [counted(len(scan.due), "is due", "are due")] if scan.due else []
    parts += [counted(len(scan.refused), "is refused", "are refused")] if scan.refused else []
    return f"{counted(len(scan.films), 'film')}: {', '.join(parts) or 'nothing to do'}."
