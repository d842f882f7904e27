"""The checks of a clip's assets. The step reports them per clip; run alone, each looks again at what is there."""

import dagster as dg

from i2v_assets.assets.specs import CLIP_PLAN, CLIP_VIDEO
from i2v_assets.partitions import clips
from resources.ledger.registry import ClipState
from resources.ledger.resource import LedgerResource


@dg.asset_check(
    asset=CLIP_PLAN,
    name="accepted",
    partitions_def=clips,
    description="The upload and its brief can be made. Fails with the file, the limit and the remedy.",
)
def accepted(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
    """Says again what was decided last."""
    with ledger.open() as (_, registry):
        row = registry.get(context.partition_key)
    refused = row is not None and row.state is ClipState.REFUSED
    return dg.AssetCheckResult(passed=not refused, metadata={"problems": (row.reason or "") if row and refused else ""})


@dg.asset_check(
    asset=CLIP_VIDEO,
    name="answered",
    partitions_def=clips,
    description=(
        "The clip has its video. Fails when its request failed or its outcome is unknown, and warns while it waits; "
        "says what to do."
    ),
)
def answered(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
    """Says again how far the clip is."""
    with ledger.open() as (_, registry):
        row = registry.get(context.partition_key)
    passed = row is not None and row.state is ClipState.DELIVERED
    waiting = row is not None and row.state is ClipState.WAITING and row.waiting_for != "unknown"
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if waiting else dg.AssetCheckSeverity.ERROR,
        metadata={"state": row.state.value if row else "unknown clip", "reason": (row.reason or "") if row else ""},
    )


CLIP_CHECKS = (accepted, answered)
