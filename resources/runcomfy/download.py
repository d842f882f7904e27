"""Download of outputs.

The threat: an output's address comes from an answer. Whoever can write that answer, or answer for the host, could make
this process fetch an internal address, follow a redirect to one, fill the disk, or leak the token. So every address is
checked as it was parsed by the library that fetches it, redirects are followed by hand and checked alike, no token or
cookie is sent, and bytes are counted while they are written.

The rule: https, on `runcomfy.net` or `runcomfy.com` or a subdomain, with nothing that two parsers could read in two
ways. With the sandbox also plain http to this machine.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import stamina
from pydantic import SecretStr

from resources.errors import Verdict
from resources.runcomfy.errors import (
    DisallowedHost,
    DownloadError,
    DownloadFailed,
    OutputGone,
    TooLarge,
    TooSlow,
    Truncated,
)
from resources.runcomfy.transport import open_client, reason
from resources.schemas.inputs import Service
from resources.settings import LOOPBACK_HOSTS

OUTPUT_DOMAINS = ("runcomfy.net", "runcomfy.com")
"""The service's own domains, where all outputs seen so far lie."""

MAX_OUTPUT_BYTES = 2 * 1024**3
"""The vendor's own limit of an output: 2 GiB."""

MAX_REDIRECTS = 5
"""More than any storage needs; a loop ends here."""

READ_TIMEOUT_SECONDS = 30.0
"""Seconds of silence within a body after which others go first; as long as a slow one is watched (`SPEED_SECONDS`)."""

TOTAL_TIMEOUT_SECONDS = 1800.0
"""Seconds for a whole download: 2 GiB at 10 Mbit/s, the slowest plausible line."""

LEAST_BYTES_PER_SECOND = 16 * 1024
"""A download that is slower than this over `SPEED_SECONDS` makes room for others: at this pace a clip of 10 MB would take
ten minutes."""

SPEED_SECONDS = 30.0
"""Seconds over which the speed is measured: a storage that answers late, or stutters, gets that much time."""

ATTEMPTS = 4
"""Attempts of one download. Downloads are free, so short storage failures are waited out here: 0.5 to 4 s, then the
caller decides."""

_ODD = re.compile(r"[^\x21-\x7e]|\\")
"""White space, control characters, non-ASCII letters, a backslash: parsers disagree on these."""

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
"""Plain labels alone: `%2f` in a host is a slash to some parsers."""

_NO_VIDEO = ("text/", "application/json", "application/xml", "application/xhtml")
"""Content types of error pages, which sometimes come with HTTP 200."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A completely downloaded file."""

    size_bytes: int
    sha256: str
    content_type: str


def checked_url(address: str, service: Service) -> httpx.URL:
    """Return the checked address as it will be fetched.

    Raises:
        DisallowedHost: it breaks the rule; the message names at most the host.
    """
    if _ODD.search(address):
        raise DisallowedHost("The output's address contains characters that are not allowed.", remedy=_REMEDY)
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        raise DisallowedHost("The output's address cannot be read.", remedy=_REMEDY) from None
    host = url.raw_host.decode("ascii").lower()
    if url.userinfo:
        raise DisallowedHost("The output's address contains a user name.", remedy=_REMEDY)
    if url.port is not None and not 0 < url.port < 65_536:
        raise DisallowedHost("The output's address names a port that does not exist.", remedy=_REMEDY)
    of_service = _HOST.fullmatch(host) is not None and any(
        host == domain or host.endswith(f".{domain}") for domain in OUTPUT_DOMAINS
    )
    if url.scheme == "https" and of_service:
        return url
    if service == "sandbox" and url.scheme == "http" and url.host in LOOPBACK_HOSTS:
        return url
    raise DisallowedHost(
        f"The output's address ({url.scheme or 'no scheme'}, host {host or 'none'}) is not one of the service's.",
        remedy=_REMEDY,
    )


_REMEDY = "Nothing was fetched. Outputs come over https from runcomfy.net or runcomfy.com; tell the service."


