"""How long clips have been without an answer. A clip's own row cannot say: each new try renews its time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger.base import utc_now
from resources.ledger.database import Database
from resources.ledger.registry_rows import ClipState
from resources.ledger.registry_tables import clips, waits

UNANSWERED = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING, ClipState.WAITING)
CHUNK = 500
"""Rows per statement: below SQLite's smallest limit of 999 bound variables."""


@dataclass(frozen=True)
class Wait:
    """A clip that waits: since when, and for what."""

    clip: str
    since: datetime
    state: ClipState
    waiting_for: str | None
    reason: str | None


@dataclass(frozen=True)
class Watched:
    """What a watch found: clips that have waited too long and were not told yet, and told ones that wait no more."""

    late: tuple[Wait, ...]
    over: tuple[str, ...]


class Waits:
    """The watch over waiting clips. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def watch(self, longest: timedelta) -> Watched:
        """Take note of who waits now. A clip waits from the first watch that saw it without an answer to this version.

        Args:
            longest: who waits longer than this is late.
        """
        columns = (
            clips.c.clip,
            clips.c.version,
            clips.c.state,
            clips.c.waiting_for,
            clips.c.reason,
            clips.c.updated_at,
        )
        query = sa.select(*columns).where(clips.c.state.in_([state.value for state in UNANSWERED]))
        with self._database.write() as connection:
            waiting = {row.clip: row for row in connection.execute(query)}
            known = {row.clip: row for row in connection.execute(sa.select(waits))}
            gone = [clip for clip, row in known.items() if clip not in waiting or waiting[clip].version != row.version]
            over = tuple(clip for clip in gone if known[clip].told_at is not None)
            # What was told is kept until it is told as over (`told`).
            self._forget(connection, [clip for clip in gone if known[clip].told_at is None])
            fresh = [
                {"clip": row.clip, "version": row.version, "since": row.updated_at}
                for row in waiting.values()
                if row.clip not in known or (known[row.clip].told_at is None and known[row.clip].version != row.version)
            ]
            if fresh:
                connection.execute(waits.insert(), fresh)
        since = {row.clip: row.since for row in known.values() if row.clip not in gone and row.told_at is None}
        since |= {found["clip"]: found["since"] for found in fresh}
        before = self._clock() - longest
        late = [
            Wait(clip, when, ClipState(waiting[clip].state), waiting[clip].waiting_for, waiting[clip].reason)
            for clip, when in since.items()
            if when < before
        ]
        return Watched(tuple(sorted(late, key=lambda wait: (wait.since, wait.clip))), over)

    def since(self, clip: str, *, longer_than: timedelta) -> datetime | None:
        """Since when a clip waits, where that is longer than so long; None where it does not."""
        query = (
            sa.select(waits.c.since)
            .join(clips, sa.and_(clips.c.clip == waits.c.clip, clips.c.version == waits.c.version))
            .where(
                waits.c.clip == clip,
                waits.c.since < self._clock() - longer_than,
                clips.c.state.in_([state.value for state in UNANSWERED]),
            )
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def told(self, late: Sequence[str] = (), over: Sequence[str] = ()) -> None:
        """These were told, as late or as over."""
        with self._database.write() as connection:
            for start in range(0, len(late), CHUNK):
                part = late[start : start + CHUNK]
                connection.execute(waits.update().where(waits.c.clip.in_(part)).values(told_at=self._clock()))
            self._forget(connection, over)

    @staticmethod
    def _forget(connection: sa.Connection, names: Sequence[str]) -> None:
        for start in range(0, len(names), CHUNK):
            connection.execute(waits.delete().where(waits.c.clip.in_(names[start : start + CHUNK])))
