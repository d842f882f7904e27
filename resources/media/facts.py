"""Measured facts of a media file as plain data, so that pure code can use them without a decoder.

``probe.py`` beside this file reads them from the bytes.
"""

from pydantic import BaseModel, ConfigDict

UNKNOWN_CODEC = "unknown"
"""Codec of a stream for which there is no decoder."""


class ImageFacts(BaseModel):
    """An image; ``width`` and ``height`` in pixels as displayed, after EXIF rotation."""

    model_config = ConfigDict(frozen=True)

    width: int
    height: int
    format: str
    """By content, as Pillow names it: ``JPEG``, ``PNG``, ``WEBP``, ..."""
    mode: str
    """Colour mode as Pillow names it: ``RGB``, ``RGBA``, ``L``, ``P``, ``CMYK``, ..."""
    animated: bool
    size_bytes: int
    rotated: bool = False
    """True if EXIF turns or mirrors the stored pixels."""
    transparent: bool = False
    """True if a pixel lets the background through."""
    rewrite: str = ""
    """Why decoders may refuse the file although its picture is good, as the end of "it has ..."; empty if they take it."""
    graphic: bool = False
    """True if it looks like a screenshot or a page of text."""


class AudioFacts(BaseModel):
    """A sound file; ``seconds`` are counted by decoding."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    codec: str
    container: str
    """By content: ``wav``, ``mp3``, ``mp4``, ``ogg``, ``flac``, ``aac``, ..."""
    sample_rate: int
    channels: int
    size_bytes: int
    longer: bool = False
    """True if decoding stopped early: the file is at least that long."""
    speech: float | None = None
    """Share of the sound in which a voice is heard, from 0 to 1; None if it was not measured."""
    rewrite: str = ""
    """Why players may refuse the file although its sound is good, as the end of "it has ..."; empty if they take it."""


class VoicePauses(BaseModel):
    """Where a sound pauses, in milliseconds from its start; ``total_ms`` is its length by decoding."""

    model_config = ConfigDict(frozen=True)

    total_ms: int
    pauses: tuple[tuple[int, int], ...]


class VideoFacts(BaseModel):
    """A video; sizes in pixels as displayed (rotation and pixel shape obeyed), ``seconds`` of the picture."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    width: int
    height: int
    fps: float
    frames: int
    video_codec: str
    audio_codec: str | None
    """`UNKNOWN_CODEC` if no sound of the file has a decoder; None without sound."""
    container: str
    """By content: ``mp4``, ``mov``, ``matroska``, ..."""
    size_bytes: int
    rotation: int = 0
    """Degrees by which players turn the picture: 0, 90, 180 or 270."""
    variable: bool = False
    """True if the frames are not evenly spaced."""
    live_photo: bool = False
    """True if a phone wrote it as the moving part of a still image, which lies beside it."""


MediaFacts = ImageFacts | AudioFacts | VideoFacts
