"""The hold that a person puts on all paid work of a service: nothing is claimed until it ends."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from resources.ledger.records import Unwanted, WantedCheck
from resources.ledger.tables import requests, services
from resources.ledger.transitions import Claims
from resources.wait_reason import WaitReason


@dataclass(frozen=True, slots=True)
class ServiceHold:
    """A hold on all paid work: who put it, and when."""

    by: str
    since: datetime

    @property
    def text(self) -> str:
        """Return it in one sentence, for people."""
        return f"{self.by} paused all paid work on {self.since:%Y-%m-%d at %H:%M} UTC."


class Holds(Claims):
    """Pause and resume paid work. What was sent already is polled and fetched meanwhile."""

    def hold_service(self, service: str, by: str) -> ServiceHold:
        """Hold all paid work; return the hold in force, which may be an earlier person's."""
        with self.database.write() as connection:
            self._lock_service(connection, service)
            connection.execute(
                services.update()
                .where(services.c.service == service, services.c.held_by.is_(None))
                .values(held_by=by, held_since=self._now())
            )
            found = _hold(connection, service)
        assert found is not None  # noqa: S101 - written above, under the row's lock
        return found

    def resume_service(self, service: str) -> ServiceHold | None:
        """End the hold; return the one that was in force, None if there was none."""
        with self.database.write() as connection:
            self._lock_service(connection, service)
            found = _hold(connection, service)
            connection.execute(
                services.update().where(services.c.service == service).values(held_by=None, held_since=None)
            )
        return found

    def held_service(self, service: str) -> ServiceHold | None:
        """Return the hold in force, or None."""
        with self.database.read() as connection:
            return _hold(connection, service)

    def leased_clips(self) -> frozenset[str]:
        """Return the clips with a request that a living process holds."""
        query = sa.select(requests.c.clip).where(requests.c.lease_until > self._now())
        with self.database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def ask(self, wanted: WantedCheck) -> Unwanted | None:
        """Ask outside of a claim whether a request is still wanted."""
        with self.database.write() as connection:  # the question locks the clip's row
            return wanted(connection)

    def _unwanted(self, connection: sa.Connection, service: str) -> Unwanted | None:
        found = _hold(connection, service)
        if found is None:
            return None
        return Unwanted(WaitReason.PAUSED, found.text, "It goes on after: i2v resume")


def _hold(connection: sa.Connection, service: str) -> ServiceHold | None:
    query = sa.select(services.c.held_by, services.c.held_since).where(services.c.service == service)
    found = connection.execute(query).one_or_none()
    return ServiceHold(found.held_by, found.held_since) if found is not None and found.held_by is not None else None
