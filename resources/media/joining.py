"""Joins shots to a film: normalised, with cuts and crossfades, encoded into one file while they are read."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import av.container
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from resources.media import mixing
from resources.media.containers import open_media
from resources.media.facts import VideoFacts
from resources.media.frames import picture_stream
from resources.media.probe import displayed_size, probe_video
from resources.media.quality.sound import LoudnessMeter
from resources.media.timeline import Timeline, plan_timeline

Planes = NDArray[np.uint8]
"""A picture as YUV 4:2:0: the luma rows, followed by the chroma rows."""

_BLACK, _NO_COLOUR = 16, 128
_SEAM_SIDE = 64


class Shot(BaseModel):
    """One clip of a film, and its transition from the clip before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str = ""
    crossfade: float = Field(0.0, ge=0)
    """Seconds of overlap with the shot before; 0 is a cut."""
    seconds: Fraction | None = Field(None, gt=0)
    """How long it is shown: a longer video is cut there, the last picture of a shorter one stays. None: to its end."""

    @property
    def label(self) -> str:
        """Return the shot's name for people."""
        return self.name or self.path.name


class FilmOptions(BaseModel):
    """Options of the film; None takes what most of the shots have, by length."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int | None = Field(None, ge=16)
    height: int | None = Field(None, ge=16)
    fps: Fraction | None = None
    tracks: tuple[mixing.Track, ...] = ()
    own_sound: bool = True
    """The shots' own sound is heard; otherwise the tracks alone are."""
    loudness_lufs: float | None = -16.0
    """Integrated loudness of the whole film; platforms for short videos use -14 to -18. None leaves it as it is."""
    true_peak_db: float = -1.5
    """Highest peak after encoding (EBU R 128 and the platforms ask for -1 to -2)."""
    crf: int = Field(18, ge=0, le=51)
    """x264's quality; 18 cannot be distinguished from the shots."""
    preset: str = "veryfast"
    metadata: Mapping[str, str] = {}
    """Written into the file."""


class Seam(BaseModel):
    """The boundary between two shots."""

    model_config = ConfigDict(frozen=True)

    at_seconds: float
    """Start of the second shot in the film."""
    crossfade_seconds: float
    before: str
    after: str
    colour_step: float
    """Distance of the mean colours in CIELAB: about 2 is barely visible, above 10 it looks like another scene."""
    picture_step: float
    """Mean difference in grey levels between the last picture of one and the first of the other."""


