"""Every way in which the service can misbehave: what the ledger says then, and what was paid."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from resources.generation import poll
from resources.generation.types import Delivered, Failed, GenerationRequest, Held, Outcome
from resources.ledger.records import State
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.errors import DownloadFailed, RequestGone
from resources.wait_reason import WaitReason


def kinds(outcomes: list[Outcome]) -> list[str]:
    return sorted(outcome.kind if isinstance(outcome, Held) else type(outcome).__name__ for outcome in outcomes)


# Submit


def test_too_many_requests_are_paced_and_tried_again(house: Any) -> None:
    house.fault("submit", "http_429", times=3, retry_after=0.3)
    orders = house.orders(4)
    assert kinds(house.run(orders)) == ["Delivered"] * 4
    assert len(house.charges()) == 4
    assert sum(house.what(order).count("refused_for_now") for order in orders) == 3


def test_a_storm_of_429_on_every_call_only_costs_time(house: Any) -> None:
    for where in ("submit", "result", "models"):
        house.fault(where, "http_429", times=6, retry_after=0.1)
    assert kinds(house.run(house.orders(6))) == ["Delivered"] * 6
    assert len(house.charges()) == 6


def test_a_retry_after_reaches_the_other_processes(house: Any) -> None:
    house.fault("submit", "http_429", retry_after=1)
    house.run(house.orders(1))
    event = next(event for event in house.ledger.events(house.order(1).fingerprint) if event.what == "refused_for_now")
    row = house.row(house.order(1))
    assert (row.submitted_at - event.at).total_seconds() >= 0.9
    now = house.ledger._now()
    house.ledger.pause("sandbox", now.replace(year=2099))
    assert house.ledger.paused_until("sandbox") <= now + timedelta(minutes=15, seconds=5)


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [("http_500", 0), ("http_503", 0), ("disconnect_before", 0), ("disconnect_after", 1), ("garbage", 1)],
)
def test_an_unheard_answer_is_unknown_and_never_sent_again(house: Any, kind: str, accepted: int) -> None:
    house.fault("submit", kind)
    orders = house.orders(2)
    assert kinds(house.run(orders)) == ["Delivered", "unknown"]
    house.run(orders)
    assert len(house.charges()) == 1 + accepted
    (row,) = house.ledger.list(states=[State.UNKNOWN])
    (held,) = house.run([order for order in orders if order.fingerprint == row.fingerprint])
    assert "i2v ledger resolve" in held.remedy


def test_a_resolved_request_is_adopted(house: Any) -> None:
    house.fault("submit", "disconnect_after")
    order = house.order(1)
    held = house.one(order)
    assert held.kind is WaitReason.UNKNOWN
    assert ".." not in held.reason
    house.ledger.resolve(order.fingerprint, by="test", request_id=house.charges()[0]["request_id"])
    outcome = house.one(order)
    assert isinstance(outcome, Delivered)
    assert outcome.adopted
    assert len(house.charges()) == 1


def test_an_unknown_outcome_is_sent_again_only_where_that_is_set_and_only_so_often(house: Any) -> None:
    house.fault("submit", "disconnect_after", times=2)
    order = house.order(1)
    assert house.one(order, on_unknown="resubmit", resubmit_cap=1).kind is WaitReason.UNKNOWN
    assert len(house.charges()) == 2
    assert house.one(order, on_unknown="resubmit", resubmit_cap=1).kind is WaitReason.UNKNOWN
    assert len(house.charges()) == 2


@pytest.mark.parametrize("kind", ["http_401", "http_402"])
def test_a_refused_account_stops_the_batch_without_hammering(house: Any, kind: str) -> None:
    house.fault("submit", kind, times=1000)
    orders = house.orders(30)
    assert kinds(house.run(orders, submits=2)) == ["account"] * 30
    assert sum(house.what(order).count("claimed") for order in orders) <= 2
    assert set(house.states(orders)) == {State.PLANNED}
    house.clear_faults()
    assert kinds(house.run(orders)) == ["Delivered"] * 30


def test_a_refused_body_is_no_content_refusal(house: Any) -> None:
    house.fault("submit", "http_422", message="duration: must be at most 15")
    outcomes = house.run(house.orders(3))
    assert kinds(outcomes) == ["Delivered", "Delivered", "Failed"]
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert not failed.final
    assert house.states([failed.order]) == [State.FAILED]
    again = house.one(GenerationRequest(**{**_fields(failed.order), "retry_by": "test"}))
    assert isinstance(again, Delivered)


def test_a_content_refusal_at_submit_is_remembered(house: Any) -> None:
    house.fault("submit", "http_422", message="The prompt violates our content policy.")
    order = house.order(1)
    for _ in range(2):
        outcome = house.one(GenerationRequest(**{**_fields(order), "retry_by": "test"}))
        assert isinstance(outcome, Failed)
        assert outcome.final
        assert "Change the prompt" in outcome.remedy
    assert house.charges() == []
    assert house.what(order).count("claimed") == 1


def test_a_service_that_is_gone_is_not_sent_to(build_house: Any, make_sandbox: Any) -> None:
    house = build_house(make_sandbox())
    first, second = house.orders(2)

    async def through() -> list[Outcome]:
        outcomes: list[Outcome] = []
        done = asyncio.Event()

        async def source() -> AsyncIterator[GenerationRequest]:
            yield first
            await done.wait()
            house.sandbox.stop()
            yield second

        async with house.engine(submit_tries=2) as engine, aclosing(engine.stream(source())) as stream:
            async for outcome in stream:
                outcomes.append(outcome)
                done.set()
        return outcomes

    outcomes = asyncio.run(through())
    assert kinds(outcomes) == ["Delivered", WaitReason.SERVICE]
    assert "claimed" not in house.what(second), "its price could not be asked anew, so that nothing was sent"
    assert house.states([second]) == [State.PLANNED]


# Polls and verdicts


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "http_500", "times": 5},
        {"kind": "garbage", "times": 3},
        {"kind": "disconnect_before", "times": 3},
        {"kind": "unknown_word", "times": 3},
        {"kind": "error_200", "times": 2},
        {"kind": "http_429", "times": 4, "retry_after": 0.2},
        {"kind": "http_401", "times": 1},
    ],
)
def test_failed_polls_end_no_wait(house: Any, fault: dict[str, Any]) -> None:
    house.fault("result", **fault)
    assert isinstance(house.one(house.order(1)), Delivered)
    assert len(house.charges()) == 1


def test_a_token_that_is_revoked_while_waiting_leaves_the_request_for_later(house: Any) -> None:
    house.fault("result", "http_401", times=50)
    order = house.order(1)
    assert house.one(order).kind is WaitReason.ACCOUNT
    assert house.states([order]) == [State.SUBMITTED]
    house.clear_faults()
    assert house.one(order).adopted
    assert len(house.charges()) == 1


def test_a_failed_generation_is_tried_again_only_when_somebody_asks(house: Any) -> None:
    house.fault("submit", "failed_result", message="The worker ran out of memory.")
    order = house.order(1)
    first = house.one(order)
    assert isinstance(first, Failed)
    assert not first.final
    assert "memory" in first.reason
    assert isinstance(house.one(order), Failed)
    assert len(house.charges()) == 1
    again = house.one(GenerationRequest(**{**_fields(order), "retry_by": "nightly"}))
    assert isinstance(again, Delivered)
    assert again.attempt == 2
    assert len(house.charges()) == 2


def test_attempts_are_bounded(house: Any) -> None:
    house.fault("submit", "failed_result", message="The worker ran out of memory.", times=10)
    order = GenerationRequest(**{**_fields(house.order(1)), "retry_by": "nightly"})
    for _ in range(4):
        assert isinstance(house.one(order, max_attempts=2), Failed)
    assert len(house.charges()) == 2


def test_a_content_refusal_as_result_is_remembered(house: Any) -> None:
    house.fault("submit", "failed_result")  # its text speaks of the content check
    orders = house.orders(3)
    outcomes = house.run(orders)
    assert kinds(outcomes) == ["Delivered", "Delivered", "Failed"]
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert failed.final
    again = house.one(GenerationRequest(**{**_fields(failed.order), "retry_by": "nightly"}))
    assert again.final
    assert len(house.charges()) == 3


def test_a_request_that_the_service_forgot_is_kept_and_delivered_once_it_is_known_again(house: Any) -> None:
    house.fault("result", "http_404", times=100)
    order = GenerationRequest(**{**_fields(house.order(1)), "retry_by": "nightly"})
    outcome = house.one(order)
    assert isinstance(outcome, Held)
    assert outcome.kind is WaitReason.NOT_FOUND
    assert house.states([order]) == [State.SUBMITTED]
    assert house.row(order).not_found_since is not None
    assert house.ledger.spent_today("sandbox").reserved_microdollars == 600_000
    house.clear_faults()
    assert isinstance(house.one(order), Delivered)
    assert house.row(order).not_found_since is None
    assert len(house.charges()) == 1


@pytest.mark.parametrize("moment", ["while it is waited for", "while it is fetched"])
def test_a_service_that_forgets_a_request_for_a_moment_loses_nothing(
    house: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """However often it is asked: within less time than such answers are believed in, it knows the request again."""
    result, download = RunComfyClient.result, RunComfyClient.download
    came: list[float] = []
    hiccup = moment == "while it is waited for"

    async def forgetful(self: RunComfyClient, request_id: str) -> Any:
        now = time.monotonic()
        if hiccup and (not came or now - came[0] < poll.SPREAD_SECONDS * 0.75):
            came.append(now)
            raise RequestGone("unknown", service_code=404001, http_status=404)
        return await result(self, request_id)

    async def cut(self: RunComfyClient, *given: Any) -> Any:
        nonlocal hiccup
        if moment == "while it is fetched" and not came:
            hiccup = True
            raise DownloadFailed("cut")
        return await download(self, *given)

    monkeypatch.setattr(RunComfyClient, "result", forgetful)
    monkeypatch.setattr(RunComfyClient, "download", cut)
    assert isinstance(house.one(house.order(1)), Delivered)
    assert came


def test_answers_that_follow_each_other_closely_are_not_believed() -> None:
    doubt = poll.NotFoundDebounce()
    assert not any(doubt.believes(now) for now in (100.0, 103.0, 106.0, 100.0 + poll.SPREAD_SECONDS - 0.01))
    assert doubt.believes(100.0 + poll.SPREAD_SECONDS)
    doubt.forget()
    assert not doubt.believes(1000.0)
    far = poll.NotFoundDebounce()
    assert not any(far.believes(now) for now in (0.0, poll.SPREAD_SECONDS * 2))


def test_a_lost_video_that_is_back_is_fetched_and_costs_nothing(house: Any) -> None:
    house.fault("download", "http_404", times=100)
    order = house.order(1)
    assert house.one(order).kind is WaitReason.LOST
    assert house.one(order).kind is WaitReason.LOST
    house.clear_faults()
    back = house.one(order)
    assert isinstance(back, Delivered)
    assert not house.row(order).lost
    assert len(house.charges()) == 1


def test_the_deadline_parks_and_a_later_run_adopts(house: Any) -> None:
    house.fault("result", "unknown_word", times=1000)
    order = house.order(1)
    held = house.one(order, deadline_seconds=1)
    assert held.kind is WaitReason.DEADLINE
    assert house.states([order]) == [State.SUBMITTED]
    assert any("adoption" in (event.reason or "") for event in house.ledger.events(order.fingerprint))
    house.clear_faults()
    assert house.one(order).adopted
    assert len(house.charges()) == 1


# Downloads


@pytest.mark.parametrize("fault", [{"kind": "truncated", "times": 2}, {"kind": "garbage", "times": 5}])
def test_a_download_is_tried_again(house: Any, fault: dict[str, Any]) -> None:
    house.fault("download", **fault)
    assert isinstance(house.one(house.order(1)), Delivered)


def test_an_address_that_is_no_output_is_never_fetched(house: Any) -> None:
    house.fault("submit", "hostile_url", url="https://127.0.0.1\\@cdn.runcomfy.net/x")
    order = house.order(1)
    held = house.one(order)
    assert held.kind is WaitReason.DOWNLOAD
    assert house.states([order]) == [State.SUCCEEDED]
    assert house.row(order).delivered_at is None


def test_what_could_not_be_fetched_is_fetched_by_the_next_run(house: Any) -> None:
    house.fault("download", "http_500", times=100)
    order = house.order(1)
    assert house.one(order, download_tries=1).kind is WaitReason.DOWNLOAD
    house.clear_faults()
    outcome = house.one(order)
    assert outcome.adopted
    assert len(house.charges()) == 1


def test_a_full_disk_starts_no_download(house: Any) -> None:
    order = house.order(1)
    held = house.one(order, scratch_margin_bytes=2**60, download_tries=1)
    assert held.kind is WaitReason.DOWNLOAD
    assert "MiB left" in held.reason


def _fields(order: GenerationRequest) -> dict[str, Any]:
    return {name: getattr(order, name) for name in GenerationRequest.__dataclass_fields__}
