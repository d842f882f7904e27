"""Requests that the service says it does not know, and the signs that the service itself is out of order."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger.base import LedgerBase
from resources.ledger.records import RequestRow, State
from resources.ledger.tables import requests

ASK_AGAIN = timedelta(hours=1)
"""How often a request is asked for that the service does not know, or whose video is none."""
GIVE_UP_AFTER = timedelta(days=7)
"""How long it is asked for; the same time for which a missing cost is asked (`late_costs.COST_QUERY_PERIOD`)."""
OUTAGE_ASK_AGAIN = timedelta(minutes=2)
"""How often in an outage of the service, which is over within minutes or hours."""
OUTAGE_ROWS = 3
"""From so many requests at once that are not found it is the service, and not a request, that is lost."""
OUTAGE_SHARE = 10
"""And from one in so many of those in flight: of 1,000 in flight, three may have been deleted by somebody."""
OUTAGE_WINDOW = timedelta(minutes=10)
"""Requests that were not found within this time of one another count as one outage."""
OUTAGE_LONGEST = timedelta(hours=1)
"""An outage that is still seen after this time no longer holds new requests: these requests are lost, not the service."""

_HOLDS = (State.SUBMITTED, State.SUCCEEDED)
IS_MISSED = sa.and_(requests.c.state.in_(_HOLDS), requests.c.not_found_since.is_not(None))
"""Whether the service does not know a request that it accepted."""


@dataclass(frozen=True, slots=True)
class Outage:
    """The service does not know requests that it accepted: how many, of how many in flight."""

    not_found: int
    in_flight: int

    @property
    def text(self) -> str:
        """What happened, for people."""
        return (
            f"The service does not know {self.not_found} of {self.in_flight} requests in flight, all of which it accepted."
            " This looks like an outage of the service, so nothing is submitted now and nothing is given up."
        )


class Lookouts(LedgerBase):
    """What the service once accepted and does not know now. Such a row keeps its state and its reservation."""

    def not_found(self, fingerprint: str, *, attempt: int, reason: str) -> tuple[RequestRow, Outage | None]:
        """Record that the service does not know a request that it accepted; the row stays as it is and is asked for later.

        Returns:
            The row, and the outage that this is a part of, if it is.

        Raises:
            StaleClaim, IllegalTransition: the row is at another attempt or state.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.attempt != attempt or row.state not in _HOLDS:
                raise self._refusal(row, "not_found", attempt)
            now = self._time(connection)
            row = self._set(
                connection, row, not_found_since=row.not_found_since or now, not_found_at=now, ask_after=now + ASK_AGAIN
            )
            self._remark(connection, row, "not_found", reason=reason)
            outage = self._outage(connection, row.service, now)
            if outage is not None:
                connection.execute(
                    requests.update().where(*_missing(row.service, now)).values(ask_after=now + OUTAGE_ASK_AGAIN)
                )
            return row, outage

    def given_up(self, row: RequestRow) -> bool:
        """Return True if a request has not been found for long enough that nothing can be expected of it."""
        if row.not_found_since is None:
            return False
        with self.database.read() as connection:
            return self._time(connection) - row.not_found_since >= GIVE_UP_AFTER

    def found(self, fingerprint: str) -> RequestRow:
        """Record that the service knows the request after all."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.not_found_since is None:
                return row
            row = self._set(connection, row, not_found_since=None, not_found_at=None, ask_after=None)
            self._remark(connection, row, "found_again")
            return row

    def ask_later(self, fingerprint: str, *, reason: str) -> RequestRow:
        """Leave a request at the service alone for `ASK_AGAIN`: what it gives now is of no use."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            row = self._set(connection, row, ask_after=self._time(connection) + ASK_AGAIN)
            self._remark(connection, row, "asked_later", reason=reason)
            return row

    def outage(self, service: str) -> Outage | None:
        """Return the outage that the service is in, by what all processes saw of it lately; None if there is none."""
        with self.database.read() as connection:
            return self._outage(connection, service, self._time(connection))

    @staticmethod
    def _outage(connection: sa.Connection, service: str, now: datetime) -> Outage | None:
        missing: int = connection.execute(
            sa.select(sa.func.count()).select_from(requests).where(*_missing(service, now))
        ).scalar_one()
        if missing < OUTAGE_ROWS:
            return None
        in_flight: int = connection.execute(
            sa.select(sa.func.count())
            .select_from(requests)
            .where(
                requests.c.service == service,
                sa.or_(
                    requests.c.state.in_([State.SUBMITTING, State.SUBMITTED]),
                    sa.and_(requests.c.state == State.SUCCEEDED, requests.c.not_found_since.is_not(None)),
                ),
            )
        ).scalar_one()
        return Outage(missing, in_flight) if missing * OUTAGE_SHARE >= in_flight else None


def _missing(service: str, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Of the requests that are not found: those missed lately, for the first time not long ago."""
    return (
        requests.c.service == service,
        requests.c.state.in_(_HOLDS),
        requests.c.not_found_since > now - OUTAGE_LONGEST,
        requests.c.not_found_at > now - OUTAGE_WINDOW,
    )
