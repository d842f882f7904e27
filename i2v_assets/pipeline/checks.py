"""The checks of a delivered clip's video: the one list of what is reported with it, now and whenever it is reported again."""

from collections.abc import Sequence
from dataclasses import dataclass

from i2v_assets.clip_folder.manifest import Manifest, ManifestCheck
from i2v_assets.pipeline.metadata import Metadata
from i2v_assets.pipeline.outcome import ClipDelivered
from i2v_assets.pipeline.postprocess import PostprocessResult, figures_of, finding_metadata
from i2v_assets.pipeline.price_checks import price_and_model
from resources.media.quality.model import Check, Finding, Measures, Severity

AN_ERROR_IS_BELOW = 0.5
"""The quality score of every video with an error, and of no other (`resources.media.quality.judging.score`)."""


@dataclass(frozen=True)
class CheckReport:
    """One check of `clip_video`; ``warn`` makes a failure a warning."""

    name: str
    passed: bool
    metadata: Metadata
    warn: bool = False


def delivered_checks(outcome: ClipDelivered) -> tuple[CheckReport, ...]:
    """Return all checks of a delivered clip: as they were measured now, or as the manifest kept them."""
    rows = [sent.row for take in (outcome.chosen, *outcome.takes) for sent in take.pieces or (take,)]
    first = (
        CheckReport("answered", True, {"take": str(outcome.chosen.plan.take)}),
        *(CheckReport(name, passed, details) for name, passed, details in price_and_model(rows)),
    )
    if outcome.finished is not None:
        return *first, *_measured(outcome.finished)
    return *first, *(kept_checks(outcome.before) if outcome.before is not None else ())


def _measured(finished: PostprocessResult) -> tuple[CheckReport, ...]:
    if finished.measures is None:
        return ()
    measures, total = finished.measures, finished.score or 0.0
    return tuple(measured_check(found, measures, total) for found in finished.findings)


def measured_check(found: Finding, measures: Measures, score: float) -> CheckReport:
    """Return one finding as a check."""
    metadata = finding_metadata(found, measures, score)
    return CheckReport(found.check.value, found.passed, metadata, warn=found.severity is Severity.WARN)


def kept_checks(manifest: Manifest) -> tuple[CheckReport, ...]:
    """Return the quality checks that a manifest kept; none if the video was never measured."""
    if manifest.quality is None:
        return ()
    kept = manifest.checks or _from_findings(manifest.findings, manifest.quality)
    return tuple(
        CheckReport(
            each.check,
            each.passed,
            {"words": each.words, "quality": manifest.quality, **each.figures},
            warn=each.severity == "warn",
        )
        for each in kept
    )


def _from_findings(findings: Sequence[str], quality: float) -> tuple[ManifestCheck, ...]:
    """Return the checks of a manifest of an earlier release, which named only those that failed."""
    failed = {name: words for name, _, words in (finding.partition(": ") for finding in findings)}
    severity = Severity.ERROR if quality < AN_ERROR_IS_BELOW else Severity.WARN
    return tuple(
        ManifestCheck(
            check=check.value,
            passed=check.value not in failed,
            severity=severity.value,
            words=failed.get(check.value, "Passed when it was delivered."),
        )
        for check in Check
    )


def manifest_checks(finished: PostprocessResult) -> tuple[ManifestCheck, ...]:
    """Return what a manifest keeps of the measures, so that they can be reported again without another look."""
    measures = finished.measures
    if measures is None:
        return ()
    return tuple(
        ManifestCheck(
            check=found.check.value,
            passed=found.passed,
            severity=found.severity.value,
            words=found.words,
            figures=figures_of(found.check, measures),
        )
        for found in finished.findings
    )
