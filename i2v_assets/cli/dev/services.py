"""Start the services of one machine together: S3 server, sandbox, links to the bucket, and Dagster."""

import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from types import MappingProxyType

from i2v_assets.cli.disk import require_room
from i2v_assets.cli.environment import locked, without_production
from resources.devservers.start import ChildProcess, environment, free_port, port_is_free, start_s3, start_sandbox

HERE = Path(__file__).parent.parent.parent
_PORTS = range(1024, 65_536)
"""Ports that need no rights of root."""
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Programs:
    """Where the project's processes keep files and logs, and their environment."""

    data_dir: Path
    environment: Mapping[str, str]

    def start(
        self, arguments: list[str], log: str, stop_signal: Signals = Signals.SIGTERM, more: Mapping[str, str] = _NONE
    ) -> ChildProcess:
        """Start a Python module of the project with this environment and ``more``."""
        return ChildProcess(
            [sys.executable, "-m", *arguments],
            log=self.data_dir / "logs" / log,
            environment={**self.environment, **more},
            stop_signal=stop_signal,
            # Not the person's folder: Dagster's commands put the `.env` of theirs over the environment that they are given.
            folder=Path(self.environment["DAGSTER_HOME"]),
        )


@dataclass(frozen=True)
class Services(Programs):
    """The services that run, and the environment by which other processes find them."""

    sandbox_url: str
    link_base: str


@contextmanager
def local_services(
    data_dir: Path,
    *,
    sandbox: Mapping[str, object],
    settings: Mapping[str, str] = _NONE,
    keep: Collection[str] = (),
    fresh: bool = False,
) -> Iterator[Services]:
    """Start the S3 server, the sandbox and the link server; all of it ends with the block.

    Args:
        data_dir: where everything is kept (made when missing); it is this process' own until the end.
        sandbox: options of the sandbox, by the names of its starter.
        settings: further environment variables.
        keep: names of AWS_*, RUNCOMFY_* and I2V_* variables of this process that count here too; no others do.
        fresh: remove what an earlier time left there.

    Raises:
        TryLater: another process works in the folder, or the disk is nearly full.
        UsageProblem: the folder cannot be written.
        ServerNotStarted: a server did not come up.
    """
    data_dir = data_dir.absolute()
    require_room(data_dir.parent)
    with ExitStack() as stack:
        stack.enter_context(locked(data_dir))
        if fresh and data_dir.exists():
            shutil.rmtree(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        s3 = stack.enter_context(start_s3(data_dir / "s3"))
        model_api = stack.enter_context(start_sandbox(data_dir / "sandbox", **sandbox))
        link_port = _link_port(data_dir / "links.port")
        variables = {
            **without_production(os.environ, keep),
            **environment(s3, model_api),
            # A profile named `default` counts without being asked for, and can turn AWS_ENDPOINT_URL_S3 off.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "RUNCOMFY_CONFIG_DIR": str(data_dir / "runcomfy"),  # the sandbox's token is not to replace a person's own
            "I2V_DATA_DIR": str(data_dir),
            "I2V_VIDEO_LINK_BASE": f"http://127.0.0.1:{link_port}/",
            "DAGSTER_HOME": str(dagster_home(data_dir)),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **settings,
        }
        if presets := variables.get("I2V_PRESETS_FILE"):
            variables["I2V_PRESETS_FILE"] = str(Path(presets).absolute())  # the processes have another folder
        services = Services(data_dir, variables, model_api.url, variables["I2V_VIDEO_LINK_BASE"])
        links = services.start(["resources.storage.link_server", "--port", str(link_port)], "links.log")
        stack.enter_context(links)
        yield services


def _link_port(file: Path) -> int:
    """Return the port of the links: the earlier one while it is free, since the UI keeps the links that it was given."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    if port not in _PORTS or not port_is_free(port):
        port = free_port()
        file.write_text(str(port))
    return port


def dagster_home(data_dir: Path, home: Path | None = None) -> Path:
    """Return Dagster's folder, in the data folder unless given, with this version's settings of the instance."""
    home = home or data_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "dagster_local.yaml", home / "dagster.yaml")
    return home
