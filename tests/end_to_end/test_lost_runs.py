"""Runs that end before any clip has a result: their error reaches the people who wait."""

import io
from datetime import timedelta

import dagster as dg
import pytest
from PIL import Image

from i2v_assets.defs.runs import MOST_WORDS, why_ended
from i2v_assets.pipeline.dispatch_policy import MAX_RUNS_WITHOUT_ANSWER
from resources.registry.registry import ClipState


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (9, 9, 99)).save(out, "PNG")
    return out.getvalue()


def test_a_clip_whose_runs_all_end_early_gets_the_reason(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    stage.upload("hero.png", picture())
    for number in range(MAX_RUNS_WITHOUT_ANSWER):
        (run,) = stage.make("dispatch" if number else "uploads")
        assert not run.success
        assert stage.clip("hero").state is ClipState.DISPATCHED
        stage.later("hero", timedelta(minutes=4))

    assert stage.tick("dispatch") == []
    row = stage.clip("hero")
    assert (row.state, row.waiting_for, row.retries) == (ClipState.FAILED, "never", 0)
    note = stage.note("hero", "FAILED.txt") or ""
    assert note.startswith("FAILED: hero was not made. Nothing was sent to the service and nothing was paid.")
    assert f"Its runs ended {MAX_RUNS_WITHOUT_ANSWER} times without an answer. The last one said: " in note
    assert "RUNCOMFY_TOKEN" in note
    assert run.dagster_run.run_id in note
    check = stage.check("clip_video", "answered", "hero")
    assert not check.passed
    assert "RUNCOMFY_TOKEN" in check.metadata["failed"].value

    monkeypatch.setenv("RUNCOMFY_TOKEN", "rc-" + "x" * 32)
    stage.registry.enqueue(["hero"])  # as `i2v retry` does
    (run,) = stage.make()
    assert run.success
    assert stage.delivered() == {"hero"}
    assert stage.note("hero", "FAILED.txt") is None


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def ended(instance: dg.DagsterInstance, problem: Exception) -> dg.DagsterRun:
    @dg.op
    def fails() -> None:
        raise problem

    @dg.job
    def failing() -> None:
        fails()

    return failing.execute_in_process(instance=instance, raise_on_error=False).dagster_run


def test_secrets_in_the_words_of_a_run_stay_in_dagster(instance: dg.DagsterInstance) -> None:
    run = ended(instance, ValueError("see https://host/x?X-Amz-Signature=1 with Bearer abc123\nsecond line"))
    words = why_ended(instance, run)
    assert words == "ValueError: see [removed] with [removed] second line"
    run = ended(instance, ValueError("x" * 5000))
    assert len(why_ended(instance, run)) == MOST_WORDS


def test_a_run_without_an_error_is_reported_without_a_quote(instance: dg.DagsterInstance) -> None:
    @dg.job
    def empty() -> None:
        pass

    run = instance.create_run_for_job(empty)
    instance.report_run_failed(run)
    assert why_ended(instance, run) == ""
