"""The asynchronous, typed client of the Model API; submits, which cost money, are sent once.

Read calls are retried with jittered back-off that obeys Retry-After. A submit is sent exactly once per call; the class
of its error says what the failure proves (see ``errors``). URLs are built from the configured bases alone, redirects
are never followed, and the token goes nowhere else.

A task that is cancelled during a submit also leaves the outcome unknown. The caller has recorded its intent beforehand
and must treat it so.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import stamina
from pydantic import SecretStr
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from resources.errors import SettingsError
from resources.runcomfy import refusals, transport, wire
from resources.runcomfy.credentials import HOW_TO_SIGN_IN
from resources.runcomfy.download import Downloaded, Downloader
from resources.runcomfy.errors import (
    InvalidInput,
    MissingToken,
    NotReady,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    RequestGone,
    ServiceUnavailable,
    UnknownModel,
)
from resources.runcomfy.pacing import RetryPolicy, Timeouts
from resources.runcomfy.refusals import CallSubject
from resources.runcomfy.transport import TRANSPORT_ERRORS, Questions, open_client, tls_context
from resources.schemas.inputs import Service
from resources.settings import is_loopback

# stamina reports through structlog if that is installed (Dagster brings it), and structlog prints to stdout, which is
# for results.
set_on_retry_hooks((LoggingOnRetryHook,))

_T = TypeVar("_T")
_HOLD_REMEDY = "It may have been accepted and charged. Check the account, then run `i2v ledger resolve`."


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """One page of the catalogue."""

    models: tuple[wire.CatalogueEntry, ...]
    total: int | None


class RunComfyClient:
    """Client of one service; an async context manager, to be used in one event loop.

    Args:
        api_base: Base of the Model API, with /v1.
        balance_base: Base of the balance call, with /prod/v2.
        web_base: Base of the device login and of whoami.
        token: The API token; None for calls that need none.
        service: The paid service (https only) or a local sandbox (loopback only).
        transport: Replaces every transport, for tests; its exceptions must be as exact as those of httpx.
        policy: How read calls are retried.
        timeouts: Timeouts of the calls, in seconds.

    Raises:
        SettingsError: a base is not an address of that service.
    """

    def __init__(
        self,
        api_base: str,
        balance_base: str,
        web_base: str,
        token: SecretStr | None,
        *,
        service: Service,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._api, self._balance, self._web = (base.rstrip("/") for base in (api_base, balance_base, web_base))
        self._service: Service = service
        self._token = token
        self._transport = transport
        self._policy = policy or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        self._check_base(self._api)
        self._questions: Questions | None = None
        self._submits: httpx.AsyncClient | None = None
        self._downloader: Downloader | None = None
        self.calls = 0
        """Requests to the service so far, each repetition too; downloads do not count."""
        self.polls = 0
        """Those of them that asked for the state of a request."""

    async def __aenter__(self) -> Self:
        transport.hide_addresses_in_logs()
        tls, limits = transport.tls_context(), self._timeouts
        waits = {"connect": limits.connect, "pool": limits.pool, "read": limits.question_read}
        self._questions = (
            transport.DirectQuestions(tls, **waits)
            if self._transport is None
            else transport.QuestionsThrough(self._transport, **waits)
        )
        self._submits = transport.open_client(
            self._transport or transport.submit_transport(tls),
            httpx.Timeout(limits.submit_read, connect=limits.connect, pool=limits.pool),
        )
        self._downloader = Downloader(service=self._service, tls=tls, transport=self._transport)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in (self._questions, self._submits, self._downloader):
            if opened is not None:
                await opened.aclose()
        self._questions = self._submits = self._downloader = None

    async def submit(
        self, model_id: str, body: Mapping[str, object], *, may_send: Callable[[], bool] = lambda: True
    ) -> wire.Submission:
        """Send the paid POST once and return the accepted submission.

        Args:
            model_id: The endpoint.
            body: The JSON body.
            may_send: Called right before the first byte, on an open connection; nothing is sent if it returns False.

        Raises:
            NotSent: it provably was not sent; it may be sent again.
            RateLimited: 429; it may be sent again, after ``retry_after`` if given.
            Rejected: the service refused (or one of its children).
            OutcomeUnknown: it may have been accepted and charged.
            MissingToken: there is no token; nothing was sent.
        """
        what = f"Submit to {_model_path(model_id)}"
        try:
            content = json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{what}: the body is not JSON ({type(error).__name__})") from None
        client = _opened(self._submits)
        self.calls += 1
        request = client.build_request(
            "POST",
            f"{self._api}/models/{model_id}",
            content=content,
            headers={**self._headers(), "Content-Type": "application/json", "Connection": "close"},
            extensions=transport.last_check(may_send),
        )
        try:
            async with asyncio.timeout(self._timeouts.submit):
                response = await client.send(request, stream=True)
                try:
                    answer = await transport.read_answer(response)
                finally:
                    await response.aclose()
        except transport.TooLate:
            raise NotSent(
                f"{what}: nothing was sent, its claim ran out while the connection was made.",
                remedy="It is sent again. If this recurs, check the machine's load and I2V_LEASE_SECONDS.",
            ) from None
        except transport.NEVER_DELIVERED as error:
            raise NotSent(
                f"{what}: nothing was sent, {transport.reason(error)}.",
                remedy="Check the network and RUNCOMFY_MODEL_API_BASE.",
            ) from None
        except transport.TRANSPORT_ERRORS as error:
            raise OutcomeUnknown(f"{what}: {transport.reason(error)}.", remedy=_HOLD_REMEDY) from None
        return _read_submission(what, response, answer)

    async def status(self, request_id: str) -> wire.StatusAnswer:
        """Return the state of a request. ``state.over`` means that the result can be fetched, whatever the word is.

        Raises:
            RateLimited, ServiceUnavailable: no answer after all retries; the request itself is unaffected.
            Rejected: the service refused (or one of its children).
        """
        what = f"Status of request {_request_path(request_id)}"
        self.polls += 1
        body = await self._ask(what, CallSubject.REQUEST, f"{self._api}/requests/{request_id}/status")
        return wire.read_status(_about(what, request_id, body))

    async def result(self, request_id: str) -> wire.ResultAnswer:
        """Return the result of a request, or its state if it has not ended (even if the service calls that an error).

        Raises:
            RateLimited, ServiceUnavailable: no answer after all retries; the request itself is unaffected.
            Rejected: the service refused (or one of its children).
        """
        self.polls += 1
        what = f"Result of request {_request_path(request_id)}"
        try:
            body = await self._ask(
                what, CallSubject.REQUEST, f"{self._api}/requests/{request_id}/result?include_cost=true"
            )
        except NotReady:
            return wire.ResultAnswer(wire.RequestState.RUNNING, "not ready")
        return wire.read_result(_about(what, request_id, body))

    async def cancel(self, request_id: str) -> wire.CancelOutcome:
        """Cancel a request; only queued requests can be cancelled.

        Unconfirmed if the first attempt got no readable answer: if a retry then finds nothing to cancel, the first
        attempt may have cancelled it.

        Raises:
            Rejected: the service refused (or one of its children).
        """
        what = f"Cancel of request {_request_path(request_id)}"
        attempts = 0

        async def once() -> dict[str, Any]:
            nonlocal attempts
            attempts += 1
            return await self._ask_once(what, CallSubject.REQUEST, f"{self._api}/requests/{request_id}/cancel", "POST")

        try:
            said = wire.read_cancel(await self._again(what, once))
        except (ServiceUnavailable, RateLimited, NotReady):
            return wire.CancelOutcome.UNCONFIRMED
        doubtful = attempts > 1 and said is wire.CancelOutcome.NOT_CANCELLABLE
        return wire.CancelOutcome.UNCONFIRMED if doubtful else said

    async def model(self, model_id: str) -> wire.CatalogueEntry:
        """Return the live catalogue entry of an id.

        Raises:
            UnknownModel: the service has no such id.
            RateLimited, ServiceUnavailable: no answer after all retries.
        """
        what = f"Catalogue entry of {_model_path(model_id)}"
        return wire.read_entry(await self._ask(what, CallSubject.MODEL, f"{self._api}/models/{model_id}"), model_id)

    async def models(
        self,
        *,
        search: str | None = None,
        category: str | None = None,
        kind: str | None = None,
        include_schema: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> ModelsPage:
        """Return one page of the catalogue; ``limit`` is 1 to 500.

        Raises:
            RateLimited, ServiceUnavailable: no answer after all retries.
        """
        wanted: dict[str, str | int | None] = {"search": search, "category": category, "kind": kind}
        wanted |= {"include_schema": "true" if include_schema else None, "limit": limit, "offset": offset}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        body = await self._ask("Catalogue", CallSubject.OTHER, f"{self._api}/models?{query}")
        listed, total = body.get("models"), body.get("total")
        entries = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
        return ModelsPage(tuple(wire.read_entry(part) for part in entries), total if isinstance(total, int) else None)

    async def balance(self) -> wire.Balance:
        """Return the account's balance, which can be negative.

        Raises:
            RateLimited, ServiceUnavailable: no answer after all retries.
        """
        self._check_base(self._balance)
        balance = wire.read_balance(await self._ask("Balance", CallSubject.OTHER, f"{self._balance}/balance"))
        if balance is None:
            raise ServiceUnavailable("Balance: the answer contains no amount.")
        return balance

    async def account(self) -> wire.Account:
        """Return the account that the token belongs to.

        Raises:
            Unauthorized: the token is no longer valid.
            RateLimited, ServiceUnavailable: no answer after all retries.
        """
        self._check_base(self._web)
        body = await self._ask("Account", CallSubject.OTHER, f"{self._web}/api/auth/me")
        email = body.get("email")
        return wire.Account(str(body.get("id", "")), email if isinstance(email, str) and email else None)

    async def download(self, url: SecretStr, path: Path) -> Downloaded:
        """Download an output to ``path``; see ``download``.

        Raises:
            DownloadError: one of its children.
        """
        return await _opened(self._downloader).fetch(url, path)

    def _check_base(self, base: str) -> None:
        """Check that the token goes only to https at the paid service, or to this machine at a sandbox."""
        parts = urlsplit(base)
        good = is_loopback(base) if self._service == "sandbox" else parts.scheme == "https"
        if parts.scheme not in {"http", "https"} or not good or parts.username or parts.query or parts.fragment:
            raise SettingsError(
                f"A base address on {parts.hostname or 'no host'} cannot be used with I2V_SERVICE={self._service}.",
                remedy="Set RUNCOMFY_MODEL_API_BASE, RUNCOMFY_SERVERLESS_API_BASE and RUNCOMFY_WEB_BASE alike:"
                " https for the paid service, this machine for a sandbox.",
            )

    def _headers(self) -> dict[str, str]:
        if self._token is None:
            raise MissingToken("No RunComfy token was found.", remedy=HOW_TO_SIGN_IN)
        return {"Authorization": f"Bearer {self._token.get_secret_value()}", "Accept": "application/json"}

    async def _ask(self, what: str, subject: CallSubject, url: str) -> dict[str, Any]:
        return await self._again(what, lambda: self._ask_once(what, subject, url, "GET"))

    async def _again(self, what: str, once: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Return what a read call answers; the first try is made without stamina, which takes half as much CPU as the call."""
        policy, began = self._policy, time.monotonic()
        try:
            return await once()
        except Exception as error:
            left = policy.total_seconds - (time.monotonic() - began)
            if left <= 0 or not self._pause(error):
                raise
            failed: Exception | None = error
        async for attempt in stamina.retry_context(
            on=self._pause,
            attempts=policy.attempts,
            timeout=left,
            wait_initial=policy.first_wait,
            wait_max=policy.longest_wait,
            wait_jitter=policy.jitter,
        ):
            with attempt:
                if failed is not None:  # the first try, which was made above
                    first, failed = failed, None
                    raise first
                return await once()
        raise ServiceUnavailable(f"{what}: not sent")  # unreachable: the last attempt raises

    def _pause(self, error: Exception) -> bool | float:
        """Return whether a read call is retried, or the seconds to wait if the service gave them."""
        if not isinstance(error, ServiceUnavailable | RateLimited):
            return False
        if error.retry_after is None:
            return True
        if error.retry_after > self._policy.longest_retry_after:
            return False
        return error.retry_after + random.uniform(0, self._policy.jitter)  # noqa: S311 - spreads load, keeps no secret

    async def _ask_once(self, what: str, subject: CallSubject, url: str, method: str) -> dict[str, Any]:
        questions, headers = _opened(self._questions), self._headers()
        self.calls += 1
        try:
            async with asyncio.timeout(self._timeouts.question):
                answer = await questions.ask(method, url, headers)
        except transport.TRANSPORT_ERRORS as error:
            raise ServiceUnavailable(f"{what}: {transport.reason(error)}.") from None
        body = wire.parse_object(answer.content)
        if not answer.is_success or wire.is_error(body, answer.status):
            raise refusals.read_error(what, subject, answer.status, body, _wait(answer.headers))
        if body is None:
            raise ServiceUnavailable(
                f"{what}: the answer is not a JSON object (HTTP {answer.status}).", http_status=answer.status
            )
        return body


