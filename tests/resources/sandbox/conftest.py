"""A started sandbox, media to give it, and a client that waits."""

import base64
import http.server
import io
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from resources.devservers.start import RunningSandbox, start_sandbox
from resources.sandbox.drawing.scenes import landscape

NO_TLS = False
"""Everything is plain http; reading the certificate store for each client takes 30 ms."""

HAPPYHORSE = "happyhorse/happyhorse-1-0/image-to-video"


def picture(width: int = 640, height: int = 360, *, seed: int = 1, format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(landscape(width, height, seed)).save(buffer, format, **options)
    return buffer.getvalue()


def voice(seconds: float, *, rate: int = 16_000) -> bytes:
    """Tones in bursts of half a second, as WAV."""
    time_ = np.arange(round(seconds * rate)) / rate
    loud = (np.sin(2 * np.pi * time_) > 0) * (0.3 + 0.5 * ((time_ * 7919 // 1) % 2))
    samples = (loud * np.sin(2 * np.pi * (180 + 40 * np.sin(time_)) * time_) * 20_000).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def inline(data: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@dataclass
class MediaServer:
    """Serves bytes on loopback; counts the GETs."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    gets: list[str] = field(default_factory=list)

    def put(self, name: str, data: bytes, query: str = "") -> str:
        self.files[name] = data
        return f"{self.url}/{name}{query}"


@pytest.fixture(scope="session")
def media_server() -> Iterator[MediaServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.gets.append(self.path)
            data = server.files.get(self.path.split("?")[0].lstrip("/"))
            self.send_response(200 if data is not None else 403)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: Any) -> None:
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = MediaServer(f"http://127.0.0.1:{http_server.server_port}")
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    yield server
    http_server.shutdown()
    http_server.server_close()


@pytest.fixture(scope="session")
def media() -> SimpleNamespace:
    """Makers of media: ``picture``, ``voice`` and ``inline`` (a data: URI)."""
    return SimpleNamespace(picture=picture, voice=voice, inline=inline)


class Client(httpx.Client):
    """The wire as a plain client sees it."""

    def submit(self, model: str = HAPPYHORSE, **changes: Any) -> httpx.Response:
        return self.post(f"/v1/models/{model}", json=self.body(**changes))

    def accepted(self, model: str = HAPPYHORSE, **changes: Any) -> str:
        answer = self.submit(model, **changes)
        assert answer.is_success, answer.text
        return str(answer.json()["request_id"])

    @staticmethod
    def body(**changes: Any) -> dict[str, Any]:
        body = {
            "image_url": PICTURE,
            "prompt": "Push in slowly.",
            "duration": 3,
            "resolution": "720P",
            "seed": 7,
            "watermark": False,
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def status(self, request_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/requests/{request_id}/status").json())

    def result(self, request_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/requests/{request_id}/result", params={"include_cost": "true"}).json())

    def ended(self, request_id: str, seconds: float = 120) -> dict[str, Any]:
        """The result once it has an end."""
        deadline = time.monotonic() + seconds
        while (result := self.result(request_id))["status"] in ("in_queue", "in_progress"):
            assert time.monotonic() < deadline, result
            time.sleep(0.02)
        return result

    def video(self, request_id: str) -> bytes:
        answer = self.get(self.ended(request_id)["output"]["video"])
        assert answer.status_code == 200
        return answer.content

    def fault(self, where: str, kind: str, **more: Any) -> None:
        answer = self.post("/_sandbox/faults", json={"where": where, "kind": kind, **more})
        assert answer.status_code == 201, answer.text

    def switch(self, **switches: Any) -> None:
        answer = self.put("/_sandbox/switches", json=switches)
        assert answer.status_code == 200, answer.text

    def charges(self) -> dict[str, Any]:
        return dict(self.get("/_sandbox/charges").json())


PICTURE = inline(picture())


def client_of(server: RunningSandbox) -> Client:
    return Client(base_url=server.url, headers={"Authorization": "Bearer a-token"}, timeout=30, verify=NO_TLS)


@pytest.fixture(scope="session")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with start_sandbox(
        tmp_path_factory.mktemp("quick"), generation_seconds=0.05, generation_spread=0, render="cached"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with start_sandbox(
        tmp_path_factory.mktemp("slow"), generation_seconds=600, generation_spread=0, render="cached", queue_share=0.5
    ) as server:
        yield server


def _fresh(server: RunningSandbox) -> Iterator[Client]:
    with client_of(server) as client:
        defaults = client.get("/_sandbox/switches").json()
        yield client
        client.delete("/_sandbox/faults")
        client.delete("/_sandbox/catalogue")
        client.delete("/_sandbox/prices")
        client.put("/_sandbox/switches", json=defaults)
        client.put("/_sandbox/balance", json={"balance_usd": 100_000})


@pytest.fixture
def quick(quick_server: RunningSandbox) -> Iterator[Client]:
    """A sandbox whose requests end at once; faults, switches and balance are put back afterwards."""
    yield from _fresh(quick_server)


@pytest.fixture
def slow(slow_server: RunningSandbox) -> Iterator[Client]:
    """A sandbox whose requests stay in the queue for five minutes."""
    yield from _fresh(slow_server)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningSandbox]]:
    """Starts sandboxes of the test's own."""
    servers: list[RunningSandbox] = []

    def starter(folder: str = "data", **options: object) -> RunningSandbox:
        servers.append(start_sandbox(tmp_path / folder, **options))
        return servers[-1]

    yield starter
    for server in servers:
        server.stop()
