"""What happens by the clock. Each can be switched in the UI, and says what it costs."""

import dagster as dg

from i2v_assets.defs.jobs import adopt_orphans_job, catalogue_job
from i2v_assets.defs.maintenance import (
    UI_KEYS,
    archive_job,
    keys_left,
    retry_failed_job,
    sweep_job,
    to_retry,
    waiting_job,
    watch,
)
from resources.registry.resource import LedgerResource
from resources.settings import load_settings

ZONE = load_settings().timezone


@dg.schedule(
    name="adopt_orphans",
    cron_schedule="*/5 * * * *",
    job=adopt_orphans_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every five minutes: fetches what was paid for by runs that died, and settles costs. Free.",
)
def adopt_orphans_schedule(
    context: dg.ScheduleEvaluationContext, ledger: LedgerResource
) -> dg.RunRequest | dg.SkipReason:
    """Starts a run only where there is something to fetch: a run costs 2.5 s of CPU, a look next to nothing."""
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
    description="Daily at 05:00: compares the service's endpoints and prices with what was agreed to. Free.",
)

sweep_schedule = dg.ScheduleDefinition(
    name="sweep_nightly",
    cron_schedule="0 3 * * *",
    execution_timezone=ZONE,
    job=sweep_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Nightly at 03:00: lists all uploads and finds what events lost. Looking costs one LIST call per 1,000 objects; "
        "what it finds is made within the budget."
    ),
)


@dg.schedule(
    name="retry_failed_nightly",
    cron_schedule="30 1 * * *",
    execution_timezone=ZONE,
    job=retry_failed_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Nightly at 01:30: tries failed clips again, each at most I2V_RETRIES_PER_CLIP times. **Costs money**: each costs "
        "what it cost before, within the budget. What failed for good is never tried again."
    ),
)
def retry_schedule(context: dg.ScheduleEvaluationContext, ledger: LedgerResource) -> dg.RunRequest | dg.SkipReason:
    """Starts a run only where a clip is to be tried again."""
    settings = load_settings()
    with ledger.open() as (_, registry):
        names = to_retry(registry, settings)
    if not names:
        return dg.SkipReason(f"No failed clip has one of its {settings.retries_per_clip} retries left.")
    return dg.RunRequest(run_key=_tick(context))


@dg.schedule(
    name="archive_nightly",
    cron_schedule="0 4 * * *",
    execution_timezone=ZONE,
    job=archive_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Nightly at 04:00: takes clips that were delivered I2V_ARCHIVE_AFTER_DAYS ago out of the UI's partitions; files "
        "and history stay, and a new upload brings a clip back. Free."
    ),
)
def archive_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Says when the UI has more keys than it shows well, where nothing is archived."""
    if load_settings().archive_after_days:
        return dg.RunRequest(run_key=_tick(context))
    keys = keys_left(context.instance)
    more = f" The UI has {keys:,} keys, more than the {UI_KEYS:,} that it shows well." if keys > UI_KEYS else ""
    return dg.SkipReason(f"Nothing is archived: I2V_ARCHIVE_AFTER_DAYS is 0.{more}")


@dg.schedule(
    name="waiting_too_long",
    cron_schedule="*/15 * * * *",
    execution_timezone=ZONE,
    job=waiting_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every fifteen minutes: a clip that has been without its answer for longer than I2V_WARN_AFTER_MINUTES gets a "
        "warning check. Free."
    ),
)
def waiting_schedule(context: dg.ScheduleEvaluationContext, ledger: LedgerResource) -> dg.RunRequest | dg.SkipReason:
    """Starts a run only where there is something to tell."""
    with ledger.open() as (requests, _):
        found = watch(requests.database, load_settings())
    if not found.late and not found.over:
        return dg.SkipReason("No clip newly waits too long.")
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
