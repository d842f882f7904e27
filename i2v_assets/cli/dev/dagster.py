"""Run Dagster on one machine for `i2v dev`: code server, daemon and webserver, which end together.

`dagster dev` starts the same three, but ends them one after the other and leaves the code server to end by itself: 5 to 17 s
after Ctrl-C, while the bucket and the sandbox are already gone.
"""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

from i2v_assets.cli.dev.services import Services
from resources.devservers.start import ChildProcess, free_port, stop_together

MODULE = "i2v_assets.definitions"
START_SECONDS = 120
SECONDS_TO_END = 10.0
"""Seconds until what is left is killed. A run that is under way leaves its requests to be adopted, which takes some seconds."""


@dataclass(frozen=True)
class LocalDagster:
    """The three processes; each writes its own log."""

    code_server: ChildProcess
    daemon: ChildProcess
    webserver: ChildProcess

    @property
    def ended(self) -> ChildProcess | None:
        """Return a process that has ended by itself, None while all run."""
        return next((each for each in (self.code_server, self.daemon, self.webserver) if not each.running), None)


@contextmanager
def local_dagster(services: Services, port: int, stopped: Callable[[], bool]) -> Iterator[LocalDagster | None]:
    """Start Dagster beside the services; all of it ends with the block.

    Args:
        services: The local services.
        port: The webserver's, on 127.0.0.1.
        stopped: Returns True once a person has stopped it; asked while Dagster starts.

    Yields:
        The processes; None if a person stopped it while it started.

    Raises:
        ServerNotStarted: one of them did not come up.
    """
    code_port = free_port()
    workspace = services.data_dir / "workspace.yaml"
    server = {"host": "127.0.0.1", "port": code_port, "location_name": MODULE}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML too
    started: list[ChildProcess] = []

    def start(log: str, *arguments: str) -> ChildProcess:
        child = services.start(list(arguments), log, more={"DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "1"})
        started.append(child)
        return child

    try:
        code = start(
            "code_server.log", "dagster", "code-server", "start", "-m", MODULE, "-h", "127.0.0.1", "-p", str(code_port),
            "--location-name", MODULE,
        )  # fmt: skip
        code.wait_until(lambda: stopped() or _listens(code_port), seconds=START_SECONDS, what="Dagster's code server")
        if stopped():
            yield None
            return
        daemon = start("daemon.log", "dagster._daemon", "run", "-w", str(workspace))
        webserver = start(
            "webserver.log", "dagster_webserver", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)
        )
        webserver.wait_until(lambda: stopped() or answers(port), seconds=START_SECONDS, what="Dagster's webserver")
        yield None if stopped() else LocalDagster(code, daemon, webserver)
    finally:
        stop_together(started, SECONDS_TO_END)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(port: int) -> bool:
    """Return True once the webserver answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=2) as answer:
            return int(answer.status) == 200
    except (URLError, OSError):
        return False
