"""What is wanted is asked again at the moment of payment: corrections, deletions, cancels and pauses of a run under way."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image

from i2v_assets.operations.cancel import cancel_clip, cancel_clips, clips_to_cancel
from i2v_assets.operations.pause import pause_work, resume_work
from i2v_assets.operations.retry import retry_clip
from i2v_assets.session import Session
from i2v_assets.uploads.ingest import scan_uploads
from resources.ledger.records import Claimed, NewRequest, caps_of
from resources.ledger.transitions import Claims
from resources.registry.registry import ClipState
from resources.settings import load_settings

WAITING = "WAITING.txt"


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 77)).save(out, "PNG")
    return out.getvalue()


def session(stage: Any) -> Session:
    return Session(load_settings(), stage.ledger, stage.registry)


def scan(stage: Any) -> None:
    """What the upload sensor sees."""
    scan_uploads(stage.bucket, stage.registry, load_settings())


@contextmanager
def before_claim(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread's place right before the n-th claim asks what is wanted."""
    claim, lock, count = Claims.claim, threading.Lock(), iter(range(1, 10_000))

    def crossed(self: Claims, *arguments: Any, **keywords: Any) -> Any:
        with lock:
            if next(count) == number:
                action()
        return claim(self, *arguments, **keywords)

    with monkeypatch.context() as once:
        once.setattr(Claims, "claim", crossed)
        yield


def test_a_corrected_brief_pays_for_the_correction_alone(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 5):
        stage.upload(f"shoot/{number}.png", picture(number))
    stage.upload("shoot/_defaults.yaml", "prompt: Slwo zoom\n")

    def correct() -> None:
        stage.upload("shoot/_defaults.yaml", "prompt: Slow zoom\n")
        scan(stage)

    with before_claim(monkeypatch, 1, correct):
        stage.make()
    assert stage.charges() == [], "nothing of the mistaken batch is paid"
    stage.make()
    assert len(stage.charges()) == 4
    assert set(stage.states().values()) == {ClipState.DELIVERED}


