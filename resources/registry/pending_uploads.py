"""Uploads whose event arrived and whose clip is incomplete, kept because no further event may come."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from resources.ledger.database import Database, chunks
from resources.ledger.records import utc_now
from resources.registry.tables import pending_uploads


class PendingUploads:
    """Keys to rescan, each with its time. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def due(self, limit: int) -> tuple[str, ...]:
        """Return the keys that are due for a scan, oldest first."""
        query = sa.select(pending_uploads.c.key).where(pending_uploads.c.look_at <= self._clock())
        with self._database.read() as connection:
            return tuple(connection.execute(query.order_by(pending_uploads.c.look_at).limit(limit)).scalars())

    def replace(self, scanned: Collection[str], rescan: Mapping[str, datetime]) -> None:
        """Drop the scanned keys, except those to rescan, each with its time."""
        obsolete = [*{*scanned, *rescan}]
        with self._database.write() as connection:
            for part in chunks(obsolete):
                connection.execute(pending_uploads.delete().where(pending_uploads.c.key.in_(part)))
            if rescan:
                connection.execute(
                    pending_uploads.insert(), [{"key": key, "look_at": when} for key, when in rescan.items()]
                )

    def count(self) -> int:
        """Return the number of keys."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(pending_uploads)).scalar_one()
