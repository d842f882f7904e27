"""Approvals: the record that a person agreed to pay for a plan, and what makes it void."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import LedgerBase
from resources.ledger.database import rows_in
from resources.ledger.tables import approvals


class ApprovalWay(StrEnum):
    """How a person approved. The values are stored."""

    COMMAND = "command"
    """With `i2v approve`."""
    LAUNCHPAD = "launchpad"
    """With `approve_job`."""
    MATERIALIZE = "materialize"
    """By materializing the clip in the Dagster UI."""
    BUCKET = "bucket"
    """With a file in the bucket, by somebody who may write there."""


class Approvals(LedgerBase):
    """What people agreed to pay: a record for each take of a clip.

    A record holds for one fingerprint (so for the same plan and the same inputs), one model, up to one price and for the
    doubt that was shown with it. What no longer fits is made void, so that a change that is taken back asks again.
    """

    def approve(
        self,
        plan_hash: str,
        fingerprints_with_prices: Mapping[str, int | None],
        by: str,
        *,
        clip: str | None = None,
        way: ApprovalWay = ApprovalWay.COMMAND,
        doubt: str = "",
        model_ids: Mapping[str, str | None] | None = None,
    ) -> None:
        """Record that a person agreed to pay at most these prices.

        Args:
            plan_hash: the hash of the clip's plan.
            fingerprints_with_prices: the takes, each with the most that it may cost, in micro-dollars; None if the price is
                unknown.
            by: who approves.
            clip: the clip; None in records of earlier releases, which hold for the fingerprint alone.
            way: how.
            doubt: what was in doubt and shown with the price; empty if nothing was.
            model_ids: the model of each take; without one the record holds for every model.
        """
        at = self._now()
        rows = [
            {
                "clip": clip,
                "fingerprint": name,
                "plan_hash": plan_hash,
                "price_microdollars": price,
                "model_id": (model_ids or {}).get(name),
                "doubt": doubt,
                "approved_by": by,
                "way": way.value,
                "at": at,
            }
            for name, price in fingerprints_with_prices.items()
        ]
        if rows:
            with self.database.write() as connection:
                connection.execute(approvals.insert(), rows)

    def is_approved(
        self,
        fingerprint: str,
        price_microdollars: int | None,
        *,
        clip: str | None = None,
        model_id: str | None = None,
        doubt: str = "",
    ) -> bool:
        """Return True if a record holds for this take at this price or a higher one.

        An unknown price needs an approval of its own. A record that was given in one doubt does not hold in another.
        """
        column = approvals.c
        holds: list[sa.ColumnElement[bool]] = [column.fingerprint == fingerprint, column.voided_at.is_(None)]
        if price_microdollars is None:
            holds.append(column.price_microdollars.is_(None))
        else:
            holds.append(column.price_microdollars >= price_microdollars)
        if clip is not None:
            holds.append(sa.or_(column.clip.is_(None), column.clip == clip))
        if model_id is not None:
            holds.append(sa.or_(column.model_id.is_(None), column.model_id == model_id))
        if doubt:
            holds.append(column.doubt == doubt)
        with self.database.read() as connection:
            return connection.execute(sa.select(column.id).where(*holds).limit(1)).first() is not None

    def approved_clips(self, clips: Collection[str]) -> frozenset[str]:
        """Return those of these clips that a record holds for, at whatever price."""
        query = sa.select(approvals.c.clip).where(approvals.c.voided_at.is_(None))
        with self.database.read() as connection:
            return frozenset(row.clip for row in rows_in(connection, query, approvals.c.clip, clips))

    def void_others(self, clip: str, prices: Mapping[str, int | None], *, doubt: str = "") -> int:
        """Make the records of a clip void that do not cover its plan of now, and return their number.

        Args:
            clip: the clip.
            prices: the fingerprints of its plan of now, with their prices.
            doubt: what is in doubt now; a record that was given in another doubt goes.
        """
        column = approvals.c
        dearer = [
            sa.and_(column.fingerprint == name, column.price_microdollars < price)
            for name, price in prices.items()
            if price is not None
        ]
        other = sa.or_(column.fingerprint.not_in(sorted(prices)), column.doubt != doubt, *dearer)
        return self._void("its plan, its inputs, its price or what was in doubt changed", column.clip == clip, other)

    def _void(self, reason: str, *conditions: sa.ColumnElement[bool]) -> int:
        values: dict[str, Any] = {"voided_at": self._now(), "void_reason": reason}
        statement = approvals.update().where(approvals.c.voided_at.is_(None), *conditions).values(**values)
        with self.database.write() as connection:
            return connection.execute(statement).rowcount
