"""Automatic retries of failed clips: the ledger, the schedule and the notes agree."""

import io

import pytest
from PIL import Image

from i2v_assets.defs.alerts_sensor import situation
from i2v_assets.defs.maintenance import to_retry
from i2v_assets.operations.takes import retake_clip
from i2v_assets.reports.alerts import AlertCursor
from i2v_assets.session import Session
from resources.ledger.records import utc_now
from resources.settings import load_settings

FAILED = "FAILED.txt"
BY_ITSELF = "it is tried again by itself"
NOTHING = "nothing by itself. Run: i2v retry hero"
CRASH = {"where": "submit", "kind": "failed_result", "message": "The worker ran out of memory."}
REFUSED = {"where": "submit", "kind": "http_422", "message": "duration: must be at most 15"}
CONTENT = {"where": "submit", "kind": "failed_result", "message": "Rejected by the content policy."}


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "teal").save(out, "PNG")
    return out.getvalue()


def tried_again(stage) -> bool:
    """Check whether the schedule retries the failed clip, and that all notes agree."""
    settings = load_settings()
    taken = to_retry(stage.registry, settings) == ["hero"]
    (failed,) = situation(stage.ledger, stage.registry, settings, AlertCursor(utc_now()), utc_now()).failed
    assert (failed.remedy == "It is tried again tonight.") == taken
    assert (BY_ITSELF in (stage.note("hero", FAILED) or "")) == taken
    return taken


def night(stage) -> None:
    """The schedule's run and what follows of it."""
    stage.registry.enqueue(to_retry(stage.registry, load_settings()), count_retry=True)
    stage.make()


@pytest.mark.parametrize("fault", [CRASH, REFUSED], ids=["at the end", "at the submit"])
def test_a_clip_is_tried_again_by_itself_until_its_attempts_are_used_up(stage, fault: dict[str, str]) -> None:
    stage.set_variable("I2V_MAX_ATTEMPTS", "2")
    stage.set_variable("I2V_RETRIES_PER_CLIP", "9")
    stage.fault(**fault, times=2)
    stage.upload("hero.png", picture())
    stage.make()
    assert tried_again(stage)

    night(stage)
    assert stage.request("hero").attempt == 2
    assert not tried_again(stage), "as soon as the last attempt has failed"
    assert NOTHING in (stage.note("hero", FAILED) or "")

    charges = len(stage.charges())
    stage.materialize("hero")
    assert len(stage.charges()) == charges
    assert not tried_again(stage), "and as it is looked at again"
    note = stage.note("hero", FAILED) or ""
    assert "Attempts: 2, of at most 2 by I2V_MAX_ATTEMPTS" in note
    assert "`i2v retry hero` tries it once more" in note

    failed = stage.request("hero")
    stage.ledger.retry(failed.fingerprint, by="somebody", attempt=failed.attempt)  # as `i2v retry` does
    stage.registry.enqueue(["hero"])
    stage.make()
    assert stage.delivered() == {"hero"}


def test_a_clip_is_tried_again_for_the_take_that_can_still_come(stage) -> None:
    stage.fault(**CONTENT)
    stage.upload("hero.png", picture())
    stage.make()
    assert not tried_again(stage), "what the content rules refuse is final"

    stage.fault(**CRASH)
    retake_clip(Session(load_settings(), stage.ledger, stage.registry), "hero", by="somebody")
    stage.make()
    assert tried_again(stage), "its second take is not"

    night(stage)
    assert stage.delivered() == {"hero"}
    assert sorted(row.attempt for row in stage.ledger.list()) == [1, 2]
