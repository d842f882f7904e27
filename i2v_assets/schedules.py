"""What happens by the clock. Each can be switched in the UI, and says what it costs."""

import dagster as dg

from i2v_assets.jobs import adopt_orphans_job, catalogue_job
from resources.ledger.resource import LedgerResource
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
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")


catalogue_schedule = dg.ScheduleDefinition(
    name="model_catalogue_daily",
    cron_schedule="0 5 * * *",
    execution_timezone=ZONE,
    job=catalogue_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Daily at 05:00: compares the service's endpoints and prices with what was agreed to. Free.",
)

SCHEDULES = (adopt_orphans_schedule, catalogue_schedule)
