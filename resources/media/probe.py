"""Facts about uploaded files, read from their content: a name or header may be wrong, the decoded bytes are not."""

import statistics
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.container

from resources.media.containers import (
    container_of,
    decodable_sound,
    has_decoder,
    head,
    moving_streams,
    open_media,
)
from resources.media.errors import Unreadable
from resources.media.facts import UNKNOWN_CODEC, AudioFacts, ImageFacts, VideoFacts
from resources.media.limits import MAX_PIXELS, MAX_VIDEO_PIXELS, MAX_VIDEO_SECONDS
from resources.media.pictures import image_facts, open_image, still_type
from resources.schemas.inputs import MediumKind, sha256_file

__all__ = [
    "MAX_AUDIO_SECONDS",
    "MAX_PIXELS",
    "AudioFacts",
    "ImageFacts",
    "VideoFacts",
    "displayed_size",
    "image_facts",
    "open_image",
    "probe_audio",
    "probe_image",
    "probe_video",
    "sha256_file",
    "sniff",
]

MAX_AUDIO_SECONDS = 600.0
"""Seconds after which decoding for a length stops. The longest audio that any endpoint takes has 30 s. Beyond ten
minutes the exact length no longer matters, and a long recording then costs about a second."""

MAX_HEADER_SECONDS = 86_400.0
"""A header that says more than a day is wrong; one without a length says a negative number."""


def sniff(path: Path) -> tuple[MediumKind, str] | None:
    """Return the kind and content type that a file's bytes show; None if it is not an image, audio or video."""
    start = head(path)
    if (still := still_type(start)) is not None:
        return MediumKind.IMAGE, still
    container = container_of(start)
    if container is None:
        return None
    try:
        with open_media(path) as opened:
            if moving_streams(opened):
                return MediumKind.VIDEO, _VIDEO_TYPES.get(container, f"video/{container}")
            if opened.streams.audio:
                return MediumKind.AUDIO, _AUDIO_TYPES.get(container, f"audio/{container}")
    except Unreadable:
        # The signature was right but the rest is not; the intended kind is still known.
        return _MEANT.get(container)
    return None


_VIDEO_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "matroska": "video/webm", "avi": "video/x-msvideo"}
_AUDIO_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "mov": "audio/mp4",
    "matroska": "audio/webm",
}
_MEANT = {
    "wav": (MediumKind.AUDIO, "audio/wav"),
    "mp4": (MediumKind.VIDEO, "video/mp4"),
    "mov": (MediumKind.VIDEO, "video/quicktime"),
    "matroska": (MediumKind.VIDEO, "video/webm"),
    "ogg": (MediumKind.AUDIO, "audio/ogg"),
    "flac": (MediumKind.AUDIO, "audio/flac"),
}


def probe_image(path: Path, name: str = "") -> ImageFacts:
    """Return facts about an image, after decoding it to its end.

    Args:
        path: the local file.
        name: the file's name for people (its key in the bucket); the path's own name if empty.

    Raises:
        Unreadable: not an image, cut short, damaged, or larger than ``MAX_PIXELS``.
    """
    with open_image(path, name) as image:
        return image_facts(image, path)


def probe_audio(path: Path, name: str = "") -> AudioFacts:
    """Return facts about a sound file (or the sound of a video), with its length counted by decoding.

    Headers are unreliable: players estimate the length of a variable-bit-rate MP3 without a header wrongly.

    Raises:
        Unreadable: it has no sound, is damaged, or is cut short before the first sound.
    """
    name = name or path.name
    with open_media(path, name) as container:
        if not container.streams.audio:
            raise Unreadable(f"{name} contains no sound.", remedy="Upload a WAV or MP3 with the voice or music.")
        stream = decodable_sound(container)
        if stream is None:
            raise Unreadable(
                f"{name} holds sound in a codec that can't be read here.", remedy="Export it again as WAV (PCM) or MP3."
            )
        seconds = 0.0
        for frame in container.decode(stream):
            seconds += frame.samples / frame.sample_rate
            if seconds >= MAX_AUDIO_SECONDS:
                break
        if not seconds:
            raise Unreadable(f"{name} contains no sound that can be decoded.", remedy="Export it again as WAV or MP3.")
        return AudioFacts(
            seconds=round(seconds, 6),
            codec=stream.codec_context.codec.canonical_name,
            container=str(container_of(head(path))),
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
            size_bytes=path.stat().st_size,
            longer=seconds >= MAX_AUDIO_SECONDS,
            rewrite=_sound_rewrite(path),
        )


def _sound_rewrite(path: Path) -> str:
    """Return why players may refuse good sound: zero bytes in front of it, or a WAV header that counts wrongly."""
    start, size = head(path), path.stat().st_size
    if start[:16] == bytes(16):
        return "zero bytes before its sound"
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        at = 12
        while at + 8 <= len(start):
            kind, length = start[at : at + 4], int.from_bytes(start[at + 4 : at + 8], "little")
            if kind == b"data":
                return "a WAV header with a wrong length" if length == 0 or at + 8 + length > size else ""
            at += 8 + length + length % 2
    return ""


