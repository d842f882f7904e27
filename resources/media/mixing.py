"""The sound of a film, piece by piece: crossfaded shots over tracks, with its loudness normalised at the end."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from resources.media.containers import decodable_sound, moving_streams, open_media
from resources.media.quality.sound import LoudnessMeter
from resources.media.timeline import Span

Wave = NDArray[np.float32]
"""Two channels of samples."""

RATE = 48_000
_BASE = Fraction(1, RATE)
_PIECE = 4_800
_CLICK_FREE = RATE // 200
"""5 ms: a cut in the middle of a wave clicks, and a fade this short is inaudible."""

MAX_GAIN_DB = 20.0
"""Limit of the gain: a nearly silent film is not made loud, because that would amplify its noise."""
_LIMIT_MARGIN_DB = 1.0
"""Between the limiter (samples) and the promised true peak: room for peaks between samples and for AAC's ringing."""


class Track(BaseModel):
    """A sound under the whole film: music or a voice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str = ""
    gain_db: float = 0.0
    loop: bool = False
    """Starts again if it is shorter than the film."""
    fade_out_seconds: float = Field(0.0, ge=0)


def _start(stream: av.VideoStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or Fraction(0)))


class _Reader:
    """Reads a sound in pieces of any length, stereo at ``RATE``; silence if there is none (no path) or no more."""

    def __init__(self, stack: ExitStack, path: Path | None, name: str, *, loop: bool = False) -> None:
        self._path, self._name, self._loop = path, name, loop
        self._waiting: Wave = np.zeros((2, 0), np.float32)
        self._pieces = self._decoded()
        stack.callback(self._pieces.close)

    def _decoded(self) -> Generator[Wave, None, None]:
        while self._path is not None:
            samples_read = 0
            with open_media(self._path, self._name) as container:
                sound = decodable_sound(container)
                if sound is None:
                    return
                pictures = moving_streams(container)
                start = _start(pictures[0]) if pictures else None
                resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
                for frame in container.decode(sound):
                    # Sound alone begins with its first sample: an MP3's time stamps count its encoder's padding.
                    starts = frame.time if start is not None and not samples_read else None
                    if starts is not None and (late := round((starts - (start or 0.0)) * RATE)) > 0:
                        yield np.zeros((2, min(late, 60 * RATE)), np.float32)
                    for part in resampler.resample(frame):
                        samples_read += part.samples
                        yield np.asarray(part.to_ndarray(), dtype=np.float32)
                for part in resampler.resample(None):
                    samples_read += part.samples
                    yield np.asarray(part.to_ndarray(), dtype=np.float32)
            if not self._loop or not samples_read:
                return

    def read(self, samples: int) -> Wave:
        parts, there = [self._waiting], self._waiting.shape[1]
        while there < samples and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            there += piece.shape[1]
        whole = np.concatenate(parts, axis=1)
        self._waiting = whole[:, samples:]
        taken = whole[:, :samples]
        missing = samples - taken.shape[1]
        return taken if not missing else np.pad(taken, ((0, 0), (0, missing)))


class _Voice:
    """One shot's sound with its fades; ``at`` is the position read so far, from the shot's start."""

    def __init__(self, reader: _Reader, span: Span, fade_in: int, fade_out: int) -> None:
        self._reader, self._length = reader, span.length
        self._fade_in, self._fade_out = fade_in, fade_out
        self._at = 0

    def read(self, samples: int) -> Wave:
        wave = self._reader.read(samples)
        at = np.arange(self._at, self._at + samples, dtype=np.float32) + 0.5
        self._at += samples
        rise = np.clip(at / max(1, self._fade_in), 0, 1)
        fall = np.clip((self._length - at) / max(1, self._fade_out), 0, 1)
        # Equal power: two different sounds keep their loudness during the crossfade.
        return wave * (np.sin(rise * np.pi / 2) * np.sin(fall * np.pi / 2)).astype(np.float32)


def mixed(
    shots: Sequence[tuple[Path, str]], spans: Sequence[Span], tracks: Sequence[Track], *, own_sound: bool = True
) -> Iterator[Wave]:
    """Yield the film's sound in pieces of at most 0.1 s, as loud as its sources.

    Args:
        shots: each shot's file and name.
        spans: their places in samples.
        tracks: sounds under the whole film.
        own_sound: the shots' own sound is heard; otherwise the tracks alone are.

    Raises:
        Unreadable: a file is damaged.
    """
    total = spans[-1].end
    with ExitStack() as stack:
        below = [(track, _Reader(stack, track.path, track.name, loop=track.loop)) for track in tracks]
        before: _Voice | None = None
        closing = stack.enter_context(ExitStack())
        done = 0
        for number, ((path, name), span) in enumerate(zip(shots, spans, strict=True)):
            fade_out = spans[number + 1].overlap if number + 1 < len(spans) else 0
            opened = stack.enter_context(ExitStack())
            own = _Reader(opened, path if own_sound else None, name)
            voice = _Voice(own, span, span.overlap or _CLICK_FREE, fade_out or _CLICK_FREE)
            while done < span.end - fade_out:
                shared = span.start + span.overlap - done
                size = min(_PIECE, span.end - fade_out - done, shared if shared > 0 else _PIECE)
                piece = voice.read(size)
                if shared > 0 and before is not None:
                    piece = piece + before.read(size)
                for track, reader in below:
                    piece = piece + _track_piece(track, reader, done, size, total)
                yield piece
                done += size
            # The shot before has ended: of a film of hundreds, two are open.
            closing.close()
            before, closing = voice, opened


def _track_piece(track: Track, reader: _Reader, start: int, size: int, total: int) -> Wave:
    piece = reader.read(size) * np.float32(10 ** (track.gain_db / 20))
    if not track.fade_out_seconds:
        return piece
    left = (total - np.arange(start, start + size, dtype=np.float32)) / (track.fade_out_seconds * RATE)
    return np.asarray(piece * np.clip(left, 0, 1), dtype=np.float32)


def to_frame(wave: Wave, at: int) -> av.AudioFrame:
    """Return samples as a frame at a position in samples."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave, dtype=np.float32), format="fltp", layout="stereo")
    frame.sample_rate = RATE
    frame.pts = at
    frame.time_base = _BASE
    return frame


