"""Opens media files with FFmpeg by their content, never by their name.

FFmpeg would also accept playlists (HLS, DASH, concat, SDP), which make it read *other* files and addresses. Uploads
come from other people, so the demuxer is chosen here from the first bytes and forced; a playlist named ``voice.mp3`` is
not accepted.
"""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.container
import av.stream

from resources.media.errors import Unreadable

decoder_threads = 0
"""Threads of a decoder, 0 for one per core; a process of the pool sets 1."""

HEAD_BYTES = 4096
"""Enough for every signature below (the farthest is MPEG-TS's third sync byte, at 376)."""

_SAFE = {"protocol_whitelist": "file"}
"""Keeps FFmpeg from opening any other address or file."""
_HEADER_ONLY = {"skip_frame": "all", "threads": "1", "probesize": "32"}
"""FFmpeg decodes the first pictures to learn what the header does not say, with a decoder thread per core. 32 bytes is
its smallest probe size."""

_ZEROS = 16
"""Zero bytes that no container begins with."""
_TS_PACKET = 188
_STILL_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}
_QUICKTIME_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}

_CHUNK_FORMATS = {
    (b"RIFF", b"WAVE"): "wav",
    (b"RF64", b"WAVE"): "wav",
    (b"RIFF", b"AVI "): "avi",
    (b"FORM", b"AIFF"): "aiff",
    (b"FORM", b"AIFC"): "aiff",
}
_SIGNATURES = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"#!AMR", "amr"),
    (b"caff", "caf"),
    (b"ID3", "mp3"),
)


def head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(size)


def container_of(start: bytes) -> str | None:
    """Return the container that the first bytes announce (``mp4``, ``mov``, ``wav``, ``mp3``, ...).

    None if not audio or video. Zero bytes before an MP3 are passed over, as players do.
    """
    if start[:_ZEROS] == bytes(_ZEROS):
        padded = start.lstrip(b"\0")
        return "mp3" if padded.startswith(b"ID3") or _raw_mpeg_audio(padded) == "mp3" else None
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        return None if brand in _STILL_BRANDS else "mov" if brand == b"qt  " else "mp4"
    if start[4:8] in _QUICKTIME_ATOMS:
        return "mov"
    if (chunks := _CHUNK_FORMATS.get((start[:4], start[8:12]))) is not None:
        return chunks
    for magic, name in _SIGNATURES:
        if start.startswith(magic):
            return name
    if len(start) > 2 * _TS_PACKET and all(start[at] == 0x47 for at in (0, _TS_PACKET, 2 * _TS_PACKET)):
        return "mpegts"
    return _raw_mpeg_audio(start)


def _raw_mpeg_audio(start: bytes) -> str | None:
    """Return ``mp3`` (also for MP2) or ``aac`` without a header: detected by the 12 sync bits and the reserved fields."""
    if len(start) < 4 or start[0] != 0xFF or start[1] & 0xE0 != 0xE0:
        return None
    version, layer = (start[1] >> 3) & 3, (start[1] >> 1) & 3
    if layer == 0 and start[1] & 0xF0 == 0xF0:
        return "aac"
    # Layer I (3) is excluded: it is not used any more, and UTF-16 text starts with FF FE.
    bitrate, rate = start[2] >> 4, (start[2] >> 2) & 3
    return "mp3" if layer in {1, 2} and version != 1 and bitrate != 15 and rate != 3 else None


@contextmanager
def open_media(
    path: Path, name: str = "", *, header_only: bool = False, moving_pictures: bool = False
) -> Iterator[av.container.InputContainer]:
    """Open an audio or video file with the demuxer for its content.

    Args:
        path: the local file.
        name: the file's name for people (its key in the bucket); the path's own name if empty.
        moving_pictures: open animated pictures too (AVIF, GIF), which may not be uploaded as a video.
        header_only: decode no picture while opening: a twentieth of the CPU, and only the header's facts are known.

    Raises:
        Unreadable: the file is empty, not audio or video, or damaged, here or while the caller reads it.
    """
    name = name or path.name
    start = head(path)
    container = container_of(start) or (_moving_picture(start) if moving_pictures else None)
    if container is None:
        raise Unreadable(
            f"{name} is not audio or video that can be read{_what_instead(path)}.",
            remedy="Save it as WAV or MP3 (sound) or MP4 (video) and upload that.",
        )
    try:
        options = _SAFE | _HEADER_ONLY if header_only else _SAFE
        if decoder_threads:
            options = options | {"threads": str(decoder_threads)}
        opened = av.open(str(path.absolute()), format=_demuxer(container), metadata_errors="replace", options=options)
        with opened:
            for stream in [*opened.streams.video, *opened.streams.audio]:
                if has_decoder(stream):
                    stream.codec_context.skip_frame = "DEFAULT"  # what is skipped is skipped only while it is opened
                    if decoder_threads:
                        stream.codec_context.thread_count = decoder_threads
            yield opened
    except MemoryError:
        raise
    except (av.FFmpegError, UnicodeDecodeError, ArithmeticError, ValueError) as error:
        reason = (getattr(error, "strerror", None) if isinstance(error, av.FFmpegError) else "") or "broken data"
        raise Unreadable(
            f"{name} is damaged or cut short: {reason}.",
            remedy="Export or upload the file again; the copy is incomplete.",
        ) from error


_WHOLE_IN_HEADER = {"h264", "hevc", "vp9", "av1"}
"""Codecs of which an MP4's header says all that a decoder needs: for H.264 the order of its frames too, by their times."""


def header_is_enough(path: Path) -> bool:
    """Return True for an MP4 whose header has the index and the pictures' size: no picture need be decoded to open it."""
    if container_of(head(path)) not in {"mp4", "mov"}:
        return False
    try:
        with open_media(path, header_only=True) as opened:
            streams = moving_streams(opened)
            return bool(streams) and all(
                has_decoder(stream)
                and stream.frames > 0
                and stream.codec_context.width > 0
                and stream.codec_context.name in _WHOLE_IN_HEADER
                for stream in streams[:1]
            )
    except Unreadable:
        return False


def _moving_picture(start: bytes) -> str | None:
    """Return the container of a picture that may move; None for all others."""
    if start[4:8] == b"ftyp" and start[8:12] in _STILL_BRANDS:
        return "mp4"
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    return "ivf" if start[:4] == b"DKIF" else None


def _what_instead(path: Path) -> str:
    start = head(path)
    if not start:
        return " (it is empty)"
    return " (it looks like text)" if is_text(start) else ""


def is_text(start: bytes) -> bool:
    """Return True if the first bytes of a file are UTF-8 text."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # a character cut by the end of the piece is fine
    except UnicodeDecodeError:
        return False
    return b"\x00" not in start


def _demuxer(container: str) -> str:
    # FFmpeg's demuxers have family names: one reads both MP4 and QuickTime.
    return "mov" if container == "mp4" else container


def has_decoder(stream: av.stream.Stream) -> bool:
    """Return True if a stream's codec can be decoded here; without a decoder PyAV gives it no codec context."""
    return getattr(stream, "codec_context", None) is not None


def decodable_sound(container: av.container.InputContainer) -> av.AudioStream | None:
    """Return the first sound that has a decoder; phones put one of their own codec beside it, or instead of it."""
    return next((stream for stream in container.streams.audio if has_decoder(stream)), None)


def moving_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return the video streams without cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]
