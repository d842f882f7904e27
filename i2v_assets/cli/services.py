"""The services of one machine, started together: S3 server, sandbox, links to the bucket, and Dagster."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from types import MappingProxyType

from resources.sandbox.starter import ChildProcess, environment, free_port, start_s3, start_sandbox

HERE = Path(__file__).parent.parent
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Services:
    """What runs, and the environment by which other processes find it."""

    data_dir: Path
    environment: Mapping[str, str]
    sandbox_url: str
    link_base: str

    def start(
        self, arguments: list[str], log: str, stop_signal: Signals = Signals.SIGTERM, more: Mapping[str, str] = _NONE
    ) -> ChildProcess:
        """Start a Python module of the project beside the services, with their environment and ``more``."""
        return ChildProcess(
            [sys.executable, "-m", *arguments],
            log=self.data_dir / "logs" / log,
            environment={**self.environment, **more},
            stop_signal=stop_signal,
        )


@contextmanager
def local_services(data_dir: Path, *, sandbox: Mapping[str, object], settings: Mapping[str, str]) -> Iterator[Services]:
    """Start the S3 server, the sandbox and the link server; all of it ends with the block.

    Args:
        data_dir: where everything is kept (made when missing).
        sandbox: options of the sandbox, by the names of its starter.
        settings: further environment variables; they win over this process' own.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        s3 = stack.enter_context(start_s3(data_dir / "s3"))
        model_api = stack.enter_context(start_sandbox(data_dir / "sandbox", **sandbox))
        link_port = free_port()
        variables = {
            **os.environ,
            **environment(s3, model_api),
            "I2V_DATA_DIR": str(data_dir),
            "I2V_VIDEO_LINK_BASE": f"http://127.0.0.1:{link_port}/",
            "DAGSTER_HOME": str(dagster_home(data_dir)),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **settings,
        }
        services = Services(data_dir, variables, model_api.url, variables["I2V_VIDEO_LINK_BASE"])
        links = services.start(["resources.storage.link_server", "--port", str(link_port)], "links.log")
        stack.enter_context(links)
        yield services


def dagster_home(data_dir: Path) -> Path:
    """Dagster's folder in the data folder, with the instance's settings of this version."""
    home = data_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "dagster_local.yaml", home / "dagster.yaml")
    return home
