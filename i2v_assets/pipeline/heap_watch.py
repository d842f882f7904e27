"""Which clips of a run, or among those that wait, are part of a heap: the pure rule over what is registered and paid."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime

from i2v_assets.pipeline.heaps import HEAP_TIME, Heap, LooseClip, find_heaps, tree_of_key
from i2v_assets.uploads.types import Candidate, UploadKind
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.registry.rows import ClipRow, ClipState

_NOT_MADE = (ClipState.REFUSED, ClipState.WITHDRAWN)
"""Clips in these states cost nothing; a failed one may have."""


def is_loose(candidate: Candidate) -> bool:
    """Return whether no document orders the clip."""
    return candidate.kind is UploadKind.LOOSE


def find_registered_heaps(
    registry: Registry,
    ledger: Ledger,
    since: datetime,
    limit_microdollars: int,
    planned: Mapping[str, int | None] | None = None,
) -> dict[str, Heap]:
    """Return the heap of each loose clip that is part of one, whatever tick or run it belongs to.

    Args:
        registry: the clips.
        ledger: what was approved.
        since: when the earliest clip that is asked about came.
        limit_microdollars: from which sum on a heap waits.
        planned: prices of clips that the registry does not know yet.
    """
    prices = planned or {}
    rows = [row for row in registry.arrived_since(since - HEAP_TIME) if row.state not in _NOT_MADE]
    loose = [(row, found) for row in rows if is_loose(found := Candidate.from_content(row.content))]
    meant = ledger.approved_clips([row.clip for row, _ in loose])
    return find_heaps(
        (
            LooseClip(
                row.clip,
                tree_of_key(row.source),
                row.came_at,
                prices[row.clip] if prices.get(row.clip) is not None else _price(row, found),
                row.clip in meant,
            )
            for row, found in loose
        ),
        limit_microdollars,
    )


def _price(row: ClipRow, candidate: Candidate) -> int | None:
    if row.price_microdollars is None:
        return None
    return row.price_microdollars * ((candidate.brief.takes or 1) + row.extra_takes)


class HeapWatch:
    """Finds the heaps of one run, once all its loose clips are planned, so that none is paid for before all prices are known.

    Args:
        registry: the clips of all runs.
        ledger: what was approved.
        limit_microdollars: from which sum on a heap waits.
    """

    def __init__(self, registry: Registry, ledger: Ledger, limit_microdollars: int) -> None:
        self._registry, self._ledger, self._limit = registry, ledger, limit_microdollars
        self._since: datetime | None = None
        self._open: set[str] = set()
        self._prices: dict[str, int | None] = {}
        self._all_planned = asyncio.Event()
        self._lock = asyncio.Lock()
        self._heaps: dict[str, Heap] | None = None

    def expect(self, rows: Iterable[ClipRow]) -> None:
        """Name the clips that this run works on, before the first of them is planned."""
        loose = [row for row in rows if is_loose(Candidate.from_content(row.content))]
        self._since = min((row.came_at for row in loose), default=None)
        self._open = {row.clip for row in loose}

    def planned(self, clip: str, microdollars: int | None) -> None:
        """Note what a clip costs; None if there is nothing to pay. Every clip of the run has to be noted."""
        if clip in self._open:
            self._open.discard(clip)
            self._prices[clip] = microdollars or 0
        if not self._open:
            self._all_planned.set()

    async def heap_of(self, clip: str) -> Heap | None:
        """Return the heap that a planned clip is part of; waits until all loose clips of the run are planned."""
        if self._since is None or clip not in self._prices:
            return None
        await self._all_planned.wait()
        async with self._lock:
            if self._heaps is None:
                self._heaps = await asyncio.to_thread(
                    find_registered_heaps, self._registry, self._ledger, self._since, self._limit, self._prices
                )
        return self._heaps.get(clip)
