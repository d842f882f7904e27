"""The SQL record of every request, written before money can move."""

from resources.ledger.base import utc_now
from resources.ledger.errors import (
    FinalOutcome,
    IllegalTransition,
    LedgerError,
    LedgerUnavailable,
    StaleClaim,
    UnknownRequest,
)
from resources.ledger.ledger import Ledger
from resources.ledger.records import (
    Caps,
    Claimed,
    ClaimOutcome,
    Event,
    NewRequest,
    NoSlot,
    OverBudget,
    RequestRow,
    Spend,
    SpendLine,
    Taken,
)
from resources.ledger.states import ALLOWED, State

__all__ = [
    "ALLOWED",
    "Caps",
    "ClaimOutcome",
    "Claimed",
    "Event",
    "FinalOutcome",
    "IllegalTransition",
    "Ledger",
    "LedgerError",
    "LedgerUnavailable",
    "NewRequest",
    "NoSlot",
    "OverBudget",
    "RequestRow",
    "Spend",
    "SpendLine",
    "StaleClaim",
    "State",
    "Taken",
    "UnknownRequest",
    "utc_now",
]
