"""When each run that makes clips was last seen alive: a killed process says nothing, and Dagster believes it for hours."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.clock import utc_now
from resources.ledger.database import Database, chunks
from resources.registry.tables import runs

BEAT_SECONDS = 15.0
"""Seconds between two signs of life."""

DEAD_AFTER = timedelta(minutes=3)
"""A run without a sign of life for longer counts as dead: twelve beats, more than any pause of the database that it survives
(`patience_seconds`). With the sensor's interval and the start of a run, its clips are taken up within six minutes."""

KEPT = timedelta(days=7)
"""Signs of life are kept for longer than any run lasts."""


class RunBeats:
    """The signs of life of runs. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def beat(self, run_id: str) -> None:
        """Record that a run is alive."""
        with self._database.write() as connection:
            self.beat_in(connection, run_id)

    def beat_in(self, connection: sa.Connection, run_id: str) -> None:
        """Record it within the caller's transaction."""
        connection.execute(self._database.upsert(runs), {"run_id": run_id, "seen_at": self._clock()})

    def seen(self, run_ids: Collection[str]) -> dict[str, datetime]:
        """Return when each of these runs was last seen alive; runs of older versions are not among them."""
        found: dict[str, datetime] = {}
        with self._database.read() as connection:
            for part in chunks(sorted(run_ids)):
                query = sa.select(runs.c.run_id, runs.c.seen_at).where(runs.c.run_id.in_(part))
                found |= {row.run_id: row.seen_at for row in connection.execute(query)}
        return found

    def alive(self, run_ids: Collection[str]) -> set[str]:
        """Return those of the runs that gave their latest sign of life on time."""
        latest = self._clock() - timedelta(seconds=2 * BEAT_SECONDS)
        return {run_id for run_id, seen_at in self.seen(run_ids).items() if seen_at > latest}

    def forget(self) -> None:
        """Delete the signs of life that are older than `KEPT`."""
        with self._database.write() as connection:
            connection.execute(runs.delete().where(runs.c.seen_at < self._clock() - KEPT))
