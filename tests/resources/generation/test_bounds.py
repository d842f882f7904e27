"""What the service says is believed with bounds: ids, numbers, outputs, costs, files, and that it knows nothing."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources.generation import download, rate_limit
from resources.generation.orphans import adopt_orphans
from resources.generation.types import Delivered, Failed, Held
from resources.ledger.records import State
from resources.ledger.tables import services
from resources.media.is_video import examine
from resources.runcomfy import download as runcomfy_download
from resources.wait_reason import WaitReason


def adopted(house: Any) -> list[Any]:
    async def adopt() -> list[Any]:
        async with house.engine() as engine, aclosing(adopt_orphans(engine, house.ledger, "sandbox")) as found:
            return [outcome async for outcome in found]

    return asyncio.run(adopt())


def later(house: Any, **span: float) -> None:
    house.ledger._now = lambda: datetime.now(UTC) + timedelta(**span)


# Requests that the service does not know


def test_a_request_that_is_not_found_is_asked_for_every_hour(house: Any) -> None:
    house.fault("result", "http_404", times=1000)
    order = house.order(1)
    assert house.one(order).kind is WaitReason.NOT_FOUND
    assert house.ledger.orphans("sandbox") == ()
    later(house, minutes=61)
    assert [row.fingerprint for row in house.ledger.orphans("sandbox")] == [order.fingerprint]
    house.clear_faults()
    assert isinstance(adopted(house)[0], Delivered)
    assert len(house.charges()) == 1


def test_a_request_that_is_not_found_for_a_week_is_given_up(house: Any) -> None:
    house.fault("result", "http_404", times=1000)
    order = house.order(1)
    assert house.one(order).kind is WaitReason.NOT_FOUND
    later(house, days=7, minutes=1)
    outcome = house.one(order)
    assert isinstance(outcome, Failed)
    assert outcome.final
    house.ledger._now = lambda: datetime.now(UTC)
    assert house.ledger.spent_today("sandbox").reserved_microdollars == 600_000


@pytest.mark.parametrize("count", [3, 5])
def test_many_that_are_not_found_at_once_are_an_outage_of_the_service(house: Any, count: int) -> None:
    house.fault("result", "http_404", times=10_000)
    orders = house.orders(count)
    kinds = {outcome.kind for outcome in house.run(orders)}
    assert WaitReason.OUTAGE in kinds
    states = house.states(orders)
    assert states.count(State.SUBMITTED) >= 3
    assert set(states) <= {State.SUBMITTED, State.PLANNED}, "what was not sent before the outage was seen is not sent"
    fresh = house.order(90)
    assert house.run([fresh])[0].kind in (WaitReason.OUTAGE, WaitReason.NOT_FOUND)
    house.clear_faults()
    later(house, minutes=3)
    assert {type(outcome) for outcome in adopted(house)} == {Delivered}
    house.ledger._now = lambda: datetime.now(UTC)
    assert house.ledger.outage("sandbox") is None
    assert len(house.charges()) == len({charge["input_sha256"] for charge in house.charges()})


def test_two_that_are_not_found_are_no_outage(house: Any) -> None:
    house.fault("result", "http_404", times=10_000)
    assert [outcome.kind for outcome in house.run(house.orders(2))] == [WaitReason.NOT_FOUND] * 2
    assert house.ledger.outage("sandbox") is None


# Numbers


@pytest.mark.timeout(60)  # the test itself shows that no such pause is waited for
@pytest.mark.parametrize("asked", ["1764259200", "1e300", "inf", "-5", "NaN", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_retry_after_pauses_for_longer_than_is_granted(house: Any, asked: str) -> None:
    house.fault("submit", "http_429", retry_after=asked)
    order = house.order(1)
    held = house.one(order, deadline_seconds=2)
    until = house.ledger.paused_until("sandbox")
    assert until is None or until <= datetime.now(UTC) + timedelta(minutes=15)
    if isinstance(held, Held):
        assert held.kind is WaitReason.SERVICE
        assert house.ledger.resume("sandbox") > 0
        assert isinstance(house.one(order), Delivered)
    assert len(house.charges()) == 1


def test_what_is_paid_for_is_polled_through_a_pause(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "POLL_THROUGH", 0.5)
    house.fault("result", "http_429", retry_after=800)
    assert isinstance(house.one(house.order(1)), Delivered)


def test_a_pause_that_is_ended_lets_a_running_batch_go_on(house: Any) -> None:
    house.fault("submit", "http_429", retry_after=600)

    async def through() -> list[Any]:
        async def end() -> None:
            while house.ledger.paused_until("sandbox") is None:  # noqa: ASYNC110 - the ledger has no event
                await asyncio.sleep(0.05)
            await asyncio.sleep(2.5)  # the engine has read the count of ended pauses once by then
            house.ledger.resume("sandbox")

        ending = asyncio.create_task(end())
        outcomes = await house.collect(house.orders(2))
        await ending
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(through())] == [Delivered] * 2


def test_numbers_that_cannot_be_harm_nothing(house: Any) -> None:
    house.fault("result", "odd_numbers", times=100)
    outcome = house.one(house.order(1))
    assert isinstance(outcome, Delivered)
    assert outcome.cost_microdollars is None
    assert outcome.generation_seconds >= 0


# Ids


def test_an_id_that_two_requests_were_given_is_the_firsts(house: Any) -> None:
    first, second = house.orders(2)
    delivered = house.one(first)
    house.fault("submit", "same_id")
    held = house.one(second)
    assert held.kind is WaitReason.UNKNOWN
    assert delivered.request_id in held.reason
    assert house.row(second).request_id is None
    assert house.one(first).request_id == delivered.request_id
    assert len(house.charges()) == 2


@pytest.mark.parametrize("kind", ["http_400", "http_402", "http_409", "http_422", "http_429", "http_500", "error_200"])
@pytest.mark.parametrize("field", ["request_id", "error.request_id", "detail.status_url"])
def test_an_id_in_any_answer_is_asked_for_before_anything_is_sent_again(house: Any, kind: str, field: str) -> None:
    if kind == "http_422" and field.startswith("detail"):
        field = "data.id"
    house.switch(error_text_name="message" if field.startswith("detail") else "detail")
    house.fault(
        "submit", kind, names_id=True, accepted=True, id_field=field if "error" not in field else "data.request_id"
    )
    order = house.order(1)
    outcome = house.one(order)
    assert isinstance(outcome, Delivered)
    assert len(house.charges()) == 1
    assert house.row(order).attempt == 1


@pytest.mark.parametrize(("kind", "then"), [("http_429", Delivered), ("http_409", Failed), ("http_500", Held)])
def test_an_id_that_the_service_does_not_know_leaves_the_answer_as_it_is(house: Any, kind: str, then: type) -> None:
    house.fault("submit", kind, names_id=True)
    order = house.order(1)
    assert isinstance(house.one(order), then)
    assert any("no-such-request" in (event.reason or "") for event in house.ledger.events(order.fingerprint))
    assert len(house.charges()) == (1 if then is Delivered else 0)


# Costs


@pytest.mark.parametrize(
    ("told", "counted", "doubted"), [(0, 600_000, True), (3.01, 600_000, True), (2.9, 2_900_000, False)]
)
def test_a_cost_that_cannot_be_right_counts_as_what_was_planned(
    house: Any, told: float, counted: int, doubted: bool
) -> None:
    house.fault("submit", "wrong_cost", cost_usd=told)
    order = house.order(1)
    assert house.one(order).cost_microdollars == counted
    row = house.row(order)
    assert bool(row.cost_doubted) is doubted
    assert ("cost_doubted" in house.what(order)) is doubted
    assert house.ledger.spent_today("sandbox").settled_microdollars == counted


def test_a_run_that_failed_may_cost_nothing(house: Any) -> None:
    house.switch(charge_failed=False)
    house.fault("submit", "failed_result", message="The worker ran out of memory.")
    order = house.order(1)
    assert isinstance(house.one(order), Failed)
    assert house.row(order).cost_microdollars == 0
    assert not house.row(order).cost_doubted


def test_a_price_of_nothing_is_an_unknown_price(house: Any) -> None:
    for model in ("happyhorse/happyhorse-1-0/image-to-video", "happyhorse/happyhorse-1.0/image-to-video"):
        house.web.put(f"{house.sandbox.url}/_sandbox/catalogue/{model}", json={"base_price_usd": 0}).raise_for_status()
    try:
        assert house.one(house.order(1, price_microdollars=None)).kind is WaitReason.PRICE
        assert house.charges() == []
    finally:
        house.web.delete(f"{house.sandbox.url}/_sandbox/catalogue").raise_for_status()


# Outputs and files


@pytest.mark.parametrize("shape", ["cover_first", "gone_first", "unnamed"])
def test_the_video_is_found_among_several_outputs(house: Any, shape: str) -> None:
    house.switch(output=shape)
    order = house.order(1)
    outcome = house.one(order)
    assert isinstance(outcome, Delivered)
    assert examine(outcome.local_path).is_video
    if shape != "gone_first":
        assert any("more output" in (event.reason or "") for event in house.ledger.events(order.fingerprint))


@pytest.mark.parametrize("kind", ["picture", "sound_only", "document", "half_file"])
def test_what_is_no_video_is_withheld_and_asked_for_again(house: Any, kind: str) -> None:
    house.fault("submit", kind)
    order = house.order(1)
    held = house.one(order, download_tries=2)
    assert held.kind is WaitReason.NO_VIDEO
    assert house.states([order]) == [State.SUCCEEDED]
    keys = [info.key for info in house.bucket.list("videos/")]
    assert keys == [f"videos/_rejected/{order.fingerprint}-1"]
    assert house.ledger.orphans("sandbox") == ()
    later(house, minutes=61)
    assert len(house.ledger.orphans("sandbox")) == 1
    assert len(house.charges()) == 1


@pytest.mark.parametrize("kind", ["broken_file", "wrong_duration"])
def test_what_can_be_played_is_delivered_however_bad_it_is(house: Any, kind: str) -> None:
    house.fault("submit", kind)
    assert isinstance(house.one(house.order(1)), Delivered)


def test_a_stored_file_that_is_no_video_is_replaced_and_the_row_tells_it(house: Any) -> None:
    order = house.order(1)
    first = house.one(order)
    page = b"\x00\x00\x00\x18ftypisom<html>sign in</html>"
    house.bucket.write(first.video_key, page, "video/mp4")
    with house.ledger.database.write() as connection:  # as an earlier version recorded it
        connection.exec_driver_sql("UPDATE ledger_requests SET video_checked = NULL")
    again = house.one(order)
    assert isinstance(again, Delivered)
    assert again.replaced_sha256 is not None
    assert house.bucket.read(first.video_key) != page
    assert house.bucket.read(f"videos/_rejected/{order.fingerprint}-1") == page
    assert len(house.charges()) == 1


def test_slow_downloads_make_room_for_others(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runcomfy_download, "SPEED_SECONDS", 1.0)
    house.fault("download", "slow", times=2)
    outcomes = house.run(house.orders(4), downloads=1)
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 4


def test_the_downloads_of_one_clip_have_a_deadline(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CLIP_SECONDS", 2.0)
    monkeypatch.setattr(download.Budget.__init__, "__defaults__", (2.0,))
    house.fault("download", "slow", times=50)
    assert house.one(house.order(1)).kind is WaitReason.DOWNLOAD
    house.clear_faults()
    assert isinstance(house.one(house.order(1)), Delivered)
    assert len(house.charges()) == 1


def test_an_outage_is_seen_in_a_ledger_without_a_row_of_the_service(house: Any) -> None:
    house.fault("result", "http_404", times=10_000)
    house.run(house.orders(3))
    with house.ledger.database.write() as connection:
        connection.execute(services.delete())  # as after `i2v ledger rebuild`, which reads requests alone
    assert house.ledger.pause_state("sandbox").misses
    assert house.ledger.outage("sandbox") is not None
