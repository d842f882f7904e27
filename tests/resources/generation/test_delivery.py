"""Orders that go well, and orders that were there before."""

import hashlib
from typing import Any

import pytest

from resources.generation.types import Delivered, Held
from resources.ledger.records import State
from resources.storage.keys import video_key
from resources.wait_reason import WaitReason


def test_a_batch_is_delivered_each_clip_once(house: Any) -> None:
    orders = house.orders(20)
    outcomes = house.run(orders)
    assert {outcome.order.clip for outcome in outcomes} == {order.clip for order in orders}
    assert all(isinstance(outcome, Delivered) and outcome.paid and not outcome.adopted for outcome in outcomes)
    assert house.states(orders) == [State.SUCCEEDED] * 20
    assert len(house.charges()) == 20
    assert house.charged_twice() == []
    for outcome in outcomes:
        data = house.bucket.read(video_key(outcome.order.fingerprint))
        assert hashlib.sha256(data).hexdigest() == outcome.sha256
        assert outcome.local_path.read_bytes() == data
        row = house.row(outcome.order)
        assert (row.video_sha256, row.video_bytes) == (outcome.sha256, len(data))
        assert row.cost_microdollars == row.price_microdollars == 600_000  # 3 s at 0.2 dollars
        assert row.lease_until is None


def test_the_same_orders_again_cost_nothing_and_ask_nobody(build_house: Any, make_sandbox: Any) -> None:
    house = build_house(make_sandbox())
    orders = house.orders(5)
    house.run(orders)
    house.sandbox.stop()  # nobody is there to be asked
    outcomes = house.run(orders)
    assert [outcome.already for outcome in outcomes] == [True] * 5
    assert all(outcome.local_path is None and not outcome.paid for outcome in outcomes)


def test_two_clips_of_the_same_bytes_and_words_are_one_request(house: Any) -> None:
    first, second = house.order(1, clip="one"), house.order(1, clip="two")
    outcomes = house.run([first, second])
    assert sorted(outcome.order.clip for outcome in outcomes) == ["one", "two"]
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert len(house.charges()) == 1


def test_a_lost_video_is_fetched_again_from_the_service(house: Any) -> None:
    order = house.order(1)
    first = house.one(order)
    house.bucket.delete(first.video_key)
    again = house.one(order)
    assert isinstance(again, Delivered)
    assert again.adopted
    assert again.sha256 == first.sha256
    assert len(house.charges()) == 1


def test_a_video_that_is_lost_everywhere_asks_for_a_new_take(house: Any) -> None:
    order = house.order(1)
    house.bucket.delete(house.one(order).video_key)
    house.fault("result", "http_404", times=20)
    for _ in range(2):
        outcome = house.one(order)
        assert isinstance(outcome, Held)
        assert outcome.kind is WaitReason.LOST
        assert "retake" in outcome.remedy
    assert house.row(order).lost
    assert len(house.charges()) == 1


def test_a_delivery_cut_short_is_found_in_the_bucket(house: Any) -> None:
    """A run died after the upload, before it wrote that down."""
    order = house.order(1)
    first = house.one(order)
    fresh = house.order(2)
    house.fault("download", "http_500", times=100)
    held = house.one(fresh, download_tries=1)
    assert held.kind is WaitReason.DOWNLOAD
    house.bucket.copy(first.video_key, video_key(fresh.fingerprint))
    outcome = house.one(fresh)
    assert isinstance(outcome, Delivered)
    assert outcome.sha256 == first.sha256
    assert house.row(fresh).video_sha256 == first.sha256


@pytest.mark.parametrize("switches", [{"early_result": "400"}, {"output": "videos"}, {"submit_status": "202"}])
def test_the_wire_may_speak_either_dialect(house: Any, switches: dict[str, str]) -> None:
    house.switch(**switches)
    assert isinstance(house.one(house.order(1)), Delivered)


def test_small_inputs_go_inline_where_that_is_set(house: Any) -> None:
    outcome = house.one(house.order(1), inline_input_bytes=6 * 1024**2)
    assert isinstance(outcome, Delivered)
    request = house.ask("requests")["requests"][-1]
    assert request["body"]["image_url"].startswith("data:")


def test_an_approval_is_awaited_before_anything_is_paid(house: Any) -> None:
    order = house.order(1, approved=False)
    assert house.one(order).kind is WaitReason.APPROVAL
    assert house.states([order]) == [State.PLANNED]
    assert house.charges() == []
