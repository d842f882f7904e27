"""Whether there is sound, how loud it is, and whether it is the given voice."""

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from resources.media.containers import open_media

Wave = NDArray[np.float32]

VOICE_RATE = 8_000
"""Voices are compared at telephone quality: enough to distinguish them, and cheap."""
MAX_VOICE_SECONDS = 60.0
"""Seconds of a sound kept for the comparison (1.9 MB); the longest voiceover that an endpoint takes has 30 s."""

_ENVELOPE_RATE = 100
_WINDOW_SECONDS = 0.05
_CLIPPED_AT = 0.995
_SILENT_DBFS = -60.0
_FLOOR_DBFS = -120.0
_MAX_OFFSET_SECONDS = 5.0
_MAX_OFFSET_PART = 1 / 3
"""Maximum offset, relative to the shorter sound. A later voice counts as missing, and every further offset is one more
chance for another voice to match (of 2 s of another voice 23 % passed with offsets up to a half, 11 % with a third)."""
_AT_ONCE_SECONDS = 1.0
"""Sound that is counted in one go: a frame has 20 ms, and to ask the filter and the array library for each costs more than
their work."""
_LEAST_ENVELOPE = 0.5
_CHANCE_ENVELOPE = 1.0
"""Times 1 / sqrt(seconds that overlap): the loudness curves of two voices agree by chance up to about that much. Measured
on all windows of the sample voiceovers against one another: 0.77 at 1.5 s, 0.67 at 2 s, 0.54 at 3 s, 0.45 at 4 s."""
_MOST_CHANCE = 0.97


class SoundFigures(NamedTuple):
    """Figures of a whole sound; names as in ``Measures``."""

    sound_seconds: float
    loudness_lufs: float | None
    peak_dbfs: float
    clipped: float
    silent: float


class LoudnessMeter:
    """Integrated loudness (EBU R 128) with FFmpeg's own filter, fed frame by frame."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._last: dict[str, str] = {}
        self._unread = 0.0

    def add(self, frame: av.AudioFrame | None) -> None:
        """Add the next frame; None at the end."""
        if self._graph is None:
            if frame is None:
                return
            self._graph = Graph()
            source = self._graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format.name,
                layout=frame.layout.name,
                time_base=frame.time_base,
            )
            meter, sink = self._graph.add("ebur128", "metadata=1"), self._graph.add("abuffersink")
            self._graph.link_nodes(source, meter, sink).configure()
        self._graph.push(frame)
        self._unread += frame.samples / frame.sample_rate if frame is not None else 0.0
        if self._unread >= _AT_ONCE_SECONDS:
            self._unread = 0.0
            self._read(self._graph)

    def _read(self, graph: Graph) -> None:
        while True:
            try:
                metadata = graph.pull().metadata
            except (BlockingIOError, EOFError):
                return
            self._last = metadata or self._last  # the last piece, shorter than 0.1 s, carries none

    @property
    def lufs(self) -> float | None:
        """Return the integrated loudness so far; None if it is shorter than its window of 0.4 s, or digital silence."""
        if self._graph is not None:
            self._read(self._graph)
        value = self._last.get("lavfi.r128.I")
        # -70 is the gate below which R 128 counts nothing.
        return None if value is None or float(value) <= -70.0 else float(value)


class SoundMeter:
    """Takes the frames of a sound in order; keeps a few numbers, and telephone quality for the voice comparison."""

    def __init__(self, *, keep_voice: bool) -> None:
        self._loudness = LoudnessMeter()
        self._floats = av.AudioResampler(format="fltp")
        self._voice = VoiceKeeper() if keep_voice else None
        self._samples = 0
        self._clipped = 0
        self._peak = 0.0
        self._rate = 0
        self._windows = 0
        self._silent = 0
        self._rest: Wave = np.zeros(0, np.float32)
        self._frames: list[av.AudioFrame] = []
        self._waiting_seconds = 0.0

    def add(self, frame: av.AudioFrame) -> None:
        """Add the next decoded frame."""
        self._frames.append(frame)
        self._waiting_seconds += frame.samples / frame.sample_rate
        if self._waiting_seconds >= _AT_ONCE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Count the frames that wait."""
        frames, self._frames, self._waiting_seconds = self._frames, [], 0.0
        waves: list[Wave] = []
        for frame in frames:
            self._loudness.add(frame)
            if self._voice is not None:
                self._voice.add(frame)
            for part in self._floats.resample(frame):
                wave = np.asarray(part.to_ndarray(), dtype=np.float32)
                if waves and (part.sample_rate != self._rate or len(wave) != len(waves[0])):
                    self._count(np.concatenate(waves, axis=1))
                    waves = []
                self._rate = part.sample_rate
                waves.append(wave)
        if waves:
            self._count(np.concatenate(waves, axis=1))

    def _count(self, wave: Wave) -> None:
        rate = self._rate
        loud = np.abs(wave).max(axis=0)
        self._samples += loud.size
        self._clipped += int((loud >= _CLIPPED_AT).sum())
        self._peak = max(self._peak, float(loud.max(initial=0.0)))
        waiting = np.concatenate([self._rest, np.square(wave, dtype=np.float32).mean(axis=0)])
        window = max(1, round(rate * _WINDOW_SECONDS))
        whole = waiting.size // window
        powers = waiting[: whole * window].reshape(whole, window).mean(axis=1)
        self._windows += whole
        self._silent += int((powers < 10 ** (_SILENT_DBFS / 10)).sum())
        self._rest = waiting[whole * window :]

    def result(self) -> SoundFigures | None:
        """Return the figures; None if there was no sound at all."""
        self.flush()
        self._loudness.add(None)
        if not self._samples:
            return None
        return SoundFigures(
            sound_seconds=self._samples / self._rate,
            loudness_lufs=self._loudness.lufs,
            peak_dbfs=max(_FLOOR_DBFS, 20 * float(np.log10(max(self._peak, 1e-9)))),
            clipped=self._clipped / self._samples,
            silent=self._silent / self._windows if self._windows else 0.0,
        )

    @property
    def voice(self) -> Wave:
        """Return the sound at ``VOICE_RATE``, at most ``MAX_VOICE_SECONDS`` of it."""
        return self._voice.wave if self._voice is not None else np.zeros(0, np.float32)


