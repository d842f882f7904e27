"""Dagster on one machine for `i2v dev` and `i2v serve`: code server, daemon and webserver, which end together.

`dagster dev` starts the same three, but ends them one after the other and leaves the code server to end by itself: 5 to 17 s
after Ctrl-C, while the bucket and the sandbox are already gone.
"""

import contextlib
import errno
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from i2v_assets.cli.dev.services import Programs
from i2v_assets.cli.exit_codes import TryLater, UsageProblem
from resources.devservers.start import ChildProcess, stop_together

MODULE = "i2v_assets.definitions"
NAME = "i2v_assets"
"""The code location's name, as in `workspace.yaml` and in deploy/."""
LOCATION_NOTE = "location_name"
"""The file of a home that keeps the name with which it was begun."""
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

    def watch(self, stopped: threading.Event) -> None:
        """Return once a person wants no more of it.

        Raises:
            TryLater: one of the processes ended by itself.
        """
        while not stopped.wait(1.0):
            if (ended := self.ended) is not None:
                raise TryLater("Dagster ended by itself.", remedy=ended.log_tail())


@contextmanager
def local_dagster(
    programs: Programs, port: int, stopped: Callable[[], bool], host: str = "127.0.0.1"
) -> Iterator[LocalDagster | None]:
    """Start Dagster's processes, the webserver behind its guard; all of it ends with the block.

    Args:
        programs: Environment and folder of the processes.
        port: The webserver's.
        stopped: Returns True once a person has stopped it; asked while Dagster starts.
        host: The address that the webserver listens on.

    Yields:
        The processes; None if a person stopped it while it started.

    Raises:
        ServerNotStarted: one of them did not come up.
    """
    workspace = programs.data_dir / "workspace.yaml"
    # A socket in a folder of the user's own, not a port: whoever reaches the code server may start paid runs. The system's
    # folder for temporary files, since a socket's path has at most 107 characters.
    place = tempfile.TemporaryDirectory(prefix="i2v-")
    address = str(Path(place.name) / "code.sock")
    name = location_name(Path(programs.environment["DAGSTER_HOME"]))
    server = {"host": "localhost", "socket": address, "location_name": name}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML too
    started: list[ChildProcess] = []

    def start(log: str, *arguments: str) -> ChildProcess:
        child = programs.start(list(arguments), log, more={"DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "1"})
        started.append(child)
        return child

    try:
        code = start(
            "code_server.log", "dagster", "code-server", "start", "-m", MODULE, "-s", address, "--location-name", name,
        )  # fmt: skip
        code.wait_until(lambda: stopped() or _listens(address), seconds=START_SECONDS, what="Dagster's code server")
        if stopped():
            yield None
            return
        daemon = start("daemon.log", "dagster._daemon", "run", "-w", str(workspace))
        webserver = start("webserver.log", "i2v_assets.webserver", "-w", str(workspace), "-h", host, "-p", str(port))
        webserver.wait_until(
            lambda: stopped() or answers(port, host), seconds=START_SECONDS, what="Dagster's webserver"
        )
        yield None if stopped() else LocalDagster(code, daemon, webserver)
    finally:
        stop_together(started, SECONDS_TO_END)
        place.cleanup()


def location_name(home: Path) -> str:
    """Return the code location's name in Dagster: the project's, except in a home that an earlier version began.

    Dagster keeps the cursor of a sensor, and whether a person has stopped it, by this name. So a home keeps its name.
    """
    note = home / LOCATION_NOTE
    with contextlib.suppress(OSError):
        return note.read_text(encoding="utf-8").strip()
    began_before = (home / "schedules").exists() or (home / "history").exists()
    own_storage = (home / "dagster.yaml").exists() and "storage:" in (home / "dagster.yaml").read_text(encoding="utf-8")
    name = MODULE if began_before or own_storage else NAME
    note.write_text(f"{name}\n", encoding="utf-8")
    return name


def _listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address) == 0


def require_free(port: int, host: str = "127.0.0.1") -> None:
    """Refuse a taken port: another program's answer on it would pass for Dagster's.

    Raises:
        UsageProblem: the port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that has just been left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageProblem(f"Port {port} is taken.", remedy="Name another one with --port.") from None
            raise UsageProblem(f"{host}:{port} cannot be used: {error.strerror or error}.") from None


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Return True once the webserver answers."""
    try:
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(  # noqa: S104 - asked, not bound
            host, f"[{host}]" if ":" in host else host
        )
        with urlopen(f"http://{name}:{port}/server_info", timeout=2) as answer:
            return int(answer.status) == 200
    except (URLError, OSError):
        return False
