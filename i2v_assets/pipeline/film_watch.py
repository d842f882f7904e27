"""Shots of a film that wait because another shot of it was refused: a film that cannot be made is not paid in part."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from i2v_assets.films.held import is_held
from resources.ledger.records import Caps
from resources.registry.registry import Registry
from resources.registry.rows import ClipRow, ClipState
from resources.storage.keys import SEQUENCES

_NOT_DECIDED = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING)


def film_of(row: ClipRow) -> str:
    """Return the key of the film that defines a clip; empty if none does."""
    return row.source.partition("#")[0] if row.source.startswith(SEQUENCES) else ""


def blocked_films(registry: Registry, waiting: Iterable[ClipRow], caps: Caps, now: datetime) -> frozenset[str]:
    """Return those films of waiting shots that cannot be made as they are, or of which a shot is planned anew."""
    films = {film_of(row) for row in waiting} - {""}
    states = {ClipState.REFUSED, *_NOT_DECIDED}
    return frozenset(
        film
        for film in films
        if is_held(registry.memory, film, caps, now) or any(row.state in states for row in registry.ordered_by(film))
    )


class FilmWatch:
    """Finds the films of one run that have a refused shot, once all of their shots in it are planned.

    `FilmForesight` plans those that are not in this run.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._film_of: dict[str, str] = {}
        self._open: defaultdict[str, set[str]] = defaultdict(set)
        self._refused: dict[str, str] = {}
        self._all_planned: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def expect(self, rows: Iterable[ClipRow]) -> None:
        """Name the clips that this run works on, before the first of them is planned."""
        for row in rows:
            if film := film_of(row):
                self._film_of[row.clip] = film
                self._open[film].add(row.clip)

    def planned(self, clip: str, *, refused: bool = False) -> None:
        """Note that a clip is planned, refused, or ends without a plan. Every clip of the run has to be noted."""
        film = self._film_of.get(clip)
        if film is None:
            return
        if refused:
            self._refused.setdefault(film, clip)
        self._open[film].discard(clip)
        if not self._open[film]:
            self._all_planned[film].set()

    async def refused_shot(self, clip: str) -> str:
        """Return the refused shot of a planned clip's film, empty if there is none; waits until its shots are planned."""
        film = self._film_of.get(clip)
        if film is None:
            return ""
        await self._all_planned[film].wait()
        if film not in self._refused:
            rows = await asyncio.to_thread(self._registry.ordered_by, film)
            earlier = (row.clip for row in rows if row.state is ClipState.REFUSED and row.clip not in self._film_of)
            self._refused[film] = next(earlier, "")
        return self._refused[film]
