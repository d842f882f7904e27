"""Why a single request has no video, for callers that want an exception and no outcome.

I2VError
`- NotDelivered
   |- RequestHeld       RETRYABLE  nothing is wrong with it: a cap, the account, the deadline, ...; `kind` says which
   |- RequestFailed     as told    the service or the input refuses it
   `- RequestCancelled  RETRYABLE  a person stopped it
"""

from resources.errors import ErrorCode, I2VError, Verdict
from resources.generation.types import Cancelled, Failed, Held
from resources.wait_reason import WaitReason


class NotDelivered(I2VError):
    """A request ended without a video, or has not ended yet.

    Attributes:
        request_id: At the service; None if it was not submitted.
    """

    def __init__(self, message: str, *, remedy: str = "", request_id: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.request_id = request_id


class RequestHeld(NotDelivered):
    """The request waits; run the same again later, and it continues where it was.

    Attributes:
        kind: What it waits for.
    """

    verdict = Verdict.RETRYABLE

    def __init__(self, message: str, *, kind: WaitReason, remedy: str = "", request_id: str | None = None) -> None:
        super().__init__(message, remedy=remedy, request_id=request_id)
        self.kind = kind


class RequestFailed(NotDelivered):
    """The request failed.

    Attributes:
        final: The same inputs are never submitted again.
    """

    def __init__(
        self, message: str, *, verdict: Verdict, final: bool, remedy: str = "", request_id: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, request_id=request_id)
        self.verdict = verdict
        self.final = final


class RequestCancelled(NotDelivered):
    """A person stopped the request.

    Attributes:
        confirmed: The service confirmed it; if not, it may still be charged.
    """

    verdict = Verdict.RETRYABLE

    def __init__(self, message: str, *, confirmed: bool, remedy: str = "", request_id: str | None = None) -> None:
        super().__init__(message, remedy=remedy, request_id=request_id)
        self.confirmed = confirmed


def not_delivered(outcome: Held | Failed | Cancelled) -> NotDelivered:
    """Return the error that says the same as an outcome, with its code and a remedy for somebody's own asset."""
    error = _not_delivered(outcome)
    if not isinstance(outcome, Cancelled):
        error.code, error.http_status = outcome.code or ErrorCode.TRY_LATER, outcome.http_status
    return error


def _not_delivered(outcome: Held | Failed | Cancelled) -> NotDelivered:
    name = f"{outcome.order.clip}, take {outcome.order.take}"
    request_id = outcome.request_id
    match outcome:
        case Held():
            return RequestHeld(
                f"{name}: {outcome.reason}", kind=outcome.kind, remedy=_held(outcome), request_id=request_id
            )
        case Failed():
            return RequestFailed(
                f"{name}: {outcome.reason}",
                verdict=outcome.verdict,
                final=outcome.final,
                remedy=_failed(outcome),
                request_id=request_id,
            )
        case Cancelled():
            done = outcome.confirmed == "cancelled"
            remedy = (
                "Plan it with `retry=True` to make it after all, which is paid for."
                if done
                else "Run the asset again: if it was made, it is fetched and not paid for again."
            )
            return RequestCancelled(f"{name}: {outcome.reason}", confirmed=done, remedy=remedy, request_id=request_id)


def _held(outcome: Held) -> str:
    match outcome.kind:
        case WaitReason.DEADLINE | WaitReason.STOPPED | WaitReason.DOWNLOAD:
            return "Run the asset again: what was submitted is fetched and not paid for again."
        case WaitReason.PRICE_CHANGED:
            return "Plan it again at the new price, then submit it."
        case WaitReason.LOST:
            return "Plan another `take`, which is paid for."
        case WaitReason.REPLACED:
            return "Read the file again with `medium`, and plan it again."
        case WaitReason.BUDGET:
            return "Run the asset again when the cap allows it, or raise the cap."
        case _:
            return outcome.remedy or "Run the asset again."


def _failed(outcome: Failed) -> str:
    if outcome.final:
        return "The same is never submitted again: change the prompt or the media, or plan another `take`."
    if not outcome.attempts_left:
        return "I2V_MAX_ATTEMPTS is used up: plan another `take`, which is paid for, or raise the setting."
    return "Correct what is wrong, then plan it with `retry=True` for another attempt, which may be charged."
