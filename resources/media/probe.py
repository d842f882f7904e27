"""Facts about uploaded files, read from their content: a name or header may be wrong, the decoded bytes are not."""

import hashlib
import struct
import warnings
import zlib
from fractions import Fraction
from pathlib import Path

import av
import av.container
from PIL import ExifTags, Image, UnidentifiedImageError

from resources.media.containers import container_of, head, is_text, moving_streams, open_media
from resources.media.errors import Unreadable
from resources.media.facts import AudioFacts, ImageFacts, VideoFacts
from resources.schemas.inputs import MediumKind

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

MAX_PIXELS = 64_000_000
"""Largest image that is decoded (192 MB as RGB). It covers 8K (33 Mpx) and 50 Mpx phones; a larger small file is more
likely a decompression bomb."""

MAX_AUDIO_SECONDS = 600.0
"""Seconds after which decoding for a length stops. The longest audio that any endpoint takes has 30 s. Beyond ten
minutes the exact length no longer matters, and a long recording then costs about a second."""

MAX_HEADER_SECONDS = 86_400.0
"""A header that says more than a day is wrong; one without a length says a negative number."""

_IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM")
# Pillow's other readers are excluded on purpose: some (EPS) start other programs.
_TURNED = {5, 6, 7, 8}
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError, MemoryError)

# Pillow warns at this limit and refuses at twice that; `open_image` makes both an error.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex; the file is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sniff(path: Path) -> tuple[MediumKind, str] | None:
    """Return the kind and content type that a file's bytes show; None if it is not an image, audio or video."""
    start = head(path)
    if (still := _still_type(start)) is not None:
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


def _still_type(start: bytes) -> str | None:
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        if brand in {b"avif", b"avis"}:
            return "image/avif"
        return "image/heic" if brand in {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"} else None
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    for magic, content_type in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
        (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    ):
        if start.startswith(magic):
            return content_type
    # Two letters alone would also be text; a bitmap's header continues with its own size and four zero bytes.
    return "image/bmp" if start[:2] == b"BM" and start[6:10] == bytes(4) else None


def open_image(path: Path, name: str = "") -> Image.Image:
    """Return an image decoded whole, still as stored (not rotated).

    Raises:
        Unreadable: not an image, cut short, damaged, or larger than ``MAX_PIXELS``.
    """
    name = name or path.name
    too_large = Unreadable(
        f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels, so it was not opened.",
        remedy="Scale the image down (4096 px on its longer side is plenty) and upload it again.",
    )
    try:
        image = Image.open(path, formats=_IMAGE_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            image.close()
            raise too_large
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large from None
    except (UnidentifiedImageError, *_DAMAGED) as error:
        raise Unreadable(f"{name} {_why_no_image(path)}.", remedy="Upload a JPEG, PNG or WebP image.") from error
    try:
        image.load()
    except _DAMAGED as error:
        raise Unreadable(
            f"{name} is damaged or cut short: its {image.format} data ends early or is broken.",
            remedy="Export or upload the image again; the copy is incomplete.",
        ) from error
    return image


def _why_no_image(path: Path) -> str:
    start = head(path)
    if not start:
        return "is empty"
    if _still_type(start) == "image/heic":
        return "is a HEIC photo, which the service does not take"
    if is_text(start):
        return "is text, not an image"
    return "is not an image that can be read"


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


def image_facts(image: Image.Image, path: Path) -> ImageFacts:
    """Return facts about an image that `open_image` decoded from the file at ``path``."""
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*_DAMAGED, TypeError):
        orientation = 1  # a broken EXIF block counts as none
    width, height = image.size
    # An MPO is a JPEG followed by further pictures (phones store depth maps and previews in it), not an animation.
    multi = image.format == "MPO"
    return ImageFacts(
        width=height if orientation in _TURNED else width,
        height=width if orientation in _TURNED else height,
        format="JPEG" if multi else str(image.format),
        mode=image.mode,
        animated=bool(getattr(image, "is_animated", False)) and not multi,
        size_bytes=path.stat().st_size,
        rotated=orientation in range(2, 9),
    )


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
        stream = container.streams.audio[0]
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
        )


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
        audio = container.streams.audio[0].codec_context.codec.canonical_name if container.streams.audio else None
        first = next(iter(container.decode(stream)), None)
        if first is None:
            raise Unreadable(
                f"{name} contains no picture that can be decoded.", remedy="Export it again as MP4 (H.264)."
            )
        width, height, rotation = displayed_size(stream, first)
        container.seek(0)
        frames, seconds = _count_packets(container, stream)
        if not frames or not seconds:
            raise Unreadable(f"{name} contains no picture with a time stamp.", remedy="Export it again as MP4 (H.264).")
        return VideoFacts(
            seconds=round(float(seconds), 6),
            width=width,
            height=height,
            fps=round(frames / float(seconds), 3),
            frames=frames,
            video_codec=stream.codec_context.codec.canonical_name,
            audio_codec=audio,
            container=str(container_of(head(path))),
            size_bytes=path.stat().st_size,
            rotation=rotation,
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


def _count_packets(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[int, Fraction]:
    """Return frames and length of the picture from its packets, which needs reading but no decoding."""
    base = stream.time_base or Fraction(1, 90_000)
    frames, start, end, longest = 0, None, None, 0
    for packet in container.demux(stream):
        if packet.pts is None or packet.size == 0 or packet.is_discard:
            continue
        frames += 1
        duration = packet.duration or 0
        longest = max(longest, duration)
        start = packet.pts if start is None else min(start, packet.pts)
        end = packet.pts + duration if end is None else max(end, packet.pts + duration)
    if start is None or end is None:
        return frames, Fraction(0)
    seconds = (end - start) * base
    if longest == 0 and frames > 1:  # some containers give no durations: the last frame gets that of the others
        seconds += seconds / (frames - 1)
    if not seconds and stream.average_rate:
        seconds = frames / stream.average_rate
    return frames, seconds


def displayed_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int, int]:
    """Return width and height as a player shows them, and the rotation in degrees (0, 90, 180 or 270)."""
    rotation = round(frame.rotation) % 360
    width, height = frame.width, frame.height
    if (shape := stream.sample_aspect_ratio) and shape > 0:
        width = round(width * shape)
    return (height, width, rotation) if rotation in {90, 270} else (width, height, rotation)
