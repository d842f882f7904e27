"""The true price on the way of a request: asked anew before it is sent, reserved at the most, and held after a surprise."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from resources.generation.types import Delivered, GenerationRequest, Held
from resources.ledger.records import Spend
from resources.prices.billed import PriceTerms, billed_of
from resources.prices.quote import make_quote
from resources.schemas.endpoints import ids_for
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.wait_reason import WaitReason
from tests.resources.generation.conftest import PER_SECOND

IDS = ids_for(HAPPYHORSE_I2V)


@pytest.fixture(autouse=True)
def base_prices(house: Any) -> Any:
    yield
    for part in ("prices", "catalogue"):
        house.web.delete(f"{house.sandbox.url}/_sandbox/{part}").raise_for_status()


def quoted(order: GenerationRequest, *, headroom: float = 2.0) -> GenerationRequest:
    """The order as the pipeline plans it: with a quote, at the most that it may cost."""
    base, billed = PER_SECOND * order.inputs.duration, billed_of(order.inputs)
    quote = make_quote(base, "the base", billed, PriceTerms(), (), headroom=headroom)
    return replace(order, price_microdollars=quote.at_most, quote=quote, billed=billed)


def bill(house: Any, **rules: Any) -> None:
    house.web.put(f"{house.sandbox.url}/_sandbox/prices", json=rules).raise_for_status()


def base(house: Any, usd: float) -> None:
    for model_id in IDS:
        url = f"{house.sandbox.url}/_sandbox/catalogue/{model_id}"
        house.web.put(url, json={"base_price_usd": usd}).raise_for_status()


def test_the_most_is_reserved_and_the_cost_settles_it(house: Any) -> None:
    house.switch(cost=False)
    order = quoted(house.order(1))
    assert isinstance(house.one(order), Delivered)
    assert house.ledger.spent_today("sandbox") == Spend(1, 0, 1_200_000)
    house.switch(cost=True)
    order = quoted(house.order(2))
    assert house.one(order).cost_microdollars == 600_000
    assert house.ledger.spent_today("sandbox") == Spend(2, 600_000, 1_200_000)
    (past,) = house.ledger.past_costs("sandbox", order.billed)
    assert (past.base, past.cost) == (600_000, 600_000)


def test_a_price_that_rose_after_it_was_asked_is_not_paid(house: Any) -> None:
    """The catalogue is believed for minutes while planning, and asked again before anything is sent."""
    orders = [quoted(order) for order in house.orders(8)]

    async def run() -> list[Any]:
        async with house.engine() as engine:
            await engine.catalogue.resolve(HAPPYHORSE_I2V)
            await asyncio.to_thread(base, house, PER_SECOND * 25 / 1e6)
            async with aclosing(engine.stream(orders)) as outcomes:
                return [outcome async for outcome in outcomes]

    outcomes = asyncio.run(run())
    assert {outcome.kind for outcome in outcomes} == {WaitReason.PRICE_CHANGED}
    assert "It costs $15.00 now, and cost $0.60 when this was planned." in outcomes[0].reason
    assert house.charges() == []


def test_a_cost_beyond_the_most_delivers_the_video_and_holds_what_is_like_it(house: Any) -> None:
    bill(house, factor=3)
    first, *others = (quoted(order) for order in house.orders(4))
    assert house.one(first).cost_microdollars == 1_800_000
    assert house.row(first).price_surprise == 600_000
    held = house.run(others)
    assert {outcome.kind for outcome in held} == {WaitReason.PRICE_AGREEMENT}
    assert "i2v models --accept happyhorse-1.0/image-to-video" in held[0].remedy
    assert len(house.charges()) == 1
    house.ledger.agree_to_prices("sandbox", HAPPYHORSE_I2V, by="ann")
    again = house.run(others)
    assert {outcome.kind for outcome in again} == {WaitReason.PRICE_CHANGED}, "planned again, it is known to be dearer"
    past = house.ledger.past_costs("sandbox", first.billed)
    assert [found.cost for found in past] == [1_800_000]


def test_another_model_that_answers_holds_the_family(house: Any) -> None:
    house.switch(answering_model="wan-ai/wan-2.7/text-to-video")
    first, other = (quoted(order) for order in house.orders(2))
    assert isinstance(house.one(first), Delivered)
    assert house.row(first).answered_model_id == "wan-ai/wan-2.7/text-to-video"
    held = house.one(other)
    assert isinstance(held, Held)
    assert held.kind is WaitReason.PRICE_AGREEMENT
    assert "wan-ai/wan-2.7/text-to-video answered" in held.reason


@pytest.mark.parametrize("answered", [*IDS, f"{IDS[0]}@2026-11-01"])
def test_another_id_of_the_family_is_the_same_model(house: Any, answered: str) -> None:
    house.switch(answering_model=answered)
    order = quoted(house.order(1))
    assert isinstance(house.one(order), Delivered)
    assert house.ledger.price_holds("sandbox") == ()
