"""Somebody's own asset uses the resource: the example of docs/your-own-assets.md, in real Dagster runs."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.generation.errors import RequestFailed, RequestHeld
from resources.ledger.records import RequestRow, State
from resources.runcomfy.errors import MissingToken, Unauthorized
from resources.runcomfy.resource import RunComfyResource
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.inputs import GenerationInputs
from resources.settings import load_settings
from resources.wait_reason import WaitReason

PAGE = Path(__file__).parents[2] / "docs" / "your-own-assets.md"
CHILD = Path(__file__).with_name("own_asset_child.py")


def example(number: int = 0) -> dict[str, Any]:
    """An example of the page, the first one by default, as a module's names."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]
    names: dict[str, Any] = {"__name__": "your_assets"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


@pytest.fixture
def shop(stage):
    """The stage with the example's picture in the bucket; no clip of the pipeline is there."""
    stage.bucket.write("shop/window.webp", (stage.samples / "product.webp").read_bytes(), "image/webp")
    return stage


def materialize(shop, **given: Any) -> dg.ExecuteInProcessResult:
    job = example()["defs"].get_implicit_global_asset_job_def()
    return job.execute_in_process(instance=shop.instance, raise_on_error=False, **given)


def row_of(shop) -> RequestRow:
    (row,) = shop.ledger.list(clip="shop-window")
    return row


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def error_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    while error.cause is not None:
        error = error.cause
    return error.message


def inputs(resource: RunComfyResource, seed: int = 11, **changes: Any) -> GenerationInputs:
    made = GenerationInputs(
        family=HAPPYHORSE_I2V, prompt="slow orbit", images=(resource.medium("shop/window.webp"),),
        duration=3, resolution="720p", seed=seed, watermark=False,
    )  # fmt: skip
    return made.model_copy(update=changes)


def test_the_example_makes_a_video_that_the_ledger_knows(shop) -> None:
    result = materialize(shop)

    assert result.success
    row = row_of(shop)
    assert row.state is State.SUCCEEDED
    assert row.run_id == result.dagster_run.run_id
    assert shown(result) == {"key": row.video_key, "paid": True, "request": row.request_id}
    assert shop.bucket.head(row.video_key) is not None
    assert len(shop.charges()) == 1


def test_a_second_run_pays_nothing(shop) -> None:
    assert materialize(shop).success
    again = materialize(shop)
    assert again.success
    assert shown(again)["paid"] is False
    assert len(shop.charges()) == 1


@pytest.mark.parametrize("dies", ["submitted", "delivered"])
def test_a_run_that_died_is_resumed_and_not_paid_for_again(shop, dies: str) -> None:
    env = {**os.environ, "I2V_LEASE_SECONDS": "1"}
    ended = subprocess.run([sys.executable, str(CHILD), str(PAGE), dies], env=env, timeout=120, check=False)
    assert ended.returncode == 9
    assert len(shop.charges()) == 1

    shop.set_variable("I2V_LEASE_SECONDS", "1")
    result = materialize(shop)
    assert result.success
    assert shown(result)["paid"] is False
    assert len(shop.charges()) == 1
    assert row_of(shop).state is State.SUCCEEDED


def test_a_cap_holds_it_before_anything_is_sent(shop) -> None:
    shop.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.10")
    result = materialize(shop)
    assert not result.success
    assert "RequestHeld" in error_of(result)
    assert "I2V_SANDBOX_BUDGET_USD_PER_DAY" in error_of(result)
    assert row_of(shop).state is State.PLANNED
    assert shop.charges() == []
    assert shop.requests() == []

    shop.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "5")
    assert materialize(shop).success
    assert len(shop.charges()) == 1


def test_the_parts_of_the_door(shop) -> None:
    resource = RunComfyResource()
    assert resource.check_auth().user_id
    before = resource.balance().microdollars
    request = resource.plan("parts", inputs(resource))
    assert request.price_microdollars == 600_000
    assert shop.ledger.list(clip="parts") == ()

    row = resource.submit(request)
    assert (row.clip, row.price_microdollars) == ("parts", 600_000)
    assert row.state in (State.SUBMITTED, State.SUCCEEDED)
    assert resource.submit(request).request_id == row.request_id
    for known in (row, request, row.request_id):
        delivered = resource.poll(known)
        assert delivered.paid is False
        assert shop.bucket.head(delivered.video_key) is not None
    assert len(shop.charges()) == 1
    assert resource.balance().microdollars == before - 600_000


def test_what_was_submitted_and_left_is_adopted_by_the_schedules_job(shop) -> None:
    resource = RunComfyResource()
    row = resource.submit(resource.plan("left", inputs(resource, 12)))
    assert row.lease_until is None, "nobody waits for it"
    assert shop.definitions.resolve_job_def("adopt_orphans_job").execute_in_process(instance=shop.instance).success
    (after,) = shop.ledger.list(clip="left")
    assert after.delivered_at is not None
    assert resource.poll(row).already
    assert len(shop.charges()) == 1


