"""How bytes travel: two transports, what their exceptions prove, and a log that holds no address.

Questions (GETs, thousands of them) go through aiohttp's connection pool, which costs a third of httpx' own CPU per call
with many in flight. Its adapter does not tell failures apart precisely: a server that closes after reading the request
arrives as ``httpx.ConnectTimeout``, as if nothing had been sent. That is harmless for a question, which is asked again.

The paid submit must know, so it goes through httpx' own transport, whose exceptions are exact, and each on a fresh
connection: a stale pooled one would fail after the request was written, and nobody could say whether it was read.
"""

import functools
import logging
import ssl
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

QUESTIONS_AT_ONCE = 64
"""Connections for questions; more questions than that wait for a free one."""

SUBMITS_AT_ONCE = 64
"""Connections for submits: a batch of hundreds goes out in a few waves, with no flood of TLS handshakes."""

FIRST_BYTE = "http11.send_request_headers.started"
"""httpcore's name of the moment before it writes to a connection that is made; submits speak HTTP/1.1 alone."""

MAX_ANSWER_BYTES = 80 * 1024**2
"""Largest answer that is read: a result may echo a request, and a request may hold 64 MiB of ``data:`` URIs."""

KEEP_ALIVE_SECONDS = 30.0
"""Idle connections for questions are kept so long; polls come every few seconds."""

NEVER_DELIVERED = (
    httpx.ConnectError,  # refused, no route, no such name, TLS handshake failed
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
"""What proves that a submit through ``submit_transport`` was never sent. Everything else proves nothing."""

TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError, TimeoutError)
"""Everything that the two transports raise for a call that got no readable answer."""


class AnswerTooLarge(httpx.HTTPError):
    """The answer is larger than any answer may be."""


class _HideAddresses(logging.Filter):
    """Reduces addresses in httpx' log lines to their host: output URLs and presigned URLs are secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                f"{arg.scheme}://{arg.host}/[hidden]" if isinstance(arg, httpx.URL) else arg for arg in record.args
            )
        return True


def hide_addresses_in_logs() -> None:
    """Makes httpx log hosts instead of addresses, in this process; may be called again."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(known, _HideAddresses) for known in logger.filters):
        logger.addFilter(_HideAddresses())


class _NoCookies(CookieJar):
    """Takes no cookies and gives none; looking for them costs as much as reading a short answer."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Take none."""

    def add_cookie_header(self, request: Any) -> None:
        """Give none."""


def open_client(way: httpx.AsyncBaseTransport, timeout: httpx.Timeout, **headers: str) -> httpx.AsyncClient:
    """A client that follows no redirect, keeps no cookie and takes nothing from the environment."""
    return httpx.AsyncClient(
        transport=way, timeout=timeout, follow_redirects=False, trust_env=False, headers=headers or None,
        cookies=_NoCookies(),
    )  # fmt: skip


@functools.cache
def tls_context() -> ssl.SSLContext:
    """One context for all clients of this process: making one reads the certificate store, which takes some 20 ms."""
    return httpx.create_ssl_context()


def question_transport(tls: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """A pool for questions; keeps no cookies. aiohttp itself asks once more where a connection is lost."""

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=QUESTIONS_AT_ONCE, ssl=tls, keepalive_timeout=KEEP_ALIVE_SECONDS)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(verify=tls, client=session)


def submit_transport(tls: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """A fresh connection for every call, and no retries of any kind."""
    limits = httpx.Limits(max_connections=SUBMITS_AT_ONCE, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, retries=0)


class TooLate(Exception):
    """The caller no longer wants what was about to be sent; nothing was."""


def last_look(may_send: Callable[[], bool]) -> dict[str, Any]:
    """Request extensions that ask once more right before the first byte, when connecting may have taken its time.

    httpcore tells of each step; what is raised there ends the call, and its "started" comes before the step.
    """

    async def trace(step: str, _: dict[str, Any]) -> None:
        if step == FIRST_BYTE and not may_send():
            raise TooLate

    return {"trace": trace}


async def read_answer(response: httpx.Response) -> bytes:
    """The decoded body.

    Raises:
        AnswerTooLarge: it is larger than ``MAX_ANSWER_BYTES``.
    """
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLarge("answer too large")
        parts.append(part)
    return b"".join(parts)


def reason(error: BaseException) -> str:
    """What happened, in words without an address; the adapter's cause is asked first, since it is the exact one."""
    exact = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    for kinds, words in _WORDS:
        if isinstance(exact, kinds):
            return words
    return f"the connection failed ({type(exact).__name__})"


_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((AnswerTooLarge,), "the answer is too large to be one"),
    ((aiohttp.ClientConnectorDNSError,), "the host's name could not be resolved"),
    ((httpx.ConnectTimeout, aiohttp.ConnectionTimeoutError), "no connection in time"),
    ((httpx.ConnectError, aiohttp.ClientConnectorError), "no connection could be made"),
    ((httpx.PoolTimeout,), "no free connection in time"),
    ((httpx.TimeoutException, aiohttp.ServerTimeoutError, TimeoutError), "no answer in time"),
    ((aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError), "the connection was closed without an answer"),
    ((aiohttp.ClientPayloadError, httpx.ReadError), "the connection broke in the middle of the answer"),
    ((httpx.DecodingError,), "the answer could not be decoded"),
)
