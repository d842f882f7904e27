"""What every part of the registry works with: the database, the clock, and reading clips."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.clock import utc_now
from resources.ledger.database import Database
from resources.registry.guards import clip_row
from resources.registry.rows import ClipRow


class RegistryBase:
    """The clips of one bucket, in the ledger's database. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def _update(self, statement: sa.Update) -> int:
        with self._database.write() as connection:
            return connection.execute(statement).rowcount

    def _rows(self, query: sa.Select[Any]) -> tuple[ClipRow, ...]:
        with self._database.read() as connection:
            return tuple(clip_row(found) for found in connection.execute(query).mappings())
