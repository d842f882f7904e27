"""Files that a service might give as a video and that are none."""

import io

import av
import numpy as np
from PIL import Image

from resources.sandbox.faults import Kind

SIDE = 320
"""Sides of the pictures, in pixels."""
RATE = 24_000
"""Samples a second of the sound."""


def instead_of(kind: Kind, video: bytes) -> bytes:
    """Return what is served instead of a request's video.

    Args:
        kind: One of ``faults.FILE_KINDS``.
        video: The video that was rendered.
    """
    match kind:
        case Kind.PICTURE:
            return picture("AVIF")
        case Kind.SOUND_ONLY:
            return _sound()
        case Kind.DOCUMENT:
            return b"\x00\x00\x00\x18ftypisom<html><body>Sign in to see this video.</body></html>" + bytes(4096)
        case _:
            return _half(video)


def picture(form: str) -> bytes:
    """Return a plain picture in a format of Pillow."""
    data = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (90, 120, 160)).save(data, form)
    return data.getvalue()


def _sound() -> bytes:
    """Return a second of sound in an MP4 file, an M4A."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as opened:
        stream = opened.add_stream("aac", rate=RATE, layout="mono")
        wave = np.sin(np.arange(RATE, dtype=np.float32) * 0.06).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            opened.mux(packet)
    return data.getvalue()


def _half(video: bytes) -> bytes:
    """Return a file that was cut before its index: the head and a part of the frames, as an upload that broke off."""
    index = video.find(b"moov")
    return video[: max(index - 4, 0)] + b"\x00\x10\x00\x00mdat" + video[len(video) // 2 :]
