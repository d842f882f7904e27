"""The ledger: every paid request, recorded before money can move."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from resources.ledger.approvals import Approvals
from resources.ledger.corrections import Corrections
from resources.ledger.database import Database
from resources.ledger.decisions import Decisions
from resources.ledger.errors import NotALedger
from resources.ledger.film_room import FilmRoom
from resources.ledger.late_costs import LateCosts
from resources.ledger.lookouts import Lookouts
from resources.ledger.queries import Reading
from resources.ledger.records import utc_now
from resources.ledger.responses import Responses
from resources.ledger.spending import Spending
from resources.ledger.tables import identity
from resources.ledger.witnessed import Witnessed


class Ledger(
    Corrections,
    FilmRoom,
    Responses,
    Decisions,
    Approvals,
    Witnessed,
    Lookouts,
    Reading,
    LateCosts,
    Spending,
):
    """One row per fingerprint, one event per change, one transaction per call. Safe for threads and processes.

    The guarantee: no POST for a fingerprint while an earlier POST for it may still be charged or deliver. Only `claim`
    allows a POST, and it takes a request out of `planned` once. A request returns to `planned` only if the POST never
    arrived, if the service answered for it, or by the decision of a person (or of `on_unknown=resubmit`).
    """

    @classmethod
    def open(cls, url: str, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open the ledger at a SQLAlchemy URL and migrate its tables to the newest version.

        Raises:
            LedgerUnavailable: the database cannot be reached or written.
            NotALedger: its SQLite file is empty, damaged or another program's.
            LedgerError: the URL is of another kind of database, or a newer program made the tables.
            SettingsError: the URL is malformed.
        """
        return cls(Database.open(url), clock)

    @cached_property
    def id(self) -> str:
        """The name under which buckets know this ledger: 32 hex digits that no other ledger has.

        Raises:
            NotALedger: it has none, so somebody emptied its tables.
        """
        with self.database.read() as connection:
            found: str | None = connection.execute(sa.select(identity.c.id).limit(1)).scalar()
        if found is None:
            raise NotALedger("The ledger has lost its name.", remedy="Restore its database from a backup.")
        return found

    @property
    def name(self) -> str:
        """Which ledger this is, for people: where it is, and the beginning of its id."""
        return f"{self.database.place} (id {self.id[:8]})"

    @property
    def engine(self) -> sa.Engine:
        """Return the engine, for other tables of this database.

        On SQLite its transactions take the write lock as they begin.
        """
        return self.database.engine

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
