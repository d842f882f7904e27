from datetime import UTC, datetime

import pytest

from i2v_assets.clip_folder.manifest import Manifest


@pytest.fixture
def fields() -> dict[str, object]:
    """A complete manifest's fields; a test changes one."""
    return {
        "clip": "shoes--0001",
        "take": 1,
        "service": "runcomfy",
        "route": "multi_modal",
        "reasons": ("two images",),
        "family": "seedance-2.0/pro",
        "model_id": "bytedance/seedance-2.0/pro",
        "prompt": "Die Kamera fährt langsam heran ✨",
        "seed": 7,
        "duration": 5,
        "resolution": "1080p",
        "media": (
            {"kind": "image", "name": "0001.jpg", "key": "uploads/shoes/0001.jpg", "sha256": "a" * 64, "size_bytes": 9},
        ),
        "fingerprint": "f" * 64,
        "request_id": "6b1d6a36-3a50-4b7e-8a5f-52e9ce6ad0c1",
        "price_microdollars": 1_200_000,
        "cost_microdollars": 1_150_000,
        "times": {
            "created": datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
            "delivered": datetime(2026, 3, 1, 10, 4, 30, tzinfo=UTC),
        },
        "video": {
            "key": "videos/" + "f" * 64 + ".mp4",
            "sha256": "b" * 64,
            "size_bytes": 4_000_000,
            "width": 1920,
            "height": 1080,
            "seconds": 5.04,
        },
        "quality": 0.93,
        "other_takes": ({"take": 2, "fingerprint": "e" * 64, "seed": 8, "video_key": "videos/" + "e" * 64 + ".mp4"},),
        "versions": {"i2v-assets": "0.1.0"},
    }


@pytest.fixture
def manifest(fields: dict[str, object]) -> Manifest:
    return Manifest.model_validate(fields)
