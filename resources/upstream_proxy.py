"""A proxy to one web server: HTTP and WebSockets, with the caller's `Host`, nothing read or changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from resources.errors import SettingsError

ANSWER_SECONDS = 300
"""Dagster's longest answers are debug files of whole runs."""

CONNECT_SECONDS = 10

_OF_THE_CONNECTION = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
"""Headers that are not passed on (RFC 9110, 7.6.1)."""


class UpstreamProxy:
    """ASGI app that passes HTTP and WebSockets on to one server, with the caller's `Host`.

    Args:
        upstream: its address, without a path.

    Raises:
        SettingsError: the address is not one.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise SettingsError(f"--upstream {upstream!r} is not an address.", remedy="Use http://HOST:PORT.")
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._open())
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        # Neither proxies of the environment nor redirects: everything goes to the one server, as it came.
        async with httpx.AsyncClient(trust_env=False, timeout=timeout, limits=limits) as self._client:
            yield

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._client is not None  # noqa: S101 - the server opens it before the first request
        headers = _passed_on(scope)
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        request = self._client.build_request(
            scope["method"], self._address(scope), headers=headers, content=_body(receive) if has_body else None
        )
        # httpx adds its own defaults; only what the caller sent is passed on.
        request.headers = httpx.Headers(
            [
                *headers,
                *([(b"transfer-encoding", b"chunked")] if has_body and not _has(headers, b"content-length") else []),
            ]
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError:
            await _unavailable(scope, send)
            return
        try:
            kept = [(name.lower(), value) for name, value in response.headers.raw if not _is_hop(name)]
            await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
            async for part in response.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        address = self._address(scope).replace("http", "ws", 1)
        own = {b"host", b"connection", b"upgrade", b"origin", b"user-agent"}
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in own and not name.startswith(b"sec-websocket-")
        ]
        wanted = [Subprotocol(name) for name in scope.get("subprotocols", ())]
        try:
            upstream = await connect(
                address,
                subprotocols=wanted or None,
                additional_headers=headers,
                proxy=None,
                open_timeout=CONNECT_SECONDS,
                max_size=None,  # a run's log comes in one message
                ping_interval=None,  # the two ends have their own
            )
        except (OSError, InvalidHandshake):
            await send({"type": "websocket.close", "code": 1013, "reason": "Dagster's webserver does not answer."})
            return
        async with upstream:
            await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
            await _both_ways(upstream, receive, send)

    def _address(self, scope: Scope) -> str:
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        query = scope["query_string"].decode("latin-1")
        return f"{self._base}{path}{f'?{query}' if query else ''}"


async def _both_ways(upstream: ClientConnection, receive: Receive, send: Send) -> None:
    """Pass messages on in both directions until one side closes."""

    async def up() -> None:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            await upstream.send(text if text is not None else message["bytes"])

    async def down() -> None:
        async for message in upstream:
            await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[1] in done:
            await send({"type": "websocket.close", "code": 1000})
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await task


async def _lifespan(receive: Receive, send: Send, opened: contextlib.AbstractAsyncContextManager[None]) -> None:
    await receive()  # startup
    async with opened:
        await send({"type": "lifespan.startup.complete"})
        await receive()  # shutdown
    await send({"type": "lifespan.shutdown.complete"})


def _is_hop(name: bytes) -> bool:
    return name.lower() in _OF_THE_CONNECTION


def _has(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bool:
    return any(name == wanted for name, _ in headers)


def _passed_on(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the request's headers without those of the connection and those that `Connection` names."""
    named = {
        part.strip().lower() for name, value in scope["headers"] if name == b"connection" for part in value.split(b",")
    }
    return [(name, value) for name, value in scope["headers"] if not _is_hop(name) and name not in named - {b"host"}]


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.WriteError("The caller is gone.")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _unavailable(scope: Scope, send: Send) -> None:
    body = b"" if scope["method"] == "HEAD" else b"Dagster's webserver does not answer.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 502, "headers": headers})
    await send({"type": "http.response.body", "body": body})
