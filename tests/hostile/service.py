"""A service that means harm: a server that answers a clip's calls as its scenario says, and all others as the sandbox does.

The clips that suffer use another model than the good clips beside them, and name their scenario by their seed. A second
listener stands for any other host: whatever reaches it is noted, with its headers.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

Where = Literal["submit", "status", "result", "download", "catalogue"]
MODEL = "bytedance/seedance-2.0/pro"


@dataclass(frozen=True)
class Call:
    """One call of a scenario: its number from 1, and the addresses that an answer may name."""

    number: int
    here: str
    thief: str
    name: str
    authorization: str
    model: Mapping[str, Any]


Act = Callable[[asyncio.StreamWriter, Call], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """What is done at one kind of call."""

    name: str
    where: Where
    act: Act
    kind: str
    alone: bool = False
    """It concerns every clip of a run, or the catalogue, which clips of one model share."""


@dataclass
class HostileService:
    """Both listeners, in a thread of their own."""

    scenarios: Mapping[int, Scenario]
    sandbox: str
    sandbox_token: str
    video: bytes
    model: Mapping[str, Any]
    catalogue: Scenario | None = None
    posts: Counter[str] = field(default_factory=Counter)
    stolen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    fetched: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    base: str = ""
    thief: str = ""
    _calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> "HostileService":
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda *_: None)  # the clients leave as they like

        async def begin() -> None:
            self._upstream = httpx.AsyncClient(trust_env=False, timeout=30)
            # A huge answer header is one of the scenarios of the other side; requests are small.
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            thief = await asyncio.start_server(self._steal, "127.0.0.1", 0)
            self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.thief = f"http://127.0.0.1:{thief.sockets[0].getsockname()[1]}"
            started.set()

        self._loop.create_task(begin())
        self._loop.run_forever()

    async def _steal(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, target, headers, body = await _request(reader)
        self.stolen.append((f"{target} {body.decode('latin-1')}", headers))
        await reply(200, b"<html>mine</html>", kind="text/html")(writer, NOBODY)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                method, target, headers, body = await _request(reader)
                await self._answer(writer, method, target, headers, body)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, httpx.HTTPError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> None:
        path = target.partition("?")[0]
        where, victim = self._place(method, path, body)
        if where is None:
            await self._forward(writer, method, target, headers, body)
            return
        if where == "download":
            self.fetched.append((target, headers))
        if where == "submit" and victim:
            self.posts[victim.name] += 1
        if where == "catalogue" and victim is None and not path.endswith(MODEL):
            await reply(404, {"error_code": 404001})(writer, NOBODY)  # the older id of the model
            return
        name = victim.name if victim else "none"
        self._calls[where, name] += 1
        call = Call(
            self._calls[where, name],
            self.base,
            self.thief,
            name,
            headers.get("authorization", ""),
            self.model,
        )
        act = victim.act if victim is not None and victim.where == where else GOOD[where]
        if act is GOOD["download"]:
            act = reply(200, self.video, kind="video/mp4")
        await act(writer, call)

    def _place(self, method: str, path: str, body: bytes) -> tuple[Where | None, Scenario | None]:
        if path.startswith("/out/"):
            return "download", self._named(path.split("/")[2])
        if path.startswith("/v1/requests/v-"):
            name, what = path.split("/")[3].removeprefix("v-"), path.rpartition("/")[2]
            return ("status" if what == "status" else "result"), self._named(name)
        if "bytedance/" in path and method == "POST":
            found = self.scenarios.get(int(json.loads(body).get("seed") or 0))
            return "submit", found or self.catalogue
        if "bytedance/" in path:
            return "catalogue", self.catalogue
        return None, None

    def _named(self, name: str) -> Scenario | None:
        every = [*self.scenarios.values(), *([self.catalogue] if self.catalogue else [])]
        return next((each for each in every if each.name == name), None)

    async def _forward(
        self, writer: asyncio.StreamWriter, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> None:
        passed = {"authorization": f"Bearer {self.sandbox_token}"}
        if "content-type" in headers:
            passed["content-type"] = headers["content-type"]
        answer = await self._upstream.request(method, self.sandbox + target, headers=passed, content=body)
        kind = answer.headers.get("content-type", "application/json")
        await reply(answer.status_code, answer.content, kind=kind)(writer, NOBODY)


NOBODY = Call(1, "", "", "", "", {})


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return method, target, headers, body


# What an act does


def reply(status: int, body: object, kind: str = "application/json", **headers: str) -> Act:
    """Answer completely; a function of the call gives the body, text and bytes are sent as they are."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        content = body(call) if callable(body) else body
        if not isinstance(content, bytes):
            content = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        lines = {"Content-Type": kind, "Content-Length": str(len(content))} | {
            name.replace("_", "-"): value.format(here=call.here, thief=call.thief, name=call.name)
            for name, value in headers.items()
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)
        await writer.drain()

    return act


def raw(data: bytes) -> Act:
    """Write these bytes and close."""

    async def act(writer: asyncio.StreamWriter, _: Call) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return act


def stream(head: bytes, piece: bytes, pause: float = 0) -> Act:
    """Write without end, or drop by drop."""

    async def act(writer: asyncio.StreamWriter, _: Call) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return act


def reset() -> Act:
    """Reset the connection."""

    async def act(writer: asyncio.StreamWriter, _: Call) -> None:
        writer.transport.abort()

    return act


def hang() -> Act:
    """Say nothing."""

    async def act(writer: asyncio.StreamWriter, _: Call) -> None:
        await asyncio.sleep(3600)

    return act


def redirect(status: int, target: str) -> Act:
    """Send the caller elsewhere."""
    return reply(status, b"", Location=target)


def in_turn(*acts: Act) -> Act:
    """Do another thing at each call; the last repeats."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        await acts[min(call.number, len(acts)) - 1](writer, call)

    return act


def result(**changes: object) -> Act:
    """Answer as for a finished request, but for these fields; ``{here}`` in texts is this server."""

    def body(call: Call) -> object:
        whole = {
            "request_id": f"v-{call.name}",
            "status": "succeeded",
            "output": {"video": f"{call.here}/out/{call.name}/v.mp4"},
            "created_at": "2026-09-23T10:00:00Z",
            "finished_at": "2026-09-23T10:00:09Z",
            "cost": 0.4,
        }
        return {**whole, **{name: _filled(value, call) for name, value in changes.items()}}

    return reply(200, body)


def video_at(address: str) -> Act:
    """Answer with an output at this address."""
    return result(output={"video": address})


def _filled(value: object, call: Call) -> object:
    if isinstance(value, str):
        return value.replace("{here}", call.here).replace("{thief}", call.thief).replace("{auth}", call.authorization)
    if isinstance(value, dict):
        return {name: _filled(item, call) for name, item in value.items()}
    return [_filled(item, call) for item in value] if isinstance(value, list) else value


def model(**changes: object) -> Act:
    """Answer with the model's entry of the catalogue, but for these fields."""
    return reply(200, lambda call: {**call.model, **changes})


GOOD: dict[Where, Act] = {
    "submit": reply(200, lambda call: {"request_id": f"v-{call.name}"}),
    "status": reply(200, lambda call: {"request_id": f"v-{call.name}", "status": "completed"}),
    "result": result(),
    "download": hang(),
    "catalogue": model(),
}
