"""A raw server on this machine that answers exactly as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.pacing import RetryPolicy, Timeouts

TOKEN = "secret-token-0123456789"


@dataclass(frozen=True)
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


def say(status: int, body: object = None, headers: dict[str, str] | None = None, *, raw: bytes | None = None) -> Act:
    """Answer completely and keep the connection."""
    content = raw if raw is not None else json.dumps(body).encode()

    async def act(writer: asyncio.StreamWriter) -> None:
        lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)
        await writer.drain()

    return act


def cut(prefix: bytes = b"") -> Act:
    """Reads the request, writes ``prefix`` and closes."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(prefix)
        await writer.drain()
        writer.close()

    return act


def reset() -> Act:
    """Reads the request and resets the connection."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return act


def hang() -> Act:
    """Read the request and send nothing."""

    async def act(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    return act


@dataclass
class Wire:
    """What to do with each request, in turn; the last act repeats."""

    acts: list[Act]
    close_at_once: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    base: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        if number <= self.close_at_once:
            writer.transport.abort()
            return
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                self.seen.append(Seen(method, target, headers, body, number))
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                await act(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def wire(*acts: Act, close_at_once: int = 0) -> AsyncIterator[Wire]:
    served = Wire(list(acts) or [say(200, {})], close_at_once)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(served.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    served.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


QUICK = RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.02, jitter=0.01, total_seconds=5)


def client_of(base: str, **changes: Any) -> RunComfyClient:
    token = changes.pop("token", SecretStr(TOKEN))
    given: dict[str, Any] = {"service": "sandbox", "policy": QUICK, **changes}
    return RunComfyClient(f"{base}/v1", f"{base}/prod/v2", base, token, **given)


class Kit:
    """What the tests of this folder share."""

    token = TOKEN
    quick = QUICK
    timeouts = Timeouts
    say, cut, reset, hang, wire, client = (staticmethod(part) for part in (say, cut, reset, hang, wire, client_of))

    @staticmethod
    def run(scenario: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(scenario)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
