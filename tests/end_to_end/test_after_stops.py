"""What is paid for is delivered without a person after Terminate; `test_run_processes.py` kills processes."""

import io
from typing import Any

import pytest
from PIL import Image

from i2v_assets.pipeline.report import ClipReporter
from resources.registry.registry import ClipState
from resources.storage.errors import StorageUnavailable


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, 3, 55)).save(out, "PNG")
    return out.getvalue()


def cut_off(stage: Any, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """A sensor's run that ended after the downloads, before any of its clips had an answer."""

    async def unwritten(*_arguments: object) -> None:
        raise StorageUnavailable("The process ended here.")

    with monkeypatch.context() as once:
        once.setattr(ClipReporter, "report", unwritten)
        (result,) = stage.make()
    run = stage.instance.get_run_by_id(result.run_id)
    if status == "terminated":
        stage.instance.report_run_canceled(run)


def test_a_clip_that_was_downloaded_at_terminate_is_delivered_and_nothing_more_is_paid(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.70")  # one take of 0.60
    stage.upload("hero/still.png", picture(1))
    stage.upload("hero/brief.yaml", "takes: 2\n")
    cut_off(stage, monkeypatch, "terminated")
    assert len(stage.charges()) == 1
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "20")

    stage.make("dispatch")
    assert stage.delivered() == {"hero"}
    assert stage.clip("hero").state is ClipState.DELIVERED
    assert len(stage.charges()) == 1, "the take that was not sent stays unsent"
    assert stage.make("dispatch") == []


def test_a_clip_that_nothing_was_sent_for_waits_after_terminate(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.10")
    stage.upload("hero.png", picture(2))
    cut_off(stage, monkeypatch, "terminated")
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "20")
    assert stage.tick("dispatch") == []
    assert stage.clip("hero").waiting_for == "person"
    assert stage.note("hero", "WAITING.txt")
    assert stage.charges() == []
