"""Overlays of the picture: the SANDBOX mark, the voice's level, and the references."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from resources.sandbox.drawing.picture import Planes

_BLACK, _WHITE, _NEUTRAL = 16, 235, 128
"""Video levels of BT.601: black, white, and no colour."""


@lru_cache(maxsize=16)
def _mark_alpha(height: int) -> NDArray[np.float32]:
    """Return the word as coverage, 0 to 1, in a box of even sides."""
    font = ImageFont.load_default(size=max(10, round(height * 0.026)))
    left, top, right, bottom = font.getbbox("SANDBOX")
    width, depth = (int(side) // 2 * 2 for side in (right - left + 14, bottom - top + 10))
    image = Image.new("L", (width, depth), 0)
    ImageDraw.Draw(image).text((7 - left, 5 - top), "SANDBOX", fill=255, font=font)
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def draw_mark(planes: Planes) -> None:
    """Draw the word SANDBOX on a dark box in the lower right corner."""
    height, width = planes.y.shape
    alpha = _mark_alpha(min(height, width))
    depth, length = alpha.shape
    bottom, right = height - depth // 2 // 2 * 2, width - depth // 2 // 2 * 2
    box = planes.y[bottom - depth : bottom, right - length : right]
    dark = box * np.float32(0.35) + np.float32(_BLACK * 0.65)
    box[:] = (dark + (_WHITE - dark) * alpha).astype(np.uint8)
    for plane in (planes.u, planes.v):
        part = plane[(bottom - depth) // 2 : bottom // 2, (right - length) // 2 : right // 2]
        part[:] = (part * np.float32(0.35) + np.float32(_NEUTRAL * 0.65)).astype(np.uint8)


def draw_level(planes: Planes, level: float, frame: int) -> None:
    """Draw nine bars at the lower edge that move with the voice (0 to 1)."""
    height, width = planes.y.shape
    unit = min(height, width)
    bar, gap, tallest = max(2, unit // 80 * 2), max(2, unit // 120 * 2), unit // 8
    left = (width - 9 * bar - 8 * gap) // 4 * 2
    floor = height - unit // 40 * 2
    for place in range(9):
        wave = 0.7 + 0.3 * np.sin(frame * 0.9 + place * 1.7)
        tall = max(2, int(tallest * level * wave * (1 - abs(place - 4) / 7)) // 2 * 2)
        start = left + place * (bar + gap)
        planes.y[floor - tall : floor, start : start + bar] = _WHITE
        for plane in (planes.u, planes.v):
            plane[(floor - tall) // 2 : floor // 2, start // 2 : (start + bar) // 2] = _NEUTRAL


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle in luma pixels, all even."""

    left: int
    top: int
    width: int
    height: int


def place_of(number: int, width: int, height: int, aspect: float) -> Place:
    """Return the place of a reference: the upper corners in turn, about a third of the width."""
    tall = round(min(height * 0.36, width * 0.36 / aspect) / 2) * 2
    wide = round(tall * aspect / 2) * 2
    margin = min(width, height) // 50 * 2
    return Place(margin if number % 2 == 0 else (width - margin - wide) // 2 * 2, margin, wide, tall)


def draw_inset(planes: Planes, inset: Planes, place: Place, opacity: float) -> None:
    """Draw a small picture with a light frame over the large one."""
    for plane, small, scale, edge in (
        (planes.y, inset.y, 1, _WHITE),
        (planes.u, inset.u, 2, _NEUTRAL),
        (planes.v, inset.v, 2, _NEUTRAL),
    ):
        left, top = place.left // scale, place.top // scale
        height, width = small.shape
        framed = small.copy()
        rim = max(1, 4 // scale)
        framed[:rim] = framed[-rim:] = edge
        framed[:, :rim] = framed[:, -rim:] = edge
        target = plane[top : top + height, left : left + width]
        if opacity >= 1:
            target[:] = framed
        else:
            target[:] = (target * np.float32(1 - opacity) + framed * np.float32(opacity)).astype(np.uint8)
