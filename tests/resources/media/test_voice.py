"""Voices are told from everything else, with music under them, and in any container."""

from pathlib import Path

import av
import numpy as np
import pytest

from resources.media.scan import scan_media
from resources.media.voice import voice_share

RATE = 24_000


def written(path: Path, wave: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        samples = (np.clip(wave, -1, 1) * 32_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def heard(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(parts)


def pad(seconds: float) -> np.ndarray:
    """Return a chord with a slow tremolo and a beat."""
    at = np.arange(int(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * at) for hertz in (220.0, 277.2, 329.6)) / 6
    beat = np.sin(2 * np.pi * 60 * at) * np.exp(-12 * (at % 0.5))
    return np.asarray(chord * (0.7 + 0.3 * np.sin(2 * np.pi * 0.5 * at)) + 0.4 * beat)


@pytest.mark.parametrize("name", ["voiceover-en.mp3", "voiceover-es.mp3", "voiceover-de.wav"])
def test_a_voice_is_heard(samples: Path, name: str) -> None:
    assert voice_share(samples / name) > 0.8


def test_ambience_music_and_silence_are_no_voice(samples: Path, tmp_path: Path) -> None:
    assert voice_share(samples / "ambience.mp3") == 0
    assert voice_share(written(tmp_path / "pad.wav", pad(5))) < 0.05
    assert voice_share(written(tmp_path / "silent.wav", np.zeros(RATE * 3))) == 0


def test_a_voice_under_music_after_a_pause_is_heard(samples: Path, tmp_path: Path) -> None:
    voice = heard(samples / "voiceover-en.mp3")
    whole = np.concatenate([np.zeros(RATE * 4), voice, np.zeros(RATE * 4)])
    mixed = 0.9 * whole + 0.2 * pad(len(whole) / RATE)[: len(whole)]
    assert voice_share(written(tmp_path / "mixed.wav", mixed)) > 0.2
    assert voice_share(written(tmp_path / "alone.wav", whole)) > 0.8, "silence is no part of the sound"


def test_the_scan_of_an_upload_tells_it(samples: Path) -> None:
    found = scan_media(samples / "ambience.mp3", "ambience.mp3", 5_000, 160)
    assert found.facts.model_dump()["speech"] == 0
