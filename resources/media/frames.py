"""Single pictures of a video, as players show them, without holding the video in memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import av.container
from av.video.reformatter import Interpolation
from PIL import Image

from resources.media.containers import has_decoder, moving_streams, open_media
from resources.media.errors import Unreadable
from resources.media.probe import displayed_size

_SEEK_GAP_SECONDS = 3.0
"""Pictures farther apart than this are reached by seeking, nearer ones by decoding: key frames of generated videos lie
up to 250 frames apart, so a seek would decode the same frames again."""


_JUST_BEFORE = 0.001
"""Seconds: shorter than any frame."""

_FULL_SIZE = 100_000
"""Pixels that no side of a video has, so that nothing is scaled."""


def picture_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """Return the main video stream, set to decode with all useful threads.

    Raises:
        Unreadable: the file contains no video.
    """
    streams = moving_streams(container)
    if not streams:
        raise Unreadable(f"{name} contains no video.", remedy="Fetch or export the video again.")
    if not has_decoder(streams[0]):
        raise Unreadable(
            f"{name} holds a picture in a codec that can't be read here.", remedy="Export it as MP4 (H.264)."
        )
    streams[0].thread_type = "AUTO"
    return streams[0]


def to_picture(stream: av.VideoStream, frame: av.VideoFrame, longer_side: int | None = None) -> Image.Image:
    """Return a frame as displayed (rotation and pixel shape applied), scaled down before it is converted.

    Args:
        stream: the stream that the frame came from.
        frame: the decoded frame.
        longer_side: maximum pixels of the longer side; None keeps the size.
    """
    return to_picture_of(displayed_size(stream, frame), frame, longer_side)


def to_picture_of(displayed: tuple[int, int, int], frame: av.VideoFrame, longer_side: int | None = None) -> Image.Image:
    """Do the same with what `displayed_size` said of the frame: its stream is gone when its file is closed."""
    width, height, rotation = displayed
    if rotation in {90, 270}:
        width, height = height, width
    if longer_side is not None and (scale := longer_side / max(width, height)) < 1:
        width, height = max(2, round(width * scale)), max(2, round(height * scale))
    smaller = frame.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA, threads=1)
    picture = Image.fromarray(smaller.to_ndarray())
    # FFmpeg and Pillow both count the angle counterclockwise.
    return picture.rotate(frame.rotation, expand=True) if rotation else picture


def pictures_at(
    video: Path, times: Iterable[float], longer_side: int, name: str = ""
) -> Iterator[tuple[float, Image.Image]]:
    """Yield the pictures shown at these times (seconds from the start, ascending), each with its own start time.

    A time past the end yields the last picture. Only one frame is held at a time.

    Raises:
        Unreadable: no video, or damaged.
    """
    name = name or video.name
    with open_media(video, name) as container:
        stream = picture_stream(container, name)
        base = stream.time_base
        decoding = iter(container.decode(stream))
        current = next(decoding, None)
        if current is None or base is None:
            raise Unreadable(
                f"{name} contains no picture that can be decoded.", remedy="Fetch or export the video again."
            )
        start = current.time or 0.0
        following = next(decoding, None)
        for wanted in times:
            if wanted - ((current.time or 0.0) - start) > _SEEK_GAP_SECONDS:
                container.seek(round((wanted + start) / base), stream=stream)
                decoding = iter(container.decode(stream))
                if (landed := next(decoding, None)) is not None:
                    current, following = landed, next(decoding, None)
            while following is not None and (following.time or 0.0) - start <= wanted + 1e-6:
                current, following = following, next(decoding, None)
            yield (current.time or 0.0) - start, to_picture(stream, current, longer_side)


def last_frame(video: Path, path: Path, name: str = "") -> Path:
    """Write the exact last frame of a video as a full-size PNG, from which the next shot starts.

    Raises:
        Unreadable: no video, or damaged.
    """
    name = name or video.name
    with open_media(video, name) as container:
        stream = picture_stream(container, name)
        last = None
        # From the last key frame on; a file without an index is decoded from its start.
        for offset in (stream.duration or 0, 0):
            container.seek((stream.start_time or 0) + offset, stream=stream)
            for frame in container.decode(stream):
                last = frame
            if last is not None:
                break
        if last is None:
            raise Unreadable(
                f"{name} contains no picture that can be decoded.", remedy="Fetch or export the video again."
            )
        to_picture(stream, last).save(path, format="PNG")
    return path


def frame_before(video: Path, path: Path, seconds: float, name: str = "") -> Path:
    """Write the frame that is shown just before a moment as a full-size PNG; past the end it is the last one.

    Raises:
        Unreadable: no video, or damaged.
    """
    just_before = max(0.0, seconds - _JUST_BEFORE)
    _, picture = next(pictures_at(video, [just_before], _FULL_SIZE, name))
    picture.save(path, format="PNG")
    return path
