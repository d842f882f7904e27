"""Start the services of one machine together: S3 server, sandbox, links to the bucket, and Dagster."""

import fcntl
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from types import MappingProxyType

from i2v_assets.cli.environment import without_production
from i2v_assets.cli.exit_codes import TryLater
from resources.devservers.start import ChildProcess, environment, free_port, start_s3, start_sandbox


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process; the lock ends with the process, however that ends.

    The lock file lies beside the folder, since the demo empties its folder. It stays there: removing it could remove the
    next owner's.

    Raises:
        TryLater: another process holds the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise TryLater(
                f"{file.read().strip() or 'Another process'} works in {folder}.",
                remedy="Wait for it or end it, or set I2V_DATA_DIR to another folder.",
            ) from None
        file.truncate(0)
        file.write(f"Process {os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])})")
        file.flush()
        yield


HERE = Path(__file__).parent.parent.parent
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Services:
    """The running services, and the environment by which other processes find them."""

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
            # Not the person's folder: Dagster's commands put the `.env` of theirs over the environment that they are given.
            folder=Path(self.environment["DAGSTER_HOME"]),
        )


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
        TryLater: another process works in the folder.
        ServerNotStarted: a server did not come up.
    """
    data_dir = data_dir.absolute()
    with ExitStack() as stack:
        stack.enter_context(locked(data_dir))
        if fresh and data_dir.exists():
            shutil.rmtree(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        s3 = stack.enter_context(start_s3(data_dir / "s3"))
        model_api = stack.enter_context(start_sandbox(data_dir / "sandbox", **sandbox))
        link_port = free_port()
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


def dagster_home(data_dir: Path) -> Path:
    """Return Dagster's folder in the data folder, with this version's settings of the instance."""
    home = data_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "dagster_local.yaml", home / "dagster.yaml")
    return home
