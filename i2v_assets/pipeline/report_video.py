"""What is reported of a delivered video, of one that is new or was there before: what the event log shows, and its checks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from i2v_assets.clip_folder.manifest import Manifest, ManifestCheck
from i2v_assets.pipeline.context import PipelineContext
from i2v_assets.pipeline.metadata import Metadata, video_metadata
from i2v_assets.pipeline.outcome import ClipDelivered
from i2v_assets.pipeline.postprocess import PostprocessResult, figures_of, finding_metadata, poster_again
from i2v_assets.pipeline.takes import Take
from resources.generation.types import Delivered
from resources.media.quality.model import Check, Finding, Measures, Severity
from resources.prices.billed import price_and_model
from resources.storage import keys


def new_video(
    context: PipelineContext, clip: str, chosen: Take, finished: PostprocessResult, provenance: str
) -> tuple[Metadata, Metadata]:
    """Return what is recorded of a video that was just delivered, and of its preview; nothing of one that was not made."""
    metadata = video_metadata(
        chosen.plan,
        _with_costs(chosen),
        clip=clip,
        link_base=context.settings.video_link_base,
        poster=finished.inline_poster,
        glimpse=finished.glimpse,
        sandbox=context.settings.is_sandbox,
        size=(finished.width, finished.height, finished.seconds),
        more={"quality": finished.score, "why the quality is low": finished.why_low, "provenance": provenance},
    )
    if not finished.files:
        return metadata, {}
    return metadata, {
        **_first_look(metadata),
        "files": ", ".join(keys.clip_key(clip, name) for name in finished.files),
        "bytes": sum(len(content) for content, _ in finished.files.values()),
    }


async def unchanged_video(context: PipelineContext, outcome: ClipDelivered) -> tuple[Metadata, Metadata]:
    """Return what a delivered clip that falls into a range logs again, with the same data version.

    The UI shows the latest event alone, so it says and shows what the first one did.
    """
    settings, clip, chosen, before = context.settings, outcome.row.clip, outcome.chosen, outcome.before
    picture, tiny = await poster_again(context.bucket, clip, context.pool) if settings.previews else (None, None)
    metadata = video_metadata(
        chosen.plan,
        _with_costs(chosen),
        clip=clip,
        link_base=settings.video_link_base,
        poster=picture,
        glimpse=tiny,
        sandbox=context.settings.is_sandbox,
        size=(before.video.width, before.video.height, before.video.seconds) if before else None,
        more={
            "quality": before.quality if before else None,
            "unchanged": "delivered before; nothing was made or paid",
        },
    )
    preview: Metadata = {**_first_look(metadata), "unchanged": "made before"}
    return metadata, preview if settings.previews else {}


def _first_look(video: Metadata) -> Metadata:
    """Return the picture of a video's metadata for its preview: the tiny one, since the poster is kept once, with the video."""
    name = "look" if video.get("look") is not None else "poster"
    return {name: video.get(name)}


def _with_costs(take: Take) -> Delivered:
    row = take.row
    return replace(take.outcome, cost_microdollars=row.cost_microdollars, price_microdollars=row.price_microdollars)


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
