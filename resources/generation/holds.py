"""Holds that more than one part of the engine has to explain."""

from resources.generation.model import Held, HeldKind, Order
from resources.ledger import RequestRow


def lost(order: Order, reason: str, request_id: str | None) -> Held:
    """Made once, and gone: only a person starts what is paid for a second time."""
    remedy = f"`i2v retake {order.clip}` makes a new take, which is paid for."
    return Held(order, HeldKind.LOST, reason, remedy, request_id=request_id)


def unknown(order: Order, row: RequestRow) -> Held:
    """Sent, and not heard of: only a person, with the service's console, can say what became of it."""
    why = (row.reason or "the outcome of the submit is unknown").rstrip(".")
    reason = f"It may have been submitted and charged: {why}."
    command = f"i2v ledger resolve {row.fingerprint[:12]} --request-id ID, or --not-charged."
    if row.claimed_at is None:
        return Held(order, HeldKind.UNKNOWN, reason, command)
    when = f"{row.claimed_at:%Y-%m-%d %H:%M:%S} UTC"
    return Held(order, HeldKind.UNKNOWN, reason, f"Look at the service's console around {when}, then: {command}")
