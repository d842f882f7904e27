"""How long clips have been without an answer. A clip's own row cannot say: each new try renews its time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import sqlalchemy as sa

from resources.ledger.base import utc_now
from resources.ledger.database import Database, chunks
from resources.registry.rows import ClipState
from resources.registry.tables import clips, waits
from resources.wait_reason import WaitReason

PEOPLE = frozenset(reason.value for reason in WaitReason if reason.is_decision)
"""What a clip waits for when it is a person's turn: no warning, and no part of how long it waits."""

Measured: TypeAlias = Callable[[datetime, datetime], timedelta]
"""How much of the time from one moment to another counts as waiting."""

UNANSWERED = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING, ClipState.WAITING)

_SAME_UPLOAD = sa.and_(clips.c.clip == waits.c.clip, clips.c.version == waits.c.version)
_UNANSWERED = sa.and_(
    clips.c.state.in_([state.value for state in UNANSWERED]),
    sa.or_(clips.c.state != "waiting", clips.c.waiting_for.is_(None), clips.c.waiting_for.not_in(PEOPLE)),
)
"""Clips that wait, and not for a person."""


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
    """What a watch found: clips that have waited too long and were not told yet, and told ones that wait no more.

    ``persons`` are those of the latter of which it is a person's turn.
    """

    late: tuple[Wait, ...]
    over: tuple[str, ...]
    persons: frozenset[str] = frozenset()


def _all_of_it(begin: datetime, end: datetime) -> timedelta:
    return end - begin


class Waits:
    """The watch over waiting clips. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def watch(self, longest: timedelta, measured: Measured = _all_of_it) -> Watched:
        """Take note of who waits now. A clip waits from the first watch that saw it without an answer to this version.

        While it is a person's turn a clip does not wait: it begins anew when that is over.

        Args:
            longest: who waits longer than this is late.
            measured: how much of a time counts.
        """
        now = self._clock()
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
            persons = {clip for clip, row in waiting.items() if row.state == "waiting" and row.waiting_for in PEOPLE}
            gone = [
                clip
                for clip, row in known.items()
                if clip not in waiting
                or waiting[clip].version != row.version
                or (clip in persons and row.told_at is not None)
            ]
            over = tuple(clip for clip in gone if known[clip].told_at is not None)
            # What was told is kept until it is told as over (`told`).
            self._forget(connection, [clip for clip in gone if known[clip].told_at is None])
            renewed = [clip for clip in known if clip in persons and clip not in gone]
            for part in chunks(renewed):
                connection.execute(waits.update().where(waits.c.clip.in_(part)).values(since=now))
            fresh = [
                {"clip": row.clip, "version": row.version, "since": now if row.clip in persons else row.updated_at}
                for row in waiting.values()
                if row.clip not in known or (known[row.clip].told_at is None and known[row.clip].version != row.version)
            ]
            if fresh:
                connection.execute(waits.insert(), fresh)
        since = {row.clip: row.since for row in known.values() if row.clip not in gone and row.told_at is None}
        since |= {found["clip"]: found["since"] for found in fresh}
        late = [
            Wait(clip, when, ClipState(waiting[clip].state), waiting[clip].waiting_for, waiting[clip].reason)
            for clip, when in since.items()
            if clip not in persons and measured(when, now) > longest
        ]
        late.sort(key=lambda wait: (wait.since, wait.clip))
        return Watched(tuple(late), over, frozenset(persons.intersection(over)))

    def since(self, clip: str, *, longer_than: timedelta, measured: Measured = _all_of_it) -> datetime | None:
        """Since when a clip waits, where that is longer than so long; None where it does not."""
        query = sa.select(waits.c.since).join(clips, _SAME_UPLOAD).where(waits.c.clip == clip, _UNANSWERED)
        with self._database.read() as connection:
            since: datetime | None = connection.execute(query).scalar_one_or_none()
        return since if since is not None and measured(since, self._clock()) > longer_than else None

    def late(self, longest: timedelta, measured: Measured = _all_of_it) -> tuple[datetime, ...]:
        """Since when each clip waits that waits longer than so long, told before or not, the earliest first.

        It looks only: a clip waits from the watch on that took note of it.
        """
        query = sa.select(waits.c.since).join(clips, _SAME_UPLOAD).where(_UNANSWERED).order_by(waits.c.since)
        with self._database.read() as connection:
            found = connection.execute(query).scalars().all()
        now = self._clock()
        return tuple(since for since in found if measured(since, now) > longest)

    def told(self, late: Sequence[str] = (), over: Sequence[str] = ()) -> None:
        """These were told, as late or as over."""
        with self._database.write() as connection:
            for part in chunks(late):
                connection.execute(waits.update().where(waits.c.clip.in_(part)).values(told_at=self._clock()))
            self._forget(connection, over)

    @staticmethod
    def _forget(connection: sa.Connection, names: Sequence[str]) -> None:
        for part in chunks(names):
            connection.execute(waits.delete().where(waits.c.clip.in_(part)))