def test_a_request_that_does_not_end_in_time_is_left_and_fetched_later(shop) -> None:
    resource = RunComfyResource()
    shop.fault(where="submit", kind="stuck", times=1)
    row = resource.submit(resource.plan("slow", inputs(resource, 20)))
    with pytest.raises(RequestHeld) as held:
        resource.poll(row, deadline_seconds=0.2)
    assert held.value.kind is WaitReason.DEADLINE
    assert held.value.request_id == row.request_id
    assert [each.state for each in shop.ledger.list(clip="slow")] == [State.SUBMITTED]
    assert len(shop.requests()) == 1


def test_polling_submits_nothing(shop) -> None:
    resource = RunComfyResource()
    request = resource.plan("never", inputs(resource, 13))
    shop.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "0")
    with pytest.raises(RequestHeld) as held:
        resource.submit(request)
    assert held.value.kind is WaitReason.BUDGET
    shop.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "10")
    with pytest.raises(RequestHeld):
        resource.poll(request)
    with pytest.raises(Exception, match="no request"):
        resource.poll("req-unknown")
    assert shop.requests() == []


def test_what_failed_goes_again_only_when_it_is_asked_for(shop) -> None:
    resource = RunComfyResource()
    shop.fault(where="submit", kind="http_422", times=1)
    request = resource.plan("again", inputs(resource, 14))
    with pytest.raises(RequestFailed) as failed:
        resource.generate(request)
    assert "retry=True" in failed.value.remedy
    with pytest.raises(RequestFailed):
        resource.generate(request)
    assert shop.requests() == [], "the second was not even sent"
    assert resource.generate(resource.plan("again", inputs(resource, 14), retry=True)).paid
    assert len(shop.charges()) == 1


def test_what_the_content_rules_refuse_is_never_sent_again(shop) -> None:
    resource = RunComfyResource()
    shop.fault(where="submit", kind="failed_result", times=1)
    for retry in (False, True):
        with pytest.raises(RequestFailed) as failed:
            resource.generate(resource.plan("refused", inputs(resource, 21), retry=retry))
        assert failed.value.final
        assert "take" in failed.value.remedy
    assert len(shop.requests()) == 1
    assert resource.generate(resource.plan("refused", inputs(resource, 21), take=2)).paid


def test_a_higher_price_than_the_plan_showed_is_not_paid(shop) -> None:
    resource = RunComfyResource()
    request = replace(resource.plan("dearer", inputs(resource, 15)), price_microdollars=500_000)
    with pytest.raises(RequestHeld) as held:
        resource.submit(request)
    assert held.value.kind is WaitReason.PRICE_CHANGED
    assert shop.requests() == []


def test_a_price_that_nobody_agreed_to_is_not_planned(shop) -> None:
    resource = RunComfyResource()
    resource.plan("agreed", inputs(resource, 16))
    shop.entry("happyhorse/happyhorse-1-0/image-to-video", base_price_usd=9.0)
    with pytest.raises(Exception, match="the price is now") as refused:
        resource.plan("agreed", inputs(resource, 17))
    assert "i2v models --accept" in refused.value.remedy


@pytest.mark.parametrize(
    ("change", "words"), [({"duration": 99}, "duration"), ({"resolution": "9p"}, "resolution"), ({"seed": 0}, "seed")]
)
def test_inputs_that_do_not_fit_are_refused_before_the_ledger(shop, change: dict[str, Any], words: str) -> None:
    resource = RunComfyResource()
    with pytest.raises(Exception, match=words):
        resource.plan("bad", inputs(resource, 18, **change))
    assert shop.ledger.list(clip="bad") == ()


@pytest.mark.parametrize("name", ["", "a/b", "../x", "two words", "hero"])
def test_a_name_that_cannot_be_or_is_a_clips_is_refused(shop, name: str) -> None:
    shop.upload("hero.webp", shop.samples / "product.webp")
    shop.tick()
    resource = RunComfyResource()
    with pytest.raises(Exception, match=r"cannot name|made from an upload"):
        resource.plan(name, inputs(resource, 19))


def test_the_token_is_checked_at_the_service(shop) -> None:
    shop.set_variable("RUNCOMFY_TOKEN", "expired-token")
    with pytest.raises(Unauthorized):
        RunComfyResource().check_auth()
    shop.set_variable("RUNCOMFY_TOKEN", "")
    shop.set_variable("RUNCOMFY_CONFIG_DIR", str(shop.home))
    with pytest.raises(MissingToken):
        RunComfyResource().check_auth()
    assert load_settings().runcomfy_token is None


def test_an_eager_asset_of_another_code_location_follows_each_video_once(stage) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY", "1")
    for name in ("first", "second"):
        stage.upload(f"{name}.webp", stage.samples / "product.webp" if name == "first" else stage.samples / "pet.jpg")
    theirs = example(1)["defs"]

    def asked(cursor: Any = None) -> tuple[set[str], Any]:
        found = dg.evaluate_automation_conditions(theirs, stage.instance, cursor=cursor)
        return found.get_requested_partitions(dg.AssetKey("shop_entry")), found.cursor

    before, cursor = asked()
    assert before == set()
    stage.make()
    assert len(stage.delivered()) == 1
    fresh, cursor = asked(cursor)
    assert fresh == stage.delivered(), "the other clip waits for the budget"
    again, cursor = asked(cursor)
    assert again == set()
    assert any(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in theirs.sensors)
