"""Measured media without files."""

from collections.abc import Callable
from typing import Any

import pytest

from i2v_assets.planning.media import MeasuredMedium
from resources.media.facts import AudioFacts, ImageFacts, VideoFacts
from resources.schemas.inputs import Medium, MediumKind

Make = Callable[..., MeasuredMedium]


def _medium(kind: MediumKind, name: str, size: int) -> Medium:
    import hashlib

    digest = hashlib.sha256(name.encode()).hexdigest()
    return Medium(kind=kind, sha256=digest, key=f"uploads/{name}", size_bytes=size, content_type=f"{kind}/x")


@pytest.fixture
def image() -> Make:
    def make(name: str = "hero.jpg", **changed: Any) -> MeasuredMedium:
        facts = {
            "width": 1600,
            "height": 1200,
            "format": "JPEG",
            "mode": "RGB",
            "animated": False,
            "size_bytes": 500_000,
        }
        facts |= changed
        return MeasuredMedium(_medium(MediumKind.IMAGE, name, facts["size_bytes"]), name, ImageFacts(**facts))

    return make


@pytest.fixture
def audio() -> Make:
    def make(name: str = "voice.mp3", seconds: float = 6.2, **changed: Any) -> MeasuredMedium:
        facts = {
            "seconds": seconds,
            "codec": "mp3",
            "container": "mp3",
            "sample_rate": 44100,
            "channels": 1,
            "size_bytes": 90_000,
        }
        facts |= changed
        return MeasuredMedium(_medium(MediumKind.AUDIO, name, facts["size_bytes"]), name, AudioFacts(**facts))

    return make


@pytest.fixture
def video() -> Make:
    def make(name: str = "move.mp4", seconds: float = 5.0, **changed: Any) -> MeasuredMedium:
        facts = {
            "seconds": seconds, "width": 1280, "height": 720, "fps": 24.0, "frames": 120, "video_codec": "h264",
            "audio_codec": None, "container": "mp4", "size_bytes": 900_000,
        }  # fmt: skip
        facts |= changed
        return MeasuredMedium(_medium(MediumKind.VIDEO, name, facts["size_bytes"]), name, VideoFacts(**facts))

    return make
