"""A whole deployment without containers: the processes of deploy/compose.yaml on loopback."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from resources.devservers.start import (
    ChildProcess,
    RunningPostgres,
    RunningS3,
    RunningSandbox,
    environment,
    free_port,
    start_postgres,
    start_sandbox,
)
from resources.ledger.errors import LedgerError
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, State
from resources.registry.registry import ClipRow, ClipState, Registry
from resources.settings import Settings, load_settings, variable_name
from resources.storage import keys
from resources.storage.bucket import Bucket

DEPLOY = Path(__file__).parents[2] / "deploy"

START_SECONDS = 180
"""A process with Dagster takes 3 s of CPU to come up; other tests may have most of the machine."""

PASSWORD = "only-to-be-found-nowhere"  # the embedded server trusts loopback; what is looked for in logs and tables

SETTINGS = {
    "I2V_SETTLE_SECONDS": "0",  # the test writes whole files
    "I2V_SENSOR_SECONDS": "1",
    "I2V_LEASE_SECONDS": "4",  # a killed run's requests are free for the next run so soon
    "I2V_MEASURE": "false",  # measured elsewhere; here it is CPU alone
    "I2V_PREVIEWS": "false",
}


def until(condition: Callable[[], object], seconds: float, what: str | Callable[[], str]) -> None:
    """Wait for a condition, whose check may take a while itself."""
    give_up = time.monotonic() + seconds
    while not condition():
        said = what() if callable(what) else what
        assert time.monotonic() < give_up, f"not within {seconds:.0f} s: {said}"
        time.sleep(0.1)


class Fleet:
    """Postgres, the code server, the webserver and the daemon over one bucket and one sandbox."""

    def __init__(self, folder: Path, s3: RunningS3, sandbox: RunningSandbox) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.postgres: RunningPostgres = start_postgres(folder / "postgres")
        self.code_port, self.ui_port = free_port(), free_port()
        self.home = folder / "home"
        self.home.mkdir()
        shutil.copyfile(DEPLOY / "dagster.yaml", self.home / "dagster.yaml")
        ours = {variable_name(name) for name in Settings.model_fields}
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in ours},
            **environment(s3, sandbox),
            **SETTINGS,
            "I2V_BUCKET": "fleet",
            "I2V_DATA_DIR": str(folder / "data"),
            "I2V_LEDGER_URL": "postgresql+psycopg://",
            "I2V_CODE_HOST": "127.0.0.1",
            "I2V_CODE_PORT": str(self.code_port),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres.port),
            "PGUSER": "dagster",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "postgres",
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        self.children: dict[str, ChildProcess] = {}
        self.waves = 0
        self.expected = 0

    def open(self) -> None:
        """Yield objects that need the fleet's environment in this process."""
        self.bucket = Bucket.from_settings(load_settings())
        self.bucket.ensure()
        self.bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
        self.ledger = Ledger.open("postgresql+psycopg://")
        self.registry = Registry(self.ledger.database)
        for role in ("code", "webserver", "daemon"):
            self.start(role)

    # Processes

    def start(self, role: str) -> None:
        """Start a process as its container would, and wait for its health check if others depend on it."""
        workspace = ["-w", str(DEPLOY / "workspace.yaml")]
        module = ["-m", "i2v_assets.definitions"]
        commands = {
            "code": ["dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(self.code_port), *module],
            "webserver": ["i2v_assets.webserver", "-h", "127.0.0.1", "-p", str(self.ui_port), *workspace],
            "daemon": ["dagster._daemon", "run", *workspace],
        }
        child = ChildProcess(
            [sys.executable, "-m", *commands[role]],
            log=self.folder / f"{role}.log",
            environment=self.env,
            folder=self.folder,
        )
        self.children[role] = child
        if role == "code":
            child.wait_until(self.code_answers, seconds=START_SECONDS, what="The code server")
        if role == "webserver":
            child.wait_until(self.ui_answers, seconds=START_SECONDS, what="The webserver")

    def kill(self, role: str) -> None:
        """Send SIGKILL to everything in a container: the process and its children."""
        child = self.children[role]
        assert child.running, f"the {role} ended by itself. {child.log_tail()}"
        os.killpg(child.pid, signal.SIGKILL)
        child.process.wait(10)

    def kill_postgres(self) -> None:
        """Send SIGKILL to the server and all its backends, then start it again over the same files."""
        server = psutil.Process(self.postgres.pid)
        group = [server, *server.children(recursive=True)]
        for process in group:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.postgres.process.process.wait(10)
        assert not psutil.wait_procs(group[1:], timeout=60)[1]

    def start_postgres(self) -> None:
        """The same server over the same files."""
        self.postgres = start_postgres(self.folder / "postgres", port=self.postgres.port)

    def run_processes(self) -> list[psutil.Process]:
        """The processes of runs: children that the code server spawned."""
        children = psutil.Process(self.children["code"].pid).children()
        return [child for child in children if any("spawn_main" in word for word in child.cmdline())]

    def code_answers(self) -> bool:
        """Return the result of the container's health check."""
        from dagster._grpc.client import DagsterGrpcClient
        from dagster._grpc.server import DagsterUserCodeUnreachableError

        with contextlib.suppress(DagsterUserCodeUnreachableError):
            return DagsterGrpcClient(port=self.code_port, host="127.0.0.1").ping("") is not None
        return False

    def ui_answers(self) -> bool:
        """Return the result of the container's health check."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.ui_port}/server_info", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def i2v(self, *words: str) -> str:
        """The project's own command, as a person uses it."""
        ran = subprocess.run(
            [str(Path(sys.executable).with_name("i2v")), *words],
            env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    # Clips

    def upload(self, count: int) -> list[str]:
        """Upload images that all differ, and return the names of their clips."""
        self.waves += 1
        names = [f"wave{self.waves}-{number}" for number in range(count)]
        for number, name in enumerate(names):
            picture = Image.new("RGB", (480, 480), (40 * self.waves % 256, 60 * number % 256, 128))
            held = BytesIO()
            picture.save(held, "JPEG")
            self.bucket.write(f"uploads/{name}.jpg", held.getvalue(), "image/jpeg")
        self.expected += count
        return names

    def rows(self, names: list[str]) -> dict[str, ClipRow]:
        return self.registry.many(names)

    def requests(self, names: list[str]) -> list[RequestRow]:
        return [row for row in self.ledger.list(limit=1000) if row.clip in names]

    def wait_until_half_way(self, names: list[str]) -> None:
        """Wait until the service has some requests and delivered none, when a loss would cost most."""
        until(
            lambda: any(row.state is State.SUBMITTED for row in self.requests(names)),
            180,
            lambda: f"{self.states(names)}; {self.children['daemon'].log_tail()}",
        )
        assert not any(row.delivered_at for row in self.requests(names)), "too late to be the middle"

    def wait_until_delivered(self, names: list[str], seconds: float) -> None:
        """Wait until all clips are delivered, resolving unknown outcomes like a person."""

        def done() -> bool:
            try:
                self.resolve()
                rows = self.rows(names)
            except LedgerError:  # it is being started
                return False
            return len(rows) == len(names) and all(row.state is ClipState.DELIVERED for row in rows.values())

        until(done, seconds, lambda: f"{self.states(names)}; {self.children['code'].log_tail(40)}")

    def states(self, names: list[str]) -> str:
        rows = self.rows(names)
        told = [f"{row.clip} {row.state} {row.reason or ''}" for row in rows.values()]
        return "; ".join(told + [f"{row.clip} {row.state}" for row in self.requests(names)]) or "no clips"

    def resolve(self) -> None:
        """Resolve unknown outcomes from the service's own records, like a person with its console."""
        unknown = self.ledger.list(states=[State.UNKNOWN])
        if not unknown:
            return
        known = {int(item["body"]["seed"]): item["request_id"] for item in self.ask("requests")["requests"]}
        for row in unknown:
            answer = ["--request-id", known[row.seed]] if row.seed in known else ["--not-charged"]
            try:
                self.i2v("ledger", "resolve", row.fingerprint, *answer)
            except AssertionError:
                now = self.ledger.get(row.fingerprint)
                assert now is None or now.state is not State.UNKNOWN, "a run may have found it by itself meanwhile"

    def ask(self, path: str) -> Any:
        return httpx.get(f"{self.sandbox.url}/_sandbox/{path}", timeout=30).raise_for_status().json()

    # The verdict

    def check(self, names: list[str]) -> None:
        """Check that every clip has its video and was paid once."""
        charges = self.ask("charges")
        times = Counter(charge["input_sha256"] for charge in charges["charges"])
        assert not [name for name, count in times.items() if count > 1], "paid more than once"
        assert charges["count"] == self.expected
        rows = {row.clip: row for row in self.requests(names)}
        for name in names:
            info = self.bucket.head(keys.clip_key(name, keys.VIDEO))
            assert info is not None, f"{name} has no video"
            assert info.size_bytes == rows[name].video_bytes
            assert rows[name].cost_microdollars <= rows[name].price_microdollars
        assert self.ledger.spent_today("sandbox").settled_microdollars == charges["total_microdollars"]

    def stop(self) -> None:
        """Stop every process by its id."""
        for child in reversed(self.children.values()):
            child.stop()
        if hasattr(self, "ledger"):
            self.ledger.close()
        self.postgres.stop()


@pytest.fixture(scope="module")
def fleet(s3_server: RunningS3) -> Iterator[Fleet]:
    """One deployment for the module's tests; each drops clips of its own in."""
    folder = Path(tempfile.mkdtemp(prefix="i2v-fleet-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where this one is root
    with (
        start_sandbox(
            folder / "sandbox", generation_seconds=8, generation_spread=0, render="cached", scale=0.5, seed=1
        ) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        running = Fleet(folder, s3_server, sandbox)
        try:
            for name in os.environ.keys() - running.env.keys():
                patch.delenv(name)
            for name, value in running.env.items():
                patch.setenv(name, value)
            running.open()
            yield running
        finally:
            running.stop()
    shutil.rmtree(folder)
