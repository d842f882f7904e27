"""HTTP transports: two of them, what their exceptions prove, and a log without addresses.

Read calls (thousands of GETs) use aiohttp, without httpx around it: 0.4 ms of CPU a call instead of 0.9.

A paid submit must know, so it uses httpx' own transport, whose exceptions are exact, and a fresh connection each time:
a stale pooled one could fail after the request was written, leaving it unknown whether it was read.
"""

import functools
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any, Protocol

import aiohttp
import httpx

QUESTIONS_AT_ONCE = 64
"""Connections for read calls; further calls wait for a free one."""

SUBMITS_AT_ONCE = 64
"""Connections for submits: a batch of hundreds goes out in a few waves, without a flood of TLS handshakes."""

FIRST_BYTE = "http11.send_request_headers.started"
"""httpcore's event right before it writes to an open connection; submits use HTTP/1.1 only."""

MAX_ANSWER_BYTES = 80 * 1024**2
"""Largest answer that is read: a result may echo a request, and a request may contain 64 MiB of ``data:`` URIs."""

KEEP_ALIVE_SECONDS = 30.0
"""Seconds that idle connections for read calls are kept; polls come every few seconds."""

NEVER_DELIVERED = (
    httpx.ConnectError,  # refused, no route, no such name, TLS handshake failed
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
"""Exceptions that prove that a submit through ``submit_transport`` was never sent. All others prove nothing."""

TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError, TimeoutError)
"""All exceptions of the two transports for a call without a readable answer."""


class AnswerTooLarge(httpx.HTTPError):
    """The answer exceeds ``MAX_ANSWER_BYTES``."""


class _HideAddresses(logging.Filter):
    """Reduces addresses in httpx' log lines to their hosts: output URLs and presigned URLs are secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                f"{arg.scheme}://{arg.host}/[hidden]" if isinstance(arg, httpx.URL) else arg for arg in record.args
            )
        return True


def hide_addresses_in_logs() -> None:
    """Make httpx log hosts instead of addresses in this process; may be called again."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(known, _HideAddresses) for known in logger.filters):
        logger.addFilter(_HideAddresses())


class _NoCookies(CookieJar):
    """Accepts and sends no cookies; looking for them costs as much as reading a short answer."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Accept none."""

    def add_cookie_header(self, request: Any) -> None:
        """Send none."""


def open_client(way: httpx.AsyncBaseTransport, timeout: httpx.Timeout, **headers: str) -> httpx.AsyncClient:
    """Return a client that follows no redirects, keeps no cookies and ignores the environment."""
    return httpx.AsyncClient(
        transport=way, timeout=timeout, follow_redirects=False, trust_env=False, headers=headers or None,
        cookies=_NoCookies(),
    )  # fmt: skip


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context that all clients of this process share; making one takes about 20 ms."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a read call: its status, its headers (whatever their case), and its decoded body."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """True for a status of 200 to 299."""
        return 200 <= self.status < 300


class Questions(Protocol):
    """Sends read calls; follows no redirects, keeps no cookies and ignores the environment."""

    async def ask(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Send one call and return its answer.

        Raises:
            AnswerTooLarge: the body exceeds ``MAX_ANSWER_BYTES``; or another of ``TRANSPORT_ERRORS``.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class DirectQuestions:
    """A connection pool for read calls. aiohttp retries once if a connection is lost."""

    def __init__(self, tls: ssl.SSLContext, *, connect: float, pool: float, read: float) -> None:
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect, connect=pool, sock_read=read)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """See `Questions`."""
        session = self._session = self._session or self._opened()
        async with session.request(method, url, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await _whole(response.content.iter_any()))

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=QUESTIONS_AT_ONCE, ssl=self._tls, keepalive_timeout=KEEP_ALIVE_SECONDS)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=self._timeout, trust_env=False
        )

    async def aclose(self) -> None:
        """See `Questions`."""
        if self._session is not None:
            await self._session.close()


class QuestionsThrough:
    """Read calls through a transport of httpx, which tests put in place of the network."""

    def __init__(self, way: httpx.AsyncBaseTransport, *, connect: float, pool: float, read: float) -> None:
        self._client = open_client(way, httpx.Timeout(read, connect=connect, pool=pool))

    async def ask(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """See `Questions`."""
        response = await self._client.send(self._client.build_request(method, url, headers=headers), stream=True)
        try:
            return Answer(response.status_code, response.headers, await read_answer(response))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """See `Questions`."""
        await self._client.aclose()


def submit_transport(tls: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """Return a transport that opens a fresh connection for every call and never retries."""
    limits = httpx.Limits(max_connections=SUBMITS_AT_ONCE, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, retries=0)


class TooLate(Exception):
    """The caller no longer wants to send; nothing was sent."""


def last_check(may_send: Callable[[], bool]) -> dict[str, Any]:
    """Return request extensions that call ``may_send`` right before the first byte, since connecting may take long.

    httpcore reports each step before it starts. An exception raised there ends the call.
    """

    async def trace(step: str, _: dict[str, Any]) -> None:
        if step == FIRST_BYTE and not may_send():
            raise TooLate

    return {"trace": trace}


async def read_answer(response: httpx.Response) -> bytes:
    """Return the decoded body.

    Raises:
        AnswerTooLarge: the body exceeds ``MAX_ANSWER_BYTES``.
    """
    return await _whole(response.aiter_bytes())


async def _whole(body: AsyncIterator[bytes]) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in body:
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLarge("answer too large")
        parts.append(part)
    return b"".join(parts)


def reason(error: BaseException) -> str:
    """Return what happened, in words without an address."""
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words
    return f"the connection failed ({type(error).__name__})"


_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((AnswerTooLarge,), "the answer is too large"),
    ((aiohttp.ClientConnectorDNSError,), "the host's name could not be resolved"),
    ((httpx.ConnectTimeout, aiohttp.ConnectionTimeoutError), "no connection in time"),
    ((httpx.ConnectError, aiohttp.ClientConnectorError), "no connection could be made"),
    ((httpx.PoolTimeout,), "no free connection in time"),
    ((httpx.TimeoutException, aiohttp.ServerTimeoutError, TimeoutError), "no answer in time"),
    ((aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError), "the connection was closed without an answer"),
    ((aiohttp.ClientPayloadError, httpx.ReadError), "the connection broke in the middle of the answer"),
    ((httpx.DecodingError,), "the answer could not be decoded"),
)