def _read_submission(what: str, response: httpx.Response, content: bytes) -> wire.Submission:
    """Return the submission that an answer proves; only an explicit refusal that names no request releases the money.

    An answer that is anything else than an acceptance, and names a request, may be about one that was accepted: the
    error carries the ids, and ``refusal``, what the answer says if the service does not know them.
    """
    status, body = response.status_code, wire.parse_object(content)
    given = (body or {}).get("request_id")
    given = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    request_id = given if isinstance(given, str) and wire.REQUEST_ID.fullmatch(given) else None
    named = wire.named_ids(content)
    if response.is_success and not wire.is_error(body, status):
        if request_id is not None:
            return wire.Submission(request_id)
        raise OutcomeUnknown(
            f"{what}: HTTP {status} without a usable request id.", remedy=_HOLD_REMEDY, named_ids=named.ids
        )
    error = refusals.read_error(what, CallSubject.MODEL, status, body, _wait(response.headers))
    spelled_out = isinstance(error, RateLimited) or (isinstance(error, Rejected) and content.strip() != b"")
    if spelled_out and not named.ids and not named.unusable:
        raise error
    raise OutcomeUnknown(
        error.message,
        request_id=request_id,
        remedy=_HOLD_REMEDY,
        http_status=error.http_status,
        named_ids=named.ids,
        refusal=error if spelled_out and not named.unusable else None,
    )


