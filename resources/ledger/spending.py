"""What the spend report counts: every submission, and every delivery that reused a paid video."""

from dataclasses import dataclass
from datetime import UTC, date, tzinfo

import sqlalchemy as sa

from resources.ledger.base import LedgerBase
from resources.ledger.records import State
from resources.ledger.tables import events, requests, submissions

REUSED = "reused"
"""The event of a delivery that reused an earlier paid video."""


@dataclass(frozen=True, slots=True)
class SpentLine:
    """One submission. ``state`` is its own end, not that of its request if a later attempt followed.

    ``reserved`` and ``settled`` are micro-dollars. ``settled`` is 0 if the reservation was returned, and None while the
    service has not reported a cost. ``told`` is the cost as the service reported it, also if it is doubted.
    """

    day: date
    route: str
    model_id: str | None
    clip: str
    reserved: int | None
    settled: int | None
    state: str
    told: int | None = None


@dataclass(frozen=True, slots=True)
class ReusedLine:
    """One delivery without a payment of its own; ``price`` is what the reused video cost, in micro-dollars."""

    day: date
    route: str
    model_id: str | None
    clip: str
    price: int


class Spending(LedgerBase):
    """Queries for the spend report."""

    def spent(self, service: str, *, zone: tzinfo = UTC) -> tuple[SpentLine, ...]:
        """Return every submission of a service, oldest first, on the day of its claim."""
        query = (
            sa.select(submissions, requests.c.route, requests.c.clip, requests.c.state, requests.c.attempt.label("now"))
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(submissions.c.service == service)
            .order_by(submissions.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(_spent(row, zone) for row in rows)

    def reused(self, fingerprint: str, *, clip: str, version: str) -> None:
        """Record once that a version of a clip's upload was delivered from a video paid for earlier.

        Raises:
            UnknownRequest: no row has this fingerprint.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            here = (events.c.fingerprint == fingerprint, events.c.what == REUSED, events.c.owner == clip)
            known = connection.execute(sa.select(events.c.id).where(*here, events.c.reason == version)).first()
            if known is None:
                self._remark(connection, row, REUSED, owner=clip, reason=version)

    def reuses(self, service: str, *, zone: tzinfo = UTC) -> tuple[ReusedLine, ...]:
        """Return every delivery that reused an earlier paid video, oldest first."""
        price = sa.func.coalesce(requests.c.cost_microdollars, requests.c.price_microdollars, 0)
        query = (
            sa.select(events.c.at, events.c.owner, requests.c.route, requests.c.model_id, price.label("price"))
            .join(requests, requests.c.fingerprint == events.c.fingerprint)
            .where(events.c.what == REUSED, requests.c.service == service)
            .order_by(events.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            ReusedLine(at.astimezone(zone).date(), route, model_id, clip, int(money))
            for at, clip, route, model_id, money in rows
        )


def _spent(row: sa.RowMapping, zone: tzinfo) -> SpentLine:
    state, settled = State(row["state"]).value, row["cost_microdollars"]
    if row["returned"]:
        state, settled = State.FAILED.value, 0
    elif row["attempt"] < row["now"]:
        state = State.FAILED.value  # another attempt follows only after this one delivered no video
    if settled is None and state in (State.FAILED, State.CANCELLED):
        state = State.SUBMITTED.value  # it delivered nothing and may still be charged: its reservation stays open
    return SpentLine(
        day=row["claimed_at"].astimezone(zone).date(),
        route=row["route"],
        model_id=row["model_id"],
        clip=row["clip"],
        reserved=row["reserved_microdollars"],
        settled=settled,
        state=state,
        told=None if row["returned"] else row["told_microdollars"],
    )
