"""What requests cost, for later quotes, and the holds that a surprise puts on a family until a person agrees."""

from datetime import timedelta

import sqlalchemy as sa

from resources.ledger.base import LedgerBase
from resources.ledger.late_costs import COST_QUERY_PERIOD
from resources.ledger.records import PriceHold, QuotedPrice, RequestRow, Surprise, Unwanted
from resources.ledger.tables import price_holds, requests, submissions
from resources.prices.billed import Billed
from resources.prices.quote import WINDOW, PastCost
from resources.wait_reason import WaitReason

ENDPOINT_HELD = timedelta(minutes=10)
"""How long a surprise holds the whole family, not only the parameters that it was about: as long as the longest usual
generation, so that the costs of what is under way are reported before more of it is paid for."""

NEAREST_OF = 500
"""Latest costs of a family among which the nearest parameters are looked for; enough for 10 kinds of 50."""

_COSTS = (
    sa.select(
        submissions.c.billed,
        submissions.c.base_microdollars,
        submissions.c.terms,
        sa.func.coalesce(submissions.c.told_microdollars, submissions.c.cost_microdollars),
    )
    .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
    .where(
        submissions.c.service == sa.bindparam("the_service"),
        submissions.c.settled_at.is_not(None),
        submissions.c.billed.is_not(None),
        # A doubted cost says nothing about the price until a person agrees to it or corrects it; one of nothing never does.
        sa.func.coalesce(submissions.c.cost_doubted, sa.false()).is_(sa.false()),
        sa.func.coalesce(submissions.c.told_microdollars, submissions.c.cost_microdollars) > 0,
    )
    .order_by(submissions.c.settled_at.desc(), submissions.c.id.desc())
)
_EXACT = _COSTS.where(submissions.c.billed == sa.bindparam("the_key")).limit(WINDOW)
_OF_FAMILY = _COSTS.where(requests.c.family == sa.bindparam("the_family")).limit(NEAREST_OF)
_OPEN_HOLDS = (
    sa.select(price_holds)
    .where(price_holds.c.service == sa.bindparam("the_service"), price_holds.c.ended_at.is_(None))
    .order_by(price_holds.c.id)
)


class Prices(LedgerBase):
    """Settled costs and the holds on families."""

    def past_costs(self, service: str, billed: Billed) -> tuple[PastCost, ...]:
        """Return the latest settled costs of exactly these parameters, newest first; of the whole family if none has them."""
        with self.database.read() as connection:
            found = connection.execute(_EXACT, {"the_service": service, "the_key": billed.key}).all()
        if not found:
            return self.family_costs(service, billed.family)
        return tuple(PastCost(key, base or 0, terms or "", int(cost)) for key, base, terms, cost in found)

    def family_costs(self, service: str, family: str) -> tuple[PastCost, ...]:
        """Return the latest settled costs of a family, whatever its parameters, newest first."""
        with self.database.read() as connection:
            found = connection.execute(_OF_FAMILY, {"the_service": service, "the_family": family}).all()
        return tuple(PastCost(key, base or 0, terms or "", int(cost)) for key, base, terms, cost in found)

    def price_holds(self, service: str) -> tuple[PriceHold, ...]:
        """Return the families that wait for a person's agreement now, oldest first."""
        with self.database.read() as connection:
            found = connection.execute(_OPEN_HOLDS, {"the_service": service}).all()
        return tuple(
            PriceHold(row.family, row.billed, row.kind, row.fingerprint, row.clip, row.reason, row.since)
            for row in found
        )

    def agree_to_prices(self, service: str, family: str, *, by: str) -> tuple[PriceHold, ...]:
        """End the holds of a family; return those that ended.

        The costs that held it count as they were reported from now on: whoever agrees has compared them.
        """
        mine = (price_holds.c.service == service, price_holds.c.family == family, price_holds.c.ended_at.is_(None))
        with self.database.write() as connection:
            ended = connection.execute(
                price_holds.update().where(*mine).values(ended_at=self._now(), ended_by=by).returning(price_holds)
            ).all()
            for hold in ended:
                self._count_as_told(connection, hold.fingerprint, hold.attempt)
        return tuple(
            PriceHold(row.family, row.billed, row.kind, row.fingerprint, row.clip, row.reason, row.since)
            for row in sorted(ended, key=lambda row: row.id)
        )

    @staticmethod
    def _count_as_told(connection: sa.Connection, fingerprint: str, attempt: int) -> None:
        for table in (submissions, requests):
            connection.execute(
                table.update()
                .where(
                    table.c.fingerprint == fingerprint,
                    table.c.attempt == attempt,
                    table.c.cost_doubted.is_(True),
                    table.c.told_microdollars > table.c.cost_microdollars,
                )
                .values(cost_microdollars=table.c.told_microdollars, cost_doubted=False)
            )

    def surprises(self, service: str) -> tuple[Surprise, ...]:
        """Return the submissions of the last days whose reported cost is more than was reserved, oldest first."""
        told = sa.func.coalesce(submissions.c.told_microdollars, submissions.c.cost_microdollars)
        query = (
            sa.select(
                submissions.c.fingerprint,
                submissions.c.attempt,
                requests.c.clip,
                requests.c.family,
                submissions.c.reserved_microdollars,
                told.label("told"),
            )
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(
                submissions.c.service == service,
                submissions.c.settled_at > self._now() - COST_QUERY_PERIOD,
                told > submissions.c.reserved_microdollars,
            )
            .order_by(submissions.c.settled_at, submissions.c.id)
        )
        with self.database.read() as connection:
            return tuple(Surprise(*row[:4], int(row[4]), int(row[5])) for row in connection.execute(query))

    def is_price_held(self, fingerprint: str) -> bool:
        """Return True if the family of a request waits for a person's agreement."""
        query = (
            sa.select(price_holds.c.id)
            .join(requests, (requests.c.service == price_holds.c.service) & (requests.c.family == price_holds.c.family))
            .where(requests.c.fingerprint == fingerprint, price_holds.c.ended_at.is_(None))
            .limit(1)
        )
        with self.database.read() as connection:
            return connection.execute(query).first() is not None

    def disagreement(self, service: str, family: str, billed: str) -> Unwanted | None:
        """Return what a person has to agree to before a request with these parameters is paid for, outside of a claim."""
        with self.database.read() as connection:
            return self._hold_against(connection, service, family, billed)

    def _disagreed(self, connection: sa.Connection, row: RequestRow, quoted: QuotedPrice | None) -> Unwanted | None:
        """Return the hold that stands against a claim."""
        return self._hold_against(connection, row.service, row.family, quoted.billed if quoted is not None else None)

    def _hold_against(
        self, connection: sa.Connection, service: str, family: str, billed: str | None
    ) -> Unwanted | None:
        """Return the hold on a family, on these parameters, or a new one on the whole endpoint."""
        column = price_holds.c
        now = self._time(connection)
        stands = [column.billed.is_(None), column.since > now - ENDPOINT_HELD]
        if billed is None:
            stands.append(column.billed.is_not(None))  # its parameters are not known, so they may be those
        else:
            stands.append(column.billed == billed)
        query = _OPEN_HOLDS.where(column.family == family, sa.or_(*stands)).limit(1)
        found = connection.execute(query, {"the_service": service}).first()
        if found is None:
            return None
        return Unwanted(
            WaitReason.PRICE_AGREEMENT,
            found.reason,
            f"Compare it with the service's console. To agree to it: i2v models --accept {family}. If the bill has another"
            f" cost: i2v ledger cost {found.fingerprint[:12]} USD",
        )
