"""The uploads sensor: uploads below `uploads/` become partitions and runs."""

import time
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.failures import as_dagster_failure
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.run_requests import request_runs
from i2v_assets.defs.specs import AT_LOAD
from resources.dagster_resources import BucketResource, LedgerResource
from resources.messages import counted, plain
from resources.registry.rows import ClipState
from resources.settings import load_settings

if TYPE_CHECKING:
    from i2v_assets.uploads.idle import LookSummary
    from i2v_assets.uploads.ingest import UploadScan

NAME = "uploads"

OUTGROWN_OBJECTS = 100_000
OUTGROWN_SECONDS = 20.0
"""Limits above which the queue should replace the listing: an evaluation has 60 s, and 100,000 objects need 100 LIST calls."""


@dg.sensor(
    name=NAME,
    job=make_clips_job,
    minimum_interval_seconds=AT_LOAD.sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Finds complete uploads, adds a partition per clip and requests runs. Scanning is free; each clip that it finds "
        "is made, which costs money within the budget."
    ),
)
def uploads_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """Scan the uploads; the cursor is only the number of the last committed tick."""
    from i2v_assets.uploads.idle import look
    from i2v_assets.uploads.large_lists import PATIENCE_SECONDS

    settings = load_settings()
    if settings.uploads_from != "listing":
        return dg.SkipReason("Uploads come from the queue (I2V_UPLOADS_FROM=queue).")
    committed = int(context.cursor or 0)
    with as_dagster_failure(), ledger.open() as (_, registry):
        registry.requeue_uncommitted(NAME, committed)
        began = time.monotonic()
        scan = look(
            bucket.open(), registry, settings, patience=PATIENCE_SECONDS, on_scan=partial(_log_refused, context)
        )
        seconds = time.monotonic() - began
        if scan.objects > OUTGROWN_OBJECTS or seconds > OUTGROWN_SECONDS:
            context.log.warning(
                plain(
                    f"Listing {scan.objects:,} uploads took {seconds:.0f} s, which is too slow for a sensor. "
                    "Set I2V_UPLOADS_FROM=queue and I2V_UPLOAD_QUEUE_URL (docs/deploy.md)."
                )
            )
        due = registry.due()
        requests = request_runs(
            context.instance,
            registry,
            due,
            sensor=NAME,
            tick=committed + 1,
            clips_per_run=settings.clips_per_run,
        )
        states = registry.counts()
    if not requests:
        return dg.SkipReason(summary(scan, states))
    context.log.info(plain(f"{counted(len(due), 'clip')} in {counted(len(requests), 'run')}. {summary(scan, states)}"))
    return dg.SensorResult(run_requests=requests, cursor=str(committed + 1))


def _log_refused(context: dg.SensorEvaluationContext, scan: "UploadScan") -> None:
    for refused in scan.newly_refused:
        context.log.warning(plain(f"Refused: {refused.text}"))


def summary(scan: "LookSummary", states: dict[str, int]) -> str:
    """Return one line on the uploads and the clips' states."""
    parts = [f"{states[state]} {state}" for state in ClipState if states.get(state)]
    parts += [f"{scan.settling} settling ({scan.first_settling})"] if scan.settling else []
    parts += [f"{counted(scan.refused, 'upload')} refused"] if scan.refused else []
    parts += [f"{counted(scan.held, 'upload')} held ({scan.first_held})"] if scan.held else []
    parts += [f"{counted(scan.ignored, 'system file')} ignored"] if scan.ignored else []
    parts += [f"{counted(scan.unread, 'large list is', 'large lists are')} being read"] if scan.unread else []
    return f"{counted(scan.objects, 'object')} under uploads/: {', '.join(parts) or 'no clips'}."
