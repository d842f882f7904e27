"""The `i2v` command over real servers: one sandbox for all tests, reset between them; a bucket and a ledger for each."""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from i2v_assets.cli.main import main
from i2v_assets.pipeline.clip import ClipPipeline
from i2v_assets.pipeline.context import PipelineContext, RunScope
from i2v_assets.pipeline.generate import GenerationQueue
from i2v_assets.pipeline.metadata import Metadata
from i2v_assets.pipeline.plan import plan_options
from i2v_assets.pipeline.report import ClipReporter, make_clip
from i2v_assets.uploads.ingest import scan_uploads
from resources.devservers.start import RunningSandbox, environment, start_sandbox
from resources.generation.engine import open_engine, options_of
from resources.ledger.ledger import Ledger
from resources.media.pool import MediaPool
from resources.registry.agreed_prices import CatalogueMemory
from resources.registry.registry import Registry
from resources.runcomfy.offers import Offers
from resources.settings import Settings, load_settings, variable_name
from resources.storage.bucket import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


HTTP = httpx.Client(trust_env=False, verify=False)  # plain http to this machine
"""One client for the operator's calls: httpx' own functions read the certificates at every call."""


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for the folder: starting one costs two seconds."""
    options = {"generation_seconds": 0.2, "generation_spread": 0, "render": "cached", "scale": 0.5, "seed": 1}
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), **options) as running:
        yield running


@dataclass
class Operator:
    """The operator's side of the sandbox."""

    url: str

    def fault(self, where: str, kind: str, **more: object) -> None:
        """Queue a fault."""
        HTTP.post(f"{self.url}/_sandbox/faults", json={"where": where, "kind": kind, **more}).raise_for_status()

    def switch(self, **switches: object) -> None:
        """Throw switches."""
        HTTP.put(f"{self.url}/_sandbox/switches", json=switches).raise_for_status()

    def entry(self, model_id: str, patch: Mapping[str, object]) -> None:
        """Change a model's entry in the catalogue."""
        HTTP.put(f"{self.url}/_sandbox/catalogue/{model_id}", json=patch).raise_for_status()

    def balance(self, dollars: float) -> None:
        """Set the account's balance."""
        HTTP.put(f"{self.url}/_sandbox/balance", json={"balance_usd": dollars}).raise_for_status()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request that was accepted."""
        return list(HTTP.get(f"{self.url}/_sandbox/requests").json()["requests"])

    @property
    def charges(self) -> int:
        """How many submissions were accepted."""
        return int(HTTP.get(f"{self.url}/_sandbox/charges").json()["count"])

    def reset(self) -> None:
        """As it was when it started, but for the requests."""
        HTTP.delete(f"{self.url}/_sandbox/faults").raise_for_status()
        HTTP.delete(f"{self.url}/_sandbox/catalogue").raise_for_status()
        HTTP.delete(f"{self.url}/_sandbox/prices").raise_for_status()
        self.switch(**self.fresh)
        self.balance(100_000)

    @property
    def fresh(self) -> dict[str, Any]:
        """The switches' defaults."""
        from resources.sandbox.switches import Switches

        return Switches().model_dump(mode="json")


class Silent:
    """Listens to a clip's way and keeps nothing."""

    def materialized(self, asset: str, clip: str, metadata: Metadata, data_version: str) -> None:
        """Nothing."""

    def observed(self, asset: str, clip: str, metadata: Metadata, change: str) -> None:
        """Nothing."""

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: Metadata, warn: bool = False
    ) -> None:
        """Nothing."""


