"""Defects of a video, each wrong in exactly one way, for testing video checks."""

from pathlib import Path

import numpy as np

from resources.sandbox.drawing.job import FRAMES_PER_SECOND, RenderJob
from resources.sandbox.drawing.picture import Planes
from resources.sandbox.drawing.sound import SAMPLE_RATE, Samples
from resources.sandbox.faults import Kind

LATE_SECONDS = 0.5
"""Delay of late_voice."""

_SLIDE_SECONDS = 1.0
_BROKEN_SHARE = 0.6


def spoil_job(job: RenderJob, mark: Kind | None) -> RenderJob:
    """Return the job with a defect of its shape: half the size, or a second too long."""
    if mark is Kind.WRONG_SIZE:
        return job.model_copy(update={"width": job.width // 4 * 2, "height": job.height // 4 * 2})
    if mark is Kind.WRONG_DURATION:
        return job.model_copy(update={"seconds": job.seconds + 1})
    return job


def frame_shown(number: int, mark: Kind | None) -> int:
    """Return which frame of the motion is shown: frozen stays at the first, a slide show changes once a second."""
    if mark is Kind.FROZEN:
        return 0
    if mark is Kind.SLIDESHOW:
        slide = round(_SLIDE_SECONDS * FRAMES_PER_SECOND)
        return number // slide * slide
    return number


def is_dropped(number: int, mark: Kind | None) -> bool:
    """Return True for frames that an unsteady video leaves out."""
    return mark is Kind.UNSTEADY and number % 24 in (5, 6, 7, 13, 18, 19)


def spoil_picture(planes: Planes, number: int, frames: int, mark: Kind | None) -> None:
    """Apply defects of the picture: black, or another picture from the middle on."""
    if mark is Kind.BLACK:
        planes.y[:], planes.u[:], planes.v[:] = 16, 128, 128
    elif mark is Kind.JUMP and number >= frames // 2:
        for plane in planes.all:
            plane[:] = plane[::-1, ::-1].copy()
        np.subtract(251, planes.y, out=planes.y)  # the negative within video levels


def spoil_sound(samples: Samples, mark: Kind | None) -> Samples:
    """Apply defects of the sound."""
    if mark is Kind.SILENT:
        return np.zeros_like(samples)
    if mark is Kind.CLIPPED:
        loudest = float(np.abs(samples).max()) or 1.0
        return np.asarray(np.clip(samples * np.float32(12 / loudest), -1, 1), dtype=np.float32)
    if mark is Kind.WRONG_VOICE:
        return np.ascontiguousarray(samples[:, ::-1])
    if mark is Kind.LATE_VOICE:
        late = round(LATE_SECONDS * SAMPLE_RATE)
        return np.concatenate([np.zeros_like(samples[:, :late]), samples[:, :-late]], axis=1)
    return samples


def spoil_file(path: Path, mark: Kind | None) -> None:
    """Cut the file short; its index at the front still announces everything."""
    if mark is Kind.BROKEN_FILE:
        with path.open("r+b") as file:
            file.truncate(round(path.stat().st_size * _BROKEN_SHARE))
