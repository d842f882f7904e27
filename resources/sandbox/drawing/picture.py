"""Pictures as YUV planes: drawing on planes halves the work compared with RGB frames that are converted later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from resources.sandbox.drawing.motion import Pose

Plane = NDArray[np.uint8]

_OVERSIZE = 1.2
"""Size of the base picture relative to the video, so that zooming in stays sharp."""


@dataclass(frozen=True, slots=True)
class Planes:
    """One picture in 4:2:0: luma, and two chroma planes of half its sides.

    Attributes:
        y: Luma.
        u: First chroma plane.
        v: Second chroma plane.
    """

    y: Plane
    u: Plane
    v: Plane

    @classmethod
    def from_rgb(cls, rgb: NDArray[np.uint8]) -> Self:
        """Return the planes of an RGB picture with even sides."""
        height, width = rgb.shape[:2]
        return cls.over(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1), width, height)

    @classmethod
    def over(cls, flat: NDArray[Any], width: int, height: int) -> Self:
        """Return views into one flat buffer in I420 order."""
        luma, chroma = width * height, width * height // 4
        return cls(
            flat[:luma].reshape(height, width),
            flat[luma : luma + chroma].reshape(height // 2, width // 2),
            flat[luma + chroma : luma + 2 * chroma].reshape(height // 2, width // 2),
        )

    @property
    def all(self) -> tuple[Plane, Plane, Plane]:
        """Return the three planes."""
        return self.y, self.u, self.v


def cover(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale and crop so that the picture fills the size."""
    source_height, source_width = rgb.shape[:2]
    scale = max(width / source_width, height / source_height)
    scaled_width, scaled_height = max(width, round(source_width * scale)), max(height, round(source_height * scale))
    scaled = cv2.resize(
        rgb, (scaled_width, scaled_height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    # A third from the top, because heads are there.
    left, top = (scaled_width - width) // 2, (scaled_height - height) // 3
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], dtype=np.uint8)


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """Return an image as displayed (EXIF rotation applied), transparency over grey.

    Raises:
        OSError: it cannot be read.
    """
    with Image.open(path) as image:
        image.draft("RGB", (4096, 4096))  # large JPEGs are decoded smaller
        upright = _upright(image)
        if upright.mode in ("RGBA", "LA", "P"):
            layer = upright.convert("RGBA")
            upright = Image.new("RGBA", layer.size, (128, 128, 128, 255))
            upright.alpha_composite(layer)
        return np.asarray(upright.convert("RGB"), dtype=np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (TypeError, ValueError, KeyError):  # EXIF that Pillow reads and can't write back
        image.info.pop("exif", None)
        return image


class Camera:
    """Renders a still picture from a pose.

    Args:
        rgb: The picture.
        width: Width of the video.
        height: Height of the video.
    """

    def __init__(self, rgb: NDArray[np.uint8], width: int, height: int) -> None:
        self._width, self._height = width, height
        large = max(1.0, min(_OVERSIZE, rgb.shape[1] / width, rgb.shape[0] / height))
        base_width, base_height = (round(side * large / 2) * 2 for side in (width, height))
        self._base = Planes.from_rgb(cover(rgb, base_width, base_height))

    def _matrix(self, pose: Pose, base: Plane, target: Plane) -> NDArray[np.float64]:
        """Return the matrix from target pixels to base pixels."""
        height, width = target.shape
        base_height, base_width = base.shape
        to_unit = np.array([[1 / width, 0, 0.5 / width - 0.5], [0, 1 / height, 0.5 / height - 0.5], [0, 0, 1]])
        look = np.array([[1 / pose.zoom, 0, pose.right], [0, 1 / pose.zoom, pose.down], [pose.yaw, 0, 1]])
        to_base = np.array(
            [[base_width, 0, 0.5 * base_width - 0.5], [0, base_height, 0.5 * base_height - 0.5], [0, 0, 1]]
        )
        return np.asarray(to_base @ look @ to_unit, dtype=np.float64)

    def look(self, pose: Pose, into: Planes) -> None:
        """Draw what the camera sees into the planes."""
        for base, target in zip(self._base.all, into.all, strict=True):
            matrix = self._matrix(pose, base, target)
            size = (target.shape[1], target.shape[0])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            if pose.yaw:
                cv2.warpPerspective(base, matrix, size, target, flags, cv2.BORDER_REFLECT_101)
            else:
                cv2.warpAffine(base, matrix[:2], size, target, flags, cv2.BORDER_REFLECT_101)
