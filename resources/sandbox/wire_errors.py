"""Errors in the service's format, and broken answers."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from resources.sandbox.faults import HTTP_KINDS, Fault, Kind
from resources.sandbox.switches import Switches

BAD_REQUEST = 400000
BAD_MODEL_ID = 400001
NO_BALANCE = 400002
BAD_TOKEN = 400004
NOT_READY = 400005
NOT_YOURS = 403001
UNKNOWN_REQUEST = 404001
CONFLICT = 409001
INVALID_INPUT = 422001
TOO_MANY = 429001
INTERNAL = 500001
UNAVAILABLE = 503001

TRANSPORT_KEY = "sandbox.transport"
"""The key under which the server puts the connection into the ASGI scope, for faults that cut it."""


class WireError(Exception):
    """Ends a call with an error answer."""

    def __init__(self, status: int, code: int, text: str, *, detail: Sequence[dict[str, Any]] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.detail = detail

    def response(self, switches: Switches) -> JSONResponse:
        """Return the answer in the spelling of the switches."""
        return error_response(switches, self.status, self.code, self.text, detail=self.detail)


def error_response(
    switches: Switches,
    status: int,
    code: int,
    text: str,
    *,
    detail: Sequence[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return an error's body: the numeric code, the text, and for invalid input the list of problems."""
    content: dict[str, Any] = {switches.error_code_name: code, switches.error_text_name: text}
    if detail is not None:
        if switches.error_text_name == "detail":
            content["message"] = text
        content["detail"] = list(detail)
    return JSONResponse(content, status, headers=headers)


async def _until_gone(receive: Receive) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await receive()


class Hold(Response):
    """No answer until the client gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the disconnect."""
        await _until_gone(receive)


class Cut(Response):
    """Closes the connection, at once or after a part of the body.

    Args:
        headers: Sent with ``part``; None cuts before the first byte.
        part: Bytes to send before the cut.
    """

    def __init__(self, headers: dict[str, str] | None = None, part: bytes = b"") -> None:
        super().__init__(b"", 200, None)
        self._start = headers
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the part, then cut for real."""
        transport = scope[TRANSPORT_KEY]
        if self._start is None:
            transport.abort()
        else:
            raw = [(name.lower().encode(), value.encode()) for name, value in self._start.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            await send({"type": "http.response.body", "body": self._part, "more_body": True})
            transport.close()  # unlike abort, this first sends what is in the buffer
        await _until_gone(receive)


_TEXTS = {
    Kind.HTTP_400: (BAD_REQUEST, "The request is malformed."),
    Kind.HTTP_401: (BAD_TOKEN, "The token is missing, expired or revoked."),
    Kind.HTTP_402: (NO_BALANCE, "The account has no balance left."),
    Kind.HTTP_404: (UNKNOWN_REQUEST, "Not found."),
    Kind.HTTP_409: (CONFLICT, "Such a request exists already."),
    Kind.HTTP_422: (INVALID_INPUT, "The input does not match the schema."),
    Kind.HTTP_429: (TOO_MANY, "Too many requests."),
    Kind.HTTP_500: (INTERNAL, "Internal error."),
    Kind.HTTP_503: (UNAVAILABLE, "Service unavailable."),
}


def _header(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def answer_of(fault: Fault, switches: Switches, request: Request, request_id: str | None = None) -> Response:
    """Return the bad answer of a fault that answers (not of one that marks a request); it names ``request_id`` if given."""
    answer = _answer_of(fault, switches)
    if request_id is None or not isinstance(answer, JSONResponse):
        return answer
    content = json.loads(bytes(answer.body))
    place = content
    *steps, last = fault.id_field.split(".")
    for step in steps:
        place = place.setdefault(step, {})
    place[last] = f"{request.url.scheme}://sandbox/v1/requests/{request_id}/status" if "url" in last else request_id
    headers = {name: value for name, value in answer.headers.items() if name == "retry-after"}
    return JSONResponse(content, answer.status_code, headers=headers)


def _answer_of(fault: Fault, switches: Switches) -> Response:
    if fault.kind in HTTP_KINDS:
        code, text = _TEXTS[fault.kind]
        headers = {} if fault.retry_after is None else {"Retry-After": _header(fault.retry_after)}
        detail = None
        if fault.kind is Kind.HTTP_422:
            detail = [{"type": "fault", "loc": ["body"], "msg": fault.message or text}]
        return error_response(
            switches, HTTP_KINDS[fault.kind], code, fault.message or text, detail=detail, headers=headers
        )
    match fault.kind:
        case Kind.TIMEOUT:
            return Hold()
        case Kind.GARBAGE:
            return Response(b'\x00<html>{"request_id": ', media_type="application/json")
        case Kind.ERROR_200:
            return error_response(switches, 200, INTERNAL, fault.message or "Internal error.")
        case _:
            return Cut()
