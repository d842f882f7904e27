"""The size of a shot's last frame before the shot is made."""

from types import SimpleNamespace
from typing import Any

import pytest

from i2v_assets.pipeline.foreseen_frame import USUAL_SIZE, foreseen_frame, frame_size


def planned(resolution: str, aspect_ratio: str | None) -> Any:
    return SimpleNamespace(inputs=SimpleNamespace(resolution=resolution, aspect_ratio=aspect_ratio))


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "size"),
    [
        ("720p", "16:9", (1280, 720)),
        ("768p", "9:16", (768, 1365)),
        ("1080p", "1:1", (1080, 1080)),
        ("2k", "16:9", (2560, 1440)),
        ("4k", "9:16", (2160, 3840)),
        ("", "16:9", USUAL_SIZE),
        ("0p", "16:9", USUAL_SIZE),
        ("1080p", "adaptive", (1080, 1620)),
        ("1080p", None, (1080, 1620)),
    ],
)
def test_a_frame_has_the_tier_s_shorter_side_in_the_shape_that_is_asked_for_or_the_image_s(
    resolution: str, aspect_ratio: str | None, size: tuple[int, int]
) -> None:
    image = foreseen_frame("image.png", (400, 600))
    assert frame_size(planned(resolution, aspect_ratio), [image]) == size


def test_without_an_image_the_shape_is_the_usual_one() -> None:
    assert frame_size(planned("1080p", None), []) == (1920, 1080)