def _wait(headers: Mapping[str, str]) -> float | None:
    return refusals.retry_after(headers.get("Retry-After"), datetime.now(UTC))


def _about(what: str, request_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer unless it names another request: then a proxy may have mixed answers up."""
    named = body.get("request_id")
    if named is not None and str(named) != request_id:
        raise ServiceUnavailable(f"{what}: the answer is about another request.")
    return body


def _request_path(request_id: str) -> str:
    if not wire.REQUEST_ID.fullmatch(request_id):
        raise RequestGone("A request id has only letters, digits, `_` and `-`, at most 128; this one does not.")
    return request_id


def _model_path(model_id: str) -> str:
    if not wire.MODEL_ID.fullmatch(model_id):
        raise UnknownModel("A model id has only letters, digits, `.`, `_` and `-` between slashes; this one does not.")
    return model_id


def _opened(part: _T | None) -> _T:
    if part is None:
        raise RuntimeError("The client is used outside its `async with`.")
    return part


async def service_time(api_base: str) -> datetime | None:
    """Return the Date header of any answer of the service, sent without a token; None if there is none."""
    way = httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False)
    async with open_client(way, httpx.Timeout(10.0)) as client:
        try:
            async with client.stream("GET", f"{api_base.rstrip('/')}/models?limit=1") as response:
                date = parsedate_to_datetime(response.headers["Date"])
        except (*TRANSPORT_ERRORS, KeyError, ValueError):
            return None
    return date.astimezone(UTC)