def probe_video(path: Path, name: str = "") -> VideoFacts:
    """Return facts about a video: all packets are counted (the header is unreliable), and the first frame is decoded.

    Raises:
        Unreadable: not a video, damaged, or cut short.
    """
    name = name or path.name
    with open_media(path, name) as container:
        videos = moving_streams(container)
        if not videos:
            raise Unreadable(f"{name} contains no video.", remedy="Upload an MP4 with a picture.")
        stream = videos[0]
        if not has_decoder(stream):
            raise Unreadable(
                f"{name} holds a picture in a codec that can't be read here.", remedy="Export it again as MP4 (H.264)."
            )
        check_header(container, stream, name)
        sound = decodable_sound(container)
        audio = sound.codec_context.codec.canonical_name if sound is not None else None
        first = next(iter(container.decode(stream)), None)
        if first is None:
            raise Unreadable(
                f"{name} contains no picture that can be decoded.", remedy="Export it again as MP4 (H.264)."
            )
        width, height, rotation = displayed_size(stream, first)
        container.seek(0)
        frames, seconds, variable = _count_packets(container, stream)
        if not frames or not seconds:
            raise Unreadable(f"{name} contains no picture with a time stamp.", remedy="Export it again as MP4 (H.264).")
        return VideoFacts(
            seconds=round(float(seconds), 6),
            width=width,
            height=height,
            fps=round(frames / float(seconds), 3),
            frames=frames,
            video_codec=stream.codec_context.codec.canonical_name,
            audio_codec=audio or (UNKNOWN_CODEC if container.streams.audio else None),
            container=str(container_of(head(path))),
            size_bytes=path.stat().st_size,
            rotation=rotation,
            variable=variable,
            live_photo=_LIVE_PHOTO in container.metadata,
        )


_LIVE_PHOTO = "com.apple.quicktime.content.identifier"
"""The key that names the still of a Live Photo in its video (Apple, `AVMetadataQuickTimeMetadataKeyContentIdentifier`)."""


def check_header(container: av.container.InputContainer, stream: av.VideoStream, name: str) -> None:
    """Refuse by the header what no route or preparation takes, before a picture is decoded.

    Raises:
        Unreadable: the picture is too large, or the video too long.
    """
    size = stream.codec_context
    if size.width * size.height > MAX_VIDEO_PIXELS:
        raise Unreadable(
            f"{name} is {size.width} x {size.height}, more than {MAX_VIDEO_PIXELS // 1_000_000} megapixels a picture.",
            remedy="Export it again as MP4 (H.264) with 1080 lines.",
        )
    seconds = (container.duration or 0) / av.time_base
    if seconds > MAX_VIDEO_SECONDS:
        raise Unreadable(
            f"{name} says that it has {seconds / 3600:.0f} hours; at most {MAX_VIDEO_SECONDS / 3600:.0f} are read.",
            remedy="Cut the part that is needed, and upload that.",
        )


def video_size(path: Path, name: str = "") -> tuple[int, int, float]:
    """Return width, height and seconds from the header; no picture is decoded.

    Use it for files made by the project; an upload's header may be wrong.

    Raises:
        Unreadable: not a video, or damaged.
    """
    with open_media(path, name or path.name, header_only=True, moving_pictures=True) as container:
        videos = moving_streams(container)
        if not videos:
            raise Unreadable(f"{name or path.name} contains no video.", remedy="Fetch it again.")
        seconds = min(max(float(container.duration or 0) / av.time_base, 0.0), MAX_HEADER_SECONDS)
        return videos[0].codec_context.width, videos[0].codec_context.height, seconds


_UNEVEN = 1.5
"""Times the usual gap from which frames are unevenly spaced; clocks of cameras drift by a few percent."""
_UNEVEN_SHARE = 0.02
"""Share of such gaps: a single one is a cut or a dropped frame."""


def _is_variable(times: list[int]) -> bool:
    """Return True if frames are not evenly spaced, so that models that count frames see another speed."""
    times.sort()
    gaps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    if len(gaps) < 2:
        return False
    usual = statistics.median(gaps)
    uneven = sum(1 for gap in gaps if gap > _UNEVEN * usual or gap < usual / _UNEVEN)
    return uneven > max(1, _UNEVEN_SHARE * len(gaps))


_COUNTED = 100_000
"""Frames whose times are compared: an hour at 25 a second."""


def _count_packets(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[int, Fraction, bool]:
    """Return frames and length of the picture from its packets, and whether they are unevenly spaced; nothing is decoded."""
    base = stream.time_base or Fraction(1, 90_000)
    frames, start, end, longest = 0, None, None, 0
    times: list[int] = []
    for packet in container.demux(stream):
        if packet.pts is None or packet.size == 0 or packet.is_discard:
            continue
        frames += 1
        if frames <= _COUNTED:
            times.append(packet.pts)
        duration = packet.duration or 0
        longest = max(longest, duration)
        start = packet.pts if start is None else min(start, packet.pts)
        end = packet.pts + duration if end is None else max(end, packet.pts + duration)
    if start is None or end is None:
        return frames, Fraction(0), False
    seconds = (end - start) * base
    if longest == 0 and frames > 1:  # some containers give no durations: the last frame gets that of the others
        seconds += seconds / (frames - 1)
    if not seconds and stream.average_rate:
        seconds = frames / stream.average_rate
    return frames, seconds, _is_variable(times)


def displayed_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int, int]:
    """Return width and height as a player shows them, and the rotation in degrees (0, 90, 180 or 270)."""
    rotation = round(frame.rotation) % 360
    width, height = frame.width, frame.height
    # The decoder knows the shape that stands only in the stream itself; a container opened by its header does not.
    if (shape := stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio) and shape > 0:
        width = round(width * shape)
    return (height, width, rotation) if rotation in {90, 270} else (width, height, rotation)
