"""The true price on the way of a clip: what is shown, what is reserved, and what happens after a surprise."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from PIL import Image

from i2v_assets.defs.alerts_sensor import situation
from i2v_assets.defs.spend_report import table
from i2v_assets.reports.alert_message import message
from i2v_assets.reports.alerts import AlertCursor
from resources.registry.registry import ClipState
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.settings import load_settings
from resources.storage import keys
from resources.wait_reason import WaitReason

WAITING = "WAITING.txt"
FAMILY = HAPPYHORSE_I2V


def picture(shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (640, 360), (90, 120, shade % 256)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shop(stage: Any) -> Iterator[Any]:
    """The pipeline with the headroom that is the default."""
    stage.set_variable("I2V_PRICE_HEADROOM", "2")
    yield stage
    stage.web.delete(f"{stage.sandbox.url}/_sandbox/prices").raise_for_status()
    stage.web.put(
        f"{stage.sandbox.url}/_sandbox/switches", json={"answering_model": "", "cost": True}
    ).raise_for_status()


def bill(stage: Any, **rules: Any) -> None:
    stage.web.put(f"{stage.sandbox.url}/_sandbox/prices", json=rules).raise_for_status()


def alert(stage: Any) -> str:
    now = datetime.now(UTC)
    memory = AlertCursor.read(None, now)
    return message(situation(stage.ledger, stage.registry, load_settings(), memory, now))


def test_a_plan_shows_what_is_expected_and_the_most_with_reasons(shop: Any) -> None:
    shop.upload("hero/brief.yaml", "prompt: Slow push in\nneeds_approval: true\n")
    shop.upload("hero/a.png", picture())
    shop.make()
    assert "It will cost about $0.60, and at most $1.20." in (shop.note("hero", WAITING) or "")
    (take,) = json.loads(shop.bucket.read(keys.clip_key("hero", keys.PLAN)))["takes"]
    assert (take["quote"]["base"], take["quote"]["expected"], take["quote"]["at_most"]) == (600_000, 600_000, 1_200_000)
    shown = shop.metadata("clip_plan", "hero")
    assert (shown["price_usd"], shown["at_most_usd"]) == (pytest.approx(0.6), pytest.approx(1.2))
    assert "until 10 such requests are billed" in shown["price"].replace("\\", "")
    assert shop.clip("hero").price_microdollars == 1_200_000


def test_a_surprise_is_delivered_told_and_held_until_a_person_agrees(shop: Any) -> None:
    bill(shop, factor=3)
    shop.upload("one.png", picture(1))
    shop.make()
    assert shop.delivered() == {"one"}
    check = shop.check("clip_video", "price", "one")
    assert check is not None
    assert not check.passed
    assert check.metadata["surprise"].value == "$0.60"
    told = alert(shop)
    assert "1 request cost more than was agreed to" in told
    assert f"one: $1.80 and not at most $1.20. `i2v models --accept {FAMILY}`" in told
    (line,) = table(shop.ledger, shop.registry, load_settings())
    assert (line.reserved, line.settled, line.surprise) == (1_200_000, 1_800_000, 600_000)

    shop.upload("two.png", picture(2))
    shop.make()
    assert shop.clip("two").wait is WaitReason.PRICE_AGREEMENT
    assert f"i2v models --accept {FAMILY}" in (shop.note("two", WAITING) or "")
    assert shop.tick("dispatch") == []
    assert len(shop.charges()) == 1

    shop.ledger.agree_to_prices("sandbox", FAMILY, by="ann")
    shop.make("dispatch")
    assert shop.clip("two").state is ClipState.DELIVERED
    assert shop.request("two").price_microdollars == 1_980_000, "the highest plus 10 %"
    check = shop.check("clip_video", "price", "two")
    assert check is not None
    assert check.passed


def test_a_cost_that_is_told_late_is_a_surprise_too(shop: Any) -> None:
    def tell(cost: bool) -> None:
        shop.web.put(f"{shop.sandbox.url}/_sandbox/switches", json={"cost": cost}).raise_for_status()

    bill(shop, factor=3)
    tell(False)
    shop.upload("one.png", picture(1))
    shop.make()
    assert shop.check("clip_video", "price", "one") is None
    assert shop.ledger.spent_today("sandbox").reserved_microdollars == 1_200_000
    tell(True)
    assert shop._job("adopt_orphans_job").execute_in_process(instance=shop.instance).success
    check = shop.check("clip_video", "price", "one")
    assert check is not None
    assert not check.passed
    assert check.metadata["cost"].value == "$1.80"
    shop.upload("two.png", picture(2))
    shop.make()
    assert shop.clip("two").wait is WaitReason.PRICE_AGREEMENT


def test_another_model_is_named_wherever_the_video_is(shop: Any) -> None:
    other = "wan-ai/wan-2.7/text-to-video"
    shop.web.put(f"{shop.sandbox.url}/_sandbox/switches", json={"answering_model": other}).raise_for_status()
    shop.upload("one.png", picture(1))
    shop.make()
    assert shop.delivered() == {"one"}
    check = shop.check("clip_video", "model", "one")
    assert check is not None
    assert not check.passed
    assert json.loads(shop.bucket.read(keys.clip_key("one", keys.MANIFEST)))["answered_model_id"] == other
    assert f"The model {other} answered a request for" in alert(shop)
    shop.upload("two.png", picture(2))
    shop.make()
    assert shop.clip("two").wait is WaitReason.PRICE_AGREEMENT
    assert len(shop.charges()) == 1
