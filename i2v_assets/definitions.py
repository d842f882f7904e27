"""The Dagster definitions of the project: all assets, checks, jobs, schedules, sensors and resources."""

from pathlib import Path

import dagster as dg

from i2v_assets.defs.alerts_sensor import alerts_sensor
from i2v_assets.defs.catalog import model_catalogue
from i2v_assets.defs.clips import CLIP_CHECKS, make_clips
from i2v_assets.defs.dispatch_sensor import dispatch_sensor
from i2v_assets.defs.films import film, film_job
from i2v_assets.defs.films_sensor import sequences_sensor
from i2v_assets.defs.gallery import gallery, gallery_job, gallery_schedule
from i2v_assets.defs.gallery_sensor import gallery_sensor
from i2v_assets.defs.jobs import JOBS
from i2v_assets.defs.maintenance import UPKEEP_JOBS
from i2v_assets.defs.overdue_check import waiting_too_long
from i2v_assets.defs.queue_sensor import queue_sensor
from i2v_assets.defs.schedules import SCHEDULES
from i2v_assets.defs.specs import AT_LOAD
from i2v_assets.defs.spend_report import spend, spend_job, spend_schedule
from i2v_assets.defs.uploads_sensor import uploads_sensor
from resources import logs
from resources.dagster_resources import BucketResource, LedgerResource
from resources.runcomfy.resource import RunComfyResource

# Sensors and schedules run in the process that loads this module; each run configures its logs again with its id.
logs.configure(AT_LOAD)

OWN = Path(__file__).parent / "own"
"""Where `dg scaffold defs` writes."""


def with_own(ours: dg.Definitions) -> dg.Definitions:
    """Return the definitions with those of the folder `own`, which takes 0.5 s to read if there are any."""
    is_project = (OWN.parents[1] / "pyproject.toml").exists()  # Dagster reads there where they are; an image has none
    found = (file for file in OWN.rglob("*") if file.suffix in (".py", ".yaml") and file.name != "__init__.py")
    if not is_project or next(found, None) is None:
        return ours
    return dg.Definitions.merge(ours, dg.load_from_defs_folder(path_within_project=OWN))


defs = with_own(
    dg.Definitions(
        assets=[make_clips, model_catalogue, film, gallery, spend],
        asset_checks=[*CLIP_CHECKS, waiting_too_long],
        jobs=[*JOBS, *UPKEEP_JOBS, film_job, gallery_job, spend_job],
        schedules=[*SCHEDULES, gallery_schedule, spend_schedule],
        sensors=[uploads_sensor, queue_sensor, dispatch_sensor, sequences_sensor, alerts_sensor, gallery_sensor],
        # None of these has a field that a run's config could set: no launchpad chooses a host, a file or a bucket. Assets store
        # no values, so Dagster's default of files in a folder of the run's choice is replaced.
        resources={
            "io_manager": dg.mem_io_manager,
            "runcomfy": RunComfyResource(),
            "bucket": BucketResource(),
            "ledger": LedgerResource(),
        },
        executor=dg.in_process_executor,
    )
)
