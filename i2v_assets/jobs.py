"""The jobs that sensors and schedules start, and the small ones that a person starts from the launchpad."""

import dagster as dg

from i2v_assets.assets.specs import CLIP_SPECS
from i2v_assets.partitions import clips

make_clips_job = dg.define_asset_job(
    "make_clips_job",
    selection=dg.AssetSelection.assets(*(spec.key for spec in CLIP_SPECS)).without_checks(),
    partitions_def=clips,
    description="Makes the clips of a range of partitions, each on its own way. Paid for within the budget, once.",
    executor_def=dg.in_process_executor,
)
