"""Who may approve: a record that a person made, never the absence of a tag; and what makes a record void."""

import io
import json
from datetime import timedelta

import dagster as dg
import pytest
from PIL import Image

from i2v_assets.definitions import defs
from resources.ledger.records import utc_now
from resources.registry.registry import ClipState
from resources.settings import Settings
from resources.wait_reason import WaitReason

WAITING = "WAITING.txt"
BY_ITSELF = {
    "a sensor": {"dagster/sensor_name": "of_somebody"},
    "a schedule": {"dagster/schedule_name": "of_somebody"},
    "a backfill": {"dagster/backfill": "abcdefgh"},
    "an automation condition": {"dagster/from_automation_condition": "true", "dagster/auto_materialize": "true"},
    "an automation tick": {"dagster/asset_evaluation_id": "7"},
    "a retry": {"dagster/retry_number": "1", "dagster/parent_run_id": "r", "dagster/root_run_id": "r"},
    "the project's sensor": {"i2v/batch": "f" * 32},
}


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def waiting_clip(stage) -> None:
    stage.upload("hero/brief.yaml", "prompt: Slow push in\nneeds_approval: true\n")
    stage.upload("hero/a.png", picture())
    stage.make()
    assert stage.clip("hero").wait is WaitReason.APPROVAL
    assert stage.charges() == []


def prices(stage) -> dict[str, int]:
    row = stage.clip("hero")
    return {row.planned_fingerprint: row.price_microdollars}


@pytest.mark.parametrize("tags", BY_ITSELF.values(), ids=BY_ITSELF)
def test_a_run_that_no_person_started_needs_the_record(stage, tags) -> None:
    waiting_clip(stage)
    assert stage.materialize("hero", tags=tags).success
    assert stage.charges() == []
    assert stage.clip("hero").wait is WaitReason.APPROVAL

    stage.ledger.approve("hash", prices(stage), "ann", clip="hero")
    stage.materialize("hero", tags={name: value for name, value in tags.items() if name != "i2v/batch"})
    assert len(stage.charges()) == 1


@pytest.mark.parametrize(
    "tags", [{}, {"dagster/parent_run_id": "r", "dagster/root_run_id": "r"}], ids=["launch", "again"]
)
def test_a_person_who_materializes_approves_at_the_plans_price(stage, tags) -> None:
    waiting_clip(stage)
    run = stage.materialize("hero", tags=tags)
    assert stage.delivered() == {"hero"}
    stage.ledger.export(exported := io.StringIO())
    (row,) = [line for line in map(json.loads, exported.getvalue().splitlines()) if line["table"] == "approvals"]
    assert (row["clip"], row["price_microdollars"], row["way"]) == ("hero", 600_000, "materialize")
    assert row["approved_by"] == f"run {run.run_id}"
    assert row["plan_hash"]


def test_the_automatic_retry_of_a_run_by_hand_finds_its_record(stage) -> None:
    now = utc_now()
    stage.set_variable("I2V_GENERATE_ONLY", f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=4):%H:%M}")
    waiting_clip(stage)
    stage.materialize("hero")
    assert stage.clip("hero").wait is WaitReason.WINDOW
    stage.set_variable("I2V_GENERATE_ONLY", "")
    stage.materialize("hero", tags=BY_ITSELF["a retry"])
    assert len(stage.charges()) == 1


def test_a_higher_price_waits_again_and_a_price_that_falls_back_does_not_revive_the_record(stage) -> None:
    waiting_clip(stage)
    stage.ledger.approve("hash", prices(stage), "ann", clip="hero")
    (fingerprint, price), *_ = prices(stage).items()
    stage.ledger.void_others("hero", {fingerprint: price + 1})
    assert stage.tick("dispatch") == []
    assert not stage.ledger.is_approved(fingerprint, price, clip="hero")


def test_other_media_make_the_record_void_even_if_they_are_taken_back(stage) -> None:
    waiting_clip(stage)
    before = prices(stage)
    stage.ledger.approve("hash", before, "ann", clip="hero")
    stage.upload("hero/a.png", picture(7))
    stage.make()
    assert stage.clip("hero").wait is WaitReason.APPROVAL
    stage.upload("hero/a.png", picture())
    stage.make()
    assert prices(stage) == before
    assert stage.clip("hero").wait is WaitReason.APPROVAL
    stage.make("dispatch")
    assert stage.charges() == []


