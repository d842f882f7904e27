"""Write what a request really cost, by the service's bill."""

from dataclasses import dataclass

from i2v_assets.session import Session
from resources.ledger.errors import LedgerError
from resources.ledger.records import RequestRow
from resources.money import dollars
from resources.runcomfy import wire


@dataclass(frozen=True)
class CorrectedCost:
    """What a correction did.

    Attributes:
        row: The request afterwards.
        cost: The corrected cost, for people.
        before: What it counted as until then, for people.
        held: True if its family waits for a person's agreement.
    """

    row: RequestRow
    cost: str
    before: str
    held: bool


def correct_cost(
    session: Session, row: RequestRow, usd: str, *, by: str, request_id: str | None = None
) -> CorrectedCost:
    """Record a cost in dollars from the bill.

    Args:
        session: Where the ledger is.
        row: The request.
        usd: The amount as a person types it, such as ``1.25`` or ``$1.25``.
        by: The person.
        request_id: The service's id of one of its submissions; None: the last one.

    Raises:
        LedgerError: the amount is not a cost, or the request cannot have been charged yet.
    """
    amount = wire.cost(usd.strip().removeprefix("$"))
    if amount is None:
        raise LedgerError(
            f"{usd!r} is not a cost: it is an amount in US dollars from 0 to {wire.MAX_USD:,}, such as 1.25.",
            remedy="Nothing was changed. Give what the service's bill has for this request.",
        )
    before = dollars(session.ledger.counted_cost(row.fingerprint, request_id))
    after = session.ledger.correct_cost(row.fingerprint, amount, by=by, request_id=request_id)
    return CorrectedCost(after, dollars(amount), before, session.ledger.is_price_held(row.fingerprint))
