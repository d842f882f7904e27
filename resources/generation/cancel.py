"""Cancel a request at the service, and record what the service confirmed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from resources.ledger.ledger import Ledger
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.wire import CancelOutcome, RequestState

CANCEL_TEXTS: Final[Mapping[CancelOutcome, str]] = MappingProxyType(
    {
        CancelOutcome.CANCELLED: "Cancelled at the service before it began.",
        CancelOutcome.NOT_CANCELLABLE: "It had begun and cannot be cancelled; it runs on and may be charged.",
        CancelOutcome.REQUESTED: "The service accepted the cancel and has not confirmed it; it may be charged.",
        CancelOutcome.UNCONFIRMED: "The service did not confirm the cancellation; it may run on and be charged.",
    }
)
"""What each outcome means for the money, for people and for the ledger's events."""


async def cancel_request(client: RunComfyClient, request_id: str) -> CancelOutcome:
    """Ask the service to cancel a request, and return what it confirmed.

    A cancel whose answer was lost may have worked, so a request that is not confirmed as cancelled is looked up once.

    Raises:
        ServiceError: the service refused the cancel, or did not answer the look-up.
    """
    outcome = await client.cancel(request_id)
    if outcome is not CancelOutcome.CANCELLED and (await client.result(request_id)).state is RequestState.CANCELLED:
        return CancelOutcome.CANCELLED
    return outcome


def record_cancel(
    ledger: Ledger, fingerprint: str, attempt: int, outcome: CancelOutcome, *, by: str, owner: str = ""
) -> None:
    """Record the outcome of a cancel: only a confirmed one moves the request, any other is an event beside it.

    Args:
        ledger: The ledger.
        fingerprint: The request.
        attempt: The attempt that was to be cancelled.
        outcome: What the service confirmed.
        by: Who asked for it.
        owner: Which process writes it down; ``by`` if it is empty.

    Raises:
        LedgerError: the request has moved on, or the ledger cannot be written.
    """
    if outcome is CancelOutcome.CANCELLED:
        ledger.cancelled(fingerprint, attempt=attempt, reason=f"cancelled by {by}")
    else:
        ledger.note(fingerprint, owner or by, f"cancel asked for by {by}: {CANCEL_TEXTS[outcome]}")