class VoiceKeeper:
    """Keeps the beginning of a sound at ``VOICE_RATE``, mono."""

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=VOICE_RATE)
        self._parts: list[Wave] = []
        self._kept = 0

    @property
    def full(self) -> bool:
        """Return True if nothing more is kept."""
        return self._kept >= MAX_VOICE_SECONDS * VOICE_RATE

    def add(self, frame: av.AudioFrame | None) -> None:
        """Add the next decoded frame; None at the end."""
        if self.full:
            return
        for part in self._resampler.resample(frame):
            self._parts.append(np.asarray(part.to_ndarray()[0], dtype=np.float32))
            self._kept += part.samples

    @property
    def wave(self) -> Wave:
        """Return the kept samples."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


def load_voice(path: Path) -> Wave:
    """Return a sound file at ``VOICE_RATE``, mono, at most ``MAX_VOICE_SECONDS`` of it.

    Raises:
        Unreadable: no sound, or damaged.
    """
    keeper = VoiceKeeper()
    with open_media(path) as container:
        for frame in container.decode(audio=0):
            keeper.add(frame)
            if keeper.full:
                break
        else:
            keeper.add(None)
    return keeper.wave


class VoiceMatch(NamedTuple):
    """How well one sound matches within another, 0 to 1, and by how many seconds it is later there."""

    waveform: float
    envelope: float
    offset: float


def match_voice(sound: Wave, given: Wave) -> VoiceMatch:
    """Find the given voice in a sound.

    Compared by waveform (exact, survives encoding) and by loudness curve (survives another voice colour, speed of
    filters, added music). Curves match by chance, the more the shorter they overlap, and such matches are below 0.5.
    The offset is that of the better method.
    """
    lags, match, _ = _matches(sound, given, VOICE_RATE)
    waveform, at_wave = _best(lags, match)
    lags, match, overlap = _matches(_envelope(sound), _envelope(given), _ENVELOPE_RATE)
    envelope, at_envelope = _best(lags, _beyond_chance(match, overlap))
    offset = at_wave / VOICE_RATE if waveform >= min(0.3, envelope) else at_envelope / _ENVELOPE_RATE
    return VoiceMatch(waveform, envelope, offset)


def _envelope(wave: Wave) -> Wave:
    step = VOICE_RATE // _ENVELOPE_RATE
    whole = wave.size // step
    power = np.square(wave[: whole * step]).reshape(whole, step).mean(axis=1)
    loud = np.sqrt(power)
    # Pauses and syllables count, not single bangs: compressed, then without the slow part that all speech shares.
    return np.asarray(np.sqrt(loud), dtype=np.float32)


def _beyond_chance(match: NDArray[np.float64], overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale matches of loudness curves so that likely chance matches on so short an overlap (in seconds) are below 0.5."""
    chance = np.clip(_CHANCE_ENVELOPE / np.sqrt(np.maximum(overlap, 1e-3)), _LEAST_ENVELOPE, _MOST_CHANCE)
    return np.where(match < chance, 0.5 * match / chance, 0.5 + 0.5 * (match - chance) / (1 - chance))


def _best(lags: NDArray[np.int_], match: NDArray[np.float64]) -> tuple[float, int]:
    best = int(np.argmax(match))
    return float(np.clip(match[best], 0.0, 1.0)), int(lags[best])


def _matches(sound: Wave, given: Wave, rate: int) -> tuple[NDArray[np.int_], NDArray[np.float64], NDArray[np.float64]]:
    """Return the lags, the normalised correlation at each, and the seconds of overlap."""
    size = min(sound.size, given.size)
    if size < rate // 4:
        return np.zeros(1, np.int_), np.zeros(1), np.zeros(1)
    sound, given = sound - sound.mean(), given - given.mean()
    length = 1 << int(sound.size + given.size - 1).bit_length()
    spectrum = np.fft.rfft(sound, length) * np.conj(np.fft.rfft(given, length))
    product = np.fft.irfft(spectrum, length)
    reach = int(min(_MAX_OFFSET_SECONDS * rate, size * _MAX_OFFSET_PART))
    lags = np.arange(-reach, reach + 1)
    power_sound = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    power_given = np.concatenate([[0.0], np.cumsum(np.square(given, dtype=np.float64))])
    start_sound, start_given = np.maximum(lags, 0), np.maximum(-lags, 0)
    overlap = np.minimum(sound.size - start_sound, given.size - start_given)
    powers = (power_sound[start_sound + overlap] - power_sound[start_sound]) * (
        power_given[start_given + overlap] - power_given[start_given]
    )
    # An overlap without power (silence) matches nothing.
    least = 1e-6 * power_sound[-1] * power_given[-1]
    match = np.where(powers > max(least, 1e-12), product[lags] / np.sqrt(np.maximum(powers, 1e-12)), 0.0)
    return lags, match, overlap / rate
