"""Turns files that people have into files that the models take; runs in a process of the pool.

Nothing is made larger or better: only what a model does not take is changed.
"""

import io
import math
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.container
import numpy as np
from PIL import Image, ImageCms

from resources.media.containers import decodable_sound, has_decoder, moving_streams, open_media
from resources.media.errors import Unreadable
from resources.media.frames import to_picture
from resources.media.pictures import opaque, open_image, orientation_of, upright
from resources.media.preparation import LONGER_SIDE, WHITE, Preparation
from resources.media.probe import displayed_size
from resources.schemas.inputs import MediumKind

ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png", "audio/wav": ".wav", "video/mp4": ".mp4"}
"""The content types of prepared files, with the endings of their keys."""

_LOSSLESS = {"PNG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM"}
_LOSSLESS_PIXELS = 4_200_000
"""Largest picture that stays without loss (2048 x 2048): a photo of 12 megapixels would have 20 MB as PNG."""
_QUALITIES = (92, 85, 78)
_SMALLER = 0.8
_SMALLEST = 320

_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_LONGEST_SOUND = 600.0


def prepare_file(source: Path, target: Path, preparation: Preparation, name: str) -> str:
    """Write the prepared file and return its content type.

    Args:
        source: the original.
        target: the file to write.
        preparation: what has to be done.
        name: the original's name for people.

    Raises:
        Unreadable: the original is damaged, or no result fits into the limits.
    """
    if preparation.kind is MediumKind.IMAGE:
        return _prepare_image(source, target, preparation, name)
    if preparation.kind is MediumKind.AUDIO:
        return _prepare_sound(source, target, preparation.span_ms, name)
    return _prepare_video(source, target, preparation, name)


# Images


def _prepare_image(source: Path, target: Path, preparation: Preparation, name: str) -> str:
    with open_image(source, name, reduced=LONGER_SIDE if preparation.shrink else 0) as stored:
        profile = stored.info.get("icc_profile") if stored.mode == "RGB" else None
        lossless = stored.format in _LOSSLESS and not preparation.shrink
        picture = opaque(upright(_on_screen(stored), orientation_of(stored)), preparation.background or WHITE)
    if preparation.shrink:
        picture.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture = _fitted(picture, preparation)
    if lossless and picture.width * picture.height <= _LOSSLESS_PIXELS:
        data = _encoded(picture, "PNG", profile, compress_level=6)
        if len(data) <= preparation.max_bytes:
            target.write_bytes(data)
            return "image/png"
    target.write_bytes(_jpeg_within(picture, preparation.max_bytes, profile, name))
    return "image/jpeg"


def _on_screen(image: Image.Image) -> Image.Image:
    """Return a picture for print in the colours of screens, through its own profile where it has one."""
    if image.mode not in {"CMYK", "LAB", "YCbCr", "HSV"}:
        return image
    profile = image.info.get("icc_profile")
    if profile and image.mode in {"CMYK", "LAB"}:
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            shown = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
        else:
            return _with_exif_of(image, cast("Image.Image", shown))
    return _with_exif_of(image, image.convert("RGB"))


def _with_exif_of(image: Image.Image, shown: Image.Image) -> Image.Image:
    shown.info["stored_size"] = image.size
    return shown


def _fitted(picture: Image.Image, preparation: Preparation) -> Image.Image:
    """Return a picture within the limits of its aspect, padded or cropped around its middle."""
    size = fitted_size(picture.size, preparation)
    if size == picture.size:
        return picture
    left, top = (size[0] - picture.width) // 2, (size[1] - picture.height) // 2
    fitted = Image.new("RGB", size, preparation.background or WHITE)
    fitted.paste(picture, (left, top))  # what lies outside is cut
    return fitted


def fitted_size(size: tuple[int, int], preparation: Preparation) -> tuple[int, int]:
    """Return the size of a picture after `Preparation.fit`."""
    width, height = size
    low, high = preparation.min_aspect, preparation.max_aspect
    if preparation.fit is None:
        return size
    if high is not None and width / height > high:
        return (width, math.ceil(width / high)) if preparation.fit == "pad" else (math.floor(height * high), height)
    if low is not None and width / height < low:
        return (math.ceil(height * low), height) if preparation.fit == "pad" else (width, math.floor(width / low))
    return size


def _jpeg_within(picture: Image.Image, max_bytes: int, profile: bytes | None, name: str) -> bytes:
    while True:
        for quality in _QUALITIES:
            data = _encoded(picture, "JPEG", profile, quality=quality)
            if len(data) <= max_bytes:
                return data
        side = round(max(picture.size) * _SMALLER)
        if side < _SMALLEST:
            raise Unreadable(f"{name} does not fit into {max_bytes} bytes.", remedy="Upload a smaller image.")
        picture = picture.copy()
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)


def _encoded(picture: Image.Image, kind: str, profile: bytes | None, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, icc_profile=profile, **options)
    return file.getvalue()


# Sounds


