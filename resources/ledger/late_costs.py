"""Costs that the service had not named when a request ended: whom to ask for, when, and until when."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, FINISHED, LedgerBase, row_of
from resources.ledger.records import RequestRow
from resources.ledger.tables import events, requests, submissions

FIRST_GAP = timedelta(minutes=5)
"""From the first time that a cost was asked for to the second, and the schedule's own pace; each further gap is twice as
long, so that a cost that never comes is asked for 12 times, and a common one is known soon."""
ASKED_FOR = timedelta(days=7)
"""So long after the end a cost is asked for. One that is worked out with a delay comes within days, weekend included;
one that has not come after a week never will, and each time it is asked for costs a run."""
GONE_ANSWERS = 3
"""So many answers that the service does not know the request end the asking; the gaps spread them over 15 minutes."""

ASKED, GONE = "cost_asked", "cost_gone"

_THIS = (events.c.fingerprint == submissions.c.fingerprint, events.c.attempt == submissions.c.attempt)
_END = sa.case(
    (submissions.c.attempt == requests.c.attempt, sa.func.coalesce(requests.c.finished_at, submissions.c.claimed_at)),
    else_=submissions.c.claimed_at,  # the end of an earlier attempt is not in the row any more
)


def _asked(what: sa.ColumnElement[Any], *kinds: str) -> sa.ScalarSelect[Any]:
    return sa.select(what).where(*_THIS, events.c.what.in_(kinds)).correlate(submissions).scalar_subquery()


class LateCosts(LedgerBase):
    """What was reserved stays counted until its cost is known, also when nobody asks for it any more."""

    def unsettled(self, service: str) -> tuple[RequestRow, ...]:
        """What ended, whose cost is not known, and for whose cost it is time to ask (again).

        One row per submission, ``attempt`` and ``request_id`` being its own. Pass both on:
        ``settle(row.fingerprint, cost, attempt=row.attempt)``, or `cost_not_named` where no cost was told.
        """
        now = self._now()
        query = (
            sa.select(
                *COLUMNS,
                submissions.c.attempt.label("its_attempt"),
                submissions.c.request_id.label("its_id"),
                _asked(sa.func.count(), ASKED, GONE).label("asked"),
                _asked(sa.func.max(events.c.at), ASKED, GONE).label("asked_at"),
            )
            .join(submissions, submissions.c.fingerprint == requests.c.fingerprint)
            .where(
                submissions.c.service == service,
                submissions.c.cost_microdollars.is_(None),
                submissions.c.returned.is_(False),
                submissions.c.request_id.is_not(None),
                sa.or_(requests.c.state.in_(FINISHED), submissions.c.attempt < requests.c.attempt),
                sa.type_coerce(_END, requests.c.finished_at.type) > now - ASKED_FOR,
                _asked(sa.func.count(), GONE) < GONE_ANSWERS,
            )
            .order_by(submissions.c.id)
        )
        with self.database.read() as connection:
            found = connection.execute(query).all()
        return tuple(
            replace(row_of(values[:-4]), attempt=values.its_attempt, request_id=values.its_id)
            for values in found
            if _due(values.asked, values.asked_at, now)
        )

    def cost_not_named(self, fingerprint: str, *, attempt: int, reason: str, gone: bool = False) -> None:
        """It was asked for a cost and named none; ``gone``: since the service does not know the request any more."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint)
            self._remark(connection, row, GONE if gone else ASKED, reason=reason, attempt=attempt)


def _due(asked: int, asked_at: datetime | None, now: datetime) -> bool:
    """True when the gap since the last asking is over."""
    return asked_at is None or now >= asked_at + FIRST_GAP * 2 ** (asked - 1)
