"""An engine that talks to the hostile service, with a good clip beside every bad one."""

import asyncio
import hashlib
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages; this one has helpers of its own

from service import HostileService, Scenario

from resources.devservers.start import SANDBOX_TOKEN, RunningSandbox, environment
from resources.generation import download as engine_download
from resources.generation import poll
from resources.generation.engine import open_engine
from resources.generation.types import Delivered, EngineOptions, Failed, GenerationRequest, Held, Outcome
from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps
from resources.runcomfy import client as service_client
from resources.runcomfy import download
from resources.runcomfy.pacing import Timeouts
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.families.seedance_2_0 import NAME as SEEDANCE_PRO
from resources.schemas.inputs import Family, GenerationInputs, Medium, MediumKind, Route, fingerprint
from resources.settings import load_settings
from resources.storage.bucket import Bucket

TOKEN = "marked-token-0f1e2d3c4b5a"
DEADLINE = 12.0
"""Seconds that a request may take in these tests."""

SLACK = 90.0
"""Seconds beyond the deadline on a busy machine; an endless wait is told from a slow one."""


@pytest.fixture
def attack(
    bucket: Bucket,
    sandbox: RunningSandbox,
    samples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Iterable[Scenario]], dict[str, Outcome]]:
    """Run one clip for each scenario and two good ones, check what must always hold, and return the outcomes."""
    monkeypatch.setattr(poll, "REFUSAL_GAP", 0.1)
    monkeypatch.setattr(poll, "SPREAD_SECONDS", 0.6)
    monkeypatch.setattr(engine_download, "RETRY_WAIT", 0.1)
    monkeypatch.setattr(download, "READ_TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr(download, "TOTAL_TIMEOUT_SECONDS", 4.0)
    quick = Timeouts(connect=5, pool=60, question_read=2, question=3, submit_read=3, submit=4)
    monkeypatch.setattr(service_client, "Timeouts", lambda: quick)
    still = (samples / "product.webp").read_bytes()
    bucket.write("uploads/still.webp", still, "image/webp")
    medium = Medium(
        kind=MediumKind.IMAGE,
        sha256=hashlib.sha256(still).hexdigest(),
        key="uploads/still.webp",
        size_bytes=len(still),
        content_type="image/webp",
    )
    headers = {"Authorization": f"Bearer {SANDBOX_TOKEN}"}
    entry = httpx.get(f"{sandbox.model_api_base}/models/bytedance/seedance-2.0/pro", headers=headers).json()

    def order(clip: str, family: Family, seed: int) -> GenerationRequest:
        inputs = GenerationInputs(
            family=family,
            prompt="drift slowly to the left and then a little back",
            images=(medium,),
            duration=4,
            resolution="720p",
            seed=seed,
            **(
                {"aspect_ratio": "adaptive", "generate_audio": False}
                if family is SEEDANCE_PRO
                else {"watermark": False}
            ),
        )
        route = Route.MULTI_MODAL if family is SEEDANCE_PRO else Route.ANIMATE
        return GenerationRequest(clip, 1, fingerprint("sandbox", inputs, 1), inputs, route, 40_000_000)

    def run(chosen: Iterable[Scenario]) -> dict[str, Outcome]:
        scenarios = dict(enumerate(chosen, start=1))
        shared = next((each for each in scenarios.values() if each.where == "catalogue"), None)
        video = b"\x00\x00\x00\x18ftypmp42" + bytes(5000)
        with HostileService(scenarios, sandbox.url, SANDBOX_TOKEN, video, entry, shared) as service:
            for name, value in environment(sandbox=sandbox, bucket=bucket.name, data_dir=tmp_path / "data").items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", f"{service.base}/v1")
            monkeypatch.setenv("RUNCOMFY_TOKEN", TOKEN)
            orders = [order("good-first", HAPPYHORSE_I2V, 1)]
            orders += [order(each.name, SEEDANCE_PRO, seed) for seed, each in scenarios.items()]
            orders.append(order("good-last", HAPPYHORSE_I2V, 2))
            ledger_file = tmp_path / f"ledger-{time.monotonic_ns()}.sqlite"
            with Ledger.open(f"sqlite:///{ledger_file}") as ledger:
                outcomes = {each.order.clip: each for each in asyncio.run(collect(ledger, orders))}
            check(service, outcomes, orders)
            written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
            assert TOKEN.encode() not in written
        return outcomes

    async def collect(ledger: Ledger, orders: list[GenerationRequest]) -> list[Outcome]:
        settings = load_settings()
        caps = Caps(10**12, 10**6, 10**12, 10**6, settings.zone)
        options = EngineOptions(
            caps=caps,
            deadline_seconds=DEADLINE,
            prior_seconds=0.3,
            min_poll_seconds=0.1,
            stop_seconds=5,
            allow_unknown_price=True,
        )
        scratch = tmp_path / "scratch"
        async with (
            asyncio.timeout(DEADLINE * 3 + SLACK),
            open_engine(settings, ledger, bucket, scratch=scratch, run_id="run", options=options) as engine,
            aclosing(engine.stream(orders)) as stream,
        ):
            return [outcome async for outcome in stream]

    return run


def check(service: HostileService, outcomes: dict[str, Outcome], orders: list[GenerationRequest]) -> None:
    """Check what holds in every scenario."""
    assert outcomes.keys() == {each.clip for each in orders}
    paused = any(each.kind == "submit-wait" for each in service.scenarios.values())
    for name in ("good-first", "good-last"):  # a pause that the service asks for is one of all clips
        assert isinstance(outcomes[name], Delivered) or (paused and isinstance(outcomes[name], Held)), outcomes[name]
    unsent = [each.name for each in service.scenarios.values() if not service.posts[each.name]]
    assert service.catalogue is not None or not unsent, unsent
    for name, outcome in outcomes.items():
        assert isinstance(outcome, Delivered | Held | Failed), name
        if not isinstance(outcome, Delivered):
            words: Any = outcome.reason
            assert TOKEN not in f"{words} {outcome.remedy}", name
            assert len(words) < 2000, name
    assert max(service.posts.values(), default=0) <= 2, service.posts  # a second one only after a refusal with 429
    for target, headers in (*service.stolen, *service.fetched):
        assert TOKEN not in f"{target} {headers}"
        assert "authorization" not in headers
