"""Small pictures of media for people: inline thumbnails, posters, contact sheets, silent animations."""

import bisect
import io
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from resources.media.animation import FPS, MAX_BYTES, MAX_FRAMES, animate
from resources.media.errors import MediaError, Unreadable
from resources.media.frames import last_frame, pictures_at
from resources.media.pictures import opaque, open_image, upright
from resources.media.probe import probe_video

__all__ = [
    "INLINE_BYTES",
    "animated_webp",
    "contact_sheet",
    "last_frame",
    "poster",
    "side_by_side",
    "smaller",
    "thumbnail",
]

INLINE_BYTES = 15 * 1024
"""Most bytes of a picture in the metadata of an event: events are kept for ever."""

GLIMPSE_BYTES = 520
"""Dagster's UI shows up to 999 characters of Markdown inline, the rest behind a click. Base64 adds a third to the
bytes, and some 250 characters are for a link and the alternative text."""
_GLIMPSES = ((192, 30), (192, 15), (160, 15), (160, 5), (128, 10), (128, 2), (96, 5), (96, 0), (64, 0), (32, 0))

_QUALITIES = (82, 70, 58, 46, 35)
_WEBP_QUALITIES = (65, 50, 40, 30)
_SMALLEST_SIDE = 48
_POSTER_CANDIDATES = 9


def thumbnail(path: Path, max_bytes: int = INLINE_BYTES, longer_side: int = 480, name: str = "") -> bytes:
    """Return a JPEG of an image, turned as displayed, of at most ``max_bytes``; transparency becomes white.

    Raises:
        Unreadable: not an image, damaged, or too large to open.
        MediaError: ``max_bytes`` is too small for any picture.
    """
    with open_image(path, name) as stored:
        shown = upright(stored)
        return jpeg(opaque(shown), max_bytes, longer_side)


def jpeg(image: Image.Image, max_bytes: int | None, longer_side: int, *, quick: bool = False) -> bytes:
    """Return the best JPEG of an image that fits; quality is reduced first, then size.

    ``quick`` writes a plain JPEG: 2 % larger, in a quarter of the CPU.

    Raises:
        MediaError: nothing fits into ``max_bytes``.
    """
    options = {"format": "JPEG", "optimize": not quick, "progressive": not quick}
    return _fitting(image, max_bytes, longer_side, _QUALITIES, options)


def webp(image: Image.Image, max_bytes: int, longer_side: int) -> bytes:
    """Return the best WebP of an image that fits, as `jpeg` does: for a small picture two thirds of the bytes.

    Raises:
        MediaError: nothing fits into ``max_bytes``.
    """
    return _fitting(image, max_bytes, longer_side, _WEBP_QUALITIES, {"format": "WEBP", "method": 3})


def _fitting(
    image: Image.Image, max_bytes: int | None, longer_side: int, qualities: Sequence[int], options: Mapping[str, Any]
) -> bytes:
    side = min(longer_side, max(image.size))
    smallest = min(_SMALLEST_SIDE, side)  # a smaller image is tried at its own size
    while side >= smallest:
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        smaller = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        for quality in qualities:
            written = io.BytesIO()
            smaller.save(written, quality=quality, **options)
            if max_bytes is None or written.tell() <= max_bytes:
                return written.getvalue()
        side = math.floor(side * 0.8)
    raise MediaError(f"No picture fits into {max_bytes} bytes.", remedy="Allow 2000 bytes or more.")


