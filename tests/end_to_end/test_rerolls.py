"""Extra takes after a low quality score: when they are made, when not, and what they may cost."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.devservers.start import RunningSandbox, start_sandbox
from resources.registry.registry import ClipState

REFUSED = "The content violates our policy (sensitive content)."


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A sandbox of its own, whose cached videos all show the image of these tests.

    Those of the sandbox of all tests show whichever image came first, so the likeness would depend on the tests' order.
    """
    options = {"generation_seconds": 0.2, "generation_spread": 0, "render": "cached", "seed": 1, "balance": 1_000_000}
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), **options) as server:
        yield server


@pytest.fixture
def poor(stage) -> Any:
    """Upload `poor`, whose first video is frozen and whose score asks for further takes."""

    def upload(more: str = "", *, at_most: int = 2, frozen: int = 1) -> Any:
        stage.set_variable("I2V_MEASURE", "true")
        if frozen:
            stage.fault(where="submit", kind="frozen", times=frozen)
        stage.upload("poor/a.jpg", Path("environment.jpg"))
        brief = f"prompt: Push in slowly\nimages: a.jpg\nreroll: {{below: 0.6, at_most: {at_most}}}\n"
        stage.upload("poor/brief.yaml", f"{brief}{more}\n")
        return stage

    return upload


def document(stage, name: str) -> dict[str, Any]:
    return json.loads(stage.bucket.read(f"clips/poor/{name}.json"))


def test_a_poor_video_is_made_again_and_the_better_one_is_shown(poor) -> None:
    stage = poor()
    stage.make()

    assert len(stage.charges()) == 2, "the second is good, so that there is no third"
    manifest = document(stage, "manifest")
    assert manifest["take"] == 2
    assert [other["take"] for other in manifest["other_takes"]] == [1]
    assert (stage.clip("poor").extra_takes, stage.clip("poor").rerolls) == (1, "[2]")


def test_what_the_budget_holds_is_not_owed_and_is_paid_one_at_a_time(poor) -> None:
    stage = poor()
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.70")  # one take of 0.60
    stage.make()
    assert len(stage.charges()) == 1
    assert stage.states() == {"poor": ClipState.DELIVERED}
    assert stage.clip("poor").extra_takes == 0, "nothing was paid for it"

    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "20")
    assert stage.tick("dispatch") == []
    stage.registry.enqueue(["poor"])
    stage.make()
    assert len(stage.charges()) == 1, "a delivered clip that runs again without a person costs nothing"
    assert stage.materialize("poor").success
    assert len(stage.charges()) == 2, "the first further take is good, so that the second is not made"
    assert document(stage, "manifest")["take"] == 2


def test_a_noted_take_that_was_never_sent_waits_for_the_score_of_the_one_before(poor) -> None:
    """A run that died between the note and the submit."""
    stage = poor(frozen=0)
    stage.evaluate()
    version = stage.clip("poor").version
    for take in (2, 3):
        assert stage.registry.add_reroll("poor", version=version, take=take, extra_takes=take - 2)

    stage.materialize("poor")

    assert len(stage.charges()) == 1, "the first take is good"


def test_no_further_take_after_a_content_refusal(poor) -> None:
    stage = poor()
    stage.fault(where="submit", kind="failed_result", times=5, message=REFUSED)
    stage.make()

    assert len(stage.charges()) == 2, "the refused take is the last one"
    assert document(stage, "manifest")["take"] == 1
    stage.materialize("poor")
    assert len(stage.charges()) == 2


def test_no_further_take_where_another_one_was_refused(poor) -> None:
    stage = poor("takes: 2")
    stage.fault(where="submit", kind="failed_result", times=1, message=REFUSED)
    stage.make()

    assert len(stage.charges()) == 2
    assert stage.states() == {"poor": ClipState.DELIVERED}


def test_a_changed_upload_starts_without_the_takes_of_the_old_one(poor) -> None:
    stage = poor(at_most=1)
    stage.make()
    stage.registry.add_take("poor", take=3, seed=5)
    stage.registry.choose("poor", 3)
    stage.make()
    assert len(stage.charges()) == 3

    poor("duration: 4", at_most=1, frozen=0)
    stage.make()

    assert len(stage.charges()) == 4, "its first take is good"
    row = stage.clip("poor")
    assert (row.extra_takes, row.rerolls, row.take_seeds, row.chosen_take) == (0, None, None, None)
    assert document(stage, "manifest")["take"] == 1


def test_an_approval_covers_the_rerolls_that_it_named(poor) -> None:
    stage = poor("needs_approval: true")
    stage.make()
    assert stage.charges() == []
    assert "about $0.60, and at most $1.80 with its rerolls" in (stage.note("poor", "WAITING.txt") or "")
    plan = document(stage, "plan")
    assert plan["most_microdollars"] == 1_800_000
    assert [take["take"] for take in plan["rerolls"]] == [2, 3]
    assert stage.metadata("clip_plan", "poor")["at_most_usd"] == pytest.approx(1.8)

    named = [*plan["takes"], plan["rerolls"][0]]
    prices = {take["fingerprint"]: take["price_microdollars"] for take in named}
    stage.ledger.approve(plan["plan_hash"], prices, "somebody")
    stage.make("dispatch")
    assert len(stage.charges()) == 2
    assert document(stage, "manifest")["take"] == 2


def test_an_unapproved_take_is_not_made(poor) -> None:
    stage = poor("needs_approval: true")
    stage.make()
    plan = document(stage, "plan")
    stage.ledger.approve(
        plan["plan_hash"], {take["fingerprint"]: take["price_microdollars"] for take in plan["takes"]}, "somebody"
    )
    stage.make("dispatch")
    assert len(stage.charges()) == 1
    assert stage.states() == {"poor": ClipState.DELIVERED}


def test_a_further_take_waits_for_the_night_window_too(poor) -> None:
    stage = poor()
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.70")  # keeps the reroll for later
    stage.make()
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "20")
    now = datetime.now(UTC)
    stage.set_variable("I2V_GENERATE_ONLY", f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=4):%H:%M}")

    assert stage.materialize("poor").success

    assert len(stage.charges()) == 1
    assert stage.clip("poor").extra_takes == 0


def test_silence_that_the_brief_allows_is_paid_for_once(poor) -> None:
    stage = poor("may_be_silent: true", frozen=0)
    stage.fault(where="submit", kind="silent", times=1)
    stage.make()
    assert len(stage.charges()) == 1
    check = stage.check("clip_video", "sound", "poor")
    assert check.passed
    assert document(stage, "manifest")["quality"] > 0.9


def test_a_delivered_clip_is_judged_anew_where_its_brief_comes_to_allow_silence(poor) -> None:
    stage = poor("choose: first", frozen=0, at_most=1)
    stage.fault(where="submit", kind="silent", times=2)
    stage.make()
    assert not stage.check("clip_video", "sound", "poor").passed
    assert document(stage, "manifest")["quality"] < 0.5
    assert len(stage.charges()) == 2, "both are silent"

    poor("choose: first\nmay_be_silent: true", frozen=0, at_most=1)
    stage.make()
    assert stage.check("clip_video", "sound", "poor").passed
    assert document(stage, "manifest")["quality"] > 0.9
    assert len(stage.charges()) == 2
