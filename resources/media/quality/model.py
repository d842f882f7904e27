"""What was requested of a video, what was measured, and the limits."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resources.errors import SettingsError


class Check(StrEnum):
    """The four quality checks."""

    TECHNICAL = "technical"
    SOUND = "sound"
    MOTION = "motion"
    LIKENESS = "likeness"


class Severity(StrEnum):
    """The severity of a failed check."""

    WARN = "warn"
    ERROR = "error"


class Expectation(BaseModel):
    """What a video should be like; a None field was not requested and is not checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: float | None = None
    """Seconds."""
    resolution: str | None = None
    """The tier: ``480p``, ``720p``, ``1080p`` or ``4k``."""
    aspect: str | float | None = None
    """``16:9`` or a number, width over height; None takes the source image's, if there is one."""
    sound: bool = False
    """True if the route promises sound."""
    voice: Path | None = None
    """The voiceover that should be audible."""
    source_image: Path | None = None
    """The image that the first frame should resemble."""
    silence_allowed: bool = False
    """True if the brief allows a silent video although the route promises sound."""
    cuts_allowed: bool = False
    """True if the picture may jump (the multi-modal route cuts references in)."""


class Measures(BaseModel):
    """All figures of one video, from one decode; None if it could not be measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # technical
    decodes: bool
    damage: str = ""
    """Description, if ``decodes`` is False."""
    seconds: float = 0.0
    """Duration of the picture."""
    seconds_off: float | None = None
    """``seconds`` minus the requested duration."""
    width: int = 0
    height: int = 0
    aspect_off: float | None = None
    """Relative difference from the requested aspect ratio: 0.01 is one percent."""
    tier_off: float | None = None
    """Relative difference from the requested tier, of the shorter side or of the area, whichever is nearer."""
    fps: float = 0.0
    frames: int = 0
    unsteadiness: float = 0.0
    """Part of the frames that are shown for more than 1.5 times or less than half the usual time."""
    rate_change: float = 0.0
    """Relative difference of the frame rate between the last third and the first: -0.3 is 30 % fewer frames."""
    # sound
    sound_asked: bool = False
    """True if sound was promised and is required, so that a missing track lowers the score."""
    sound_seconds: float | None = None
    """Length of the sound; None: there is no sound stream."""
    loudness_lufs: float | None = None
    """Integrated loudness (EBU R 128); None: no sound, or shorter than its 0.4 s window."""
    peak_dbfs: float | None = None
    """The loudest sample; -120 is digital silence."""
    clipped: float | None = None
    """Part of the samples at or above 0.995 of full scale."""
    silent: float | None = None
    """Part of the sound (in windows of 50 ms) below -60 dBFS."""
    voice_match: float | None = None
    """How well the given voice is found in the sound, 0 to 1: the larger one of the next two."""
    voice_waveform: float | None = None
    """Peak of the normalised cross-correlation of the waveforms."""
    voice_envelope: float | None = None
    """The same for their loudness curves, which survives a changed voice colour or added music."""
    voice_offset: float | None = None
    """Seconds by which the voice starts later in the video than in its file."""
    # motion
    black: float = 0.0
    """Part of the frames that are black."""
    motion: float = 0.0
    """Median change from frame to frame, in grey levels of 255, of the picture at 160 px."""
    still: float = 0.0
    """Part of the frames that show no change."""
    longest_still_seconds: float = 0.0
    changes: int = 0
    """Stretches of movement between stills: 1 for a video that moves throughout."""
    wander: float = 0.0
    """The largest difference of any frame to the first one, in grey levels: how far the picture got."""
    jumps: tuple[float, ...] = ()
    """Seconds at which the whole picture suddenly changes."""
    # likeness
    first_frame_match: float | None = None
    """How much the first frame resembles the source image, -1 to 1."""
    sharpness_kept: float = 1.0
    """Fine detail in the last third over that in the first third, at most 1."""

    cpu_seconds: float = 0.0
    """CPU seconds of the measurement itself."""


class Thresholds(BaseModel):
    """Where a figure becomes a problem, and the severity of each problem.

    The reasons and the measured figures behind each default are in ``docs/quality.md``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds_off: float = Field(0.2, ge=0)
    tier_off: float = Field(0.12, ge=0)
    aspect_off: float = Field(0.03, ge=0)
    unsteadiness: float = Field(0.02, ge=0, le=1)
    rate_change: float = Field(0.05, ge=0)
    sound_missing_seconds: float = Field(0.5, ge=0)
    """By how much the sound may be shorter than the picture."""
    quietest_lufs: float = -45.0
    loudest_lufs: float = -5.0
    silent: float = Field(0.95, ge=0, le=1)
    silence_dbfs: float = -60.0
    clipped: float = Field(0.001, ge=0, le=1)
    voice_match: float = Field(0.5, ge=0, le=1)
    voice_offset: float = Field(0.25, ge=0)
    black: float = Field(0.2, ge=0, le=1)
    frozen: float = Field(0.9, ge=0, le=1)
    slide_show: float = Field(0.6, ge=0, le=1)
    wander: float = Field(4.0, ge=0)
    """Below it a picture that hardly changes is frozen, above it a slide show."""
    stuck_seconds: float = Field(1.5, ge=0)
    jumps: int = Field(0, ge=0)
    first_frame_match: float = Field(0.35, ge=-1, le=1)
    sharpness_kept: float = Field(0.25, ge=0, le=1)
    severities: dict[str, Literal["error", "warn", "ignore"]] = Field(default_factory=dict)
    """Overrides the severity of a problem by its name; ``ignore`` declares it acceptable."""


def thresholds_from(values: Mapping[str, object]) -> Thresholds:
    """Return thresholds with some of them replaced, from the setting ``I2V_QUALITY``.

    Raises:
        SettingsError: an unknown name, or a value out of range.
    """
    try:
        return Thresholds.model_validate(dict(values))
    except ValidationError as error:
        parts = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise SettingsError(
            f"I2V_QUALITY: {parts}.", remedy="docs/quality.md lists every threshold and problem with its default."
        ) from None


class Defect(BaseModel):
    """One problem, by name (the key of ``Thresholds.severities``) and in words."""

    model_config = ConfigDict(frozen=True)

    name: str
    severity: Severity
    words: str


class Finding(BaseModel):
    """The result of one check: passed if nothing is wrong; ``severity`` is that of the worst problem."""

    model_config = ConfigDict(frozen=True)

    check: Check
    passed: bool
    severity: Severity
    words: str
    problems: tuple[Defect, ...] = ()
