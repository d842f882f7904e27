"""The sequences sensor: each file below `sequences/` becomes a film."""

import dagster as dg

from i2v_assets.defs.failures import as_dagster_failure
from i2v_assets.defs.films import film_job
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.partitions import sequences
from i2v_assets.defs.run_requests import request_runs
from i2v_assets.films.scan import FilmCache, FilmScan, scan_films
from resources.outside_text import plain
from resources.plurals import counted
from resources.registry.agreed_prices import CatalogueMemory
from resources.registry.registry import ClipRow
from resources.registry.resource import LedgerResource
from resources.settings import load_settings
from resources.storage.keys import SEQUENCES
from resources.storage.resource import BucketResource

NAME = "sequences"

FILM_TAG = "i2v/film"
"""Name and version of the film that a run joins."""

TRIES = 3
"""Attempts to join per film version; joining is free, but three failures for the same shots predict another."""

_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
_cache = FilmCache()


@dg.sensor(
    name=NAME,
    jobs=[make_clips_job, film_job],
    minimum_interval_seconds=load_settings().sensor_seconds,
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
    settings = load_settings()
    committed = int(context.cursor or 0)
    with as_dagster_failure(), ledger.open() as (requests, registry):
        registry.requeue_uncommitted(NAME, committed)
        agreed = CatalogueMemory(requests.database).agreed(settings.service)
        scan = scan_films(bucket.open(), registry, agreed, _cache, sandbox=settings.service == "sandbox")
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
    runs += film_runs(context.instance, scan)
    for name, reason in scan.refused.items():
        context.log.warning(plain(f"Film refused: {name}: {reason}"))
    if not runs:
        return dg.SkipReason(summary(scan))
    context.log.info(plain(f"Due: {counted(len(due), 'shot')}, {counted(len(scan.due), 'film')}. {summary(scan)}"))
    return dg.SensorResult(run_requests=runs, cursor=str(committed + 1))


def _is_shot(row: ClipRow) -> bool:
    return row.source.startswith(SEQUENCES)


def add_films(instance: dg.DagsterInstance, scan: FilmScan) -> None:
    """Add the missing partitions."""
    name = str(sequences.name)
    present = set(instance.get_dynamic_partitions(name)) if scan.films else set()
    new = [film.name for film in scan.films if film.name not in present]
    if new:
        instance.add_dynamic_partitions(name, new)


def film_runs(instance: dg.DagsterInstance, scan: FilmScan) -> list[dg.RunRequest]:
    """Return a run request for each due film, unless a run is active or too many have failed."""
    requests = []
    for name, version in scan.due.items():
        tag = {FILM_TAG: f"{name}:{version}"}
        before = instance.get_runs(dg.RunsFilter(tags=tag))
        if len(before) >= TRIES or any(run.status not in _ENDED for run in before):
            continue
        key = f"{name}:{version}:{len(before)}"
        requests.append(dg.RunRequest(run_key=key, partition_key=name, tags=tag, job_name=film_job.name))
    return requests


def summary(scan: FilmScan) -> str:
    """Return one line on the films and their states."""
    waiting = [film for film in scan.resolved.values() if film.name not in scan.refused and film.version is None]
    parts = [counted(len(waiting), "waiting for its shots", "wait for their shots")] if waiting else []
    parts += [counted(len(scan.due), "is due", "are due")] if scan.due else []
    parts += [counted(len(scan.refused), "is refused", "are refused")] if scan.refused else []
    return f"{counted(len(scan.films), 'film')}: {', '.join(parts) or 'nothing to do'}."
