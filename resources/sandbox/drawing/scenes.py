"""Pictures for requests without any: a landscape in the seed's colours, or a person who can speak."""

import colorsys
import random

import cv2
import numpy as np
from numpy.typing import NDArray

from resources.sandbox.drawing.motion import Pose
from resources.sandbox.drawing.picture import Planes


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def landscape(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """Return sky, a sun and three rows of hills."""
    dice = random.Random(f"scene/{seed}")  # noqa: S311 - no secret
    hue = dice.random()
    top, bottom = np.array(_colour(hue, 0.55, 0.55)), np.array(_colour(hue + 0.08, 0.25, 0.95))
    share = np.linspace(0, 1, height)[:, None, None]
    picture = np.ascontiguousarray(np.broadcast_to(top + (bottom - top) * share, (height, width, 3)), dtype=np.uint8)
    unit = min(width, height)
    sun = (round(width * dice.uniform(0.2, 0.8)), round(height * dice.uniform(0.15, 0.4)))
    cv2.circle(picture, sun, round(unit * 0.08), _colour(hue + 0.1, 0.15, 1.0), -1, cv2.LINE_AA)
    across = np.linspace(0, 1, 128)
    for row in range(3):
        waves = sum(
            dice.uniform(0.02, 0.07) * np.sin(across * dice.uniform(3, 16) + dice.uniform(0, 6)) for _ in range(3)
        )
        edge = (0.55 + 0.13 * row + waves) * height
        outline = np.stack([across * (width - 1), edge], axis=1)
        polygon = np.vstack([outline, [[width - 1, height], [0, height]]]).round().astype(np.int32)
        cv2.fillPoly(picture, [polygon], _colour(hue + 0.35, 0.5, 0.55 - 0.15 * row), cv2.LINE_AA)
    return picture


class Speaker:
    """A drawn person whose mouth opens with the voice.

    Args:
        width: Width of the video.
        height: Height of the video.
        seed: Determines the colours.
    """

    def __init__(self, width: int, height: int, seed: int) -> None:
        dice = random.Random(f"speaker/{seed}")  # noqa: S311 - no secret
        self._unit = min(width, height)
        self._centre = (width / 2, height * 0.47)
        hue = dice.random()
        picture = landscape(width, height, seed)
        picture = cv2.GaussianBlur(picture, (0, 0), self._unit * 0.02).astype(np.uint8)
        skin = _colour(0.07, dice.uniform(0.25, 0.55), dice.uniform(0.55, 0.95))
        hair, shirt = _colour(hue, 0.5, 0.25), _colour(hue + 0.5, 0.6, 0.6)
        self._ellipse(picture, (0, 0.62), (0.42, 0.32), shirt)
        self._ellipse(picture, (0, 0.27), (0.10, 0.16), tuple(round(part * 0.85) for part in skin))
        self._ellipse(picture, (0, -0.05), (0.235, 0.29), hair)
        self._ellipse(picture, (0, 0.01), (0.20, 0.26), skin)
        for side in (-1, 1):
            self._ellipse(picture, (0.08 * side, -0.04), (0.034, 0.020), (250, 250, 250))
            self._ellipse(picture, (0.08 * side, -0.04), (0.015, 0.017), (40, 30, 30))
            self._ellipse(picture, (0.08 * side, -0.09), (0.045, 0.009), hair)
        self._ellipse(picture, (0, 0.05), (0.018, 0.035), tuple(round(part * 0.9) for part in skin))
        self.picture = picture

    def _ellipse(
        self, picture: NDArray[np.uint8], at: tuple[float, float], radii: tuple[float, float], colour: tuple[int, ...]
    ) -> None:
        centre = tuple(round(middle + part * self._unit) for middle, part in zip(self._centre, at, strict=True))
        axes = (round(radii[0] * self._unit), round(radii[1] * self._unit))
        cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def speak(self, planes: Planes, pose: Pose, loudness: float) -> None:
        """Draw the mouth at the pose's face, as wide open as the voice is loud (0 to 1)."""
        height, width = planes.y.shape
        # The inverse of the camera's transformation, without its small rotation.
        right = ((self._centre[0] / width - 0.5) - pose.right) * pose.zoom + 0.5
        down = (((self._centre[1] + 0.15 * self._unit) / height - 0.5) - pose.down) * pose.zoom + 0.5
        for plane, value in zip(planes.all, (70, 110, 165), strict=True):  # dark red in BT.601
            scale = plane.shape[0] / height
            centre = (round(right * width * scale), round(down * height * scale))
            axes = (
                max(1, round(0.062 * self._unit * pose.zoom * scale)),
                max(1, round((0.006 + 0.06 * loudness) * self._unit * pose.zoom * scale)),
            )
            cv2.ellipse(plane, centre, axes, 0, 0, 360, value, -1, cv2.LINE_AA)
