"""The device login: show a code for the browser, then poll until the person has confirmed it there.

Nothing here needs a token. The page that is opened in the browser comes from an answer, so its host is checked first.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from resources.runcomfy import refusals, wire
from resources.runcomfy.credentials import checked_token
from resources.runcomfy.download import checked_url
from resources.runcomfy.errors import DisallowedHost, LoginFailed
from resources.runcomfy.transport import (
    TRANSPORT_ERRORS,
    hide_addresses_in_logs,
    open_client,
    read_answer,
    reason,
    tls_context,
)
from resources.schemas.inputs import Service
from resources.settings import is_loopback

LONGEST_WAIT_SECONDS = 1800.0
"""Longest wait for a confirmation, whatever lifetime of the code the service names."""

SHORTEST_POLL_SECONDS = 1.0
"""Shortest pause between two polls; the service's own lower bound (docs/runcomfy-api.md)."""

LONGEST_POLL_SECONDS = 30.0
"""Longest pause between two polls: a person who has just confirmed the code waits no longer than that."""

_REMEDY = "Run `i2v login` again, or set RUNCOMFY_TOKEN."


@dataclass(frozen=True, slots=True)
class LoginPrompt:
    """A page to open and the code to confirm there.

    Attributes:
        user_code: The code, which the page shows too.
        verify_url: The page.
        expires_in_seconds: Lifetime of the code.
        poll_seconds: Pause between two polls.
        device_code: Proves that the polls come from here; a secret.
    """

    user_code: str
    verify_url: str
    expires_in_seconds: float
    poll_seconds: float
    device_code: SecretStr


class DeviceLogin:
    """One login: ``start`` returns the code, ``wait`` the token; an async context manager.

    Args:
        web_base: Base address of the service's web pages.
        service: Decides which base is allowed: https for the paid service, this machine for a sandbox.
        sleep: Waits between polls; tests pass their own.
        clock: Returns monotonic seconds.
        transport: Replaces the network, for tests.

    Raises:
        LoginFailed: the base is not an address of that service.
    """

    def __init__(
        self,
        web_base: str,
        *,
        service: Service,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = web_base.rstrip("/")
        good = is_loopback(self._base) if service == "sandbox" else self._base.startswith("https://")
        if not good:
            raise LoginFailed(
                f"RUNCOMFY_WEB_BASE cannot be used with I2V_SERVICE={service}.",
                remedy="Use https for the paid service, and this machine for a sandbox.",
            )
        self._service: Service = service
        self._sleep, self._clock = sleep, clock
        self._client = open_client(
            transport or httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False), httpx.Timeout(30.0)
        )

    async def __aenter__(self) -> Self:
        hide_addresses_in_logs()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def start(self) -> LoginPrompt:
        """Request a code.

        Raises:
            LoginFailed: there was no usable answer.
        """
        status, body = await self._post("start", {})
        device, user, page = (body.get(name) for name in ("device_code", "user_code", "verify_url"))
        if status >= 400 or not (isinstance(device, str) and isinstance(user, str) and isinstance(page, str)):
            raise LoginFailed(
                f"The login could not be started: {refusals.error_text(body) or f'HTTP {status}'}.", remedy=_REMEDY
            )
        self._check_page(page)
        return LoginPrompt(
            user_code=user if user.isprintable() else "",
            verify_url=page,
            expires_in_seconds=min(_number(body.get("expires_in"), 600.0), LONGEST_WAIT_SECONDS),
            poll_seconds=min(max(_number(body.get("poll_interval"), 5.0), SHORTEST_POLL_SECONDS), LONGEST_POLL_SECONDS),
            device_code=SecretStr(device),
        )

    async def wait(self, prompt: LoginPrompt) -> SecretStr:
        """Poll until the person has answered, and return the token; a failed poll is repeated until the code expires.

        Raises:
            LoginFailed: denied, expired, or the answer holds no token.
            TokenMalformed: the answer's token cannot be a token.
        """
        deadline = self._clock() + prompt.expires_in_seconds
        while True:
            await self._sleep(min(prompt.poll_seconds, max(deadline - self._clock(), 0.0)))
            body: dict[str, Any] = {}
            try:
                # HTTP 410 has denied and expired in the same JSON, so the word decides and not the status.
                _, body = await self._post("poll", {"device_code": prompt.device_code.get_secret_value()})
            except LoginFailed:
                if self._clock() >= deadline:
                    raise
            word = body.get("status")
            if word == "authorized":
                token = body.get("access_token")
                if not isinstance(token, str):
                    raise LoginFailed("The login was confirmed, but the answer holds no token.", remedy=_REMEDY)
                return checked_token(token, "the login's answer")
            if word == "denied":
                raise LoginFailed("The login was denied in the browser.", remedy=_REMEDY)
            if word == "expired" or self._clock() >= deadline:
                raise LoginFailed("The login's code expired before it was confirmed.", remedy=_REMEDY)

    def _check_page(self, page: str) -> None:
        if self._service == "sandbox" and is_loopback(page) and urlsplit(page).scheme in {"http", "https"}:
            return
        try:
            checked_url(page, "runcomfy")
        except DisallowedHost:
            raise LoginFailed("The login's page does not belong to the service; it was not opened.") from None

    async def _post(self, call: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        try:
            async with (
                asyncio.timeout(60),
                self._client.stream("POST", f"{self._base}/api/cli-auth/{call}", json=body) as response,
            ):
                content = await read_answer(response)
        except TRANSPORT_ERRORS as error:
            raise LoginFailed(f"The login got no answer: {reason(error)}.", remedy=_REMEDY) from None
        return response.status_code, wire.parse_object(content) or {}


async def login(web_base: str, *, service: Service, show: Callable[[LoginPrompt], None]) -> SecretStr:
    """Run the whole device login and return the token; ``show`` is called with the code and the page to open.

    Raises:
        LoginFailed: denied, expired, or no usable answer.
        TokenMalformed: the answer's token cannot be a token.
    """
    async with DeviceLogin(web_base, service=service) as flow:
        prompt = await flow.start()
        show(prompt)
        return await flow.wait(prompt)


def _number(value: object, otherwise: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return otherwise
    return float(value)
