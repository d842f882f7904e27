"""Parsing of the service's errors: which exception an answer means, by its HTTP status and code together."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from resources.ledger.leases import LONGEST_PAUSE
from resources.redact import redact_line
from resources.runcomfy.errors import (
    Forbidden,
    InsufficientBalance,
    InvalidInput,
    NotReady,
    RateLimited,
    Rejected,
    RequestGone,
    ServiceError,
    ServiceUnavailable,
    Unauthorized,
    UnknownModel,
)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date), None if it is missing or malformed.

    Never negative, and at most `LONGEST_PAUSE`: a date in the past means now, one in a year is a mistake.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
            seconds = (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_PAUSE.total_seconds())


def error_code(body: Mapping[str, Any] | None, *, http_status: int) -> int | None:
    """Return the service's own code; `code` counts only if the HTTP status is an error."""
    if body is None:
        return None
    values = [body.get("error_code")] + ([body.get("code")] if http_status >= 400 else [])
    for value in values:
        if isinstance(value, bool):
            continue
        if isinstance(value, int) and abs(value) < 10**11:
            return value
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 12:
            return int(value)
    return None


def error_text(body: Mapping[str, Any] | None) -> str:
    """Return the message of an error body, with the fields in the order that the service's clients use."""
    body = body or {}
    for name in ("error_message", "message", "error", "detail"):
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            return redact_line(value)
        if isinstance(value, dict):
            inner = error_text(value)
            return inner or redact_line(value)
        if isinstance(value, list) and value:
            return redact_line("; ".join(_detail(part) for part in value[:5]))
    return ""


def _detail(part: object) -> str:
    """Return one problem of a `detail` list: where and what.

    Its `input` is omitted because it repeats what was sent.
    """
    if not isinstance(part, dict):
        return str(part)
    where = part.get("loc")
    place = ".".join(str(step) for step in where if step != "body") if isinstance(where, list) else ""
    return f"{place}: {part.get('msg', '')}".strip(": ")


class CallSubject(StrEnum):
    """The subject of a call; a 404 means something else for each."""

    MODEL = "model"
    REQUEST = "request"
    OTHER = "other"


_SIGN_IN = "Sign in with `i2v login`, or set RUNCOMFY_TOKEN to a valid token."
_BY_CODE: dict[int, type[Rejected]] = {
    400001: UnknownModel,
    400002: InsufficientBalance,
    400004: Unauthorized,
    403001: Forbidden,
    404001: RequestGone,
    422: InvalidInput,
    422001: InvalidInput,
}
_BY_STATUS: dict[int, type[Rejected]] = {
    401: Unauthorized,
    402: InsufficientBalance,
    403: Unauthorized,
    422: InvalidInput,
}
_REMEDIES: dict[type[Rejected], str] = {
    Unauthorized: _SIGN_IN,
    InsufficientBalance: "Top up the account, then try again; nothing was charged for this.",
    UnknownModel: "`i2v models` lists what the service has; I2V_MODEL_IDS pins an id.",
    RequestGone: "The service keeps requests for a limited time. `i2v ledger` shows what was downloaded.",
    InvalidInput: "Compare the inputs with `i2v models`; the service's schema may have changed.",
    Forbidden: "Use the token of the account that submitted the request.",
}


def read_error(
    what: str, subject: CallSubject, http_status: int, body: Mapping[str, Any] | None, wait: float | None = None
) -> ServiceError:
    """Return the exception for an answer, by its HTTP status and code together.

    Args:
        what: The call in words, for the message.
        subject: The subject of the call.
        http_status: The HTTP status.
        body: The JSON object of the answer, None if it is not one.
        wait: Seconds of Retry-After.
    """
    code = error_code(body, http_status=http_status)
    said = error_text(body)
    number = f"HTTP {http_status}" + (f", code {code}" if code is not None else "")
    message = f"{what}: {said} ({number})" if said else f"{what}: {number}"
    head = _http_like(code) if http_status < 400 and code is not None else http_status
    if code == 400005:
        return NotReady(message)
    if http_status == 429 or (http_status < 400 and head == 429):
        return RateLimited(message, retry_after=wait, http_status=http_status)
    if head >= 500 or head < 400:
        return ServiceUnavailable(message, retry_after=wait, http_status=http_status)
    kind = _BY_CODE.get(code or 0) or _BY_STATUS.get(head, Rejected)
    if subject is CallSubject.MODEL and (head == 404 or kind is RequestGone):
        kind = UnknownModel
    elif subject is CallSubject.REQUEST and head == 404 and kind is not RequestGone:
        # A 404 of a gateway or a wrong base does not prove that the service has lost paid work.
        doubt = f"{message} (a 404 without the service's own code proves nothing)"
        return ServiceUnavailable(doubt, retry_after=wait, http_status=http_status)
    elif head in {408, 425}:
        return ServiceUnavailable(message, retry_after=wait, http_status=http_status)
    return kind(message, service_code=code or http_status, http_status=http_status, remedy=_REMEDIES.get(kind, ""))


def _http_like(code: int) -> int:
    """Return the HTTP status that a code of six digits begins with."""
    return code // 1000 if code >= 1000 else code
