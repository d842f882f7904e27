"""The one place where everything is put together."""

import dagster as dg

from i2v_assets.assets.checks import CLIP_CHECKS
from i2v_assets.assets.clips import make_clips
from i2v_assets.jobs import make_clips_job
from i2v_assets.sensors.uploads import uploads_sensor
from resources.ledger.resource import LedgerResource
from resources.runcomfy.resource import RunComfyResource
from resources.storage.resource import BucketResource

defs = dg.Definitions(
    assets=[make_clips],
    asset_checks=CLIP_CHECKS,
    jobs=[make_clips_job],
    sensors=[uploads_sensor],
    resources={
        "runcomfy": RunComfyResource(api_base="", balance_base="", web_base=""),
        "bucket": BucketResource(),
        "ledger": LedgerResource(),
    },
    executor=dg.in_process_executor,
)
