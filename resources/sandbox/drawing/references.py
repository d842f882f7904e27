"""The references of a multi-modal request: pictures and clips that are shown one after the other."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from resources.sandbox.drawing.job import FRAMES_PER_SECOND
from resources.sandbox.drawing.marks import Place, draw_inset, place_of
from resources.sandbox.drawing.picture import Planes, cover, load_rgb

_FADE_FRAMES = 6


def clip_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's pictures at the video's rate, repeating the clip at its end.

    Raises:
        av.FFmpegError: it cannot be decoded.
    """
    while True:
        shown = 0
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            for frame in container.decode(stream):
                time = float(frame.time or 0) - float((stream.start_time or 0) * (stream.time_base or 0))
                while shown <= time * FRAMES_PER_SECOND:
                    shown += 1
                    yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        if shown == 0:
            return


def first_frame(path: Path) -> NDArray[np.uint8] | None:
    """Return the clip's first picture, or None."""
    return next(clip_frames(path), None)


class Cutaway:
    """One reference with its share of the time.

    Args:
        source: An image file or a clip.
        moving: True for a clip.
        number: Its position among the references.
        width: Of the video.
        height: Of the video.
        first: First frame that shows it.
        last: Last frame that shows it.
    """

    def __init__(
        self, source: Path, *, moving: bool, number: int, width: int, height: int, first: int, last: int
    ) -> None:
        self._frames = clip_frames(source) if moving else None
        picture = next(self._frames) if self._frames else load_rgb(source)
        aspect = min(max(picture.shape[1] / picture.shape[0], 0.5), 2.0)
        self._place: Place = place_of(number, width, height, aspect)
        self._inset = self._small(picture)
        self._first, self._last = first, last

    def _small(self, picture: NDArray[np.uint8]) -> Planes:
        return Planes.from_rgb(cover(picture, self._place.width, self._place.height))

    def draw(self, planes: Planes, frame: int) -> None:
        """Draw it if the frame is within its time, faded at both ends."""
        if not self._first <= frame <= self._last:
            return
        if self._frames is not None:
            picture = next(self._frames, None)
            if picture is not None:
                self._inset = self._small(picture)
        edge = min(frame - self._first, self._last - frame)
        draw_inset(planes, self._inset, self._place, min(1.0, (edge + 1) / _FADE_FRAMES))


def cutaways(images: list[Path], videos: list[Path], width: int, height: int, frames: int) -> list[Cutaway]:
    """Share the middle of the time among the references, clips first."""
    sources = [(path, True) for path in videos] + [(path, False) for path in images]
    if not sources:
        return []
    start, end = round(frames * 0.12), round(frames * 0.92)
    each = (end - start) // len(sources)
    return [
        Cutaway(
            path,
            moving=moving,
            number=number,
            width=width,
            height=height,
            first=start + number * each,
            last=start + (number + 1) * each - 1,
        )
        for number, (path, moving) in enumerate(sources)
    ]
