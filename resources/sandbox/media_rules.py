"""The model's limits of fetched media, measured on the real bytes."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
from PIL import Image, UnidentifiedImageError

from resources.schemas.inputs import MediumKind
from resources.schemas.limits import MediaLimits

_IMAGE_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I"})
"""Colour modes that a model's decoder takes; CMYK is not among them."""

_SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Measured:
    """The facts of a medium.

    Attributes:
        aspect: Displayed width over height, None for sound.
        seconds: Length, None for images.
        problem: Why no model takes it, None if it can be read.
        format: JPEG, PNG, WEBP, WAV, MP3, MP4, MOV, or the decoder's name for it.
        short_side: Pixels of the shorter side, None for sound.
    """

    format: str
    aspect: float | None = None
    seconds: float | None = None
    short_side: int | None = None
    problem: str | None = None


@lru_cache(maxsize=4096)
def measure(path: Path, kind: MediumKind) -> Measured:
    """Measure a file that is named by the hash of its bytes, so that the answer can be cached."""
    if kind is MediumKind.IMAGE:
        return _measure_image(path)
    return _measure_stream(path, "audio" if kind is MediumKind.AUDIO else "video")


def _measure_image(path: Path) -> Measured:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.mode not in _IMAGE_MODES:
                    return Measured(str(image.format), problem=f"colour mode {image.mode} is not supported")
                # MPO is a phone's JPEG followed by a second picture; decoders read it as a JPEG.
                format_ = "JPEG" if image.format == "MPO" else str(image.format)
                if format_ != "JPEG" and getattr(image, "n_frames", 1) > 1:
                    return Measured(format_, problem="animated images are not supported")
                width, height = image.size
                if image.getexif().get(_ORIENTATION) in _SIDEWAYS:
                    width, height = height, width
                image.load()  # finds truncated files
                return Measured(format_, aspect=width / height, short_side=min(width, height))
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return Measured("unreadable", problem="the image cannot be read")


def _measure_stream(path: Path, kind: str) -> Measured:
    try:
        with av.open(str(path)) as container:
            streams = [stream for stream in container.streams if stream.type == kind]
            if not streams:
                return Measured("unreadable", problem=f"the file has no {kind}")
            stream = streams[0]
            end = 0.0
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            start = float((stream.start_time or 0) * (stream.time_base or 0))
            format_ = _format(container.format.name, container.metadata.get("major_brand", ""))
            if kind == "audio":
                return Measured(format_, seconds=end - start)
            size = stream.codec_context
            if not isinstance(size, av.VideoCodecContext) or not size.height:
                return Measured(format_, problem="the video cannot be read")
            return Measured(
                format_, aspect=size.width / size.height, seconds=end - start, short_side=min(size.width, size.height)
            )
    except (av.FFmpegError, OSError, ValueError):
        return Measured("unreadable", problem=f"the {kind} cannot be read")


def _format(container: str, brand: str) -> str:
    if "mp4" in container.split(","):
        return "MOV" if brand.strip() == "qt" else "MP4"
    return {"wav": "WAV", "mp3": "MP3"}.get(container, container.upper())


def problems(found: Measured, size_bytes: int, limits: MediaLimits) -> list[str]:
    """Return every limit of the model that the medium breaks, in words.

    Args:
        found: The facts of the medium.
        size_bytes: Size of the file.
        limits: The model's limits.
    """
    if found.problem:
        return [found.problem]
    broken: list[str] = []
    if limits.formats and found.format not in limits.formats:
        broken.append(f"format {found.format} is not one of {', '.join(limits.formats)}")
    if limits.max_bytes is not None and size_bytes > limits.max_bytes:
        broken.append(f"{size_bytes} bytes are more than {limits.max_bytes}")
    if limits.min_side is not None and found.short_side is not None and found.short_side < limits.min_side:
        broken.append(f"a side of {found.short_side} px is shorter than {limits.min_side} px")
    if found.aspect is not None:
        if limits.max_aspect is not None and found.aspect > limits.max_aspect:
            broken.append(f"aspect {found.aspect:.2f} is above {limits.max_aspect}")
        if limits.min_aspect is not None and found.aspect < limits.min_aspect:
            broken.append(f"aspect {found.aspect:.2f} is below {limits.min_aspect}")
    if found.seconds is not None:
        # A tenth of a second for encoders' padding: an MP3 of exactly 30 s decodes to a little more.
        if limits.max_seconds is not None and found.seconds > limits.max_seconds + 0.1:
            broken.append(f"{found.seconds:.1f} s are longer than {limits.max_seconds} s")
        if limits.min_seconds is not None and found.seconds < limits.min_seconds - 0.1:
            broken.append(f"{found.seconds:.1f} s are shorter than {limits.min_seconds} s")
    return broken
