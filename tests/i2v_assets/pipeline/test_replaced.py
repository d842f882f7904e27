"""An upload that is replaced while its clip is made: nothing is paid for the old one, and the new one is planned next."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from i2v_assets.pipeline.report import ClipReporter
from resources.ledger.ledger import Ledger
from resources.settings import load_settings


def _sent() -> int:
    with Ledger.open(load_settings().ledger_address) as ledger:
        return sum(row.request_id is not None for row in ledger.list())


def test_the_new_file_is_planned_next(world: Any, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_MEASURE", "false")
    monkeypatch.setenv("I2V_PREVIEWS", "false")
    world.put("uploads/_defaults.yaml", "resolution: 720p\nduration: 3\nprompt: Slow push in\n")
    world.put("uploads/cat.webp", samples / "product.webp")
    planned = ClipReporter.planned

    async def replaced_meanwhile(self: ClipReporter, *arguments: Any) -> None:
        await planned(self, *arguments)
        world.put("uploads/cat.webp", samples / "portrait.png")

    with monkeypatch.context() as once:
        once.setattr(ClipReporter, "planned", replaced_meanwhile)
        world.tick("uploads")
    told = world.bucket.read("clips/cat/WAITING.txt").decode()
    assert "uploads/cat.webp was replaced while it waited." in told
    assert "Nothing was paid yet." in told
    assert "The new one is planned next." in told
    assert _sent() == 0

    assert all(result.success for result in world.tick("uploads"))
    manifest = json.loads(world.bucket.read("clips/cat/manifest.json"))
    assert manifest["media"][0]["sha256"] == hashlib.sha256((samples / "portrait.png").read_bytes()).hexdigest()
    assert world.bucket.head("clips/cat/WAITING.txt") is None
    assert _sent() == 1
