"""A registry with a clock that a test moves, and Dagster over the same database."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.dagster_resources import LedgerResource
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry, Upload
from resources.settings import Settings, load_settings, variable_name


@dataclass
class Shelf:
    ledger: Ledger
    registry: Registry
    instance: dg.DagsterInstance
    now: datetime

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)

    def admit(self, *clips: str, version: str = "v1") -> None:
        self.registry.admit([Upload(clip, f"uploads/{clip}.jpg", version, "{}") for clip in clips])

    def answer(self, *clips: str, state: ClipState, **more: Any) -> None:
        for clip in clips:
            row = self.registry.get(clip)
            assert row is not None
            self.registry.record_result(clip, version=row.version, state=state, **more)

    def keys(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions("clips"))

    def run(self, job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(instance=self.instance, resources={"ledger": LedgerResource()})

    def tick(self, schedule: dg.ScheduleDefinition) -> Any:
        context = dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=self.now, resources={"ledger": LedgerResource()}
        )
        return schedule.evaluate_tick(context)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_name(name), raising=False)
    for name, value in {
        "I2V_SERVICE": "sandbox",
        "RUNCOMFY_MODEL_API_BASE": "http://127.0.0.1:9/v1",
        "I2V_DATA_DIR": str(tmp_path / "data"),
    }.items():
        monkeypatch.setenv(name, value)
    with dg.instance_for_test() as instance, Ledger.open(load_settings().ledger_address) as ledger:
        made = Shelf(ledger, Registry(ledger.database), instance, datetime.now(UTC))
        made.registry = Registry(ledger.database, lambda: made.now)
        yield made
