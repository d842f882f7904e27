"""The whole pipeline on one machine: real S3, real sandbox, a real Dagster instance, its real sensors and real runs.

Sensors are evaluated as the daemon does it, with a cursor that is kept only when a tick is committed; the runs that they
ask for are executed in this process, which saves two seconds for each. `test_daemon.py` goes the same way with the
daemon and its processes.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from dagster._core.storage import sql as dagster_sql
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy import Engine, event

from i2v_assets.cli.dev.services import HERE
from resources.devservers.start import RunningSandbox
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, utc_now
from resources.registry.registry import ClipRow, ClipState, Registry
from resources.registry.tables import clips as clip_table
from resources.settings import load_settings
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import ObjectMissing

JOB = "make_clips_job"

IN_THIS_PROCESS = """
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
"""
"""Capturing what a step prints starts two processes for each run, a second in all, and a launched run starts one; `test_daemon.py`
has both."""


@pytest.fixture(scope="session")
def dagster_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster folder with created databases (0.6 s); each test gets a copy."""
    home = tmp_path_factory.mktemp("dagster-template")
    (home / "dagster.yaml").write_text((HERE / "dagster_local.yaml").read_text() + IN_THIS_PROCESS)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("clips", ["made-before"])
        instance.delete_dynamic_partition("clips", "made-before")
        assert list(instance.get_runs()) == []
        instance.fetch_materializations(dg.AssetKey("clip_video"), limit=1)
    return home