class Levels(BaseModel):
    """Loudness of a whole sound."""

    model_config = ConfigDict(frozen=True)

    lufs: float | None
    """Integrated; None for silence."""
    peak_dbfs: float


def measure_levels(pieces: Iterator[Wave]) -> Levels:
    """Return the loudness and peak of a sound, reading it once."""
    meter, peak, at = LoudnessMeter(), 0.0, 0
    for piece in pieces:
        peak = max(peak, float(np.abs(piece).max(initial=0.0)))
        meter.add(to_frame(piece, at))
        at += piece.shape[1]
    meter.add(None)
    return Levels(lufs=meter.lufs, peak_dbfs=20 * float(np.log10(max(peak, 1e-6))))


def gain_for(levels: Levels, target_lufs: float) -> float:
    """Return the decibels that bring a sound to the target loudness; 0 for silence, never more than ``MAX_GAIN_DB``."""
    return 0.0 if levels.lufs is None else min(MAX_GAIN_DB, target_lufs - levels.lufs)


def levelled(pieces: Iterator[Wave], levels: Levels, gain_db: float, true_peak_db: float) -> Iterator[Wave]:
    """Yield the sound with a gain; FFmpeg's look-ahead limiter reduces peaks above the limit, if there are any."""
    ceiling = true_peak_db - _LIMIT_MARGIN_DB
    if levels.peak_dbfs + gain_db <= ceiling:
        for piece in pieces:
            yield piece * np.float32(10 ** (gain_db / 20))
        return
    graph = Graph()
    nodes = [
        graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=_BASE),
        graph.add("volume", f"{gain_db}dB"),
        graph.add("alimiter", f"limit={ceiling}dB:level=0:latency=1:attack=5:release=60"),
        graph.add("aformat", "sample_fmts=fltp"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    at = 0
    for piece in pieces:
        graph.push(to_frame(piece, at))
        at += piece.shape[1]
        yield from _pulled(graph)
    graph.push(None)
    yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[Wave]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        if isinstance(frame, av.AudioFrame):
            yield np.asarray(frame.to_ndarray(), dtype=np.float32)
