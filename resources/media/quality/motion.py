"""Whether the picture moves, and as one shot; measured on small grey frames, one at a time."""

from collections import deque
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

SMALL_SIDE = 160
"""Longer side of the frames that are compared, in pixels: noise and encoding are averaged away, movement is not."""

STILL_CHANGE = 0.06
"""Mean change in grey levels from one frame to the next below which both show the same. Measured at 160 px: encoded
stills change by 0.01 to 0.04 (median), the slowest visible push in (0.5 % a second) by 0.11 or more."""
_BASE_SECONDS = 0.25
_STILL_CHANGE_BASE = 0.42
"""The same against the picture a quarter of a second ago: movement adds up (the slowest push in: 0.45 to 1.6), what the
encoder does to a still does not (0 mostly, up to 0.41 at 720p where it refines or starts a new group)."""
_BLOCKS = (8, 6)
"""Blocks across and down: a camera that stands still leaves the mean of a frame at rest while a mouth moves in one block."""
_BLOCK_CHANGE = 0.08
"""Mean change of the block that changes most, from one frame to the next. Frozen pictures through H.264 (720p and 360p, CRF 18
to 36, groups of 12 frames and longer): 0.02 at most (median). A mouth of 1 % of the frame: 1.8 to 5, of 0.5 %: 0.3 to 2.8;
a puff of steam over 3 %: 0.15 to 0.3, a faint one over 1 %: 0.05 to 0.12."""
_BLOCK_CHANGE_BASE = 0.4
"""The same against the picture a quarter of a second ago. Frozen: 0.09 at most (median); the steam: 0.9 to 1.8, the faint one
0.23 to 0.65."""
_BLOCK_OVER_MEAN = 4.0
"""A block counts if it stands out from the frame: an encoder that refines a still changes many blocks at once (the
largest 2 to 3 times the mean), a mouth or steam one or two (10 to 48 times). With these limits 91 % or more of a frozen
video counts as still (as before), and at most 28 % of one with such a mouth or such steam."""
_BUMP = 0.5
"""A single change this small between stills comes from the encoder, not from movement."""

_BLACK_MEAN, _BLACK_SPREAD = 24.0, 6.0
"""A black frame in video range has 16, and next to no texture; night scenes have lights."""

_JUMP_CHANGE = 18.0
"""Mean change of a cut between two pictures; the fastest zoom that was measured (10 % a second) gives 8."""
_JUMP_OVER_USUAL = 5.0
"""A cut stands out from the changes around it; steady fast movement does not."""
_JUMP_LIKENESS = 0.7
"""Correlation of the frames before and after a cut lies below it; a flash changes brightness, not what is seen."""


class MotionFigures(NamedTuple):
    """Figures of a whole video; names as in ``Measures``."""

    black: float
    motion: float
    still: float
    longest_still_seconds: float
    changes: int
    wander: float
    jumps: tuple[float, ...]
    sharpness_kept: float


