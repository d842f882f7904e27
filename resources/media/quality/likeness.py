"""Whether the video starts from its source image."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resources.media.pictures import upright

COMPARED_SIDE = 96
"""Size at which both pictures are compared: small enough that a started push-in or a fine shift costs little, large
enough that another picture of the same kind fails."""

_MARGIN = 10
"""Pixels at each side of the frame that are not compared, so that it may be shifted by that much (10 %)."""
_INSETS = (0.0, 0.02, 0.04, 0.06, 0.08)
"""A model may start slightly closer in than the image: parts of each side that are tried as cut away."""
_BLUR = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""The constants of SSIM (Wang et al. 2004) for 8 bits."""
_FLAT = 2.0
"""A frame with a smaller spread of brightness shows nothing and matches nothing."""

Grey = NDArray[np.float32]


def first_frame_match(frame: Image.Image, source: Image.Image) -> float:
    """Return how similar a first frame is to its source image: 1 is the same picture, others stay below 0.2.

    Structural similarity (SSIM) of brightness at the best position among shifts of up to 10 % and insets of up to 8 %.
    Local values are weighted by their detail, so that a plain sky cannot make two pictures alike. The source is rotated
    as displayed and brought to the frame's aspect, by cropping and by stretching.
    """
    shown = upright(source).convert("L")
    patch = _array(frame.convert("L"))[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    if float(patch.std()) < _FLAT:
        return 0.0
    return max(_at_best_position(patch, _array(shown, box)) for box in _boxes(shown, frame.width / frame.height))


def _boxes(shown: Image.Image, ratio: float) -> list[tuple[float, float, float, float]]:
    if shown.width / shown.height > ratio:
        width, height = shown.height * ratio, float(shown.height)
    else:
        width, height = float(shown.width), shown.width / ratio
    boxes = [(0.0, 0.0, float(shown.width), float(shown.height))]
    for inset in _INSETS:
        across, down = width * (0.5 - inset), height * (0.5 - inset)
        middle, centre = shown.width / 2, shown.height / 2
        boxes.append((middle - across, centre - down, middle + across, centre + down))
    return boxes


def _array(image: Image.Image, box: tuple[float, float, float, float] | None = None) -> Grey:
    size = (COMPARED_SIDE, COMPARED_SIDE)
    return np.asarray(image.resize(size, Image.Resampling.BOX, box=box, reducing_gap=3.0), dtype=np.float32)


def _blurred(values: Grey, sigma: float = _BLUR) -> Grey:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), dtype=np.float32)


def _at_best_position(patch: Grey, whole: Grey) -> float:
    places = cv2.matchTemplate(_blurred(whole, 1.0), _blurred(patch, 1.0), cv2.TM_CCOEFF_NORMED)
    _, _, _, (left, top) = cv2.minMaxLoc(places)
    return _ssim(patch, whole[top : top + patch.shape[0], left : left + patch.shape[1]])


def _ssim(one: Grey, other: Grey) -> float:
    mean_one, mean_other = _blurred(one), _blurred(other)
    var_one = np.maximum(_blurred(one * one) - mean_one**2, 0)
    var_other = np.maximum(_blurred(other * other) - mean_other**2, 0)
    both = _blurred(one * other) - mean_one * mean_other
    top = (2 * mean_one * mean_other + _C1) * (2 * both + _C2)
    bottom = (mean_one**2 + mean_other**2 + _C1) * (var_one + var_other + _C2)
    to_see = np.sqrt(var_one) + np.sqrt(var_other) + 1e-3
    return float(np.sum(top / bottom * to_see) / np.sum(to_see))
