"""Fetch an input by the address that a person names, once, under address rules.

The threat: an address out of a script or a shared file makes this machine read something that only it can reach (a cloud
machine's metadata, a router's page, a neighbour's service) and store it for others to see. So only https, no user name
in the address, and no private, loopback or link-local address: every address that the name resolves to is checked, and
the connection goes to a checked address, so that a second look-up cannot lead elsewhere. Redirects are followed by hand
and checked alike; the bytes are counted as they arrive. Proxies of the environment are not used, since a proxy would
resolve the name again. With the sandbox, plain http to this machine is allowed, since its own servers listen there.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from i2v_assets.cli.exit_codes import DataProblem, TryLater
from resources.schemas.inputs import Service

MAX_INPUT_BYTES = 512 * 1024**2
"""Largest input that is fetched: far above what any route takes (15 MB of sound), far below a disk."""

MAX_REDIRECTS = 5
SILENCE_SECONDS = 15.0
"""Seconds to connect, and between two pieces of the answer."""
TOTAL_SECONDS = 300.0
_CHUNK = 256 * 1024
_WRAPPED = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/32", "2002::/16", "2001::/32"))
"""IPv6 ranges that carry an IPv4 address inside (NAT64, 6to4, Teredo): what they lead to cannot be checked here."""

Resolver: TypeAlias = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a name.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def fetch_input(
    address: str,
    path: Path,
    service: Service,
    *,
    resolver: Resolver = resolve,
    max_bytes: int = MAX_INPUT_BYTES,
) -> None:
    """Fetch an address into a file.

    Raises:
        DataProblem: the address breaks a rule, is not found, or is too large; messages name the host at most.
        TryLater: the host does not answer now.
    """
    ends = time.monotonic() + TOTAL_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        parts, host, port = _checked(address, service)
        where = _allowed_address(parts, host, port, service, resolver)
        location = _get(parts, host, port, where, path, ends=ends, max_bytes=max_bytes)
        if location is None:
            return
        address = urljoin(address, location)
    raise DataProblem(f"The input at {host} redirects more than {MAX_REDIRECTS} times.", remedy=_REMEDY)


_REMEDY = "Download it yourself and give the file with --image, --audio or --video."


def _checked(address: str, service: Service) -> tuple[SplitResult, str, int]:
    if any(not "!" <= char <= "~" or char == "\\" for char in address):
        raise DataProblem("An input's address has characters that are not allowed in one.", remedy=_REMEDY)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise DataProblem("An input's address is malformed.", remedy=_REMEDY) from None
    if not host or parts.username is not None or parts.password is not None:
        raise DataProblem("An input's address has no host, or a user name.", remedy=_REMEDY)
    local = service == "sandbox" and parts.scheme == "http"
    if parts.scheme != "https" and not local:
        raise DataProblem(
            f"The input at {host} is to be fetched over {parts.scheme or 'nothing'}.",
            remedy=f"Only https addresses are fetched. {_REMEDY}",
        )
    return parts, host, port or (80 if local else 443)


def _allowed_address(parts: SplitResult, host: str, port: int, service: Service, resolver: Resolver) -> str:
    """Return the address to connect to; every address of the name must be allowed."""
    try:
        found = [ipaddress.ip_address(text.partition("%")[0]) for text in resolver(host, port)]
    except (OSError, UnicodeError):
        raise TryLater(f"The name {host} could not be resolved.", remedy="Is it written right?") from None
    for each in found:
        mapped = each.ipv4_mapped if isinstance(each, ipaddress.IPv6Address) else None
        real = mapped or each
        outside = real.is_global and not real.is_multicast and not any(real in network for network in _WRAPPED)
        here = service == "sandbox" and real.is_loopback
        if outside and parts.scheme != "https":
            raise DataProblem(
                f"The input at {host} is not an https address.", remedy=f"Only https is fetched. {_REMEDY}"
            )
        if not (here or outside):
            raise DataProblem(f"The input's host {host} is an address inside a network.", remedy=_REMEDY)
    if not found:
        raise TryLater(f"The name {host} has no address.", remedy="Is it written right?")
    return str(found[0])


class _Pinned(http.client.HTTPConnection):
    """A connection to a checked address, under the name that was asked for."""

    def __init__(self, host: str, port: int, where: str, *, tls: bool) -> None:
        super().__init__(host, port, timeout=SILENCE_SECONDS)
        self._where = where
        self._tls = tls

    def connect(self) -> None:
        plain = socket.create_connection((self._where, self.port), self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host) if self._tls else plain


def _get(
    parts: SplitResult, host: str, port: int, where: str, path: Path, *, ends: float, max_bytes: int
) -> str | None:
    """Send one GET and write the answer into the file; return the new location if it redirects, else None."""
    connection = _Pinned(host, port, where, tls=parts.scheme == "https")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = f"[{host}]" if ":" in host else host
    default = 443 if parts.scheme == "https" else 80
    headers = {"Host": name if port == default else f"{name}:{port}", "Accept": "*/*", "Accept-Encoding": "identity"}
    try:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        location = answer.headers.get("Location")
        if answer.status in (301, 302, 303, 307, 308) and location:
            return location
        _check(host, answer.status, answer.headers.get("Content-Length"), max_bytes)
        _save(answer, path, host, ends=ends, max_bytes=max_bytes)
    except ssl.SSLCertVerificationError:
        raise DataProblem(f"The input's host {host} has no valid certificate.", remedy=_REMEDY) from None
    except (OSError, http.client.HTTPException) as error:
        raise TryLater(f"The input at {host} could not be fetched ({type(error).__name__}).", remedy=_REMEDY) from None
    finally:
        connection.close()
    return None


def _check(host: str, status: int, length: str | None, max_bytes: int) -> None:
    if status in (429, 500, 502, 503, 504):
        raise TryLater(f"The input's host {host} answers HTTP {status}.", remedy=_REMEDY)
    if status != 200:
        raise DataProblem(f"The input at {host} is not there: HTTP {status}.", remedy=_REMEDY)
    if length is not None and length.isdigit() and int(length) > max_bytes:
        raise _too_large(host, max_bytes)


def _save(answer: http.client.HTTPResponse, path: Path, host: str, *, ends: float, max_bytes: int) -> None:
    size = 0
    with path.open("wb") as file:
        while part := answer.read1(_CHUNK):
            size += len(part)
            if size > max_bytes:
                raise _too_large(host, max_bytes)
            if time.monotonic() > ends:
                raise TryLater(f"The input at {host} took longer than {TOTAL_SECONDS:.0f} s.", remedy=_REMEDY)
            file.write(part)
    if answer.length:
        raise TryLater(f"The input at {host} ended before its announced length.", remedy=_REMEDY)


def _too_large(host: str, max_bytes: int) -> DataProblem:
    return DataProblem(
        f"The input at {host} has more than {max_bytes // 1024**2} MiB.",
        remedy="Give a smaller file; no route takes it.",
    )
