"""Runs the application: one process, one port, one line on stdout once it listens."""

import contextlib
import fcntl
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from resources.own_origin import OwnOriginOnly
from resources.sandbox.app import create_app
from resources.sandbox.config import SandboxConfig, SandboxConfigError
from resources.sandbox.core import Sandbox
from resources.sandbox.wire_errors import TRANSPORT_KEY

BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 1
"""Seconds that answers may still take after the signal to stop; a fault's held answer would take for ever."""


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # the class is chosen at run time
    """Puts the connection into the scope, so that a fault can cut it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner: ASGIApp = self.app  # type: ignore[has-type]

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT_KEY] = self.transport
            await inner(scope, receive, send)

        self.app = with_transport


class _Server(uvicorn.Server):
    """Prints its address once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the one line."""
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            print(json.dumps({"url": f"http://{name}:{port}"}), flush=True)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep a second sandbox off the same data folder; the lock ends with the process, however it ends."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxConfigError(
                f"Another sandbox uses {data}.", remedy="Give this one its own --data folder."
            ) from None
        yield


def _listen(config: SandboxConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise SandboxConfigError(
            f"Cannot listen on {config.host}:{config.port} ({error.strerror}).", remedy="Use another --port, or 0."
        ) from None
    listener.listen(BACKLOG)
    return listener


def serve(config: SandboxConfig) -> None:
    """Serve until SIGTERM or SIGINT. Prints ``{"url": ...}`` on stdout once it listens; logs go to stderr.

    Raises:
        SandboxConfigError: the port or the data folder is taken.
    """
    cv2.setNumThreads(1)  # one for each core of a small machine
    with _alone(config.data), contextlib.closing(_listen(config)) as listener:
        server = _Server(
            uvicorn.Config(
                OwnOriginOnly(create_app(Sandbox(config)), _names(config)),
                http=_Protocol,
                ws="none",
                log_level="warning",
                access_log=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                server_header=False,
            )
        )
        server.run(sockets=[listener])


def _names(config: SandboxConfig) -> set[str]:
    """Return the host names that the sandbox answers under beside those of this machine: the ones it was given."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return {host, *([urlsplit(config.public_base).netloc] if config.public_base else [])}


def fail(error: SandboxConfigError) -> int:
    """Print why the sandbox cannot start; return the exit code of bad arguments (sysexits: 64)."""
    print(error.text, file=sys.stderr)
    return 64
