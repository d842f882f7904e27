"""Sums over the ledger and the registry for monitoring: counts, ages, and generation times."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.records import State, utc_now
from resources.ledger.tables import events, requests, services
from resources.ledger.transitions import in_flight
from resources.registry.rows import ClipState
from resources.registry.tables import clips

SETTLED_AFTER = timedelta(minutes=5)
"""Events older than this are counted once; a writer may still commit a lower number than that of a younger one."""


@dataclass(frozen=True)
class Spread:
    """Generation times of one model: counts within each bound, total count, total seconds."""

    model_id: str
    within: tuple[int, ...]
    count: int
    seconds: float


@dataclass(frozen=True)
class Measures:
    """The fleet at one moment; times are ages in seconds."""

    requests: dict[tuple[str, str], int]
    in_flight: dict[str, int]
    paused_seconds: dict[str, float]
    clips: dict[tuple[str, str], int]
    queue_age_seconds: float
    events: dict[str, int]
    generations: tuple[Spread, ...]


class FleetMeasures:
    """Takes measurements; each is one read transaction. Create it once: it keeps the counts of old events."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._counted: Counter[str] = Counter()
        self._counted_to = 0

    def take(self, service: str, bounds: Sequence[float]) -> Measures:
        """Return the current measurements.

        Args:
            service: the service whose generations are timed.
            bounds: upper bounds of the times, in seconds.
        """
        now = self._clock()
        with self._database.read() as connection:
            by_state = connection.execute(
                sa.select(requests.c.service, requests.c.state, sa.func.count()).group_by(
                    requests.c.service, requests.c.state
                )
            ).all()
            pauses = connection.execute(sa.select(services.c.service, services.c.paused_until)).all()
            names = {row[0] for row in by_state} | {row[0] for row in pauses if row[0]} | {service}
            flying = {name: in_flight(connection, name, now) for name in names}
            waiting_for = sa.func.coalesce(
                sa.case((clips.c.state == ClipState.WAITING.value, clips.c.waiting_for)), sa.literal("")
            )
            by_clip = connection.execute(
                sa.select(clips.c.state, waiting_for, sa.func.count()).group_by(clips.c.state, waiting_for)
            ).all()
            queued = [ClipState.DUE.value, ClipState.DISPATCHED.value]
            oldest = connection.execute(
                sa.select(clips.c.updated_at).where(clips.c.state.in_(queued)).order_by(clips.c.updated_at).limit(1)
            ).scalar_one_or_none()
            counted = self._events(connection, now)
            spreads = self._spreads(connection, service, bounds)
        return Measures(
            requests={(row[0], row[1]): row[2] for row in by_state},
            in_flight=flying,
            paused_seconds={
                row[0]: max(0.0, (row[1] - now).total_seconds()) if row[1] else 0.0 for row in pauses if row[0]
            },
            clips={(row[0], row[1]): row[2] for row in by_clip},
            queue_age_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
            events=dict(counted),
            generations=spreads,
        )

    def _events(self, connection: sa.Connection, now: datetime) -> Counter[str]:
        """Return the number of events of each kind. Old events are counted once, because the table only grows."""
        old = connection.execute(
            sa.select(sa.func.max(events.c.id)).where(events.c.id > self._counted_to, events.c.at < now - SETTLED_AFTER)
        ).scalar_one_or_none()
        if old is not None:
            self._counted += self._count(connection, events.c.id > self._counted_to, events.c.id <= old)
            self._counted_to = old
        return self._counted + self._count(connection, events.c.id > self._counted_to)

    @staticmethod
    def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> Counter[str]:
        query = sa.select(events.c.what, sa.func.count()).where(*where).group_by(events.c.what)
        return Counter({row[0]: row[1] for row in connection.execute(query)})

    def _spreads(self, connection: sa.Connection, service: str, bounds: Sequence[float]) -> tuple[Spread, ...]:
        end, start = requests.c.finished_at, requests.c.submitted_at
        seconds: sa.ColumnElement[Any]
        if self._database.is_sqlite:
            seconds = (sa.func.julianday(end) - sa.func.julianday(start)) * 86_400.0
        else:
            seconds = sa.func.extract("epoch", end - start)
        within = [sa.func.sum(sa.case((seconds <= bound, 1), else_=0)) for bound in bounds]
        query = (
            sa.select(requests.c.model_id, sa.func.count(), sa.func.sum(seconds), *within)
            .where(
                requests.c.service == service,
                requests.c.state == State.SUCCEEDED,
                requests.c.model_id.is_not(None),
                end > start,
            )
            .group_by(requests.c.model_id)
            .order_by(requests.c.model_id)
        )
        return tuple(
            Spread(row[0], tuple(int(number) for number in row[3:]), int(row[1]), float(row[2]))
            for row in connection.execute(query)
        )
