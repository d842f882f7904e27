"""What a video of a route should be like, and what of its figures belongs to which check. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from i2v_assets.making.reports import Markdown, Metadata
from resources.errors import SettingsError
from resources.media.quality.model import Expectation, Finding, Measures, Thresholds
from resources.schemas.inputs import Family, GenerationInputs, Medium

KEEPS_IMAGE = {Family.HAPPYHORSE_I2V, Family.WAN_I2V}
"""Families whose video starts from the image and has its aspect."""

SPEAKS = {Family.WAN_T2V, Family.WAN_I2V}
"""Families that say the voiceover that they are given."""


def thresholds(overrides: Mapping[str, object]) -> Thresholds:
    """The limits in force.

    Raises:
        SettingsError: I2V_QUALITY names a limit that there is not, or gives it a wrong value.
    """
    try:
        return Thresholds.model_validate(dict(overrides))
    except ValueError as error:
        raise SettingsError(f"I2V_QUALITY: {error}", remedy="docs/quality.md lists the limits.") from None


def compared_media(inputs: GenerationInputs) -> tuple[Medium | None, Medium | None]:
    """The image that the first frame should resemble, and the voiceover that should be heard; None where there is none."""
    image = inputs.images[0] if inputs.family in KEEPS_IMAGE and inputs.images else None
    voice = inputs.audios[0] if inputs.family in SPEAKS and inputs.audios else None
    return image, voice


def expectation(
    inputs: GenerationInputs, *, image: Path | None, voice: Path | None, may_be_silent: bool = False
) -> Expectation:
    """What the video of these inputs should be like.

    Args:
        inputs: what was asked of the model.
        image: a local copy of the first of `compared_media`.
        voice: a local copy of the second.
        may_be_silent: the brief accepts a video without sound.
    """
    aspect = inputs.aspect_ratio if inputs.aspect_ratio != "adaptive" else None
    return Expectation(
        duration=float(inputs.duration),
        resolution=inputs.resolution,
        aspect=aspect,
        sound=inputs.generate_audio is not False,
        voice=voice,
        source_image=image,
        silence_allowed=may_be_silent,
        cuts_allowed=inputs.family is Family.SEEDANCE_PRO,
    )


FIGURES: Mapping[str, tuple[str, ...]] = {
    "technical": (
        "seconds",
        "seconds_off",
        "width",
        "height",
        "aspect_off",
        "tier_off",
        "fps",
        "frames",
        "unsteadiness",
        "rate_change",
    ),
    "sound": ("sound_seconds", "loudness_lufs", "peak_dbfs", "clipped", "silent", "voice_match", "voice_offset"),
    "motion": ("black", "motion", "still", "longest_still_seconds", "changes", "wander", "jumps"),
    "likeness": ("first_frame_match", "sharpness_kept"),
}
"""Which measures are shown with which check; numbers, so that Dagster plots them."""


def finding_metadata(finding: Finding, measures: Measures, score: float) -> Metadata:
    """A check's words and figures."""
    figures = measures.model_dump(mode="json") | {"jumps": len(measures.jumps)}
    shown = {name: figures[name] for name in FIGURES[finding.check.value] if isinstance(figures.get(name), int | float)}
    problems = "\n".join(f"* **{problem.severity}** {problem.words}" for problem in finding.problems)
    return {"words": finding.words, "problems": Markdown(problems) if problems else None, "quality": score, **shown}


def in_words(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The findings that did not pass, for the manifest."""
    return tuple(f"{finding.check.value}: {finding.words}" for finding in findings if not finding.passed)