def _prepare_sound(source: Path, target: Path, span_ms: tuple[int, int] | None, name: str) -> str:
    """Write the sound, or a part of it, as WAV of 16 bits, mono or stereo."""
    with open_media(source, name) as container:
        stream = decodable_sound(container)
        if stream is None:
            raise Unreadable(
                f"{name} holds sound in a codec that can't be read here.", remedy="Export it as WAV or MP3."
            )
        context = stream.codec_context
        layout = "mono" if context.channels == 1 else "stereo"
        rate = context.sample_rate if context.sample_rate in _RATES else 48_000
        first, end = ((ms * rate + 500) // 1000 for ms in span_ms) if span_ms else (0, round(_LONGEST_SOUND * rate))
        width = 2 if layout == "mono" else 4
        resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
        with wave.open(str(target), "wb") as out:
            out.setnchannels(width // 2)
            out.setsampwidth(2)
            out.setframerate(rate)
            read = 0
            for part in _resampled(container, stream, resampler):
                taken = bytes(part.planes[0])[max(0, first - read) * width : min(part.samples, end - read) * width]
                out.writeframesraw(taken)
                read += part.samples
                if read >= end:
                    break
    return "audio/wav"


def _resampled(
    container: av.container.InputContainer, stream: av.AudioStream, resampler: av.AudioResampler
) -> Iterator[av.AudioFrame]:
    for frame in container.decode(stream):
        frame.pts = None  # gaps in the time stamps are not silence
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


# Videos

_USUAL_RATES = (Fraction(24), Fraction(25), Fraction(30), Fraction(50), Fraction(60))


def _prepare_video(source: Path, target: Path, preparation: Preparation, name: str) -> str:
    """Write the video as MP4 with H.264 and AAC, upright, with evenly spaced frames; sound without a decoder is left out."""
    with open_media(source, name) as container:
        pictures = moving_streams(container)
        if not pictures or not has_decoder(pictures[0]):
            raise Unreadable(f"{name} contains no video that can be decoded.", remedy="Export it as MP4 (H.264).")
        with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as out:
            if preparation.copy_picture:
                _copy_picture(container, pictures[0], out)
            else:
                _encode(container, pictures[0], decodable_sound(container), out)
    return "video/mp4"


def _copy_picture(
    container: av.container.InputContainer, picture: av.VideoStream, out: av.container.OutputContainer
) -> None:
    copied = out.add_stream_from_template(picture)
    for packet in container.demux(picture):
        if packet.dts is not None:
            packet.stream = copied
            out.mux(packet)


def _encode(
    container: av.container.InputContainer,
    picture: av.VideoStream,
    sound: av.AudioStream | None,
    out: av.container.OutputContainer,
) -> None:
    rate = _rate_of(picture)
    drawn: Any = None
    heard = out.add_stream("aac", rate=48_000, layout="stereo") if sound is not None else None
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48_000)
    number, start = 0, None
    last: av.VideoFrame | None = None
    streams = [stream for stream in (picture, sound) if stream is not None]
    for packet in container.demux(streams):
        for frame in _decoded(packet):
            if isinstance(frame, av.AudioFrame):
                frame.pts = None
                for part in resampler.resample(frame):
                    out.mux(cast("Any", heard).encode(part))
                continue
            if drawn is None:
                drawn = _drawing(out, picture, frame, rate)
            at = Fraction(frame.pts or 0) * (frame.time_base or Fraction(1, 90_000))
            start = at if start is None else start
            due = round((at - start) * rate)
            while last is not None and number < due:  # a gap shows the picture before it
                number = _draw(out, drawn, last, number)
            last = _shown(picture, frame, drawn)
    if last is not None:
        _draw(out, drawn, last, number)
        out.mux(drawn.encode(None))
    if heard is not None:
        for part in resampler.resample(None):
            out.mux(cast("Any", heard).encode(part))
        out.mux(cast("Any", heard).encode(None))


def _decoded(packet: Any) -> list[Any]:
    try:
        return list(packet.decode())
    except av.InvalidDataError:  # a broken frame is left out, as players do
        return []


def _rate_of(picture: av.VideoStream) -> Fraction:
    rate = picture.average_rate or picture.guessed_rate or Fraction(30)
    nearest = min(_USUAL_RATES, key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest - rate) < 1 or rate > 60 or rate < 10 else Fraction(rate).limit_denominator(1001)


def _drawing(out: av.container.OutputContainer, picture: av.VideoStream, frame: av.VideoFrame, rate: Fraction) -> Any:
    width, height, _ = displayed_size(picture, frame)
    stream = out.add_stream("libx264", rate=rate, options={"crf": "17", "preset": "veryfast"})
    stream.width, stream.height = width - width % 2, height - height % 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


def _shown(picture: av.VideoStream, frame: av.VideoFrame, drawn: Any) -> av.VideoFrame:
    if round(frame.rotation) % 360:
        turned = to_picture(picture, frame).crop((0, 0, drawn.width, drawn.height))
        frame = av.VideoFrame.from_ndarray(np.asarray(turned), format="rgb24")
    return frame.reformat(width=drawn.width, height=drawn.height, format="yuv420p")


def _draw(out: av.container.OutputContainer, drawn: Any, frame: av.VideoFrame, number: int) -> int:
    frame.pts, frame.time_base = number, 1 / drawn.codec_context.framerate
    out.mux(drawn.encode(frame))
    return number + 1
