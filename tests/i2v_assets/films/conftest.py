"""Shared fixtures of the film tests."""

import json
from typing import Any

import pytest

from resources.ledger.ledger import Ledger
from resources.settings import load_settings


class Films:
    """Helpers for films."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def json(self, key: str) -> Any:
        return json.loads(self.world.bucket.read(key))

    def text(self, key: str) -> str:
        return str(self.world.bucket.read(key).decode())

    @staticmethod
    def paid() -> dict[str, int]:
        """Return the number of requests that reached the service, by clip."""
        with Ledger.open(load_settings().ledger_address) as ledger:
            found: dict[str, int] = {}
            for row in ledger.list():
                found[row.clip] = found.get(row.clip, 0) + (1 if row.request_id else 0)
            return found

    def until_still(self) -> list[str]:
        """Tick until nothing happens, and return the jobs that ran."""
        jobs: list[str] = []
        for _ in range(12):
            results = self.world.tick("sequences")
            if not results:
                return jobs
            assert all(result.success for result in results)
            jobs += [result.job_def.name for result in results]
        raise AssertionError(f"it never ends: {jobs}")


@pytest.fixture
def films(world: Any, monkeypatch: pytest.MonkeyPatch) -> Films:
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    return Films(world)
