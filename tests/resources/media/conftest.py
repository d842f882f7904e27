"""Small real media, made with PyAV from the project's samples."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Sound = NDArray[np.float32]

RATE = 48_000
FPS = 24


@pytest.fixture(scope="session")
def samples() -> Path:
    return Path(__file__).parents[3] / "i2v_assets" / "samples"


def zoom(picture: Image.Image, frames: int, size: tuple[int, int] = (320, 180), speed: float = 0.004) -> list[Pixels]:
    """A picture filling the frame, slowly pushed in: a clip as the service would make one, but simple."""
    width, height = size
    scale = max(width / picture.width, height / picture.height)
    fitted = picture.convert("RGB").resize((round(picture.width * scale), round(picture.height * scale)))
    left, top = (fitted.width - width) / 2, (fitted.height - height) / 2
    shown = []
    for number in range(frames):
        inset = number * speed
        box = (left + width * inset, top + height * inset, left + width * (1 - inset), top + height * (1 - inset))
        shown.append(np.asarray(fitted.resize(size, Image.Resampling.BILINEAR, box=box)))
    return shown


def hum(seconds: float, level: float = 0.2) -> Sound:
    """A mono sound whose loudness moves: two tones that beat, at ``RATE``."""
    at = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 220 * at) * (0.6 + 0.4 * np.sin(2 * np.pi * 1.3 * at)) + 0.3 * np.sin(
        2 * np.pi * 660 * at
    )
    return (tone * level).astype(np.float32)


def load_sound(path: Path, seconds: float | None = None) -> Sound:
    """A sound file as mono floats at ``RATE``."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    whole = np.concatenate(parts)
    return whole if seconds is None else whole[: round(seconds * RATE)]


def write_video(
    path: Path,
    frames: Iterable[Pixels],
    *,
    fps: int = FPS,
    sound: Sound | None = None,
    rate: int = RATE,
    times: list[float] | None = None,
    crf: int = 23,
) -> Path:
    """Write an MP4 (H.264, AAC) of these frames; ``times`` places each frame, in seconds."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": str(crf)})
        voice = container.add_stream("aac", rate=rate, layout="mono") if sound is not None else None
        picture.pix_fmt = "yuv420p"
        base = Fraction(1, 90_000)
        picture.codec_context.time_base = base
        for number, pixels in enumerate(frames):
            if number == 0:
                picture.width, picture.height = pixels.shape[1], pixels.shape[0]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = round((times[number] if times else number / fps) / base)
            frame.time_base = base
            frame.duration = round(1 / fps / base)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if voice is not None and sound is not None:
            part = av.AudioFrame.from_ndarray(sound[np.newaxis, :].astype(np.float32), format="fltp", layout="mono")
            part.sample_rate = rate
            part.pts = 0
            part.time_base = Fraction(1, rate)
            container.mux(voice.encode(part))
            container.mux(voice.encode(None))
    return path


@pytest.fixture
def zooming(samples: Path) -> Callable[..., list[Pixels]]:
    """Frames that push in on a sample image: ``zooming(file, frames, **of_zoom)``."""

    def make(file: str, frames: int, **changes: object) -> list[Pixels]:
        with Image.open(samples / file) as picture:
            return zoom(picture, frames, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def writing() -> Callable[..., Path]:
    """``write_video`` for tests: ``writing(path, frames, **of_write_video)``."""
    return write_video


@pytest.fixture
def sounds(samples: Path) -> Callable[..., Sound]:
    """A sample sound as mono floats: ``sounds(file, seconds)``."""
    return lambda file, seconds=None: load_sound(samples / file, seconds)


@pytest.fixture
def video(tmp_path: Path, samples: Path) -> Callable[..., Path]:
    """Make a passing clip of two seconds; keyword arguments replace what should fail."""

    def make(name: str = "clip.mp4", **changes: object) -> Path:
        with Image.open(samples / "environment.jpg") as picture:
            shown = zoom(picture, 2 * FPS)
        asked: dict[str, object] = {"frames": shown, "sound": hum(2), **changes}
        return write_video(tmp_path / name, **asked)  # type: ignore[arg-type]

    return make
