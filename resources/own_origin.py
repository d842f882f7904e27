"""Which browser requests a server of this project takes: those of its own pages, under its own names.

Any web page can make a browser send requests to a server on this machine. Such a request carries another `Origin`, says
`Sec-Fetch-Site: cross-site` (or `same-site`: all loopback ports are one site and share cookies), or comes under a name
that its owner made point here (DNS rebinding). Programs send none of these headers and are taken.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""The names of this machine as a `Host` header has them; no DNS server can make them point elsewhere."""

SAFE_METHODS = frozenset({"GET", "HEAD"})

_NAME = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?)(?::(\d{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"ws": "http", "wss": "https"}
_SITES = frozenset({"same-origin", "none"})
"""`none` is what a person typed or opened from a bookmark."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is not passed on."""

    status: HTTPStatus
    text: str


def parse_hosts(text: str) -> frozenset[str]:
    """Return the names in a list such as ``videos.example.com, 10.0.0.5:3000``, in lower case.

    Raises:
        ValueError: a part is not a host name with or without a port; names it.
    """
    parts = [part.lower() for part in re.split(r"[,\s]+", text) if part]
    for part in parts:
        if _NAME.fullmatch(part) is None:
            raise ValueError(f"{part!r} is not a host name; give names such as videos.example.com, without https://")
    return frozenset(parts)


def headers_of(scope: Scope, name: bytes) -> list[str]:
    """Return every value of a header; more than one of those that decide is refused by whoever asks."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def host_is_own(host: str, names: Collection[str]) -> bool:
    """Return whether a `Host` header is one of the names, under any port unless the name has one."""
    found = _NAME.fullmatch(host.lower())
    return found is not None and (found[1] in names or found[0] in names)


def refuse_host(scope: Scope, names: Collection[str]) -> Refusal | None:
    """Return why the request's `Host` is not one of the names, None if it is."""
    given = headers_of(scope, b"host")
    if len(given) == 1 and host_is_own(given[0], names):
        return None
    return Refusal(
        HTTPStatus.BAD_REQUEST,
        "This server does not answer under this host name. Use http://127.0.0.1, or have its operator add the name.",
    )


def refuse_origin(scope: Scope, *, required: bool = False) -> Refusal | None:
    """Return why the request is not one of the server's own pages or of a program, None if it is.

    Args:
        scope: of the request; its `Host` has been checked.
        required: refuse also what has no `Origin`.
    """
    sites, origins = headers_of(scope, b"sec-fetch-site"), headers_of(scope, b"origin")
    own = len(sites) <= 1 and len(origins) <= 1 and all(site.strip().lower() in _SITES for site in sites)
    if own and (_is_own(origins[0], scope) if origins else not required):
        return None
    return Refusal(
        HTTPStatus.FORBIDDEN, "Pages of other origins, other ports included, may not use this server. Nothing was done."
    )


def _is_own(origin: str, scope: Scope) -> bool:
    """Return whether an `Origin` is the scheme, name and port under which the server was called."""
    scheme, separator, place = origin.strip().lower().partition("://")
    if not separator or scheme not in _DEFAULT_PORTS or scheme not in _schemes(scope):
        return False
    host = headers_of(scope, b"host")[0].lower()
    return _place(place, scheme) == _place(host, scheme) is not None


def _place(text: str, scheme: str) -> tuple[str, int] | None:
    found = _NAME.fullmatch(text)
    return None if found is None else (found[1], int(found[3] or _DEFAULT_PORTS[scheme]))


def _schemes(scope: Scope) -> Collection[str]:
    """Return the schemes that the server may be reached by: a proxy in front may end TLS and say so, or not."""
    forwarded = headers_of(scope, b"x-forwarded-proto")
    if forwarded:  # no page can send this header to another origin unasked
        return {_http(forwarded[0].partition(",")[0].strip().lower())}
    host = _NAME.fullmatch(headers_of(scope, b"host")[0].lower())
    if host is not None and host[1] not in LOOPBACK_NAMES:
        return _DEFAULT_PORTS
    return {_http(scope.get("scheme", "http"))}


def _http(scheme: str) -> str:
    return _SCHEMES.get(scheme, scheme)


class OwnOriginOnly:
    """ASGI middleware: own host names for everything, own pages for whatever may change something.

    Args:
        app: what is behind it.
        names: host names beside those of this machine.
        exempt: paths that answer under any name, for health checks that send an address.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = (), exempt: Collection[str] = ()) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | frozenset(names)
        self._exempt = frozenset(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 (host) or 403 (origin)."""
        refused = None if scope["type"] == "lifespan" else self.refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await answer(refused, scope, send)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why a request is refused, None if it is not."""
        safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        if safe and scope["path"] in self._exempt:
            return None
        refused = refuse_host(scope, self._names)
        return refused if refused or safe else refuse_origin(scope, required=scope["type"] == "websocket")


async def answer(refused: Refusal, scope: Scope, send: Send) -> None:
    """Send a refusal; a WebSocket is closed before it is accepted, which servers answer with 403."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refused.text[:100]})
        return
    body = f"{refused.text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),  # the body that came with the request was not read
    ]
    await send({"type": "http.response.start", "status": int(refused.status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
