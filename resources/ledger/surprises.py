"""What makes a family wait for a person: a cost above what was reserved, or another model than was paid for."""

from datetime import datetime

import sqlalchemy as sa

from resources.ledger.records import RequestRow
from resources.ledger.tables import price_holds
from resources.money import dollars

OF_PRICE, OF_MODEL = "price", "model"
"""What a hold is about."""


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