def smaller(picture: bytes, max_bytes: int, longer_side: int) -> bytes:
    """Return a smaller WebP of a JPEG that was made here, decoded at the needed size.

    Raises:
        Unreadable: it is not a picture.
        MediaError: ``max_bytes`` is too small for any picture.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG",)) as opened:
            opened.draft("RGB", (longer_side, longer_side))
            return webp(opaque(opened), max_bytes, longer_side)
    except (OSError, ValueError, Image.DecompressionBombError):
        raise Unreadable("The picture cannot be read.") from None


def glimpse(picture: bytes, max_bytes: int = GLIMPSE_BYTES) -> bytes:
    """Return a tiny WebP of a small picture (such as `thumbnail` makes), as large as fits into ``max_bytes``."""
    with Image.open(io.BytesIO(picture)) as opened:
        shown = opened.convert("RGB")
    written: dict[int, bytes] = {}

    def size_of(step: int) -> int:
        side, quality = _GLIMPSES[step]
        scale = min(1.0, side / max(shown.size))
        size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
        file = io.BytesIO()
        # Method 2 of 6: a tenth larger than method 6, in a fifth of its time.
        shown.resize(size, Image.Resampling.LANCZOS).save(file, "WEBP", quality=quality, method=2)
        written[step] = file.getvalue()
        return -len(written[step])

    steps = range(len(_GLIMPSES) - 1)  # the last one remains if nothing else fits
    best = bisect.bisect_left(steps, -max_bytes, key=size_of)
    if best not in written:
        size_of(best)
    return written[best]


def evenly(seconds: float, count: int) -> list[float]:
    """Return times in the middle of ``count`` equal parts, so that neither the first nor the last frame is included."""
    return [seconds * (number + 0.5) / count for number in range(count)]


def poster(video: Path, max_bytes: int = INLINE_BYTES, longer_side: int = 480, name: str = "") -> bytes:
    """Return a JPEG of one good frame of a video.

    Of nine frames over the whole length, the one with the highest contrast is used (the standard deviation of its
    brightness): black, white and faded frames have next to none.

    Raises:
        Unreadable: not a video, or damaged.
        MediaError: ``max_bytes`` is too small for any picture.
    """
    times = evenly(probe_video(video, name).seconds, _POSTER_CANDIDATES)
    pictures = (picture for _, picture in pictures_at(video, times, longer_side, name))
    return jpeg(max(pictures, key=_contrast), max_bytes, longer_side)


def _contrast(picture: Image.Image) -> float:
    return float(np.asarray(picture.convert("L")).std())


def contact_sheet(
    video: Path, *, count: int = 9, columns: int = 3, tile: int = 360, max_bytes: int | None = None, name: str = ""
) -> bytes:
    """Return a JPEG of ``count`` frames over the whole length, each with its time in seconds.

    Raises:
        Unreadable: not a video, or damaged.
        MediaError: ``max_bytes`` is too small for any picture.
    """
    times = evenly(probe_video(video, name).seconds, count)
    tiles = [labelled(picture, f"{at:.1f} s") for at, picture in pictures_at(video, times, tile, name)]
    sheet = grid(tiles, columns)
    return jpeg(sheet, max_bytes, max(sheet.size))


def grid(tiles: Sequence[Image.Image], columns: int, gap: int = 6) -> Image.Image:
    """Return pictures of one size side by side, row by row, on a dark background."""
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), (24, 24, 27))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def labelled(picture: Image.Image, text: str) -> Image.Image:
    """Write a text into the upper left corner of a picture, and return the picture."""
    font = _font(max(11, picture.height // 14))
    draw = ImageDraw.Draw(picture, "RGBA")
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = 4
    draw.rectangle((0, 0, right - left + 2 * pad, bottom - top + 2 * pad), fill=(0, 0, 0, 160))
    draw.text((pad - left, pad - top), text, font=font, fill="white")
    return picture


def side_by_side(videos: Sequence[tuple[str, Path]], max_bytes: int | None = None, tile: int = 360) -> bytes:
    """Return a JPEG with one row per video (takes, languages): its label and three frames, for comparison.

    Raises:
        Unreadable: one of them is not a video, or damaged.
        MediaError: ``max_bytes`` is too small for any picture.
    """
    tiles = []
    for label, video in videos:
        times = evenly(probe_video(video).seconds, 3)
        for at, picture in pictures_at(video, times, tile):
            tiles.append(labelled(picture, f"{label} {at:.1f} s"))
    sheet = grid(tiles, 3)
    return jpeg(sheet, max_bytes, max(sheet.size))


def animated_webp(
    video: Path, *, longer_side: int = 320, fps: float = FPS, max_bytes: int = MAX_BYTES, name: str = ""
) -> bytes:
    """Return a small silent looping animation of a video.

    A video longer than ``MAX_FRAMES / fps`` seconds is shown whole but faster, so that memory and size stay bounded.

    Args:
        video: the local file.
        longer_side: pixels of the longer side.
        fps: pictures per second.
        max_bytes: quality is reduced until the file fits.
        name: the file's name for people.

    Raises:
        Unreadable: not a video, or damaged.
        MediaError: ``max_bytes`` is too small for any picture.
    """
    seconds = probe_video(video, name).seconds
    count = max(1, min(MAX_FRAMES, round(seconds * fps)))
    pictures = pictures_at(video, evenly(seconds, count), longer_side, name)
    frames = [av.VideoFrame.from_ndarray(np.array(picture), format="rgb24") for _, picture in pictures]
    return animate([frame.reformat(format="yuv420p", threads=1) for frame in frames], fps, max_bytes)
