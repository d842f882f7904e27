"""Costs that were not known when their request ended: which of them are queried again, and when."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, FINISHED, LedgerBase, row_of
from resources.ledger.records import RequestRow
from resources.ledger.responses import COST_QUERIED
from resources.ledger.tables import events, requests, submissions

FIRST_COST_QUERY_GAP = timedelta(minutes=5)
"""Time from the first query for a cost to the second, and the pace of the schedule. Each further gap is twice as long:
a cost that never comes is queried 12 times, and a usual one is known soon."""
COST_QUERY_PERIOD = timedelta(days=7)
"""Time after the end of a request in which its cost is queried. A delayed cost comes within days, weekend included. One
that is missing after a week never comes, and each query costs a run."""
NOT_FOUND_RESPONSES = 3
""""Not found" responses after which a cost is no longer queried; the gaps spread them over 15 minutes."""

COST_NOT_FOUND = "cost_gone"

_THIS = (events.c.fingerprint == submissions.c.fingerprint, events.c.attempt == submissions.c.attempt)
_END = sa.case(
    (submissions.c.attempt == requests.c.attempt, sa.func.coalesce(requests.c.finished_at, submissions.c.claimed_at)),
    else_=submissions.c.claimed_at,  # the row no longer has the end of an earlier attempt
)


def _from_events(what: sa.ColumnElement[Any], *kinds: str) -> sa.ScalarSelect[Any]:
    return sa.select(what).where(*_THIS, events.c.what.in_(kinds)).correlate(submissions).scalar_subquery()


class LateCosts(LedgerBase):
    """Open costs. A reservation stays counted until its cost is known, also after the last query."""

    def unsettled(self, service: str) -> tuple[RequestRow, ...]:
        """Return ended submissions whose cost is unknown and is due to be queried.

        There is one row per submission; ``attempt`` and ``request_id`` are its own. Pass both on:
        ``settle(row.fingerprint, cost, attempt=row.attempt)``, or `cost_unavailable` if the service reports no cost.
        """
        now = self._now()
        query = (
            sa.select(
                *COLUMNS,
                submissions.c.attempt.label("its_attempt"),
                submissions.c.request_id.label("its_id"),
                _from_events(sa.func.count(), COST_QUERIED, COST_NOT_FOUND).label("queries"),
                _from_events(sa.func.max(events.c.at), COST_QUERIED, COST_NOT_FOUND).label("last_query"),
            )
            .join(submissions, submissions.c.fingerprint == requests.c.fingerprint)
            .where(
                submissions.c.service == service,
                submissions.c.cost_microdollars.is_(None),
                submissions.c.returned.is_(False),
                submissions.c.request_id.is_not(None),
                sa.or_(requests.c.state.in_(FINISHED), submissions.c.attempt < requests.c.attempt),
                sa.type_coerce(_END, requests.c.finished_at.type) > now - COST_QUERY_PERIOD,
                _from_events(sa.func.count(), COST_NOT_FOUND) < NOT_FOUND_RESPONSES,
            )
            .order_by(submissions.c.id)
        )
        with self.database.read() as connection:
            found = connection.execute(query).all()
        return tuple(
            replace(row_of(values[:-4]), attempt=values.its_attempt, request_id=values.its_id)
            for values in found
            if _due(values.queries, values.last_query, now)
        )

    def doubted_costs(self, service: str) -> tuple[RequestRow, ...]:
        """Return the requests that ended within `COST_QUERY_PERIOD` and whose reported cost cannot be right."""
        query = sa.select(*COLUMNS).where(
            requests.c.service == service,
            requests.c.cost_doubted.is_(True),
            requests.c.finished_at > self._now() - COST_QUERY_PERIOD,
        )
        with self.database.read() as connection:
            return tuple(row_of(found) for found in connection.execute(query.order_by(requests.c.finished_at)))

    def cost_unavailable(self, fingerprint: str, *, attempt: int, reason: str, not_found: bool = False) -> None:
        """Record that a query returned no cost; ``not_found`` if the service no longer knows the request."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint)
            self._remark(connection, row, COST_NOT_FOUND if not_found else COST_QUERIED, reason=reason, attempt=attempt)


def _due(queries: int, last_query: datetime | None, now: datetime) -> bool:
    """Return True if the gap since the last query is over."""
    return last_query is None or now >= last_query + FIRST_COST_QUERY_GAP * 2 ** (queries - 1)
