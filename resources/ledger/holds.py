"""What holds paid work until a person says so: a pause of the whole service, or a surprise of a family.

A family waits after a cost above what was reserved, or another model than was paid for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.ledger.base import LedgerBase
from resources.ledger.records import PriceHold, QuotedPrice, RequestRow, Unwanted, WantedCheck
from resources.ledger.tables import price_holds, requests, services, submissions
from resources.money import dollars
from resources.wait_reason import WaitReason

OF_PRICE, OF_MODEL = "price", "model"
"""What a hold is about."""


ENDPOINT_HELD = timedelta(minutes=10)
"""How long a surprise holds the whole family, not only the parameters that it was about: as long as the longest usual
generation, so that the costs of what is under way are reported before more of it is paid for."""

_OPEN_HOLDS = (
    sa.select(price_holds)
    .where(price_holds.c.service == sa.bindparam("the_service"), price_holds.c.ended_at.is_(None))
    .order_by(price_holds.c.id)
)

IS_HELD = sa.select(
    sa.exists().where(services.c.service == sa.bindparam("the_service"), services.c.held_by.is_not(None))
    | sa.exists().where(price_holds.c.service == sa.bindparam("the_service"), price_holds.c.ended_at.is_(None))
)
"""Whether anything of a service is held: seldom, so a claim asks this before it asks what."""


_OF_FAMILY = _OPEN_HOLDS.where(price_holds.c.family == sa.bindparam("the_family")).limit(1)
"""The first hold of a family; of a request whose parameters are not known: they may be those that are held."""
_OF_PARAMETERS = _OF_FAMILY.where(
    sa.or_(
        price_holds.c.billed.is_(None),
        price_holds.c.since > sa.bindparam("the_time"),
        price_holds.c.billed == sa.bindparam("the_billed"),
    )
)
"""The first hold on all of a family, on these parameters, or new enough to hold all of it."""

_SERVICE_HOLD = sa.select(services.c.held_by, services.c.held_since).where(
    services.c.service == sa.bindparam("the_service")
)


@dataclass(frozen=True, slots=True)
class ServiceHold:
    """A hold on all paid work: who put it, and when."""

    by: str
    since: datetime

    @property
    def text(self) -> str:
        """Return it in one sentence, for people."""
        return f"{self.by} paused all paid work on {self.since:%Y-%m-%d at %H:%M} UTC."


class Holds(LedgerBase):
    """Nothing that is held is claimed. What was sent already is polled and fetched meanwhile."""

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
        which: dict[str, object] = {"the_service": service, "the_family": family}
        if billed is None:
            found = connection.execute(_OF_FAMILY, which).first()
        else:
            which |= {"the_billed": billed, "the_time": self._time(connection) - ENDPOINT_HELD}
            found = connection.execute(_OF_PARAMETERS, which).first()
        if found is None:
            return None
        return Unwanted(
            WaitReason.PRICE_AGREEMENT,
            found.reason,
            f"Compare it with the service's console. To agree to it: i2v models --accept {family}. If the bill has another"
            f" cost: i2v ledger cost {found.fingerprint[:12]} USD",
        )


def _hold(connection: sa.Connection, service: str) -> ServiceHold | None:
    found = connection.execute(_SERVICE_HOLD, {"the_service": service}).one_or_none()
    return ServiceHold(found.held_by, found.held_since) if found is not None and found.held_by is not None else None


def hold_family(
    connection: sa.Connection,
    row: RequestRow,
    attempt: int,
    *,
    kind: str,
    billed: str | None,
    reason: str,
    now: datetime,
) -> None:
    """Hold a family until a person agrees, in the transaction that learned why; once for the same reason."""
    same = price_holds.c.billed.is_(None) if billed is None else price_holds.c.billed == billed
    there = sa.select(price_holds.c.id).where(
        price_holds.c.service == row.service,
        price_holds.c.family == row.family,
        price_holds.c.kind == kind,
        same,
        price_holds.c.ended_at.is_(None),
    )
    if connection.execute(there.limit(1)).first() is not None:
        return
    connection.execute(
        price_holds.insert(),
        {
            "service": row.service,
            "family": row.family,
            "billed": billed,
            "kind": kind,
            "fingerprint": row.fingerprint,
            "attempt": attempt,
            "clip": row.clip,
            "reason": reason,
            "since": now,
        },
    )


def surprise_words(row: RequestRow, told: int, reserved: int) -> str:
    """Return in one sentence that a request cost more than was reserved for it."""
    return f"A request of {row.family} for clip {row.clip} cost {dollars(told)}, and at most {dollars(reserved)} was agreed to."
