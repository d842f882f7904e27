"""A connection that is refused at the submit proves that nothing was sent, though the price was asked right before."""

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from resources.generation import witness
from resources.generation.types import Delivered, Failed
from resources.ledger.records import Spend, State
from resources.witness.record import RecordState
from resources.witness.store import Place


class Door:
    """A way to the sandbox that can be shut: open connections live on, and a new one is refused."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self.sent = bytearray()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None

    async def open(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Stop listening, and keep the port, so that no other server answers there."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._kept = socket.socket()
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(("127.0.0.1", self.port))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._to.hostname, self._to.port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
            while data := await source.read(65_536):
                kept += data
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(
            pump(reader, there[1], self.sent), pump(there[0], writer, bytearray()), return_exceptions=True
        )


def test_a_refused_connection_at_the_submit_was_never_delivered(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(house.settings.runcomfy_model_api_base)
    order = house.order(1)
    record_claim = witness.record_claim

    async def shut_after_the_claim(*given: Any) -> Any:
        recorded = await record_claim(*given)
        door.shut()
        return recorded

    async def run() -> tuple[Any, Any]:
        await door.open()
        url = f"http://127.0.0.1:{door.port}{urlsplit(house.settings.runcomfy_model_api_base).path}"
        house.settings = house.settings.model_copy(update={"runcomfy_model_api_base": url})
        with monkeypatch.context() as patched:
            patched.setattr(witness, "record_claim", shut_after_the_claim)
            (refused,) = await house.collect([order], submit_tries=2)
        seen = bytes(door.sent)
        assert seen.count(b"GET ") >= 2, "the price was asked, and answered"
        assert b"POST " not in seen
        assert house.charges() == []
        row = house.row(order)
        assert (row.state, row.request_id) == (State.PLANNED, None)
        assert house.what(order).count("never_delivered") == 2
        assert house.ledger.spent_today("sandbox") == Spend(0, 0, 0), "nothing was charged, and nothing is reserved"
        found = Place(house.bucket).read(order.fingerprint, 1)
        assert found is not None
        assert found.record is not None
        assert found.record.state is RecordState.FREE
        await door.open()
        (delivered,) = await house.collect([order])
        door.shut()
        return refused, delivered

    refused, delivered = asyncio.run(run())
    assert isinstance(refused, Failed)
    assert isinstance(delivered, Delivered)
    assert len(house.charges()) == 1
