"""The video's sound: the voiceover, or an ambience generated from the seed."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
CHANNELS = 2

Samples = NDArray[np.float32]
"""Shape (channels, samples), -1 to 1."""


def load_sound(path: Path, seconds: float) -> Samples:
    """Return a decoded sound at the video's rate.

    Longer ones are cut, shorter ones padded with silence (as the model does).

    Raises:
        av.FFmpegError: it cannot be decoded.
    """
    wanted = round(seconds * SAMPLE_RATE)
    samples = np.zeros((CHANNELS, wanted), dtype=np.float32)
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
    at = 0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                block = part.to_ndarray()[:, : wanted - at]
                samples[:, at : at + block.shape[1]] = block
                at += block.shape[1]
            if at >= wanted:
                break
    return samples


def ambience(seed: int, seconds: float) -> Samples:
    """Return wind over a soft chord; around -26 dBFS."""
    dice = np.random.default_rng(seed)
    wanted = round(seconds * SAMPLE_RATE)
    time = np.arange(wanted, dtype=np.float32) / SAMPLE_RATE
    frequencies = np.fft.rfftfreq(wanted, 1 / SAMPLE_RATE)
    # Pink noise without rumble and hiss, different in each ear.
    shape = np.where((frequencies > 60) & (frequencies < 4000), 1 / np.sqrt(np.maximum(frequencies, 1)), 0)
    wind = []
    for _ in range(CHANNELS):
        spectrum = shape * np.exp(2j * np.pi * dice.random(len(frequencies)))
        noise = np.fft.irfft(spectrum, wanted).astype(np.float32)
        wind.append(noise / (np.sqrt(np.mean(noise**2)) + 1e-12))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * dice.uniform(0.12, 0.3) * time + dice.uniform(0, 6.28))
    root = 110 * 2 ** (dice.integers(0, 12) / 12)
    chord = sum(
        np.sin(2 * np.pi * root * ratio * time + dice.uniform(0, 6.28)) * (0.6 + 0.4 * np.sin(0.7 * time + place))
        for place, ratio in enumerate((1, 1.5, 2, 2.52))
    )
    mix = np.stack(wind) * swell * 0.035 + np.asarray(chord) * 0.012
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.05)  # no click at the ends
    return np.asarray(mix * fade, dtype=np.float32)


def loudness(samples: Samples, frames: int) -> NDArray[np.float32]:
    """Return the loudness of each video frame, from 0 to 1 of the sound's own loud passages."""
    mono = samples.mean(axis=0)
    edges = np.linspace(0, len(mono), frames + 1).astype(int)
    levels = np.array([np.sqrt(np.mean(mono[a:b] ** 2)) if b > a else 0.0 for a, b in pairwise(edges)])
    loud = float(np.percentile(levels, 95)) if frames else 0.0
    if loud < 1e-4:  # silence
        return np.zeros(frames, dtype=np.float32)
    return np.asarray(np.clip(levels / loud, 0, 1), dtype=np.float32)
