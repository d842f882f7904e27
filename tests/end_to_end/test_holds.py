"""What holds a clip before money moves, and how the dispatch sensor lets it go on."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, repeat

import dagster as dg
import pytest
from PIL import Image

from resources.generation.engine import open_engine
from resources.ledger.records import Claimed, NewRequest, State, caps_of
from resources.registry.registry import ClipState
from resources.settings import load_settings

WAITING = "WAITING.txt"


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def plan_of(stage, clip: str) -> dict:
    return json.loads(stage.bucket.read(f"clips/{clip}/plan.json"))


def test_a_clip_waits_for_approval_and_goes_on_once_it_has_it(stage) -> None:
    stage.set_variable("I2V_REQUIRE_APPROVAL", "true")
    stage.upload("hero.png", picture())
    (run,) = stage.make()

    assert run.success
    assert stage.charges() == []
    plan = plan_of(stage, "hero")
    note = stage.note("hero", WAITING) or ""
    assert f"i2v approve {plan['plan_hash'][:16]} " in note
    assert "$0.60" in note
    assert stage.clip("hero").waiting_for == "approval"
    assert stage.tick("dispatch") == []
    answered = stage.check("clip_video", "answered", "hero")
    assert (answered.passed, answered.severity) == (False, dg.AssetCheckSeverity.WARN)

    prices = {take["fingerprint"]: take["price_microdollars"] for take in plan["takes"]}
    stage.ledger.approve(plan["plan_hash"], dict.fromkeys(prices, 1), "somebody")
    assert stage.tick("dispatch") == [], "another price was approved than asked for now"
    stage.ledger.approve(plan["plan_hash"], prices, "somebody")
    stage.make("dispatch")

    assert stage.delivered() == {"hero"}
    assert stage.note("hero", WAITING) is None
    assert len(stage.charges()) == 1


def test_paid_work_waits_for_its_window(stage) -> None:
    now = datetime.now(UTC)
    stage.set_variable("I2V_GENERATE_ONLY", f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=4):%H:%M}")
    stage.upload("hero.png", picture())
    stage.make()

    assert stage.charges() == []
    assert f"{now + timedelta(hours=2):%H:%M}" in (stage.note("hero", WAITING) or "")
    assert stage.tick("dispatch") == []

    stage.set_variable("I2V_GENERATE_ONLY", f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}")
    stage.make("dispatch")
    assert stage.delivered() == {"hero"}


def test_a_clip_that_waits_for_a_slot_until_its_window_is_over_is_not_paid(stage, monkeypatch) -> None:
    stage.set_variable("I2V_MAX_IN_FLIGHT", "1")
    stage.ledger.plan(NewRequest("f" * 64, "sandbox", "other", 1, "any", "animate", 1, 3, "{}"))
    claimed = stage.ledger.claim(  # another process keeps the only slot
        "f" * 64, owner="another", run_id=None, lease_seconds=3600, price_microdollars=600_000, model_id="any",
        caps=caps_of(load_settings()), max_in_flight=1,
    )  # fmt: skip
    assert isinstance(claimed, Claimed)
    now = datetime.now(UTC)
    stage.set_variable("I2V_GENERATE_ONLY", f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}")
    looks = chain([now] * 2, repeat(now + timedelta(hours=3)))
    monkeypatch.setattr("resources.generation.engine.open_engine", partial(open_engine, clock=lambda: next(looks)))
    stage.upload("hero.png", picture(2))
    stage.make()

    assert stage.clip("hero").waiting_for == "window"
    assert "I2V_GENERATE_ONLY" in (stage.note("hero", WAITING) or "")
    assert stage.charges() == []


def test_what_would_pass_the_budget_waits_until_the_cap_is_raised(stage) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "1.30")  # two clips of 0.60
    for number in range(4):
        stage.upload(f"clip-{number}.png", picture(number))
    stage.make()

    assert len(stage.charges()) == 2
    waiting = [clip for clip, state in stage.states().items() if state is ClipState.WAITING]
    assert len(waiting) == 2
    assert "budget" in (stage.note(waiting[0], WAITING) or "").lower()
    assert stage.tick("dispatch") == []

    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "2.00")
    stage.make("dispatch")
    assert len(stage.charges()) == 3, "the dispatch sensor does not start more than the day has left"
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "20")
    stage.make("dispatch")
    assert len(stage.charges()) == 4
    assert len(stage.delivered()) == 4


def cap_of_a_run(monkeypatch: pytest.MonkeyPatch, dollars: float) -> None:
    """The sandbox's caps of a run are those of its day; here they differ, as the service's do."""
    caps = replace(caps_of(load_settings()), usd_per_run_microdollars=round(dollars * 1_000_000))
    for module in ("resources.generation.engine", "i2v_assets.defs.dispatch_sensor"):
        monkeypatch.setattr(f"{module}.caps_of", lambda settings: caps)


def test_a_clip_that_costs_more_than_a_run_may_spend_starts_no_run_until_that_is_raised(
    stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cap_of_a_run(monkeypatch, 0.50)
    stage.upload("hero.png", picture())
    stage.make()

    assert stage.clip("hero").waiting_for == "budget"
    note = stage.note("hero", WAITING) or ""
    assert "This clip costs $0.60, but one run may spend at most $0.50." in note
    assert "I2V_SANDBOX_BUDGET_USD_PER_DAY raises the limit." in note
    stage.later("hero", timedelta(days=1))
    assert stage.tick("dispatch") == []

    cap_of_a_run(monkeypatch, 0.60)
    stage.make("dispatch")
    assert stage.delivered() == {"hero"}


def test_an_unknown_outcome_is_held_for_a_person_and_then_fetched(stage) -> None:
    stage.upload("hero.png", picture())
    stage.fault(where="submit", kind="disconnect_after", times=1)
    (run,) = stage.make()

    assert stage.clip("hero").waiting_for == "unknown"
    assert stage.request("hero").state is State.UNKNOWN
    note = stage.note("hero", WAITING) or ""
    assert "i2v ledger resolve" in note
    answered = stage.check("clip_video", "answered", "hero")
    assert (answered.passed, answered.severity) == (False, dg.AssetCheckSeverity.ERROR)
    stage.later("hero", timedelta(days=1))
    assert stage.tick("dispatch") == []
    stage.materialize("hero")
    assert len(stage.charges()) == 1, "not even by hand it is sent again"
    assert run.success

    (charge,) = stage.charges()
    stage.ledger.resolve(stage.request("hero").fingerprint, by="somebody", request_id=charge["request_id"])
    stage.make("dispatch")
    assert stage.delivered() == {"hero"}
    assert len(stage.charges()) == 1


def test_a_changed_default_asks_before_a_delivered_clip_is_paid_for_again(stage) -> None:
    stage.upload("hero.png", picture())
    stage.make()
    stage.bucket.write("uploads/_defaults.yaml", b"duration: 4\nresolution: 720p\n", "application/yaml")
    assert stage.tick() == [], "a changed default makes no delivered clip due"

    stage.set_variable("I2V_WATERMARK", "true")
    stage.registry.enqueue(["hero"])
    stage.make()

    assert len(stage.charges()) == 1
    assert stage.clip("hero").waiting_for == "approval"
    assert "The video that is there stays" in (stage.note("hero", WAITING) or "")
    assert stage.delivered() == {"hero"}


def test_a_replaced_upload_that_had_to_wait_continues_without_a_new_request(stage) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "1.00")  # one clip of 0.60
    stage.upload("hero.png", picture())
    stage.make()
    stage.upload("hero.png", picture(7))
    stage.make()
    assert stage.clip("hero").waiting_for == "budget"
    assert len(stage.charges()) == 1

    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "20")
    stage.make("dispatch")
    assert (stage.clip("hero").waiting_for, stage.clip("hero").state) == (None, ClipState.DELIVERED)
    assert len(stage.charges()) == 2
