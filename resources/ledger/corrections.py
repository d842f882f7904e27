"""What a person corrects: a cost that the service reported wrongly or never, by the bill."""

from collections.abc import Collection

import sqlalchemy as sa

from resources.ledger.base import FINISHED, LedgerBase
from resources.ledger.database import rows_in
from resources.ledger.errors import IllegalTransition, LedgerError
from resources.ledger.holds import OF_PRICE, hold_family, surprise_words
from resources.ledger.records import RequestRow
from resources.ledger.tables import events, price_holds, submissions
from resources.money import dollars

COST_CORRECTED = "cost_corrected"
"""The event of a cost that a person wrote; what the service reports later of the same attempt changes nothing."""


def is_corrected(connection: sa.Connection, fingerprint: str, attempt: int) -> bool:
    """Return whether a person wrote the cost of an attempt."""
    query = sa.select(events.c.id).where(
        events.c.fingerprint == fingerprint, events.c.attempt == attempt, events.c.what == COST_CORRECTED
    )
    return connection.execute(query.limit(1)).first() is not None


class Corrections(LedgerBase):
    """Costs by the bill. They count against the caps, in the spend report and in later quotes, as if the service had reported them."""

    def correct_cost(
        self, fingerprint: str, cost_microdollars: int, *, by: str, request_id: str | None = None
    ) -> RequestRow:
        """Record what a request really cost, whatever the service said of it. The event names the person and both amounts.

        A cost above what was reserved and reported holds the family, as if the service had reported it.

        Args:
            fingerprint: the request.
            cost_microdollars: the amount on the bill.
            by: the person.
            request_id: the submission, if the request was sent more than once; otherwise the last one counts.

        Raises:
            IllegalTransition: it never reached the service, or is still under way.
            LedgerError: the amount is negative.
        """
        if cost_microdollars < 0:
            raise LedgerError(f"{cost_microdollars} micro-dollars is not a valid cost.", remedy="Nothing was changed.")
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            paid = _chargeable(connection, fingerprint, request_id)
            name = f"Request {fingerprint[:12]}"
            if paid is None:
                raise IllegalTransition(
                    f"{name} has no submission that can have been charged.",
                    remedy="Nothing was changed. `i2v ledger show` has its submissions; `i2v ledger resolve` names the id "
                    "of one whose outcome is unknown.",
                )
            if paid.attempt == row.attempt and row.state not in FINISHED:
                raise IllegalTransition(
                    f"{name} is {row.state}: its cost is not on a bill yet.",
                    remedy="Nothing was changed. Correct the cost once the request has ended.",
                )
            self._correct(connection, row, paid, cost_microdollars, by)
            return self._row(connection, fingerprint)

    def counted_cost(self, fingerprint: str, request_id: str | None = None) -> int:
        """Return what a submission counts as, in micro-dollars: its reservation while its cost is unknown.

        Args:
            fingerprint: the request.
            request_id: the submission; the last one if None.
        """
        with self.database.read() as connection:
            paid = _chargeable(connection, fingerprint, request_id)
        if paid is None:
            return 0
        counted = paid.reserved_microdollars if paid.cost_microdollars is None else paid.cost_microdollars
        return counted or 0

    def corrected_costs(self, fingerprints: Collection[str]) -> frozenset[str]:
        """Return those of these requests of which a person corrected a cost."""
        query = sa.select(events.c.fingerprint).where(events.c.what == COST_CORRECTED)
        with self.database.read() as connection:
            rows = rows_in(connection, query, events.c.fingerprint, fingerprints)
            return frozenset(row.fingerprint for row in rows)

    def _correct(
        self, connection: sa.Connection, row: RequestRow, paid: "sa.Row[tuple[object, ...]]", cost: int, by: str
    ) -> None:
        now = self._time(connection)
        told = paid.cost_microdollars if paid.told_microdollars is None else paid.told_microdollars
        known = {"cost_microdollars": cost, "told_microdollars": cost, "cost_doubted": False}
        connection.execute(
            submissions.update()
            .where(submissions.c.id == paid.id)
            .values(**known, settled_at=paid.settled_at or now)
        )  # fmt: skip
        before = "was not known" if told is None else f"was {dollars(told)}"
        words = f"{dollars(cost)} by the bill; it {before}"
        if paid.attempt == row.attempt:
            guards = {"state": row.state, "attempt": row.attempt}
            self._move(connection, row.fingerprint, COST_CORRECTED, guards, known, owner=by, reason=words)
        else:
            self._remark(connection, row, COST_CORRECTED, owner=by, reason=words, attempt=paid.attempt)
        mine = (price_holds.c.fingerprint == row.fingerprint, price_holds.c.attempt == paid.attempt)
        connection.execute(
            price_holds.update()
            .where(*mine, price_holds.c.kind == OF_PRICE, price_holds.c.ended_at.is_(None))
            .values(reason=price_holds.c.reason + f" By the bill it was {dollars(cost)}.")
        )
        if paid.reserved_microdollars and cost > max(paid.reserved_microdollars, told or 0):
            reason = surprise_words(row, cost, paid.reserved_microdollars)
            hold_family(connection, row, paid.attempt, kind=OF_PRICE, billed=paid.billed, reason=reason, now=now)


def _chargeable(
    connection: sa.Connection, fingerprint: str, request_id: str | None
) -> "sa.Row[tuple[object, ...]] | None":
    query = sa.select(submissions).where(
        submissions.c.fingerprint == fingerprint,
        submissions.c.request_id.is_not(None) if request_id is None else submissions.c.request_id == request_id,
        submissions.c.returned.is_(False),
    )
    return connection.execute(query.order_by(submissions.c.id.desc()).limit(1)).one_or_none()