def test_a_restored_ledger_asks_again(stage) -> None:
    waiting_clip(stage)
    stage.ledger.approve("hash", prices(stage), "ann", clip="hero")
    assert stage.ledger.void_approvals() == 1
    stage.make("dispatch")
    assert stage.charges() == []
    assert stage.clip("hero").wait is WaitReason.APPROVAL


def test_an_automation_does_not_pay_again_for_a_clip_that_failed(stage) -> None:
    stage.fault(where="submit", kind="failed_result", message="The GPU caught fire", times=9)
    stage.upload("hero.png", picture())
    stage.make()
    assert stage.clip("hero").state is ClipState.FAILED
    charged = len(stage.charges())
    for tags in (BY_ITSELF["an automation condition"], BY_ITSELF["a backfill"], BY_ITSELF["a sensor"]):
        stage.materialize("hero", tags=tags)
    assert len(stage.charges()) == charged


@pytest.mark.parametrize("tags", [{"dagster/sensor_name": "x"}, {"dagster/schedule_name": "x"}])
def test_approve_job_is_for_persons(stage, tags) -> None:
    waiting_clip(stage)
    job = defs.resolve_job_def("approve_job")
    config = {"ops": {"approve_a_plan": {"config": {"clips": ["hero"], "at_most_usd": 5.0}}}}
    assert not job.execute_in_process(
        instance=stage.instance, run_config=config, tags=tags, raise_on_error=False
    ).success
    stage.make("dispatch")
    assert stage.charges() == []

    dear = {"ops": {"approve_a_plan": {"config": {"clips": ["hero"], "at_most_usd": 0.1}}}}
    with pytest.raises(dg.Failure, match=r"It may cost \$0.60, more than \$0.10"):
        job.execute_in_process(instance=stage.instance, run_config=dear)
    assert job.execute_in_process(instance=stage.instance, run_config=config).success
    stage.make("dispatch")
    assert len(stage.charges()) == 1


# Heaps


@pytest.fixture
def heap_of_two_dollars(monkeypatch):
    """Let loose clips ask from 2 dollars on; in the sandbox they never do."""
    monkeypatch.setattr(Settings, "heap_limit_microdollars", property(lambda self: 2_000_000))


def test_a_heap_waits_as_one_approval_whatever_run_its_clips_are_in(stage, heap_of_two_dollars) -> None:
    stage.set_variable("I2V_CLIPS_PER_RUN", "2")
    for number in range(5):
        stage.upload(f"photos/IMG_{number}.png", picture(number))
    stage.upload("look/brief.yaml", "prompt: Slow push in\n")
    stage.upload("look/a.png", picture(200))
    stage.make()
    assert stage.delivered() == {"look"}
    assert len(stage.charges()) == 1
    heap = [row.clip for row in stage.registry.list() if row.wait is WaitReason.HEAP]
    assert len(heap) == 5
    note = stage.note(heap[0], WAITING)
    assert "5 loose images of uploads/photos/ came within an hour" in note
    assert "$3.00 together, more than $2.00" in note
    assert "i2v approve uploads/photos/" in note
    assert stage.tick("dispatch") == []

    stage.ledger.approve("hash", {stage.clip(heap[0]).planned_fingerprint: 600_000}, "ann", clip=heap[0])
    stage.make("dispatch")
    assert stage.delivered() == {"look", heap[0]}, "one is approved, and the others still cost more than 2 dollars"


def test_what_was_paid_in_the_hour_counts(stage, heap_of_two_dollars) -> None:
    for number in range(3):
        stage.upload(f"photos/IMG_{number}.png", picture(number))
    stage.make()
    assert len(stage.charges()) == 3
    stage.upload("photos/IMG_3.png", picture(3))
    stage.upload("other/IMG_3.png", picture(4))
    stage.make()
    assert len(stage.charges()) == 4, "another tree does not count"
    assert stage.clip("photos--IMG_3").wait is WaitReason.HEAP


def test_a_heap_that_gets_smaller_goes_on(stage, heap_of_two_dollars) -> None:
    for number in range(4):
        stage.upload(f"photos/IMG_{number}.png", picture(number))
    stage.make()
    assert stage.charges() == []
    stage.bucket.delete("uploads/photos/IMG_0.png")
    stage.evaluate()
    stage.make("dispatch")
    assert len(stage.charges()) == 3
