"""Whether a file is a video: what cannot be played at all is not stored as one, however it is called.

A process of the pool that meets videos alone imports this module and FFmpeg: it starts in a third of the time without what
reads pictures and checks types, so those are imported where they are used.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.container

from resources.media.containers import container_of, has_decoder, head, moving_streams, open_media
from resources.media.errors import Unreadable

FRAMES = 2
"""Frames that make a video: one is a picture."""
MAX_PACKETS = 2_000
"""Packets that are tried: more than a minute of video. A stream of which none can be decoded is damaged all through."""
MAX_SECONDS = 30.0
"""Seconds after which trying ends; two frames take milliseconds."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file is.

    Attributes:
        is_video: It has a stream of which at least two frames can be decoded.
        pixels: Of the first frame, or of the picture that it is instead; 0 if nothing can be seen.
        what: What it is, in words that complete "it is ...".
    """

    is_video: bool
    pixels: int
    what: str


def examine(path: Path) -> Examined:
    """Open a file and return whether it is a video; its name and what it says of itself do not count."""
    if path.stat().st_size == 0:
        return Examined(False, 0, "an empty file")
    frames, pixels = _frames(path)
    if frames >= FRAMES:
        return Examined(True, pixels, "a video")
    start = head(path)
    if frames == 1:
        return Examined(False, pixels, "a single picture in the form of a video")
    from resources.media.probe import open_image, sniff
    from resources.schemas.inputs import MediumKind

    try:
        with open_image(path) as image:
            return Examined(False, image.width * image.height, f"a picture of {image.width} x {image.height}")
    except Unreadable:
        pass
    found = sniff(path)
    if found is not None and found[0] is MediumKind.AUDIO:
        return Examined(False, 0, "sound without a picture")
    if start.lstrip()[:1] in (b"<", b"{", b"["):
        return Examined(False, 0, "a text document")
    if container_of(start) is not None:
        return Examined(False, 0, "a video file that is damaged or cut so that no frame can be decoded")
    return Examined(False, 0, "no file of a known kind")


def examine_start(path: Path) -> Examined:
    """Return what a file is that took too much to open: by its first bytes alone."""
    return Examined(
        container_of(head(path)) is not None, 0, "a file that takes more than a gigabyte or a minute to open"
    )


def _frames(path: Path) -> tuple[int, int]:
    """Return how many frames of the best stream can be decoded, two at most, and the pixels of the first.

    What the header says of the first stream is nearly always enough, and opening a file by it costs an eighth. Its first two
    packets are too: a decoder that gets the end of the stream does not hold back frames to bring them into order.
    """
    best = 0, 0
    for packets in (FRAMES, MAX_PACKETS):
        best = max(best, _frames_of(path, 0, header_only=True, packets=packets))
        if best[0] >= FRAMES:
            return best
    try:
        with open_media(path, moving_pictures=True) as opened:
            count = len(moving_streams(opened))
    except Unreadable:
        return best
    for number in range(count):
        best = max(best, _frames_of(path, number))
        if best[0] >= FRAMES:
            break
    return best


def _frames_of(path: Path, number: int, *, header_only: bool = False, packets: int = MAX_PACKETS) -> tuple[int, int]:
    frames: list[int] = []
    try:
        with open_media(path, moving_pictures=True, header_only=header_only) as opened:
            stream = next(iter(moving_streams(opened)[number:]), None)
            if stream is None or not has_decoder(stream):
                return 0, 0
            stream.codec_context.thread_count = 1  # two frames need no more, and each thread takes memory
            for pixels in _decoded(opened, stream, packets):
                frames.append(pixels)
                if len(frames) == FRAMES:
                    break
    except Unreadable:
        pass  # a broken tail: what was decoded before it counts
    return len(frames), next(iter(frames), 0)


def _decoded(opened: av.container.InputContainer, stream: av.VideoStream, most: int) -> Iterator[int]:
    """Yield the pixels of each frame of the first packets that can be decoded; damaged ones and a broken tail are passed over."""
    give_up = time.monotonic() + MAX_SECONDS
    packets = opened.demux(stream)
    for _ in range(most):
        packet = None
        with contextlib.suppress(av.FFmpegError):
            packet = next(packets, None)
        if packet is None or time.monotonic() > give_up:
            break
        with contextlib.suppress(av.FFmpegError):
            for frame in packet.decode():
                yield frame.width * frame.height
    with contextlib.suppress(av.FFmpegError):  # what the decoder still holds back to bring it into order
        for frame in stream.codec_context.decode(None):
            yield frame.width * frame.height
