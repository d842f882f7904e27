"""What bounds a batch: money, slots, prices; and what one clip's trouble does to the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from resources.generation.orphans import adopt_orphans, order_of, settle_late
from resources.generation.types import Delivered, Failed, GenerationRequest, Held
from resources.ledger.records import Caps, Claimed, NewRequest, State
from resources.schemas.inputs import Medium, fingerprint
from resources.storage.bucket import Bucket
from resources.wait_reason import WaitReason


def test_what_would_pass_a_cap_waits_as_planned(house: Any) -> None:
    orders = house.orders(5)
    outcomes = house.run(orders, caps=Caps(10**12, 10**6, 2_000_000, 100, UTC))  # three clips of 0.6 dollars
    held = [outcome for outcome in outcomes if isinstance(outcome, Held)]
    assert [outcome.kind for outcome in held] == [WaitReason.BUDGET] * 2
    assert len(house.charges()) == 3
    assert sorted(house.states(orders)) == sorted([State.SUCCEEDED] * 3 + [State.PLANNED] * 2)


def test_requests_are_capped_too(house: Any) -> None:
    outcomes = house.run(house.orders(4), caps=Caps(10**12, 2, 10**12, 100, UTC))
    assert sum(isinstance(outcome, Delivered) for outcome in outcomes) == 2


def test_no_more_than_the_slots_are_in_flight(house: Any) -> None:
    assert all(isinstance(outcome, Delivered) for outcome in house.run(house.orders(6), max_in_flight=2))
    rows = [house.row(order) for order in house.orders(6)]
    for row in rows:
        together = [other for other in rows if other.claimed_at <= row.claimed_at < other.finished_at]
        assert len(together) <= 2


def occupy_the_only_slot(house: Any) -> None:
    """Another process keeps it."""
    other = house.order(99)
    request = NewRequest(
        other.fingerprint, "sandbox", other.clip, 1, other.inputs.family, other.route, 99, 3,
        other.inputs.model_dump_json(exclude_none=True),
    )  # fmt: skip
    house.ledger.plan(request)
    claimed = house.ledger.claim(
        other.fingerprint, owner="another process", run_id="other", lease_seconds=600, price_microdollars=600_000,
        model_id="any", caps=house.options.caps, max_in_flight=1,
    )  # fmt: skip
    assert isinstance(claimed, Claimed)


def test_what_waited_for_a_slot_until_its_window_was_over_is_not_paid(house: Any) -> None:
    occupy_the_only_slot(house)
    end = datetime(2026, 3, 10, 6, tzinfo=UTC)
    looks = chain(
        [end - timedelta(seconds=1)] * 2, repeat(end)
    )  # before it waits for its turn, at its turn, afterwards
    order = house.order(1, not_after=end)

    held = house.one(order, max_in_flight=1, deadline_seconds=3, clock=lambda: next(looks))

    assert held.kind is WaitReason.WINDOW
    assert house.charges() == []
    assert house.states([order]) == [State.PLANNED]
    assert isinstance(house.one(order, clock=lambda: end - timedelta(seconds=1)), Delivered)
    assert isinstance(house.one(order, clock=lambda: end), Delivered), "what is paid for is fetched at any time"


def test_a_price_that_cannot_be_read_refuses_unless_allowed(house: Any) -> None:
    house.switch(price_unit="banana")
    order = house.order(1, price_microdollars=None)
    assert house.one(order).kind is WaitReason.PRICE
    assert house.charges() == []
    delivered = house.one(order, allow_unknown_price=True)
    assert isinstance(delivered, Delivered)
    assert delivered.price_microdollars is None
    assert delivered.cost_microdollars == 200_000  # the sandbox counts one unit then


@pytest.mark.parametrize(
    ("planned", "words"), [(599_999, "$0.60 now, and cost $0.599999"), (None, "its price is not known")]
)
def test_no_more_is_paid_than_the_plan_showed(house: Any, planned: int | None, words: str) -> None:
    order = house.order(1, price_microdollars=planned)
    held = house.one(order)
    assert held.kind is WaitReason.PRICE_CHANGED
    assert words in held.reason
    assert house.charges() == []
    assert house.states([order]) == [State.PLANNED]
    assert isinstance(house.one(replace(order, price_microdollars=600_000)), Delivered)


def test_less_is_paid_than_the_plan_showed(house: Any) -> None:
    delivered = house.one(house.order(1, price_microdollars=30_000_000))
    assert delivered.price_microdollars == 600_000


def test_a_price_that_can_no_longer_be_read_is_not_the_one_that_was_planned(house: Any) -> None:
    house.switch(price_unit="banana")
    assert house.one(house.order(1), allow_unknown_price=True).kind is WaitReason.PRICE_CHANGED
    assert house.charges() == []


def test_a_model_that_is_gone_holds_its_clips(house: Any) -> None:
    house.switch(documented_ids=False, catalogue_ids=False)
    held = house.one(house.order(1))
    assert held.kind is WaitReason.SERVICE
    house.switch(documented_ids=False, catalogue_ids=True)
    delivered = house.one(house.order(1))
    assert delivered.model_id == "happyhorse/happyhorse-1.0/image-to-video"


def test_a_missing_input_is_found_before_anything_is_paid(house: Any) -> None:
    good = house.order(1)
    gone = Medium(**{**house.medium.model_dump(), "key": "uploads/gone.webp"})
    bad_inputs = good.inputs.model_copy(update={"images": (gone,), "seed": 9})
    bad = GenerationRequest(
        "gone", 1, fingerprint("sandbox", bad_inputs, 1), bad_inputs, good.route, good.price_microdollars
    )
    outcomes = {outcome.order.clip: outcome for outcome in house.run([good, bad])}
    assert isinstance(outcomes["clip-1"], Delivered)
    assert isinstance(outcomes["gone"], Failed)
    assert "uploads/gone.webp" in outcomes["gone"].reason
    assert house.states([bad]) == [State.PLANNED]
    assert len(house.charges()) == 1


def test_a_fault_of_our_own_in_one_clip_leaves_the_others_alone(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = house.order(3)
    real = Bucket.upload_new

    def upload_new(self: Bucket, path: Path, key: str, *args: Any) -> bool:
        if odd.fingerprint in key:
            raise ZeroDivisionError
        return real(self, path, key, *args)

    monkeypatch.setattr(Bucket, "upload_new", upload_new)
    outcomes = {outcome.order.clip: outcome for outcome in house.run(house.orders(5))}
    failed = outcomes.pop("clip-3")
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError" in failed.reason
    assert all(isinstance(outcome, Delivered) for outcome in outcomes.values())
    assert house.states([odd]) == [State.SUCCEEDED]
    monkeypatch.undo()
    assert house.one(odd).adopted
    assert len(house.charges()) == 5


def test_a_source_that_fails_ends_the_feeding_and_not_the_flights(house: Any) -> None:
    async def source() -> AsyncIterator[GenerationRequest]:
        yield house.order(1)
        yield house.order(2)
        raise LookupError("no more orders")

    delivered: list[Any] = []

    async def through() -> None:
        async with house.engine() as engine, aclosing(engine.stream(source())) as outcomes:
            async for outcome in outcomes:
                delivered.append(outcome)

    with pytest.raises(LookupError):
        asyncio.run(through())
    assert len(delivered) == 2
    assert all(isinstance(outcome, Delivered) for outcome in delivered)


def test_orders_are_pulled_as_there_is_room(house: Any) -> None:
    pulled: list[int] = []

    def source() -> Any:
        for seed in range(1, 11):
            pulled.append(seed)
            yield house.order(seed)

    async def through() -> int:
        most = 0
        done = 0
        async with house.engine(max_in_flight=2, downloads=1) as engine, aclosing(engine.stream(source())) as outcomes:
            async for _ in outcomes:
                done += 1
                most = max(most, len(pulled) - done)
        return most

    assert asyncio.run(through()) <= 2 + 1 + 8 + 1  # lanes, outcomes that wait, the one being told


# Orphans and late costs


def test_orphans_are_adopted_and_nothing_is_paid(house: Any) -> None:
    house.fault("result", "unknown_word", times=1000)
    orders = house.orders(3)
    house.run(orders, deadline_seconds=0.5)
    house.clear_faults()
    planned = house.order(9)
    house.ledger.plan(_new(house, planned))

    async def adopt() -> list[Any]:
        async with house.engine() as engine, aclosing(adopt_orphans(engine, house.ledger, "sandbox")) as outcomes:
            return [outcome async for outcome in outcomes]

    outcomes = asyncio.run(adopt())
    assert [outcome.adopted for outcome in outcomes] == [True] * 3
    assert len(house.charges()) == 3
    assert house.states([planned]) == [State.PLANNED]
    assert house.ledger.orphans("sandbox") == ()


@pytest.mark.parametrize("why", ["deadline", "service", "download"])
def test_what_a_run_leaves_can_be_adopted_while_the_run_goes_on(house: Any, why: str) -> None:
    fault = {
        "deadline": ("result", "unknown_word"),
        "service": ("result", "http_422"),
        "download": ("download", "http_500"),
    }
    house.fault(*fault[why], times=1000)
    first = house.order(1)

    async def through() -> tuple[Any, list[str]]:
        over = asyncio.Event()

        async def source() -> AsyncIterator[GenerationRequest]:
            yield first
            await over.wait()

        async with (
            house.engine(deadline_seconds=1 if why == "deadline" else 30, download_tries=1) as engine,
            aclosing(engine.stream(source())) as outcomes,
        ):
            held = await anext(outcomes)
            orphans = [row.fingerprint for row in house.ledger.orphans("sandbox")]
            over.set()
            return held, orphans

    held, orphans = asyncio.run(through())
    assert held.kind is WaitReason(why)
    assert orphans == [first.fingerprint]


def test_a_row_is_read_back_as_the_order_it_was_made_for(house: Any) -> None:
    order = house.order(1)
    row = house.ledger.plan(_new(house, order))
    assert order_of(row) == replace(order, price_microdollars=None, adopt_only=True)
    assert order_of(replace(row, inputs_json="{")) is None


def test_an_order_to_adopt_never_pays(house: Any) -> None:
    order = house.order(1, adopt_only=True)
    assert house.one(order).kind is WaitReason.STOPPED
    assert house.charges() == []


def test_a_cost_that_comes_late_is_settled(house: Any) -> None:
    house.switch(cost=False)
    order = house.order(1)
    assert house.one(order).cost_microdollars is None

    async def settle() -> int:
        async with house.engine() as engine:
            return await settle_late(house.ledger, engine._ctx.client, "sandbox")

    assert asyncio.run(settle()) == 0
    assert house.ledger.unsettled("sandbox") == ()  # not before some minutes have passed
    house.ledger._now = lambda: datetime.now(UTC) + timedelta(minutes=6)
    house.switch(cost=True)
    assert asyncio.run(settle()) == 1
    assert house.row(order).cost_microdollars == 600_000
    assert house.ledger.unsettled("sandbox") == ()


def test_a_service_that_forgot_a_request_is_not_asked_for_its_cost_for_ever(house: Any) -> None:
    house.switch(cost=False)
    house.one(house.order(1))
    house.fault("result", "http_404", times=100)
    later = timedelta()
    house.ledger._now = lambda: datetime.now(UTC) + later

    async def settle() -> int:
        async with house.engine() as engine:
            return await settle_late(house.ledger, engine._ctx.client, "sandbox")

    asked = 0
    while house.ledger.unsettled("sandbox"):
        assert asyncio.run(settle()) == 0
        asked, later = asked + 1, later + timedelta(hours=1)
        assert asked < 10
    assert asked == 3
    later = timedelta()  # on the day of the claim
    assert house.ledger.spent_today("sandbox").reserved_microdollars == 600_000


def _new(house: Any, order: GenerationRequest) -> Any:
    async def make() -> Any:
        async with house.engine() as engine:
            return engine._ctx.new_request(order)

    return asyncio.run(make())