@pytest.fixture(scope="session")
def ledger_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger with created tables."""
    path = tmp_path_factory.mktemp("ledger-template") / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sandbox(fresh_sandbox: RunningSandbox) -> RunningSandbox:
    """The sandbox that many tests share; a test that stops it starts one of its own."""
    return fresh_sandbox


@pytest.fixture
def quick_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster makes an engine, and compiles its statements, for each event that it stores; here each database has one.

    What it commits need not outlive a power cut either. Together that is a quarter of a run's CPU.
    """
    engines: dict[str, Engine] = {}

    def create(url: str, **options: Any) -> Engine:
        if url not in engines:
            engines[url] = dagster_sql.create_engine(url, **options)
            event.listen(engines[url], "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        return engines[url]

    for module in (sqlite_event_log, sqlite_run_storage):
        monkeypatch.setattr(module, "create_engine", create)


@dataclass
class Tick:
    """One evaluation of a sensor, not committed yet."""

    name: str
    requests: list[dg.RunRequest]
    skipped: str
    cursor: str | None


@dataclass
class Stage:
    """The servers around the pipeline, and helpers that read the results."""

    bucket: Bucket
    sandbox: RunningSandbox
    instance: dg.DagsterInstance
    home: Path
    ledger: Ledger
    samples: Path
    definitions: dg.Definitions
    set_variable: Callable[[str, str], None]
    cursors: dict[str, str | None] = field(default_factory=dict)
    web: httpx.Client = field(default_factory=httpx.Client)
    charges_before: int = 0
    requests_before: int = 0

    def __post_init__(self) -> None:
        self.charges_before, self.requests_before = len(self.charges()), len(self.requests())

    # What people do

    def upload(self, name: str, content: bytes | str | Path) -> None:
        """Upload one file below uploads/; a Path is a sample."""
        data = content.encode() if isinstance(content, str) else content
        if isinstance(data, Path):
            data = (self.samples / data).read_bytes()
        self.bucket.write(f"uploads/{name}", data, "application/octet-stream")

    def materialize(
        self, *clips: str, select: Sequence[str] = (), tags: Mapping[str, str] = {}
    ) -> dg.ExecuteInProcessResult:
        """Materialize one key or a range like the UI."""
        where = (
            {"dagster/partition": clips[0]}
            if len(clips) == 1
            else {"dagster/asset_partition_range_start": clips[0], "dagster/asset_partition_range_end": clips[-1]}
        )
        selection = [dg.AssetKey(name) for name in select] or None
        return self._job(JOB).execute_in_process(
            instance=self.instance, tags={**where, **tags}, raise_on_error=False, asset_selection=selection,
            partition_key=clips[0] if len(clips) == 1 else None,
        )  # fmt: skip

    # What the daemon does

    def evaluate(self, name: str = "uploads") -> Tick:
        """Evaluate a sensor with the last committed cursor, as its next tick."""
        sensor = self.definitions.get_repository_def().get_sensor_def(name)
        resources = self.definitions.get_repository_def().get_top_level_resources()
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursors.get(name), sensor_name=name,
            resources={key: resources[key] for key in sensor.required_resource_keys},
            definitions=self.definitions,
        ) as context:  # fmt: skip
            data = sensor.evaluate_tick(context)
        return Tick(name, list(data.run_requests or []), data.skip_message or "", data.cursor)

    def commit(self, tick: Tick) -> None:
        """Commit a tick like the daemon: store its cursor (also of a skipped tick)."""
        self.cursors[tick.name] = tick.cursor

    def tick(self, name: str = "uploads") -> list[dg.RunRequest]:
        """Run a whole tick."""
        tick = self.evaluate(name)
        self.commit(tick)
        return tick.requests

    def execute(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute one requested run."""
        return self._job(JOB).execute_in_process(instance=self.instance, tags=dict(request.tags), raise_on_error=False)

    def make(self, name: str = "uploads") -> list[dg.ExecuteInProcessResult]:
        """Run a sensor's tick and all runs that it requests."""
        return [self.execute(request) for request in self.tick(name)]

    def _job(self, name: str) -> dg.JobDefinition:
        return self.definitions.resolve_job_def(name)

    # What everybody saw

    @property
    def registry(self) -> Registry:
        return Registry(self.ledger.database)

    def clip(self, clip: str) -> ClipRow:
        row = self.registry.get(clip)
        assert row is not None, f"{clip} is not among {[each.clip for each in self.registry.list()]}"
        return row

    def states(self) -> dict[str, ClipState]:
        return {row.clip: row.state for row in self.registry.list()}

    def request(self, clip: str) -> RequestRow:
        """Return the ledger's row of a clip that has one take."""
        (row,) = [row for row in self.ledger.list() if row.clip == clip]
        return row

    def charges(self) -> list[dict[str, Any]]:
        """Return the charges of this test."""
        return list(self._sandbox("charges")["charges"])[self.charges_before :]

    def requests(self) -> list[dict[str, Any]]:
        return list(self._sandbox("requests")["requests"])[self.requests_before :]

    def _sandbox(self, what: str) -> dict[str, Any]:
        answer = self.web.get(f"{self.sandbox.url}/_sandbox/{what}")
        answer.raise_for_status()
        return dict(answer.json())

    def fault(self, **fault: Any) -> None:
        self.web.post(f"{self.sandbox.url}/_sandbox/faults", json=fault).raise_for_status()

    def entry(self, model_id: str, **patch: Any) -> None:
        """Change a model's entry in the service's catalogue."""
        self.web.put(f"{self.sandbox.url}/_sandbox/catalogue/{model_id}", json=patch).raise_for_status()

    @property
    def data(self) -> Path:
        """Return the project's data folder."""
        return load_settings().data_dir

    def note(self, clip: str, name: str = "REFUSED.txt") -> str | None:
        """Return the text of a clip's note, or None."""
        try:
            return self.bucket.read(keys.clip_key(clip, name)).decode()
        except ObjectMissing:
            return None

    def refusals(self) -> dict[str, str]:
        """Return the notes on uploads that did not become a clip, by key."""
        return {found.key: self.bucket.read(found.key).decode() for found in self.bucket.list(keys.REFUSED)}

    def delivered(self) -> set[str]:
        """Return the clips whose video is in the bucket."""
        return {
            found.key.split("/")[1] for found in self.bucket.list(keys.CLIPS) if found.key.endswith(f"/{keys.VIDEO}")
        }

    def events(self, asset: str, clip: str) -> list[dg.EventLogRecord]:
        """Return the materializations of a clip's asset, newest first."""
        records = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[clip])
        return list(self.instance.fetch_materializations(records, limit=100).records)

    def metadata(self, asset: str, clip: str) -> dict[str, Any]:
        materialization = self.events(asset, clip)[0].asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}

    def check(self, asset: str, name: str, clip: str) -> dg.AssetCheckEvaluation | None:
        """Return the latest evaluation of a check for one clip, or None."""
        records = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(asset), name), limit=1000
        )
        for record in records:
            event = record.event.dagster_event if record.event is not None else None
            if event is not None and event.asset_check_evaluation_data.partition == clip:
                return event.asset_check_evaluation_data
        return None

    def later(self, clip: str, by: timedelta) -> None:
        """Let time pass for one clip of the registry."""
        with self.ledger.database.write() as connection:
            connection.execute(clip_table.update().where(clip_table.c.clip == clip).values(updated_at=utc_now() - by))


@pytest.fixture
def stage(
    service_env: dict[str, str], bucket: Bucket, sandbox: RunningSandbox, samples: Path, dagster_template: Path,
    ledger_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_client: None, quick_databases: None,
) -> Iterator[Stage]:  # fmt: skip
    """The pipeline with clips of 3 s at 720p by default.

    Measures and previews are off, since they take a second of CPU for each clip and have tests of their own.
    """
    from i2v_assets.definitions import defs

    home = tmp_path / "dagster"
    shutil.copytree(dagster_template, home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    (tmp_path / "data").mkdir()
    shutil.copyfile(ledger_template, tmp_path / "data" / "ledger.sqlite")
    monkeypatch.setenv("I2V_PRICE_HEADROOM", "1")  # the sandbox bills the base: caps can be told in clips
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        Ledger.open(load_settings().ledger_address) as ledger,
        httpx.Client() as web,
    ):
        yield Stage(bucket, sandbox, instance, home, ledger, samples, defs, monkeypatch.setenv, web=web)
