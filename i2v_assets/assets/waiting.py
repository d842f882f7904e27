"""The check that a clip does not wait too long for its video."""

from datetime import timedelta

import dagster as dg

from i2v_assets.assets.specs import CLIP_PLAN
from i2v_assets.partitions import clips
from resources.ledger.resource import LedgerResource
from resources.ledger.waits import Waits
from resources.settings import load_settings

WAITING_TOO_LONG = "waiting_too_long"


@dg.asset_check(
    asset=CLIP_PLAN,
    name=WAITING_TOO_LONG,
    partitions_def=clips,
    description=(
        "Warns when a clip has been without its answer for longer than I2V_WARN_AFTER_MINUTES, whatever it waits for. "
        "A schedule reports it; run alone, it looks again. Free."
    ),
)
def waiting_too_long(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
    """Says again since when a clip waits."""
    with ledger.open() as (requests, _):
        since = Waits(requests.database).since(
            context.partition_key, longer_than=timedelta(minutes=load_settings().warn_after_minutes)
        )
    return dg.AssetCheckResult(
        passed=since is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"since": since.isoformat(timespec="seconds") if since else ""},
    )