class Film(BaseModel):
    """The written film."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    frames: int
    width: int
    height: int
    fps: float
    seams: tuple[Seam, ...]
    sound: bool
    loudness_before_lufs: float | None
    loudness_lufs: float | None
    gain_db: float
    size_bytes: int


def join(shots: Sequence[Shot], output: Path, options: FilmOptions | None = None) -> Film:
    """Write a film (MP4, H.264 and AAC) of shots in order.

    Shots of other sizes get black bars, other frame rates are resampled, missing sound is silence. Two shots are open
    at a time with one frame of each, so memory does not grow with the film.

    Args:
        shots: at least one.
        output: written to a file beside it first, so that it is complete or missing.
        options: size, rate, tracks, loudness.

    Raises:
        CannotJoin: no shots, or crossfades longer than their shots.
        Unreadable: a shot or a track is damaged, or a shot is not a video.
    """
    options = options or FilmOptions()
    facts = [probe_video(shot.path, shot.label) for shot in shots]
    fps = options.fps or _usual([(_rate(one), one.seconds) for one in facts]) if facts else Fraction(24)
    timeline = plan_timeline(
        [
            (
                shot.label,
                shot.seconds or Fraction(one.seconds).limit_denominator(90_000),
                Fraction(shot.crossfade).limit_denominator(1000),
            )
            for shot, one in zip(shots, facts, strict=True)
        ],
        fps,
    )
    width, height = _size(options, facts)
    files = [(shot.path, shot.label) for shot in shots]
    spans = timeline.in_samples(mixing.RATE)
    sound = bool(options.tracks) or (options.own_sound and any(one.audio_codec for one in facts))

    def heard() -> Iterator[mixing.Wave]:
        return mixing.mixed(files, spans, options.tracks, own_sound=options.own_sound)

    levels, gain = mixing.Levels(lufs=None, peak_dbfs=-120.0), 0.0
    if sound and options.loudness_lufs is not None:
        levels = mixing.measure_levels(heard())
        gain = mixing.gain_for(levels, options.loudness_lufs)
    partial = output.with_name(f".{output.name}.part")
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container:
            container.metadata.update(options.metadata)
            writer = _Writer(container, (width, height), fps, options, sound=sound)
            pieces = mixing.levelled(heard(), levels, gain, options.true_peak_db)
            written = writer.write(_pictures(shots, timeline, (width, height), writer.seams), pieces)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return Film(
        seconds=float(timeline.seconds),
        frames=timeline.frames,
        width=width,
        height=height,
        fps=float(fps),
        seams=tuple(writer.seams),
        sound=sound,
        loudness_before_lufs=levels.lufs,
        loudness_lufs=written.lufs,
        gain_db=round(gain, 2),
        size_bytes=output.stat().st_size,
    )


def _rate(facts: VideoFacts) -> Fraction:
    """Return the frame rate as a fraction that players know: 24, 25, 30, 24000/1001, ..."""
    for known in (
        Fraction(24),
        Fraction(25),
        Fraction(30),
        Fraction(50),
        Fraction(60),
        Fraction(24_000, 1001),
        Fraction(30_000, 1001),
    ):
        if abs(facts.fps - float(known)) < 0.005:
            return known
    return max(Fraction(1), Fraction(facts.fps).limit_denominator(100))


def _usual(weighed: list[tuple[Fraction, float]]) -> Fraction:
    seconds: Counter[Fraction] = Counter()
    for value, weight in weighed:
        seconds[value] += weight  # type: ignore[assignment]
    return max(seconds, key=lambda value: seconds[value])


def _size(options: FilmOptions, facts: Sequence[VideoFacts]) -> tuple[int, int]:
    if options.width and options.height:
        return options.width & ~1, options.height & ~1
    seconds: dict[tuple[int, int], float] = {}
    for one in facts:
        size = (one.width & ~1, one.height & ~1)
        seconds[size] = seconds.get(size, 0.0) + one.seconds
    return max(seconds, key=lambda size: seconds[size])


class _Writer:
    """Encodes pictures and sound side by side."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        size: tuple[int, int],
        fps: Fraction,
        options: FilmOptions,
        *,
        sound: bool,
    ) -> None:
        self.seams: list[Seam] = []
        self._container, self._fps = container, fps
        self._picture = container.add_stream(
            "libx264", rate=fps, options={"preset": options.preset, "crf": str(options.crf), "rc-lookahead": "20"}
        )
        self._picture.width, self._picture.height = size
        self._picture.pix_fmt = "yuv420p"
        context = self._picture.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1  # ITU-R BT.709
        context.color_range = ColorRange.MPEG
        self._sound = (
            container.add_stream("aac", rate=mixing.RATE, layout="stereo", bit_rate=192_000) if sound else None
        )
        self._meter = LoudnessMeter()
        self._samples = 0

    def write(self, pictures: Iterator[Planes], pieces: Iterator[mixing.Wave]) -> mixing.Levels:
        """Write everything and return the sound's real level."""
        peak = 0.0
        for number, planes in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / self._fps
            frame.colorspace, frame.color_range = 1, ColorRange.MPEG
            self._container.mux(self._picture.encode(frame))
            # The sound is written along with the picture: the file plays from its start, and nothing piles up.
            while self._sound is not None and self._samples < (number + 1) / self._fps * mixing.RATE:
                piece = next(pieces, None)
                if piece is None:
                    break
                peak = max(peak, float(np.abs(piece).max(initial=0.0)))
                self._hear(piece)
        if self._sound is not None:
            for piece in pieces:
                self._hear(piece)
            self._meter.add(None)
            self._container.mux(self._sound.encode(None))
        self._container.mux(self._picture.encode(None))
        return mixing.Levels(lufs=self._meter.lufs, peak_dbfs=20 * float(np.log10(max(peak, 1e-6))))

    def _hear(self, piece: mixing.Wave) -> None:
        if self._sound is None:
            return
        self._meter.add(mixing.to_frame(piece, self._samples))
        self._container.mux(self._sound.encode(mixing.to_frame(piece, self._samples)))
        self._samples += piece.shape[1]


def _pictures(shots: Sequence[Shot], timeline: Timeline, size: tuple[int, int], seams: list[Seam]) -> Iterator[Planes]:
    """Yield the film's pictures in order; ``seams`` is filled meanwhile."""
    before: _Open | None = None
    last: Planes | None = None
    for number, (shot, span) in enumerate(zip(shots, timeline.spans, strict=True)):
        following = timeline.spans[number + 1].overlap if number + 1 < len(timeline.spans) else 0
        current = _Open(_shot_pictures(shot, span.length, timeline.fps, size))
        for step in range(span.overlap):
            last, here = before.next() if before is not None else current.first, current.next()
            share = (step + 1) / (span.overlap + 1)
            yield np.asarray(cv2.addWeighted(last, 1 - share, here, share, 0.0), dtype=np.uint8)
        if last is not None:
            seams.append(_seam(shots[number - 1], shot, timeline, number, _Meeting(last, current.first)))
        if before is not None:
            before.close()
        last = current.first
        for _ in range(span.length - span.overlap - following):
            last = current.next()
            yield last
        before = current
    if before is not None:
        before.close()


