"""How long clips have been unanswered. A clip's own row cannot say, because each new attempt resets its time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import sqlalchemy as sa

from resources.ledger.database import Database, chunks
from resources.ledger.records import utc_now
from resources.registry.rows import ClipState
from resources.registry.tables import clips, waits
from resources.wait_reason import WaitReason

PEOPLE = frozenset(reason.value for reason in WaitReason if reason.is_decision)
"""Waits that a person has to end. They raise no warning and do not count as waiting time."""

WaitMeasure: TypeAlias = Callable[[datetime, datetime], timedelta]
"""Returns how much of the time between two moments counts as waiting."""

UNANSWERED = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING, ClipState.WAITING)

_SAME_UPLOAD = sa.and_(clips.c.clip == waits.c.clip, clips.c.version == waits.c.version)
_UNANSWERED = sa.and_(
    clips.c.state.in_([state.value for state in UNANSWERED]),
    sa.or_(clips.c.state != "waiting", clips.c.waiting_for.is_(None), clips.c.waiting_for.not_in(PEOPLE)),
)
"""Clips that wait, but not for a person."""


@dataclass(frozen=True)
class Wait:
    """A waiting clip: since when, and for what."""

    clip: str
    since: datetime
    state: ClipState
    waiting_for: str | None
    reason: str | None


@dataclass(frozen=True)
class WatchResult:
    """The result of a watch: newly overdue clips, and reported clips that no longer wait.

    ``persons`` are those of the latter that now wait for a person.
    """

    late: tuple[Wait, ...]
    over: tuple[str, ...]
    persons: frozenset[str] = frozenset()


def _elapsed(begin: datetime, end: datetime) -> timedelta:
    return end - begin


class Waits:
    """The record of waiting clips. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def watch(self, longest: timedelta, measured: WaitMeasure = _elapsed) -> WatchResult:
        """Record which clips wait now, and return the changes.

        A clip waits from the first watch that saw this version unanswered.

        A clip that waits for a person does not count as waiting; its time starts anew afterwards.

        Args:
            longest: a clip that waits longer than this is overdue.
            measured: how much of a period counts.
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
            ended = {
                clip: row
                for clip, row in known.items()
                if clip not in waiting
                or waiting[clip].version != row.version
                or (clip in persons and row.told_at is not None)
            }
            over = tuple(clip for clip, row in ended.items() if row.told_at is not None)
            # Reported clips are kept until their end is reported too (`mark_reported`).
            self._delete(connection, [clip for clip, row in ended.items() if row.told_at is None])
            renewed = [clip for clip in known if clip in persons and clip not in ended]
            for part in chunks(renewed):
                connection.execute(waits.update().where(waits.c.clip.in_(part)).values(since=now))
            fresh = [
                {"clip": row.clip, "version": row.version, "since": now if row.clip in persons else row.updated_at}
                for row in waiting.values()
                if row.clip not in known or (known[row.clip].told_at is None and known[row.clip].version != row.version)
            ]
            if fresh:
                connection.execute(waits.insert(), fresh)
        since = {row.clip: row.since for row in known.values() if row.clip not in ended and row.told_at is None}
        since |= {found["clip"]: found["since"] for found in fresh}
        late = [
            Wait(clip, when, ClipState(waiting[clip].state), waiting[clip].waiting_for, waiting[clip].reason)
            for clip, when in since.items()
            if clip not in persons and measured(when, now) > longest
        ]
        late.sort(key=lambda wait: (wait.since, wait.clip))
        return WatchResult(tuple(late), over, frozenset(persons.intersection(over)))

    def since(self, clip: str, *, longer_than: timedelta, measured: WaitMeasure = _elapsed) -> datetime | None:
        """Return when the clip started waiting if it has waited longer than ``longer_than``, else None."""
        query = sa.select(waits.c.since).join(clips, _SAME_UPLOAD).where(waits.c.clip == clip, _UNANSWERED)
        with self._database.read() as connection:
            since: datetime | None = connection.execute(query).scalar_one_or_none()
        return since if since is not None and measured(since, self._clock()) > longer_than else None

    def late(self, longest: timedelta, measured: WaitMeasure = _elapsed) -> tuple[datetime, ...]:
        """Return when each overdue clip started waiting, reported or not, earliest first.

        This only reads: a clip waits from the first `watch` that recorded it.
        """
        query = sa.select(waits.c.since).join(clips, _SAME_UPLOAD).where(_UNANSWERED).order_by(waits.c.since)
        with self._database.read() as connection:
            found = connection.execute(query).scalars().all()
        now = self._clock()
        return tuple(since for since in found if measured(since, now) > longest)

    def mark_reported(self, late: Sequence[str] = (), over: Sequence[str] = ()) -> None:
        """Record that these clips were reported as overdue, or as no longer waiting."""
        with self._database.write() as connection:
            for part in chunks(late):
                connection.execute(waits.update().where(waits.c.clip.in_(part)).values(told_at=self._clock()))
            self._delete(connection, over)

    @staticmethod
    def _delete(connection: sa.Connection, names: Sequence[str]) -> None:
        for part in chunks(names):
            connection.execute(waits.delete().where(waits.c.clip.in_(part)))
