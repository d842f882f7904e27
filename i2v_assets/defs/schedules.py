"""Schedules. Each can be switched in the UI, and its description states what it costs."""

import dagster as dg

from i2v_assets.defs.jobs import adopt_orphans_job, catalogue_job
from i2v_assets.defs.maintenance import (
    UI_KEYS,
    archive_job,
    count_keys,
    retry_failed_job,
    sweep_job,
    to_retry,
    waiting_job,
    watch,
)
from i2v_assets.defs.specs import AT_LOAD
from resources.dagster_resources import LedgerResource
from resources.settings import load_settings

ZONE = AT_LOAD.timezone


@dg.schedule(
    name="adopt_orphans",
    cron_schedule="*/5 * * * *",
    job=adopt_orphans_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every five minutes: downloads the paid videos of dead runs, and settles costs. Free.",
)
def adopt_orphans_schedule(
    context: dg.ScheduleEvaluationContext, ledger: LedgerResource
) -> dg.RunRequest | dg.SkipReason:
    """Request a run only if there are orphans or unsettled costs: a run takes 2.5 s of CPU, the query almost none."""
    service = load_settings().service
    with ledger.open() as (requests, _):
        dead = requests.expire()
        orphans, unsettled = requests.orphans(service), requests.unsettled(service)
    if not orphans and not unsettled:
        return dg.SkipReason(f"No orphans; {len(dead)} claims of dead runs became unknown.")
    return dg.RunRequest(run_key=_tick(context))


catalogue_schedule = dg.ScheduleDefinition(
    name="model_catalogue_daily",
    cron_schedule="0 5 * * *",
    execution_timezone=ZONE,
    job=catalogue_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Daily at 05:00: compares the service's endpoints and prices with the accepted ones. Free.",
)

sweep_schedule = dg.ScheduleDefinition(
    name="sweep_nightly",
    cron_schedule="0 3 * * *",
    execution_timezone=ZONE,
    job=sweep_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Nightly at 03:00: lists all uploads and finds those whose event was lost. Listing costs one LIST call per 1,000 "
        "objects. Clips that it finds are made within the budget."
    ),
)


@dg.schedule(
    name="retry_failed_nightly",
    cron_schedule="30 1 * * *",
    execution_timezone=ZONE,
    job=retry_failed_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Nightly at 01:30: retries failed clips, each at most I2V_RETRIES_PER_CLIP times. **Costs money**: each retry costs "
        "as much as before, within the budget. Permanent failures are never retried."
    ),
)
def retry_schedule(context: dg.ScheduleEvaluationContext, ledger: LedgerResource) -> dg.RunRequest | dg.SkipReason:
    """Request a run only if a failed clip can be retried."""
    settings = load_settings()
    with ledger.open() as (_, registry):
        names = to_retry(registry, settings)
    if not names:
        return dg.SkipReason(f"No failed clip has any of its {settings.retries_per_clip} retries left.")
    return dg.RunRequest(run_key=_tick(context))


@dg.schedule(
    name="archive_nightly",
    cron_schedule="0 4 * * *",
    execution_timezone=ZONE,
    job=archive_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Nightly at 04:00: removes clips that were delivered I2V_ARCHIVE_AFTER_DAYS ago from the UI's partitions. Files "
        "and history stay, and a new upload restores a clip. Free."
    ),
)
def archive_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request a run if archiving is on; otherwise report if the UI has more keys than it displays well."""
    if load_settings().archive_after_days:
        return dg.RunRequest(run_key=_tick(context))
    keys = count_keys(context.instance)
    more = f" The UI has {keys:,} keys; it displays up to {UI_KEYS:,} well." if keys > UI_KEYS else ""
    return dg.SkipReason(f"Archiving is off: I2V_ARCHIVE_AFTER_DAYS is 0.{more}")


@dg.schedule(
    name="waiting_too_long",
    cron_schedule="*/15 * * * *",
    execution_timezone=ZONE,
    job=waiting_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every fifteen minutes: reports a warning check for each clip without a result for longer than "
        "I2V_WARN_AFTER_MINUTES. Free."
    ),
)
def waiting_schedule(context: dg.ScheduleEvaluationContext, ledger: LedgerResource) -> dg.RunRequest | dg.SkipReason:
    """Request a run only if a clip became overdue or is no longer overdue."""
    with ledger.open() as (requests, _):
        watched = watch(requests.database, load_settings())
    if not watched.late and not watched.over:
        return dg.SkipReason("No clip became overdue.")
    return dg.RunRequest(run_key=_tick(context))


def _tick(context: dg.ScheduleEvaluationContext) -> str:
    return f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"


SCHEDULES = (
    adopt_orphans_schedule,
    catalogue_schedule,
    sweep_schedule,
    retry_schedule,
    archive_schedule,
    waiting_schedule,
)