class MotionMeter:
    """Takes the frames of a video in order; holds the last quarter of a second and a few numbers per frame."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Grey]] = deque()
        self._first: Grey | None = None
        self._wander = 0.0
        self._times: list[float] = []
        self._change: list[float] = []
        self._change_base: list[float] = []
        self._block: list[float] = []
        self._block_base: list[float] = []
        self._likeness: list[float] = []
        self._black: list[bool] = []
        self._detail: list[float] = []

    def add(self, seconds: float, grey: Grey) -> None:
        """Add the next frame, at most ``SMALL_SIDE`` pixels wide and high."""
        mean, spread = cv2.meanStdDev(grey)
        self._black.append(float(mean[0, 0]) < _BLACK_MEAN and float(spread[0, 0]) < _BLACK_SPREAD)
        self._detail.append(float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0]))
        if self._first is None:
            self._first = grey
        if self._first.shape == grey.shape:
            self._wander = max(self._wander, _difference(grey, self._first))
        while len(self._recent) > 1 and seconds - self._recent[0][0] > _BASE_SECONDS * 1.01:
            self._recent.popleft()
        if self._recent and self._recent[-1][1].shape == grey.shape:
            then, base = self._recent[0]
            before = self._recent[-1][1]
            self._times.append(seconds)
            (change, block), (change_base, block_base) = _changes(grey, before), _changes(grey, base)
            self._change.append(change)
            self._block.append(block)
            # Over a shorter time (the first frames) the change is extrapolated.
            longer = _BASE_SECONDS / max(seconds - then, 1e-3)
            self._change_base.append(change_base * longer)
            self._block_base.append(block_base * longer)
            self._likeness.append(_correlation(grey, before) if self._change[-1] > _JUMP_CHANGE / 2 else 1.0)
        self._recent.append((seconds, grey))

    def result(self, seconds: float) -> MotionFigures:
        """Return the figures; ``seconds`` is the length of the picture."""
        change = np.array(self._change)
        still = _stills(change, *map(np.array, (self._change_base, self._block, self._block_base)))
        each = seconds / max(1, len(self._black))
        runs = _runs(still)
        return MotionFigures(
            black=float(np.mean(self._black)) if self._black else 0.0,
            motion=float(np.median(change)) if change.size else 0.0,
            still=float(still.mean()) if still.size else 1.0,
            longest_still_seconds=max(runs, default=0) * each,
            changes=len(_runs(~still)),
            wander=self._wander,
            jumps=self._jumps(change),
            sharpness_kept=_kept(self._detail),
        )

    def _jumps(self, change: NDArray[np.float64]) -> tuple[float, ...]:
        found = []
        for at, here in enumerate(change):
            if here < _JUMP_CHANGE or self._likeness[at] > _JUMP_LIKENESS:
                continue
            around = np.concatenate([change[max(0, at - 6) : at], change[at + 1 : at + 7]])
            if not around.size or here > _JUMP_OVER_USUAL * float(np.median(around)):
                found.append(round(self._times[at], 3))
        return tuple(found)


def _difference(one: Grey, other: Grey) -> float:
    return float(cv2.mean(cv2.absdiff(one, other))[0])


def _changes(one: Grey, other: Grey) -> tuple[float, float]:
    """Return the mean difference of the whole frame, and of the block that differs most."""
    difference = cv2.absdiff(one, other)
    blocks = cv2.resize(difference.astype(np.float32), _BLOCKS, interpolation=cv2.INTER_AREA)
    return float(cv2.mean(difference)[0]), float(blocks.max())


def _correlation(one: Grey, other: Grey) -> float:
    first, second = one.astype(np.float32).ravel(), other.astype(np.float32).ravel()
    first -= first.mean()
    second -= second.mean()
    power = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / power if power else 0.0


def _stills(
    change: NDArray[np.float64],
    change_base: NDArray[np.float64],
    block: NDArray[np.float64],
    block_base: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return which frames are still: unchanged as a whole and in every block since the last frame, or since the base."""
    still = (change < STILL_CHANGE) & (block < np.maximum(_BLOCK_CHANGE, _BLOCK_OVER_MEAN * change))
    local = np.maximum(_BLOCK_CHANGE_BASE, _BLOCK_OVER_MEAN * change_base)
    still |= (change_base < _STILL_CHANGE_BASE) & (block_base < local)
    if still.size > 2:
        still |= (change < _BUMP) & np.roll(still, 1) & np.roll(still, -1)
    return still


def _runs(flags: NDArray[np.bool_]) -> list[int]:
    """Return the lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [int(length) for length in edges[1::2] - edges[::2]]


def _kept(detail: list[float]) -> float:
    third = max(1, len(detail) // 3)
    first = float(np.mean(detail[:third])) if detail else 0.0
    return min(1.0, float(np.mean(detail[-third:])) / first) if first else 1.0
