"""The pictures of a delivered video, from frames that something else decodes: poster, contact sheet, animation, small posters.

Each frame that is shown is scaled once, by the decoder's scaler and without leaving its colour space; all pictures but the
large poster are made from these small frames.
"""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from resources.media.animation import FPS, MAX_FRAMES, animate
from resources.media.containers import open_media
from resources.media.errors import Unreadable
from resources.media.frames import picture_stream, to_picture_of
from resources.media.previews import evenly, glimpse, grid, jpeg, labelled, smaller, webp
from resources.media.probe import check_header, displayed_size, probe_video

POSTER_BYTES = 200_000
"""Of the poster in the bucket: what a page shows without being slow."""
_POSTER_SIDE = 1280

INLINE_POSTER_BYTES = 7_000
"""Of a poster in the event log, which is kept for ever; base64 takes a third more."""

INLINE_POSTER_SIDE = 320
"""Pixels on the longer side of that poster: what fits into these bytes without blur."""

_SIDE = INLINE_POSTER_SIDE
"""Pixels on the longer side of the small frames."""

_TILES, _COLUMNS = 9, 3
"""Frames of a contact sheet; the poster is the one of them with the highest contrast (black and faded ones have none)."""

_OTHER_LENGTH = 0.05
"""Part by which the length that was expected may be wrong before the pictures are taken again."""


@dataclass(frozen=True, slots=True)
class ClipPictures:
    """JPEGs, but for ``inline_poster``, ``glimpse`` and ``animation``, which are WebP."""

    poster: bytes
    inline_poster: bytes
    glimpse: bytes
    contact_sheet: bytes
    animation: bytes


@dataclass(frozen=True, slots=True)
class _Large:
    """The best frame so far: its contrast, as `displayed_size` says it is shown, and its small copy."""

    contrast: float
    frame: av.VideoFrame
    displayed: tuple[int, int, int]
    small: av.VideoFrame


class PictureKeeper:
    """Takes the frames of a video in order and keeps small copies of those that are shown, and one large frame.

    Args:
        container: the opened video.
        stream: its stream that the frames come from.
        seconds: its expected length, for the times of the pictures.

    Raises:
        Unreadable: the header says that the picture is too large, or the video too long.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, seconds: float) -> None:
        check_header(container, stream, "The video")
        self._stream = stream
        self._seconds = seconds
        count = max(_TILES, min(MAX_FRAMES, round(seconds * FPS)))
        self._wanted = list(enumerate(evenly(seconds, count)))[::-1]
        self._tile_numbers = {int(place) for place in evenly(count, _TILES)}
        self._scaler = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._start = 0.0
        self._current: tuple[float, av.VideoFrame, tuple[int, int, int]] | None = None
        self._kept: list[av.VideoFrame] = []
        self._tiles: list[tuple[float, av.VideoFrame]] = []
        self._best: _Large | None = None

    def add(self, seconds: float, frame: av.VideoFrame) -> None:
        """Add the next frame with the time from which it is shown."""
        if self._current is None:
            self._start = seconds
        else:
            self._keep_until(seconds - self._start)
        self._current = seconds - self._start, frame, displayed_size(self._stream, frame)

    def fits(self, seconds: float) -> bool:
        """Return True if the video has the length that was expected, so that the pictures are spread over all of it."""
        return abs(seconds - self._seconds) <= _OTHER_LENGTH * max(seconds, self._seconds)

    def draw(self) -> ClipPictures:
        """Return the pictures of the frames so far.

        Raises:
            Unreadable: there was no frame.
            MediaError: a picture does not fit into its bytes.
        """
        self._keep_until(float("inf"))
        if self._best is None:
            raise Unreadable("The video contains no picture that can be decoded.", remedy="Fetch the video again.")
        large = to_picture_of(self._best.displayed, self._best.frame, _POSTER_SIDE)
        sheet = grid([labelled(_image(tile), f"{at:.1f} s") for at, tile in self._tiles], _COLUMNS)
        inline = webp(_image(self._best.small), INLINE_POSTER_BYTES, INLINE_POSTER_SIDE)
        return ClipPictures(
            poster=jpeg(large, POSTER_BYTES, _POSTER_SIDE, quick=True),
            inline_poster=inline,
            glimpse=glimpse(inline),
            contact_sheet=jpeg(sheet, None, max(sheet.size), quick=True),
            animation=animate(self._kept),
        )

    def _keep_until(self, seconds: float) -> None:
        """Keep the present frame for each wanted time before the next frame is shown."""
        if self._current is None:
            return
        at, frame, displayed = self._current
        small: av.VideoFrame | None = None
        while self._wanted and self._wanted[-1][1] < seconds - 1e-6:
            number, _ = self._wanted.pop()
            small = small or self._small(frame, displayed)
            self._kept.append(small)
            if number in self._tile_numbers:
                self._tiles.append((at, small))
                contrast = float(_brightness(small).std())
                if self._best is None or contrast > self._best.contrast:
                    self._best = _Large(contrast, frame, displayed, small)

    def _small(self, frame: av.VideoFrame, displayed: tuple[int, int, int]) -> av.VideoFrame:
        width, height, rotation = displayed
        if rotation:  # of phones' videos; FFmpeg's scaler does not turn
            frame = av.VideoFrame.from_ndarray(np.array(to_picture_of(displayed, frame, _SIDE)), format="rgb24")
        if self._size is None:  # a video that changes its size is shown at its first one
            scale = min(1.0, _SIDE / max(width, height))
            self._size = max(2, round(width * scale)), max(2, round(height * scale))
        return self._scaler.reformat(
            frame,
            *self._size,
            "yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )


def _brightness(frame: av.VideoFrame) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    return np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _image(frame: av.VideoFrame) -> Image.Image:
    return Image.fromarray(frame.reformat(format="rgb24", threads=1).to_ndarray())


def draw_pictures(video: Path) -> ClipPictures:
    """Return the pictures of a video that is decoded for them alone.

    Raises:
        Unreadable: not a video, damaged, too large, or too long.
        MediaError: a picture does not fit into its bytes.
    """
    seconds = probe_video(video, "The video").seconds
    with open_media(video, "The video") as container:
        stream = picture_stream(container, "The video")
        keeper = PictureKeeper(container, stream, seconds)
        shown = 0.0
        for frame in container.decode(stream):
            shown = frame.time if frame.time is not None else shown
            keeper.add(shown, frame)
        return keeper.draw()


def small_posters(poster: bytes) -> tuple[bytes, bytes]:
    """Return the inline poster and the glimpse of a poster that was made here.

    Raises:
        Unreadable: it is not a picture.
    """
    inline = smaller(poster, INLINE_POSTER_BYTES, INLINE_POSTER_SIDE)
    return inline, glimpse(inline)
