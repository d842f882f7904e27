"""Tell screenshots and pages of text from photographs: models redraw letters, and small ones become unreadable.

Measured in rows of a working copy: a screen or a page is flat between sharp steps (letters, lines), a photograph changes a
little nearly everywhere. On 9 screenshots, 14 pages and slides (as PNG, and as JPEG at quality 60), and 21 photographs and crops
of them the share of steps that are sharp was 0.31 to 0.78 for the first two and at most 0.17 for photographs, 0.19 with a
headline laid over one. A screenshot that shows many photographs had 0.23 and counts as a photograph.
"""

import numpy as np
from PIL import Image

LEVEL_STEP, SHARP_STEP = 8, 48
"""Grey levels of 255 between two pixels: the first are more than noise and JPEG's own ripples, the second a letter's edge."""

SHARP_SHARE = 0.25
"""Smallest share of sharp ones among all steps, between the two groups."""

FLAT_STEP, FLAT_SHARE = 2, 0.4
"""Pixels that differ by at most so much are flat, and so is at least this part of a page."""

BUSY, BUSY_ROWS = 0.03, 0.1
"""A row in which so many pixels are sharp steps holds text: 0.02 for one line across a drawing. At least this part of the rows."""


def looks_graphic(image: Image.Image) -> bool:
    """Return whether an image looks like a screenshot or a page of text."""
    grey = np.asarray(image.convert("L"), dtype=np.int16)
    steps = np.abs(np.diff(grey, axis=1))
    if not steps.size:
        return False
    sharp = steps >= SHARP_STEP
    changes = int((steps > LEVEL_STEP).sum())
    if not changes or sharp.sum() / changes < SHARP_SHARE:
        return False
    flat = (steps <= FLAT_STEP).mean()
    busy = (sharp.mean(axis=1) >= BUSY).mean()
    return bool(flat >= FLAT_SHARE and busy >= BUSY_ROWS)
