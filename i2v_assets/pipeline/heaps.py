"""Heaps: many loose clips of one tree within an hour, which may not be meant to be paid for. Pure.

A mistaken copy (a photo library, a backup) brings loose images by the hundred. Together they wait as one approval. Rows of a
list, folders with a brief and images with a sidecar are meant, and are never part of a heap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resources.money import dollars
from resources.storage.keys import UPLOADS

HEAP_TIME = timedelta(hours=1)
"""Loose clips of one tree that are admitted within this time count together: longer than the copy of a photo library takes."""


@dataclass(frozen=True)
class LooseClip:
    """A loose clip that is to be made, is being made, or was made.

    Attributes:
        clip: its name.
        tree: the top folder of ``uploads/`` that it lies in; empty for the top itself.
        came_at: when its upload was admitted.
        microdollars: what its takes cost; None while it is not planned.
        meant: a person approved it, so it adds to no heap.
    """

    clip: str
    tree: str
    came_at: datetime
    microdollars: int | None
    meant: bool = False


@dataclass(frozen=True)
class Heap:
    """Loose clips that wait as one approval.

    Attributes:
        tree: where they lie.
        clips: how many they are, those that are made already included.
        microdollars: what they cost together.
        limit_microdollars: from where they ask.
    """

    tree: str
    clips: int
    microdollars: int
    limit_microdollars: int

    @property
    def command(self) -> str:
        """The one approval."""
        return f"i2v approve {UPLOADS}{self.tree + '/' if self.tree else ''}"

    @property
    def words(self) -> str:
        """Why they wait, for people."""
        where = f"{UPLOADS}{self.tree}/" if self.tree else f"the top of {UPLOADS}"
        return (
            f"{self.clips} loose images of {where} came within an hour and would cost about "
            f"{dollars(self.microdollars) or '$0'} together, more than {dollars(self.limit_microdollars) or '$0'} "
            "(I2V_APPROVE_ABOVE_USD)."
        )


def tree_of_key(key: str) -> str:
    """Return the top folder of ``uploads/`` that a key lies in; empty for the top itself."""
    head, slash, _ = key.removeprefix(UPLOADS).partition("/")
    return head if slash else ""


def find_heaps(clips: Iterable[LooseClip], limit_microdollars: int) -> dict[str, Heap]:
    """Return the heap of each clip that is part of one.

    A clip is part of a heap if some hour that it came in holds clips of its tree that cost more than the limit together. A
    clip that is not planned yet counts with the highest price that is known in its tree: the sum is too high rather than too
    low, and is taken again when all are planned.
    """
    trees: dict[str, list[LooseClip]] = {}
    for clip in clips:
        if not clip.meant:
            trees.setdefault(clip.tree, []).append(clip)
    return {
        name: heap
        for tree, members in trees.items()
        for name, heap in _heaps_of_tree(tree, members, limit_microdollars).items()
    }


def _heaps_of_tree(tree: str, members: list[LooseClip], limit: int) -> Mapping[str, Heap]:
    members.sort(key=lambda clip: (clip.came_at, clip.clip))
    highest = max((clip.microdollars or 0 for clip in members), default=0)
    prices = [highest if clip.microdollars is None else clip.microdollars for clip in members]
    found: dict[str, Heap] = {}
    for start, end in _dear_stretches([clip.came_at for clip in members], prices, limit):
        heap = Heap(tree, end - start, sum(prices[start:end]), limit)
        found |= {clip.clip: heap for clip in members[start:end]}
    return found


def _dear_stretches(times: Sequence[datetime], prices: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Return the stretches, as start and end, that hours with more than the limit cover; those that touch are one."""
    stretches: list[tuple[int, int]] = []
    start = total = 0
    for at, price in enumerate(prices):
        total += price
        while times[at] - times[start] > HEAP_TIME:
            total -= prices[start]
            start += 1
        if total <= limit:
            continue
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], at + 1)
        else:
            stretches.append((start, at + 1))
    return stretches
