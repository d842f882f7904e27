"""Decide where a voice is cut that is longer than its route takes. Pure.

A cut lies in a pause wherever one is within reach: far enough from the cut before for the shortest piece, near enough for
the longest. Only where there is none does it lie within speech. Among the ways to do that, the one with the fewest pieces
is taken, and of those the one with the most even ones.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

STEP_MS: Final = 250
"""Between two places where a voice without a pause may be cut."""

IN_PAUSE_MS: Final = 1_000
"""Between two places within a long pause, so that silence of a minute can be cut too."""

MARGIN_MS: Final = 100
"""Between a cut and the nearest word: half of the shortest pause."""

Span = tuple[int, int]
"""From and to, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One place where a voice is cut; ``in_pause`` is False if it lies within speech."""

    at_ms: int
    in_pause: bool


@dataclass(frozen=True, slots=True, order=True)
class _Cost:
    in_speech: int
    pieces: int
    unevenness: int


def split_voice(total_ms: int, pauses: Sequence[Span], *, shortest_ms: int, longest_ms: int) -> tuple[Cut, ...]:
    """Return where a voice is cut, in order; none if it is not longer than the longest piece.

    Args:
        total_ms: The length of the voice.
        pauses: Where it pauses.
        shortest_ms: The shortest piece that the endpoint takes.
        longest_ms: The longest.

    Raises:
        ValueError: the longest piece is shorter than two of the shortest, so that not every voice can be cut.
    """
    if shortest_ms < 1 or longest_ms < 2 * shortest_ms:
        raise ValueError(f"no voice can be cut into pieces of {shortest_ms} to {longest_ms} ms")
    if total_ms <= longest_ms:
        return ()
    last = total_ms - shortest_ms
    middles = sorted({at for pause in pauses for at in _middles(pause)})
    ends = sorted({at for start, end in pauses for at in (start + MARGIN_MS, end - MARGIN_MS)})
    best: dict[int, tuple[_Cost, tuple[Cut, ...]]] = {0: (_Cost(0, 0, 0), ())}
    ways: list[tuple[_Cost, tuple[Cut, ...]]] = []
    coming = [0]
    while coming:
        at = heappop(coming)  # every cut lies behind the one before, so nothing better can come for it
        cost, cuts = best[at]
        if total_ms - at <= longest_ms:
            ways.append((_with_piece(cost, total_ms - at), cuts))
            continue
        for cut in _next_cuts(at + shortest_ms, min(at + longest_ms, last), (middles, ends)):
            one = _with_piece(cost, cut.at_ms - at, in_speech=not cut.in_pause)
            there = best.get(cut.at_ms)
            if there is None:
                heappush(coming, cut.at_ms)
            if there is None or one < there[0]:
                best[cut.at_ms] = (one, (*cuts, cut))
    return min(ways, key=lambda way: way[0])[1]


def _middles(pause: Span) -> tuple[int, ...]:
    """Return the best places of a pause: its middle, and if it is long one every second."""
    start, end = pause
    return (*range(start + IN_PAUSE_MS, end - IN_PAUSE_MS, IN_PAUSE_MS), (start + end) // 2)


def _next_cuts(first: int, last: int, pauses: Sequence[Sequence[int]]) -> list[Cut]:
    """Return where the next cut may lie: in the middle of pauses, else at their ends, and within speech if there is none.

    Args:
        first: The nearest place.
        last: The farthest.
        pauses: Places in pauses, the better kind first, each kind in order.
    """
    for places in pauses:
        if within := places[bisect_left(places, first) : bisect_right(places, last)]:
            return [Cut(place, True) for place in within]
    steps = range(-(-first // STEP_MS) * STEP_MS, last, STEP_MS)  # the same places from wherever they are reached
    return [Cut(place, False) for place in (*steps, last)]


def _with_piece(cost: _Cost, length: int, *, in_speech: bool = False) -> _Cost:
    # The sum of squares is least if all pieces are alike.
    return _Cost(cost.in_speech + in_speech, cost.pieces + 1, cost.unevenness + length * length)
