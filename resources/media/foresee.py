"""What will be done with a local file once it is uploaded, by its first bytes and its size; nothing is decoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resources.media.containers import container_of, head, is_text
from resources.media.limits import LARGEST_BYTES
from resources.media.pictures import still_type, what_to_export
from resources.schemas.inputs import MediumKind

_AS_THEY_ARE = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP"}
_SOUNDS_AS_THEY_ARE = {"wav", "mp3"}
_VIDEOS_AS_THEY_ARE = {"mp4", "mov"}
_SOUNDS = {"ogg", "flac", "aiff", "amr", "caf", "aac", "wav", "mp3"}
_LARGE_IMAGE = 10_000_000
"""Bytes over which an image is made smaller for the strictest endpoint (docs/runcomfy-api.md, section 6)."""


@dataclass(frozen=True)
class Foreseen:
    """What becomes of a file: it is sent as it is, prepared, or refused; ``words`` complete "NAME ...", empty if nothing is to say."""

    outcome: Literal["as_it_is", "prepared", "refused"]
    words: str = ""


def foresee(path: Path, *, prepare: bool = True) -> Foreseen:
    """Return what will be done with a medium, as far as its first bytes tell; the run looks at all of it.

    Args:
        path: the local file.
        prepare: whether files are prepared (`I2V_PREPARE`).

    Raises:
        OSError: the file cannot be read.
    """
    start, size = head(path), path.stat().st_size
    if not start:
        return Foreseen("refused", "is empty")
    if (known := what_to_export(start)) is not None:
        return Foreseen("refused", f"is {known[0]}. {known[1]}")
    kind = _kind(start)
    if kind is None:
        return Foreseen("refused", "is text" if is_text(start) else "is not an image, sound or video that can be read")
    if size > LARGEST_BYTES[kind]:
        return Foreseen("refused", f"has {size / 1e6:,.0f} MB; at most {LARGEST_BYTES[kind] / 1e6:,.0f} MB are read")
    what = _prepared(start, size)
    if what is None:
        return Foreseen("as_it_is")
    if not prepare:
        return Foreseen("refused", f"{what[0]}, and I2V_PREPARE is off")
    return Foreseen("prepared", f"{what[0]}: it will be sent as {what[1]}")


def _kind(start: bytes) -> MediumKind | None:
    if still_type(start) is not None:
        return MediumKind.IMAGE
    container = container_of(start)
    if container is None:
        return None
    return MediumKind.AUDIO if container in _SOUNDS else MediumKind.VIDEO


def _prepared(start: bytes, size: int) -> tuple[str, str] | None:
    """Return what a file is and what it will be sent as; None if it is sent as it is."""
    still = still_type(start)
    if still is not None:
        if still not in _AS_THEY_ARE:
            return f"is a {still.removeprefix('image/').upper()} image", "a JPEG or PNG"
        return (
            (f"has {size / 1e6:.1f} MB", "a smaller JPEG where its model has a limit") if size > _LARGE_IMAGE else None
        )
    container = str(container_of(start))
    if container in _SOUNDS_AS_THEY_ARE:
        return ("has zero bytes before its sound", "a WAV") if start[:16] == bytes(16) else None
    if container in _SOUNDS or start[8:12] in (b"M4A ", b"M4B "):
        return f"is {'M4A' if start[8:11] == b'M4A' else container.upper()} sound", "a WAV"
    return (
        None
        if container in _VIDEOS_AS_THEY_ARE
        else (f"is a {container} file", "an MP4, or a WAV if it has no picture")
    )
