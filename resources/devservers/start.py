"""Starts and stops the embedded servers; the only entry to the sandbox."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from resources.devservers.postgres import RunningPostgres, postgres_programs, start_postgres
from resources.devservers.process import ChildProcess, ServerNotStarted, stop_together
from resources.devservers.s3 import RunningS3, free_port, port_is_free, start_s3

__all__ = [
    "SANDBOX_TOKEN",
    "ChildProcess",
    "RunningPostgres",
    "RunningS3",
    "RunningSandbox",
    "ServerNotStarted",
    "environment",
    "free_port",
    "port_is_free",
    "postgres_programs",
    "start_postgres",
    "start_s3",
    "start_sandbox",
    "stop_together",
]

SANDBOX_TOKEN = "sandbox-token"  # noqa: S105 - worth nothing: the sandbox takes any token
"""The token that clients of a started sandbox send."""

_READY_SECONDS = 120.0
"""Seconds until the sandbox must listen. With the media libraries it takes 1 to 2 s on two idle cores; the rest is for a busy machine.
"""


@dataclass
class RunningSandbox:
    """A started sandbox; use it as a context manager or call `stop`."""

    url: str
    """The sandbox's address, without a trailing slash."""
    pid: int
    data_dir: Path
    process: ChildProcess = field(repr=False)

    @property
    def model_api_base(self) -> str:
        """Return the value of RUNCOMFY_MODEL_API_BASE."""
        return f"{self.url}/v1"

    @property
    def serverless_api_base(self) -> str:
        """Return the value of RUNCOMFY_SERVERLESS_API_BASE."""
        return f"{self.url}/prod/v2"

    def stop(self) -> None:
        """Stop the sandbox; its state stays in the data folder. May be called again."""
        self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_sandbox(data_dir: Path, **options: object) -> RunningSandbox:
    """Start the sandbox on a free loopback port and wait until it listens.

    Args:
        data_dir: folder of its state and videos (created if missing).
        options: the sandbox's own options with underscores: ``generation_seconds=0.2, render="cached"``; None omits
            one.

    Raises:
        ServerNotStarted: the sandbox did not start, for example because an option is unknown.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    output = data_dir / "listening.json"
    given = {"port": 0, **options}
    process = ChildProcess(
        [
            *(sys.executable, "-m", "resources.sandbox", "--data", str(data_dir)),
            *(
                text
                for name, value in given.items()
                if value is not None
                for text in (f"--{name.replace('_', '-')}", str(value))
            ),
        ],
        log=data_dir / "sandbox.log",
        output=output,
    )
    process.wait_until(lambda: b"\n" in output.read_bytes(), seconds=_READY_SECONDS, what="The sandbox")
    url = str(json.loads(output.read_bytes().splitlines()[0])["url"]).rstrip("/")
    return RunningSandbox(url, process.pid, data_dir, process)


def environment(
    s3: RunningS3 | None = None, sandbox: RunningSandbox | None = None, **settings: object
) -> dict[str, str]:
    """Return the environment variables with which a process uses the started servers.

    Args:
        s3: adds boto3's own variables.
        sandbox: adds the vendor's variables and I2V_SERVICE.
        settings: fields of the settings table, such as ``settle_seconds=0``, as their I2V_ variables.
    """
    variables: dict[str, str] = {}
    if s3 is not None:
        variables |= {
            "AWS_ENDPOINT_URL_S3": s3.endpoint,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key.get_secret_value(),
            "AWS_REGION": s3.region,
        }
    if sandbox is not None:
        variables |= {
            "RUNCOMFY_MODEL_API_BASE": sandbox.model_api_base,
            "RUNCOMFY_SERVERLESS_API_BASE": sandbox.serverless_api_base,
            "RUNCOMFY_WEB_BASE": sandbox.url,
            "RUNCOMFY_TOKEN": SANDBOX_TOKEN,
            "I2V_SERVICE": "sandbox",
        }
    return variables | {f"I2V_{name.upper()}": str(value) for name, value in settings.items()}