class Downloader:
    """Downloads outputs to disk; shares nothing with the clients that hold the token.

    Args:
        service: The service of the outputs; only the sandbox's may come from this machine.
        tls: The TLS context.
        transport: Replaces the network, for tests.
        attempts: Most attempts of one download.
        first_wait: Seconds before the second attempt; doubles from there.
        max_bytes: Largest output.
    """

    def __init__(
        self,
        *,
        service: Service,
        tls: ssl.SSLContext,
        transport: httpx.AsyncBaseTransport | None = None,
        attempts: int = ATTEMPTS,
        first_wait: float = 0.5,
        max_bytes: int = MAX_OUTPUT_BYTES,
    ) -> None:
        self._service: Service = service
        self._attempts, self._first_wait, self._max_bytes = attempts, first_wait, max_bytes
        self._client = open_client(
            transport or httpx.AsyncHTTPTransport(verify=tls, trust_env=False),
            httpx.Timeout(READ_TIMEOUT_SECONDS, connect=10.0, pool=600.0),  # many downloads share 100 connections
            Accept="*/*",
            **{"Accept-Encoding": "identity"},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch(self, url: SecretStr, path: Path) -> Downloaded:
        """Download ``url`` to ``path``, which appears whole or not at all.

        Raises:
            DisallowedHost: the address, or one that it redirects to, breaks the rule.
            TooLarge: it exceeds the limit, by its header or by count.
            Truncated: it ended early, at every attempt.
            OutputGone: it is not, or no longer, there.
            DownloadFailed: it could not be fetched, at any attempt.
        """
        async for attempt in stamina.retry_context(
            on=_again,
            attempts=self._attempts,
            timeout=None,
            wait_initial=self._first_wait,
            wait_max=8.0,
            wait_jitter=self._first_wait,
        ):
            with attempt:
                return await self._fetch_once(url.get_secret_value(), path)
        raise DownloadFailed("The output was not fetched.")  # unreachable: the last attempt raises

    async def _fetch_once(self, address: str, path: Path) -> Downloaded:
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_SECONDS):
                return await self._follow(address, path)
        except httpx.ReadTimeout:
            raise TooSlow(
                f"The output's storage was silent for {READ_TIMEOUT_SECONDS:.0f} s.",
                remedy="It is fetched again later, after others.",
            ) from None
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise Truncated(f"The output's download: {reason(error)}.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
            raise DownloadFailed(f"The output's download: {reason(error)}.") from None
        except OSError as error:
            raise DownloadFailed(
                f"The output could not be written to {path}: {error.strerror or type(error).__name__}.",
                remedy="Free some space, or point I2V_DATA_DIR elsewhere.",
            ) from None

    async def _follow(self, address: str, path: Path) -> Downloaded:
        for _ in range(MAX_REDIRECTS + 1):
            url = checked_url(address, self._service)
            async with self._client.stream("GET", url) as response:
                location = response.headers.get("Location", "")
                if not response.has_redirect_location:
                    return await self._save(response, path)
                if _ODD.search(location):
                    raise DisallowedHost("The output redirects to an address that cannot be trusted.", remedy=_REMEDY)
                address = str(url.join(location))
        raise DownloadFailed(f"The output redirects more than {MAX_REDIRECTS} times.")

    async def _save(self, response: httpx.Response, path: Path) -> Downloaded:
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self._check_head(response, content_type)
        announced = _length(response)
        if announced is not None and announced > self._max_bytes:
            raise TooLarge(f"The output announces {announced} bytes; the limit is {self._max_bytes}.")
        digest, size = hashlib.sha256(), 0
        speed = _Speed()
        with _growing(path) as file:
            async for part in response.aiter_bytes():
                size += len(part)
                speed.check(size)
                if size > self._max_bytes:
                    raise TooLarge(f"The output has more than {self._max_bytes} bytes, although its header says less.")
                digest.update(part)
                file.write(part)
            if announced is not None and response.num_bytes_downloaded != announced:
                raise Truncated(f"The output ended after {response.num_bytes_downloaded} of {announced} bytes.")
            if size == 0:
                raise Truncated("The output is empty.")
        return Downloaded(size, digest.hexdigest(), content_type)

    def _check_head(self, response: httpx.Response, content_type: str) -> None:
        status = response.status_code
        if status in {403, 404, 410}:
            raise OutputGone(
                f"The output cannot be fetched any more (HTTP {status}).",
                remedy="Outputs are stored for a limited time. Fetch the result again, or request a new take.",
                http_status=status,
            )
        if status != 200:
            raise DownloadFailed(f"The output's storage answered HTTP {status}.", http_status=status)
        if content_type.startswith(_NO_VIDEO):
            raise DownloadFailed(f"The output's storage answered with {content_type} instead of a video.")


class _Speed:
    """Watches that a body comes at a least speed."""

    def __init__(self) -> None:
        self._since, self._size = time.monotonic(), 0

    def check(self, size: int) -> None:
        """Note that ``size`` bytes have come.

        Raises:
            TooSlow: fewer than `LEAST_BYTES_PER_SECOND` came in the last `SPEED_SECONDS`.
        """
        now = time.monotonic()
        if now - self._since < SPEED_SECONDS:
            return
        if size - self._size < LEAST_BYTES_PER_SECOND * (now - self._since):
            raise TooSlow(
                f"The output comes slower than {LEAST_BYTES_PER_SECOND // 1024} KiB a second.",
                remedy="It is fetched again later, after others; check the network if all downloads are slow.",
            )
        self._since, self._size = now, size


def _again(error: Exception) -> bool | float:
    """Return whether a download is retried. A 404 is: a storage may lag a moment behind the result."""
    if isinstance(error, OutputGone):
        return True
    if isinstance(error, TooSlow):  # the caller lets others go first
        return False
    return isinstance(error, DownloadError) and error.verdict is Verdict.RETRYABLE


def _length(response: httpx.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


@contextlib.contextmanager
def _growing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside ``path`` that gets its name once it is whole and on disk, and is deleted otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
