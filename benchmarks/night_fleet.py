"""A fleet on one machine, as separate processes from deploy/dagster.yaml: Postgres, an S3 server, the sandbox, the code
server with its runs, the daemon. What it starts it ends, by each process' own id."""

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
import psycopg

from i2v_assets.defs.dagster_internals import current_runs
from resources.devservers.start import ChildProcess, environment, free_port, start_postgres, start_s3, start_sandbox
from resources.ledger.ledger import Ledger
from resources.registry.registry import Registry
from resources.settings import Settings, load_settings, variable_name
from resources.storage.bucket import Bucket

DEPLOY = Path(__file__).parents[1] / "deploy"
START_SECONDS = 180.0
"""A process with Dagster takes 3 s of CPU to come up; the machine may be busy."""
ASK_SECONDS = 60.0
"""What the sandbox may take to list 4,000 requests while all cores are taken."""
LEDGER_URL = "postgresql+psycopg://"
"""libpq's own variables hold the rest, as in a deployment."""


def instance_settings(text: str, runs: int) -> str:
    """Return the text of deploy/dagster.yaml with `runs` concurrent runs.

    Raises:
        ValueError: the file no longer sets the number of runs.
    """
    changed, count = re.subn(r"(max_concurrent_runs|default_limit): \d+", rf"\1: {runs}", text)
    if count != 2:
        raise ValueError("deploy/dagster.yaml does not set max_concurrent_runs and default_limit, each once.")
    return changed


class Fleet:
    """Starts all processes with one bucket and one sandbox; a context manager.

    Args:
        folder: The fleet's own folder; other users must be able to enter it.
        runs: Concurrent runs.
        generation_seconds: Median generation time of the sandbox.
        settings: Extra I2V_ settings, by field name.
    """

    def __init__(self, folder: Path, *, runs: int, generation_seconds: float, settings: Mapping[str, object]) -> None:
        self.folder, self.runs, self.generation_seconds, self.given = folder, runs, generation_seconds, settings
        self._stack = ExitStack()
        self._last_runs: list[psutil.Process] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        folder, enter = self.folder, self._stack.enter_context
        self.s3 = enter(start_s3(folder / "s3"))
        self.sandbox = enter(
            start_sandbox(
                folder / "sandbox",
                generation_seconds=self.generation_seconds,
                generation_spread=0.2,  # the 95th percentile is 1.4 times the median
                queue_share=0.05,
                render="cached",
                balance=1_000_000,
                seed=1,
            )
        )
        self.postgres = enter(start_postgres(folder / "postgres"))
        self.code_port = free_port()
        self.env = self._environment()
        self._as_the_fleet()
        self.bucket = Bucket.from_settings(load_settings())
        self.bucket.ensure()
        self.bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
        self.ledger = Ledger.open(LEDGER_URL)
        self._stack.callback(self.ledger.close)
        self.registry = Registry(self.ledger.database)
        self._stack.callback(self._end_runs)
        self.code = self._child("code", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(self.code_port), "-m",
                                "i2v_assets.definitions")  # fmt: skip
        self.code.wait_until(self._code_answers, seconds=START_SECONDS, what="The code server")
        self._stack.callback(self._remember_runs)  # at the end, callbacks run in reverse order
        self.daemon = self._child("daemon", "dagster._daemon", "run", "-w", str(DEPLOY / "workspace.yaml"))
        self.daemon.wait_until(self._has_ticked, seconds=START_SECONDS, what="The daemon")

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text(instance_settings((DEPLOY / "dagster.yaml").read_text(), self.runs))
        (self.folder / "scratch").mkdir()
        ours = {variable_name(name) for name in Settings.model_fields}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        chosen: dict[str, object] = {
            "bucket": "night",
            "data_dir": self.folder / "data",
            "ledger_url": LEDGER_URL,
            "settle_seconds": 0,
            "measure": "false",
            "previews": "false",
            "sandbox_budget_usd_per_day": 10**6,
            "sandbox_budget_requests_per_day": 10**6,
            **self.given,
        }
        return {
            **kept,
            **environment(self.s3, self.sandbox, **chosen),
            "I2V_CODE_HOST": "127.0.0.1",
            "I2V_CODE_PORT": str(self.code_port),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres.port),
            "PGUSER": "dagster",
            "PGPASSWORD": "any",  # the embedded server trusts loopback
            "PGDATABASE": "postgres",
            "DAGSTER_HOME": str(home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "TMPDIR": str(self.folder / "scratch"),
        }

    def _as_the_fleet(self) -> None:
        """Give this process the fleet's environment until the fleet ends."""
        before = dict(os.environ)

        def restore() -> None:
            os.environ.clear()
            os.environ.update(before)

        self._stack.callback(restore)
        os.environ.clear()
        os.environ.update(self.env)

    def _child(self, role: str, *words: str) -> ChildProcess:
        child = ChildProcess(
            [sys.executable, "-m", *words], log=self.folder / f"{role}.log", environment=self.env, folder=self.folder
        )
        self._stack.callback(child.stop)
        return child

    def _remember_runs(self) -> None:
        """Remember the runs before the code server ends, because runs survive a killed code server."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._last_runs = psutil.Process(self.code.pid).children(recursive=True)

    def _end_runs(self) -> None:
        """Kill runs that outlived the code server, by process id."""
        for process in self._last_runs:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _code_answers(self) -> bool:
        where = {"host": "127.0.0.1", "port": self.code_port}
        return current_runs(json.dumps(where)) is not None

    def _has_ticked(self) -> bool:
        """Return whether a sensor was evaluated, after which the daemon's start is over."""
        time.sleep(0.5)
        with contextlib.suppress(psycopg.Error):
            return bool(self.ask_database("SELECT count(*) FROM job_ticks")[0][0])
        return False

    # Queries

    def ask_database(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of the fleet's database."""
        with psycopg.connect("", connect_timeout=10, options="-c statement_timeout=60000") as connection:
            return connection.execute(query.encode()).fetchall()

    def ask_sandbox(self, path: str) -> Any:
        """Return data from the sandbox's operator API."""
        address = f"{self.sandbox.url}/_sandbox/{path}"
        return httpx.get(address, timeout=ASK_SECONDS, trust_env=False).raise_for_status().json()

    def launch(self, job: str) -> ChildProcess:
        """Launch a job like its schedule or a person; returns without waiting."""
        return self._child("launch", "dagster", "job", "launch", "-w", str(DEPLOY / "workspace.yaml"), "-j", job)

    def alive(self) -> list[str]:
        """Return an error with the log's end for each process that should run but does not."""
        roles: dict[str, ChildProcess] = {
            "code server": self.code,
            "daemon": self.daemon,
            "sandbox": self.sandbox.process,
            "postgres": self.postgres.process,
        }
        return [f"the {role} ended: {child.log_tail()}" for role, child in roles.items() if not child.running]


def make_folder(parent: Path, name: str) -> Path:
    """Create a folder that the database's user can enter."""
    folder = parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    return folder
