"""Find the pauses of a voice by its level; runs in a process of the pool."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from resources.media.containers import decodable_sound, open_media
from resources.media.errors import Unreadable
from resources.media.facts import VoicePauses

PAUSES_VERSION: Final = 1
"""Increment when the same sound would get other pauses: what was remembered by an older version is measured again."""

SHORTEST_PAUSE_MS: Final = 200
"""Shorter gaps are within words: a closed consonant is silent for up to 150 ms."""

_BLOCK_MS: Final = 10
_RATE: Final = 16_000
"""Samples a second to measure by: all of speech that carries its level lies below 8 kHz."""

_BLOCK: Final = _RATE * _BLOCK_MS // 1000
_FLOOR_DB: Final = -100.0
_LOUD, _QUIET = 90, 5
"""Percentiles of the blocks' levels that stand for speech and for what lies under it."""

_RANGE_DB: Final = 50.0
"""Silence counts as this far below speech: a recording without any noise would otherwise set the limit too low."""

_SHARE: Final = 0.35
"""Where between the quiet and the loud level a block counts as a pause: breath and room lie below, voiced sounds above."""

_LEAST_RANGE_DB: Final = 6.0
"""A sound whose level differs by less has no pauses: it is a tone, or music that never stops."""


def find_pauses(path: Path, name: str) -> VoicePauses:
    """Return the pauses of a sound of at least `SHORTEST_PAUSE_MS`, those at its start and end too.

    Raises:
        Unreadable: it holds no sound that can be decoded.
    """
    levels, samples = _levels(path, name)
    total_ms = samples * 1000 // _RATE
    if not len(levels):
        return VoicePauses(total_ms=total_ms, pauses=())
    loud, quiet = (float(np.percentile(levels, share)) for share in (_LOUD, _QUIET))
    quiet = max(quiet, loud - _RANGE_DB)
    if loud - quiet < _LEAST_RANGE_DB:
        return VoicePauses(total_ms=total_ms, pauses=())
    silent = levels < quiet + _SHARE * (loud - quiet)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False])).astype(np.int8)))
    spans = ((int(start) * _BLOCK_MS, min(int(end) * _BLOCK_MS, total_ms)) for start, end in edges.reshape(-1, 2))
    return VoicePauses(
        total_ms=total_ms, pauses=tuple(span for span in spans if span[1] - span[0] >= SHORTEST_PAUSE_MS)
    )


def _levels(path: Path, name: str) -> tuple[NDArray[np.float64], int]:
    """Return the level of each block in decibels below full scale, and the samples of the whole."""
    levels: list[NDArray[np.float64]] = []
    waiting = np.zeros(0, np.float32)
    samples = 0
    for piece in _decoded(path, name):
        samples += len(piece)
        waiting = np.concatenate((waiting, piece))
        whole = len(waiting) // _BLOCK * _BLOCK
        levels.append(_decibels(waiting[:whole].reshape(-1, _BLOCK)))
        waiting = waiting[whole:]
    if len(waiting):
        levels.append(_decibels(waiting.reshape(1, -1)))
    return np.concatenate(levels) if levels else np.zeros(0), samples


def _decibels(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10))))


def _decoded(path: Path, name: str) -> Iterator[NDArray[np.float32]]:
    """Yield the sound as mono samples at `_RATE`."""
    with open_media(path, name) as container:
        stream = decodable_sound(container)
        if stream is None:
            raise Unreadable(
                f"{name} holds sound in a codec that can't be read here.", remedy="Export it as WAV or MP3."
            )
        resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
        for frame in container.decode(stream):
            frame.pts = None  # gaps in the time stamps are not silence
            for part in resampler.resample(frame):
                yield np.asarray(part.to_ndarray(), dtype=np.float32).reshape(-1)
        for part in resampler.resample(None):
            yield np.asarray(part.to_ndarray(), dtype=np.float32).reshape(-1)
