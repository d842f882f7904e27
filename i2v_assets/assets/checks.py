"""The checks of a clip's assets. The step reports them per clip; run alone, each looks again at what is there."""

import dagster as dg

from i2v_assets.assets.events import dagster_metadata
from i2v_assets.assets.specs import CLIP_PLAN, CLIP_VIDEO
from i2v_assets.making.again import measure_again
from i2v_assets.making.quality import finding_metadata
from i2v_assets.partitions import clips
from resources.ledger.registry import ClipState
from resources.ledger.resource import LedgerResource
from resources.media.quality.model import Check, Severity
from resources.settings import load_settings
from resources.storage.resource import BucketResource


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


QUALITY = {
    Check.TECHNICAL: "Decodes to the end; length, resolution, aspect and frame rate are those that were asked for.",
    Check.SOUND: "Sound where the route promises it, neither silent nor clipped; the voice is the voice that was given.",
    Check.MOTION: "Not black, not frozen, no slide show, no sudden jump of the whole picture.",
    Check.LIKENESS: "The first frame resembles the source image, and the picture stays sharp.",
}


def _quality_check(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=CLIP_VIDEO,
        name=check.value,
        partitions_def=clips,
        description=f"{QUALITY[check]} Measured right after the download; run alone, it measures again. Free.",
    )
    def measured_again(
        context: dg.AssetCheckExecutionContext, bucket: BucketResource, ledger: LedgerResource
    ) -> dg.AssetCheckResult:
        settings = load_settings()
        with ledger.open() as (requests, _):
            finding, measures, score = measure_again(context.partition_key, bucket.open(), requests, settings)[check]
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.WARN if finding.severity is Severity.WARN else dg.AssetCheckSeverity.ERROR,
            metadata=dagster_metadata(finding_metadata(finding, measures, score)),
        )

    return measured_again


CLIP_CHECKS = (accepted, answered, *(_quality_check(check) for check in Check))