def test_a_correction_between_two_claims_pays_no_more_of_the_mistake(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.set_variable("I2V_MAX_IN_FLIGHT", "1")
    for number in range(1, 5):
        stage.upload(f"{number}/still.png", picture(10 + number))
        stage.upload(f"{number}/brief.yaml", "prompt: Slwo zoom\n")

    def correct() -> None:
        for number in range(1, 5):
            stage.upload(f"{number}/brief.yaml", "prompt: Slow zoom\n")
        scan(stage)

    def charged_once() -> None:
        if len(stage.charges()) == 1 and not done:
            done.append(True)
            correct()

    done: list[bool] = []
    claim, one_at_a_time = Claims.claim, threading.Lock()

    def crossed(self: Claims, *arguments: Any, **keywords: Any) -> Any:
        with one_at_a_time:  # no other claim of the run passes while the correction is written
            charged_once()
            return claim(self, *arguments, **keywords)

    with monkeypatch.context() as once:
        once.setattr(Claims, "claim", crossed)
        stage.make()
    assert len(stage.charges()) == 1
    stage.make()
    assert len(stage.charges()) == 5, "one mistake that was sent, and four corrections"
    assert set(stage.states().values()) == {ClipState.DELIVERED}


def test_a_deleted_list_is_paid_no_further(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 9):
        stage.upload(f"pool/{number}.png", picture(20 + number))
    rows = "\n".join(f"pool/{number}.png,Slow push in {number}" for number in range(1, 9))
    stage.upload("batch.csv", f"image,prompt\n{rows}\n")
    scan(stage)
    of_list = [row.clip for row in stage.registry.list() if row.source.startswith("uploads/batch.csv")]
    if not of_list:
        pytest.fail(f"{[(row.clip, row.source) for row in stage.registry.list()]} {stage.refusals()}")
    cancel_clips(session(stage), [clip for clip in stage.states() if clip not in of_list], by="a test")

    def delete() -> None:
        stage.bucket.delete("uploads/batch.csv")
        scan(stage)

    with before_claim(monkeypatch, 4, delete):
        stage.make()
    paid = len(stage.charges())
    assert 1 <= paid <= 3, "what was claimed before the deletion; claims wait for each other"
    stage.make()
    stage.make("dispatch")
    assert len(stage.charges()) == paid
    withdrawn = [clip for clip in of_list if stage.clip(clip).state is ClipState.WITHDRAWN]
    assert len(withdrawn) == 8 - paid
    assert all(stage.note(clip, WAITING) is None for clip in withdrawn)


def test_a_cancel_of_a_queued_runs_clip_is_done_and_nothing_is_paid(stage: Any) -> None:
    stage.upload("hero.png", picture(30))
    (request,) = stage.tick()
    assert stage.clip("hero").state is ClipState.DISPATCHED
    done = cancel_clip(session(stage), "hero", by="anna")
    assert done.done
    stage.execute(request)
    assert stage.charges() == []
    row = stage.clip("hero")
    assert (row.state, row.waiting_for) == (ClipState.WAITING, "person")
    assert "cancelled by anna" in (stage.note("hero", WAITING) or "")
    stage.make()
    stage.make("dispatch")
    assert stage.charges() == []

    retry_clip(session(stage), "hero", by="anna")
    stage.make()
    assert stage.delivered() == {"hero"}
    assert len(stage.charges()) == 1


def test_a_cancel_while_its_run_is_about_to_send_is_exact(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        stage.upload(f"{number}.png", picture(40 + number))
    steps = []

    def cancel() -> None:
        steps.extend(cancel_clips(session(stage), clips_to_cancel(session(stage), everything=True), by="anna"))

    with before_claim(monkeypatch, 1, cancel):
        stage.make()
    assert all(each.done for each in steps)
    assert stage.charges() == []
    assert {stage.clip(clip).waiting_for for clip in "123"} == {"person"}
    assert all("cancelled by anna" in (stage.note(clip, WAITING) or "") for clip in "123")
    stage.make("dispatch")
    assert stage.charges() == []


def test_the_same_bytes_under_another_name_are_made_although_the_first_is_cancelled(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload("a.png", picture(50))
    stage.upload("b.png", picture(50))
    with before_claim(monkeypatch, 1, lambda: cancel_clip(session(stage), "a", by="anna")):
        stage.make()
    assert "b" in stage.delivered()
    assert len(stage.charges()) == 1, "whichever of the two asked first"
    first = stage.clip("a")  # if the other had asked first, its video is this clip's too, for nothing
    assert first.waiting_for == "person" or first.state is ClipState.DELIVERED


def test_a_sensor_that_crosses_a_cancel_starts_nothing(stage: Any) -> None:
    """Both crossings: the sensor has read the clip before the cancel, and dispatches after it; or the other way round."""
    stage.upload("hero.png", picture(60))
    scan(stage)
    read = stage.registry.due()
    cancel_clip(session(stage), "hero", by="anna")
    assert stage.registry.dispatch([row.clip for row in read], batch="b", sensor="uploads", tick=9) == ()

    stage.upload("other.png", picture(61))
    scan(stage)
    before = stage.clip("other")
    assert stage.registry.dispatch(["other"], batch="b2", sensor="uploads", tick=9) == ("other",)
    done = cancel_clip(session(stage), "other", by="anna")
    assert done.done
    assert before.state is ClipState.DUE
    assert stage.registry.mark_running(["other"], "run", batch="b2") == ()


def test_a_gate_that_opens_while_a_person_cancels_starts_nothing(stage: Any) -> None:
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    stage.upload("hero.png", picture(62))
    stage.make()
    row = stage.clip("hero")
    cancel_clip(session(stage), "hero", by="anna")
    assert stage.registry.enqueue(["hero"], seen={"hero": row}) == 0, "the sensor had read it before"
    assert stage.clip("hero").waiting_for == "person"


def test_two_retakes_at_once_are_two_takes_with_both_seeds(stage: Any) -> None:
    stage.upload("hero.png", picture(63))
    stage.make()
    row = stage.clip("hero")
    assert stage.registry.add_take("hero", take=2, seed=7, seen=row) == 2
    assert stage.registry.add_take("hero", take=2, seed=8, seen=row) == 3
    stage.make()
    seeds = sorted(request.seed for request in stage.ledger.list() if request.take > 1)
    assert seeds == [7, 8]
    assert len(stage.charges()) == 3


def test_pause_stops_every_process_and_resume_lets_the_run_go_on(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.upload("a.png", picture(70))
    paused = threading.Event()
    pause_work(session(stage), by="anna")
    (request,) = stage.tick()
    running = threading.Thread(target=stage.execute, args=(request,))
    running.start()
    for _ in range(600):
        if stage.clip("a").waiting_for == "paused":
            break
        paused.wait(0.1)
    assert "anna paused all paid work" in (stage.note("a", WAITING) or "")
    assert "i2v resume" in (stage.note("a", WAITING) or "")
    assert stage.charges() == []
    assert stage.tick("dispatch") == []
    resume_work(session(stage))
    running.join(60)
    assert stage.delivered() == {"a"}
    assert len(stage.charges()) == 1


def test_a_pause_that_outlasts_the_run_is_ended_by_the_sensor(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2v_assets.pipeline.pause.PATIENCE_SECONDS", -1)
    stage.upload("a.png", picture(71))
    pause_work(session(stage), by="anna")
    stage.make()
    assert stage.tick("dispatch") == []
    stage.ledger.resume_service("sandbox")
    stage.make("dispatch")
    assert stage.delivered() == {"a"}


def test_nothing_is_claimed_during_a_pause_whoever_asks(stage: Any) -> None:
    stage.ledger.plan(NewRequest("e" * 64, "sandbox", "other", 1, "any", "animate", 1, 3, "{}"))

    def claim() -> object:
        return stage.ledger.claim(
            "e" * 64, owner="x", run_id=None, lease_seconds=60, price_microdollars=1, model_id="any",
            caps=caps_of(load_settings()), max_in_flight=9,
        )  # fmt: skip

    pause_work(session(stage), by="anna")
    assert not isinstance(claim(), Claimed)
    assert resume_work(session(stage)).hold is not None
    assert isinstance(claim(), Claimed)


def test_an_older_version_that_comes_late_does_not_replace_the_newer(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from i2v_assets.pipeline import generate as pipeline

    made, once = pipeline.generate_take, []

    async def overtaken(*arguments: Any) -> Any:
        found = await made(*arguments)
        if not once:
            once.append(True)
            stage.upload("hero.png", picture(81))
            await asyncio.to_thread(stage.make)
        return found

    monkeypatch.setattr(pipeline, "generate_take", overtaken)
    stage.upload("hero.png", picture(80))
    stage.make()
    assert len(stage.charges()) == 2
    row = stage.clip("hero")
    assert (row.state, row.delivered_version) == (ClipState.DELIVERED, row.version)
    newest = max(stage.ledger.list(), key=lambda request: request.created_at)
    manifest = json.loads(stage.bucket.read("clips/hero/manifest.json"))
    assert manifest["fingerprint"] == newest.fingerprint
    assert stage.note("hero", WAITING) is None
