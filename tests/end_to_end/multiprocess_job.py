"""The project's step in a job whose steps run in processes of their own, as some deployments have it."""

import dagster as dg

from i2v_assets.defs.clips import make_clips
from resources.dagster_resources import BucketResource, LedgerResource
from resources.runcomfy.resource import RunComfyResource

defs = dg.Definitions(
    assets=[make_clips],
    jobs=[
        dg.define_asset_job(
            "make_clips_job",
            selection=dg.AssetSelection.assets(make_clips).without_checks(),
            executor_def=dg.multiprocess_executor,
        )
    ],
    resources={
        "runcomfy": RunComfyResource(),
        "bucket": BucketResource(),
        "ledger": LedgerResource(),
    },
)
