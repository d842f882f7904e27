"""An engine over the real sandbox, the real S3 and the real ledger, and orders for it."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.devservers.start import RunningSandbox, environment, start_sandbox
from resources.generation import download, poll
from resources.generation.engine import Engine, open_engine
from resources.generation.shutdown import StopKind
from resources.generation.types import EngineOptions, GenerationRequest, Outcome
from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, RequestRow, State, utc_now
from resources.sandbox.switches import Switches
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.inputs import GenerationInputs, Medium, MediumKind, Route, fingerprint
from resources.settings import Settings, load_settings
from resources.storage.bucket import Bucket

CHILD = Path(__file__).parents[2] / "crash" / "child.py"
PER_SECOND = 200_000
"""What the sandbox asks for a second of 720p, in micro-dollars."""
GENEROUS = Caps(10**12, 10**6, 10**12, 10**6, UTC)


@dataclass
class House:
    """Everything around the engine, and the sandbox's own view of what happened."""

    settings: Settings
    bucket: Bucket
    ledger: Ledger
    sandbox: RunningSandbox
    scratch: Path
    medium: Medium
    options: EngineOptions
    engines: int = 0
    before: int = 0
    web: httpx.Client = field(default_factory=httpx.Client)

    def orders(self, count: int, *, first: int = 1, **changes: Any) -> list[GenerationRequest]:
        return [self.order(first + number, **changes) for number in range(count)]

    def order(self, seed: int, *, clip: str | None = None, duration: int = 3, **changes: Any) -> GenerationRequest:
        inputs = GenerationInputs(
            family=HAPPYHORSE_I2V,
            prompt="drift slowly to the left",
            images=(self.medium,),
            duration=duration,
            resolution="720p",
            seed=seed,
            watermark=False,
        )
        take = changes.pop("take", 1)
        name = fingerprint("sandbox", inputs, take)
        order = GenerationRequest(clip or f"clip-{seed}", take, name, inputs, Route.ANIMATE, PER_SECOND * duration)
        return replace(order, **changes)

    @asynccontextmanager
    async def engine(
        self, stop: StopKind = "other", clock: Callable[[], datetime] = utc_now, **options: Any
    ) -> AsyncGenerator[Engine, None]:
        self.engines += 1
        async with open_engine(
            self.settings,
            self.ledger,
            self.bucket,
            scratch=self.scratch / str(self.engines),
            run_id=f"run-{self.engines}",
            stop_kind=lambda: stop,
            options=replace(self.options, **options),
            clock=clock,
        ) as engine:
            yield engine

    async def collect(self, orders: Iterable[GenerationRequest], **options: Any) -> list[Outcome]:
        async with self.engine(**options) as engine, aclosing(engine.stream(orders)) as outcomes:
            return [outcome async for outcome in outcomes]

    def run(self, orders: Iterable[GenerationRequest], **options: Any) -> list[Outcome]:
        return asyncio.run(self.collect(orders, **options))

    def one(self, order: GenerationRequest, **options: Any) -> Outcome:
        (outcome,) = self.run([order], **options)
        return outcome

    def row(self, order: GenerationRequest) -> RequestRow:
        row = self.ledger.get(order.fingerprint)
        assert row is not None
        return row

    def states(self, orders: Iterable[GenerationRequest]) -> list[State]:
        return [self.row(order).state for order in orders]

    def what(self, order: GenerationRequest) -> list[str]:
        return [event.what for event in self.ledger.events(order.fingerprint)]

    def child(self, orders: list[GenerationRequest], ledger: Path | str, **spec: Any) -> "subprocess.Popen[str]":
        """The same orders in a process of its own (tests/crash/child.py says how it ends)."""
        self.engines += 1
        url = ledger if isinstance(ledger, str) else f"sqlite:///{ledger}"
        path = self.scratch / f"spec-{self.engines}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        inputs = orders[0].inputs.model_dump(mode="json", exclude_none=True)
        whole = {
            "service": "sandbox",
            "route": orders[0].route,
            "inputs": inputs,
            "seeds": [order.inputs.seed for order in orders],
            "scratch": str(self.scratch / f"child-{self.engines}"),
            "run_id": f"child-{self.engines}",
            "options": {"prior_seconds": 0.3, "lease_seconds": 10},
            **spec,
        }
        path.write_text(json.dumps(whole))
        return subprocess.Popen(
            [sys.executable, str(CHILD), str(path)],
            env={**os.environ, "I2V_LEDGER_URL": url},
            stdout=subprocess.PIPE,
            text=True,
        )

    # The sandbox's side

    def ask(self, path: str) -> Any:
        return self.web.get(f"{self.sandbox.url}/_sandbox/{path}").raise_for_status().json()

    def charges(self) -> list[dict[str, Any]]:
        """Those of this test: the sandbox serves the whole session."""
        return list(self.ask("charges")["charges"])[self.before :]

    def charged_twice(self) -> list[str]:
        hashes = [charge["input_sha256"] for charge in self.charges()]
        return sorted({value for value in hashes if hashes.count(value) > 1})

    def fault(self, where: str, kind: str, **more: Any) -> None:
        self.web.post(
            f"{self.sandbox.url}/_sandbox/faults", json={"where": where, "kind": kind, **more}
        ).raise_for_status()

    def clear_faults(self) -> None:
        self.web.delete(f"{self.sandbox.url}/_sandbox/faults").raise_for_status()

    def switch(self, **switches: Any) -> None:
        self.web.put(f"{self.sandbox.url}/_sandbox/switches", json=switches).raise_for_status()


def _upload(bucket: Bucket, path: Path) -> Medium:
    data = path.read_bytes()
    bucket.write(f"uploads/{path.name}", data, "image/webp")
    return Medium(
        kind=MediumKind.IMAGE,
        sha256=hashlib.sha256(data).hexdigest(),
        key=f"uploads/{path.name}",
        size_bytes=len(data),
        content_type="image/webp",
    )


@pytest.fixture(scope="session")
def lasting_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for all tests that need nothing special of it: it renders its one video once."""
    with start_sandbox(
        tmp_path_factory.mktemp("sandbox"), generation_seconds=0.2, generation_spread=0, render="cached", scale=0.5
    ) as running:
        yield running


@pytest.fixture
def build_house(
    bucket: Bucket, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., House]]:
    """Make a house over a sandbox and a ledger of the test's choice."""
    monkeypatch.setattr(poll, "REFUSAL_GAP", 0.1)
    monkeypatch.setattr(poll, "SPREAD_SECONDS", 0.6)
    monkeypatch.setattr(download, "RETRY_WAIT", 0.1)
    opened: list[House] = []

    def build(sandbox: RunningSandbox, ledger_url: str = "") -> House:
        for name, value in environment(sandbox=sandbox, bucket=bucket.name, data_dir=tmp_path / "data").items():
            monkeypatch.setenv(name, value)
        house = House(
            load_settings(),
            bucket,
            Ledger.open(ledger_url or f"sqlite:///{tmp_path / 'ledger.sqlite'}"),
            sandbox,
            tmp_path / "scratch",
            _upload(bucket, samples / "product.webp"),
            EngineOptions(caps=GENEROUS, deadline_seconds=30, prior_seconds=0.3, min_poll_seconds=0.05, stop_seconds=5),
        )
        house.clear_faults()
        house.switch(**Switches().model_dump(mode="json"))
        house.before = len(house.charges())
        opened.append(house)
        return house

    yield build
    for house in opened:
        house.web.close()
        house.ledger.close()


@pytest.fixture
def house(build_house: Callable[..., House], lasting_sandbox: RunningSandbox) -> House:
    return build_house(lasting_sandbox)