@dataclass
class World:
    """Everything that a test of the command needs."""

    bucket: Bucket
    operator: Operator
    folder: Path
    call: Callable[..., Ran]

    def __call__(self, *arguments: str) -> Ran:
        """Run `i2v` in this process."""
        return self.call(*arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `i2v` as a process of its own."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("i2v")), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ.copy(),
        )

    def process(self, *arguments: str) -> Ran:
        """Run `i2v` as a process of its own."""
        running = self.start(*arguments)
        out, err = running.communicate(timeout=60)
        return Ran(running.returncode, out, err)

    @contextmanager
    def session(self) -> Iterator[tuple[Ledger, Registry]]:
        """The ledger and the registry."""
        with Ledger.open(load_settings().ledger_address) as ledger:
            yield ledger, Registry(ledger.database)

    def upload(self, name: str, data: bytes) -> None:
        """Put an object below uploads/."""
        self.bucket.write(f"uploads/{name}", data, "application/octet-stream")

    def image(self, name: str = "hero.jpg", colour: str | None = None, size: tuple[int, int] = (640, 480)) -> Path:
        """An image file of its own bytes, so that no two tests make the same generation."""
        path = self.folder / name
        colour = colour or f"#{secrets.token_hex(3)}"
        Image.new("RGB", size, colour).save(path)
        return path

    def admit(self) -> None:
        """What the upload sensor does."""
        with self.session() as (_, registry):
            scan_uploads(self.bucket, registry, load_settings())

    def make(self, *clips: str, by_hand: bool = False) -> None:
        """What a run does with these clips."""
        self.admit()
        with self.session() as (ledger, registry):
            asyncio.run(self._make(ledger, registry, clips, by_hand))

    async def _make(self, ledger: Ledger, registry: Registry, clips: tuple[str, ...], by_hand: bool) -> None:
        from dataclasses import replace

        settings = load_settings()
        options = replace(options_of(settings), prior_seconds=0.3)
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(
                open_engine(settings, ledger, self.bucket, scratch=self.folder, run_id="run", options=options)
            )
            pool = stack.enter_context(MediaPool())
            orders = GenerationQueue()
            await stack.enter_async_context(orders.served_by(engine.stream))
            tools = PipelineContext(
                settings=settings,
                bucket=self.bucket,
                ledger=ledger,
                registry=registry,
                offers=Offers(engine.catalogue, CatalogueMemory(ledger.database), settings.service),
                options=plan_options(settings),
                generate=orders.generate,
                scratch=self.folder,
                pool=pool,
            )
            reporter = ClipReporter(tools, Silent())
            pipeline = ClipPipeline(tools, reporter, RunScope("run", by_hand))
            rows = registry.many(clips)
            registry.mark_running(list(rows), "run")
            await asyncio.gather(*(make_clip(pipeline.process_clip, reporter, row) for row in rows.values()))


@pytest.fixture(scope="session")
def fresh_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger: making its tables costs more than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def emptied_bucket(s3_client: "S3Client") -> Bucket:
    """One bucket for the folder, empty at every test's start: making one costs 0.2 s."""
    bucket = Bucket("test-cli", s3_client)
    bucket.ensure()
    bucket.delete_many([info.key for info in bucket.list()])
    return bucket


@pytest.fixture
def world(
    emptied_bucket: Bucket,
    one_client: None,
    fresh_ledger: Path,
    shared_sandbox: RunningSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> World:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_name(field), raising=False)
    settings = {
        "bucket": emptied_bucket.name,
        "data_dir": tmp_path / "data",
        "settle_seconds": 0,
        "measure": False,
        "previews": False,
    }
    for name, value in environment(sandbox=shared_sandbox, **settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("I2V_PRICE_HEADROOM", "1")  # the sandbox bills the base: caps can be told in clips
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("i2v_assets.cli.run.progress.SANDBOX_SECONDS", 0.3)
    (tmp_path / "data").mkdir()
    shutil.copyfile(fresh_ledger, tmp_path / "data" / "ledger.sqlite")
    operator = Operator(shared_sandbox.url)
    operator.reset()

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["i2v", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr()
        return Ran(int(stop.value.code or 0), told.out, told.err)

    return World(emptied_bucket, operator, tmp_path, call)