class _Open:
    """An open shot. Its first picture is known at once and is repeated as the first of its pictures."""

    def __init__(self, pictures: Generator[Planes, None, None]) -> None:
        self.first = next(pictures)
        self._pictures = pictures
        # A crossfade may be as long as the shot: then the first picture is shown only when the next shot asks for it.
        self._coming = chain([self.first], pictures)

    def next(self) -> Planes:
        return next(self._coming)

    def close(self) -> None:
        self._pictures.close()


class _Meeting(NamedTuple):
    last: Planes
    first: Planes


def _seam(before: Shot, after: Shot, timeline: Timeline, number: int, meeting: _Meeting) -> Seam:
    span = timeline.spans[number]
    one, other = _small(meeting.last), _small(meeting.first)
    colours = [
        cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).mean(axis=(0, 1)) for small in (one, other)
    ]
    greys = [cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) for small in (one, other)]
    return Seam(
        at_seconds=round(float(span.start / timeline.fps), 3),
        crossfade_seconds=round(float(span.overlap / timeline.fps), 3),
        before=before.label,
        after=after.label,
        colour_step=round(float(np.linalg.norm(colours[0] - colours[1])), 2),
        picture_step=round(float(np.mean(cv2.absdiff(greys[0], greys[1]))), 2),
    )


def _small(planes: Planes) -> Planes:
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    small = frame.reformat(
        width=_SEAM_SIDE,
        height=_SEAM_SIDE,
        format="rgb24",
        interpolation=Interpolation.AREA,
        src_colorspace=Colorspace.ITU709,
    )
    return np.asarray(small.to_ndarray(), dtype=np.uint8)


def _shot_pictures(shot: Shot, frames: int, fps: Fraction, size: tuple[int, int]) -> Generator[Planes, None, None]:
    """Yield exactly ``frames`` pictures of a shot at the film's rate and size: each is the one shown at its time."""
    with open_media(shot.path, shot.label) as container:
        stream = picture_stream(container, shot.label)
        decoding = iter(container.decode(stream))
        current = next(decoding)
        start = current.time or 0.0
        following = next(decoding, None)
        planes: Planes | None = None
        for number in range(frames):
            # Half a millisecond of tolerance: time stamps are rounded to the container's clock.
            while following is not None and (following.time or 0.0) - start <= float(number / fps) + 5e-4:
                current, following, planes = following, next(decoding, None), None
            if planes is None:
                planes = _fitted(stream, current, size)
            yield planes


def _fitted(stream: av.VideoStream, frame: av.VideoFrame, size: tuple[int, int]) -> Planes:
    """Return a frame as displayed, scaled to fit, on black."""
    width, height, rotation = displayed_size(stream, frame)
    scale = min(size[0] / width, size[1] / height)
    # Within one percent the picture is stretched: bars of a few pixels look like a fault.
    inner_width = size[0] if abs(width * scale / size[0] - 1) < 0.01 else max(2, round(width * scale / 2) * 2)
    inner_height = size[1] if abs(height * scale / size[1] - 1) < 0.01 else max(2, round(height * scale / 2) * 2)
    if rotation:
        stored = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(stored, rotation // 90)), format="rgb24")
    inner = frame.reformat(
        width=inner_width,
        height=inner_height,
        format="yuv420p",
        interpolation=Interpolation.BICUBIC,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
    )
    pixels = np.asarray(inner.to_ndarray(), dtype=np.uint8)
    if (inner_width, inner_height) == size:
        return pixels
    return _padded(pixels, (inner_width, inner_height), size)


def _padded(inner: Planes, inner_size: tuple[int, int], size: tuple[int, int]) -> Planes:
    width, height = size
    across, down = inner_size
    left, top = (width - across) // 4 * 2, (height - down) // 4 * 2
    whole = np.full((height * 3 // 2, width), _NO_COLOUR, np.uint8)
    whole[:height] = _BLACK
    whole[top : top + down, left : left + across] = inner[:down]
    # Each chroma plane consists of half-wide rows, two to a row of the array.
    for plane in range(2):
        target = whole[height:].reshape(2, height // 2, width // 2)[plane]
        source = inner[down:].reshape(2, down // 2, across // 2)[plane]
        target[top // 2 : (top + down) // 2, left // 2 : (left + across) // 2] = source
    return whole
