"""A rendering job as plain data that can be stored."""

import hashlib
import re
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from resources.sandbox.faults import Kind
from resources.schemas.inputs import Family

FRAMES_PER_SECOND = 24

_SHORT_SIDE = {"2k": 1440, "4k": 2160, "8k": 4320}
"""Pixels of the shorter side of tiers whose names do not say them."""
SMALLEST_SIDE = 96
"""Pixels: room for the word SANDBOX."""
_WIDEST = 2.5
"""Aspect of the most extreme picture that HappyHorse takes (model page); others are limited to the same range."""


class RenderJob(BaseModel):
    """One video to render; media are named by the hash of their bytes.

    Attributes:
        model_id: For the cache's file names.
        family: The family, or the model id if the code does not know its body.
        prompt: Its motion verb moves the camera.
        images: Hashes of the images, the subject first.
        audios: Hashes of the sounds.
        videos: Hashes of the reference clips.
        seconds: Requested duration.
        width: Pixels, even.
        height: Pixels, even.
        resolution: The tier in lower case.
        seed: Determines the details.
        sound: False if the body requests no sound.
    """

    model_config = ConfigDict(frozen=True)

    model_id: str
    family: Family
    prompt: str
    images: tuple[str, ...] = ()
    audios: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    seconds: int
    width: int
    height: int
    resolution: str
    seed: int
    sound: bool = True

    @property
    def media(self) -> tuple[str, ...]:
        """Return all media that the rendering reads."""
        return (*self.images, *self.audios, *self.videos)

    def scaled(self, scale: float) -> Self:
        """Return the job at a part of its width and height; both stay even and at least `SMALLEST_SIDE`, if it has that."""
        return self.model_copy(
            update={name: _scaled(size, scale) for name, size in (("width", self.width), ("height", self.height))}
        )

    def cache_name(self, mark: Kind | None) -> str:
        """Return the name of the one file for all jobs of this model, duration, resolution and aspect."""
        size = f"{self.seconds}s-{self.resolution}-{self.width}x{self.height}" + ("" if self.sound else "-nosound")
        short = hashlib.sha256(self.model_id.encode()).hexdigest()[:8]
        return f"{self.family.split('/')[0]}-{short}-{size}{f'-{mark}' if mark else ''}.mp4"


def _scaled(side: int, scale: float) -> int:
    return max(round(side * scale / 2) * 2, min(side, SMALLEST_SIDE))


def is_tier(word: str) -> bool:
    """Return True if a word names a size that can be rendered, such as ``720p`` or ``4k``."""
    return word in _SHORT_SIDE or re.fullmatch(r"(?!000)\d{3,4}p", word) is not None


def frame_size(tier: str, aspect: float) -> tuple[int, int]:
    """Return width and height in pixels: the tier is the short side, both sides are even (yuv420p).

    Args:
        tier: Such as ``480p``, ``720p``, ``1080p`` or ``4k``.
        aspect: Width over height; limited to 1:2.5 to 2.5:1.
    """
    short = _SHORT_SIDE.get(tier.lower()) or int(tier[:-1]) // 2 * 2
    aspect = min(max(aspect, 1 / _WIDEST), _WIDEST)
    long = round(short * max(aspect, 1 / aspect) / 2) * 2
    return (long, short) if aspect >= 1 else (short, long)


def aspect_of(label: str) -> float | None:
    """Return ``16:9`` as a number; None for ``adaptive``."""
    width, _, height = label.partition(":")
    return int(width) / int(height) if width.isdigit() and height.isdigit() and int(height) else None


class MediaFolder:
    """The folder of fetched media, by the hash of their bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Return the path of these bytes; the file may not exist."""
        return self.folder / sha256
