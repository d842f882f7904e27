"""Stopping in the middle: what a person's stop cancels, what any other leaves running, and what the ledger says."""

import asyncio
import http.server
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from resources.generation.context import Context
from resources.generation.types import Cancelled, Delivered, Outcome
from resources.ledger.errors import LedgerUnavailable
from resources.ledger.records import State
from resources.storage.bucket import Bucket
from resources.wait_reason import WaitReason


@pytest.fixture
def queued(build_house: Any, make_sandbox: Any) -> Any:
    """A house over a service where everything waits in the queue for long."""
    return build_house(make_sandbox(generation_seconds=300, queue_share=1))


@pytest.fixture
def running(build_house: Any, make_sandbox: Any) -> Any:
    """A house over a service that begins at once and takes a moment."""
    return build_house(make_sandbox(generation_seconds=4, queue_share=0))


STOP_SECONDS = 60
"""Far more than any stop takes: the longest one hears an answer out for a few seconds."""


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def stopped(house: Any, count: int, when: Callable[[], bool], stop: str) -> list[Outcome]:
    """Run a batch, cancel its task once `when` holds; the outcomes. A stop that does not end is an error."""
    outcomes: list[Outcome] = []

    async def consume() -> None:
        async with (
            house.engine(stop, deadline_seconds=600) as engine,
            aclosing(engine.stream(house.orders(count))) as stream,
        ):
            async for outcome in stream:
                outcomes.append(outcome)

    async def main() -> None:
        task = asyncio.create_task(consume())
        await asyncio.to_thread(until, when)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
        assert done, "the stop does not end"
        assert task.cancelled()

    asyncio.run(main())
    return outcomes


def in_state(house: Any, state: State, count: int) -> Callable[[], bool]:
    return lambda: len(house.ledger.list(states=[state])) >= count


def test_a_person_cancels_what_is_queued(queued: Any) -> None:
    outcomes = stopped(queued, 40, in_state(queued, State.SUBMITTED, 40), "person")
    assert all(isinstance(outcome, Cancelled) and outcome.confirmed == "cancelled" for outcome in outcomes)
    assert len(outcomes) == 40
    assert set(queued.states(queued.orders(40))) == {State.CANCELLED}
    assert all(charge["refunded"] for charge in queued.charges())


def test_what_has_begun_is_not_said_to_be_cancelled(running: Any) -> None:
    outcomes = stopped(running, 3, in_state(running, State.SUBMITTED, 3), "person")
    assert {outcome.confirmed for outcome in outcomes} == {"not_cancellable"}
    orders = running.orders(3)
    assert running.states(orders) == [State.SUBMITTED] * 3
    again = running.run(orders)
    assert all(isinstance(outcome, Delivered) and outcome.adopted for outcome in again)
    assert len(running.charges()) == 3


def test_a_wish_that_is_not_confirmed_is_looked_up(queued: Any) -> None:
    queued.switch(cancel_outcome="cancellation_requested")
    outcomes = stopped(queued, 2, in_state(queued, State.SUBMITTED, 2), "person")
    assert {outcome.confirmed for outcome in outcomes} == {"cancelled"}  # the sandbox did it, and says so when asked


def test_a_cancel_whose_answer_is_lost_is_looked_up(queued: Any) -> None:
    queued.fault("cancel", "disconnect_after", times=2)
    outcomes = stopped(queued, 2, in_state(queued, State.SUBMITTED, 2), "person")
    assert {outcome.confirmed for outcome in outcomes} == {"cancelled"}


def test_a_cancel_without_an_answer_is_unconfirmed(queued: Any) -> None:
    queued.fault("cancel", "http_500", times=100, accepted=False)
    outcomes = stopped(queued, 2, in_state(queued, State.SUBMITTED, 2), "person")
    assert {outcome.confirmed for outcome in outcomes} == {"unconfirmed"}
    orders = queued.orders(2)
    assert queued.states(orders) == [State.SUBMITTED] * 2
    assert all("note" in queued.what(order) for order in orders)


def test_a_service_that_hangs_does_not_hold_up_the_stop(queued: Any) -> None:
    queued.fault("cancel", "timeout", times=100, accepted=False)
    outcomes = stopped(queued, 3, in_state(queued, State.SUBMITTED, 3), "person")
    assert {outcome.confirmed for outcome in outcomes} == {"unconfirmed"}


def test_any_other_stop_cancels_nothing_and_lets_go(queued: Any) -> None:
    outcomes = stopped(queued, 5, in_state(queued, State.SUBMITTED, 5), "other")
    assert {outcome.kind for outcome in outcomes} == {WaitReason.STOPPED}
    assert queued.states(queued.orders(5)) == [State.SUBMITTED] * 5
    assert len(queued.ledger.orphans("sandbox")) == 5  # at once, without waiting for leases
    assert not any(charge["refunded"] for charge in queued.charges())


def test_an_adoption_on_its_way_is_let_go_of_too(queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(queued, 1, in_state(queued, State.SUBMITTED, 1), "other")  # a run adopts what an earlier one sent
    adopting, releasing = threading.Event(), threading.Event()
    adopt, release = queued.ledger.adopt, queued.ledger.release

    def slow_adopt(*args: Any, **named: Any) -> Any:
        adopting.set()
        releasing.wait(1)  # longer than the stop takes, unless it waits for this
        return adopt(*args, **named)

    def noted_release(*args: Any, **named: Any) -> Any:
        let_go = release(*args, **named)
        releasing.set()
        return let_go

    monkeypatch.setattr(queued.ledger, "adopt", slow_adopt)
    monkeypatch.setattr(queued.ledger, "release", noted_release)
    stopped(queued, 1, adopting.is_set, "other")
    assert len(queued.ledger.orphans("sandbox")) == 1


def test_a_host_that_cannot_say_why_cancels_nothing(queued: Any) -> None:
    async def main() -> list[Outcome]:
        outcomes: list[Outcome] = []

        async def consume() -> None:
            async with queued.engine() as engine:
                engine._stop_kind = lambda: 1 / 0
                async with aclosing(engine.stream(queued.orders(2))) as stream:
                    async for outcome in stream:
                        outcomes.append(outcome)

        task = asyncio.create_task(consume())
        await asyncio.to_thread(until, in_state(queued, State.SUBMITTED, 2))
        task.cancel()
        await asyncio.wait({task})
        return outcomes

    assert {outcome.kind for outcome in asyncio.run(main())} == {WaitReason.STOPPED}
    assert queued.states(queued.orders(2)) == [State.SUBMITTED] * 2


def test_a_consumer_that_raises_winds_the_stream_down(running: Any) -> None:
    async def main() -> None:
        async with running.engine() as engine, aclosing(engine.stream(running.orders(3))) as stream:
            async for _ in stream:
                raise LookupError("the consumer's own fault")

    with pytest.raises(LookupError):
        asyncio.run(main())
    assert all(row.lease_until is None for row in running.ledger.list())


# A submit on its way


@pytest.fixture
def slow_input(house: Any, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The service waits for its input, and with it the submit, until the event is set."""
    let_go = threading.Event()
    asked = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            let_go.wait(20)
            data = (samples / "product.webp").read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "image/webp")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = SecretStr(f"http://127.0.0.1:{server.server_port}/slow.webp")
    monkeypatch.setattr(Bucket, "presign_get", lambda *_: url)
    let_go.asked = asked  # type: ignore[attr-defined]
    yield let_go
    let_go.set()
    server.shutdown()


def test_a_submit_on_its_way_is_heard_out(house: Any, slow_input: Any) -> None:
    def asked() -> bool:
        if slow_input.asked.is_set():
            threading.Timer(1, slow_input.set).start()
            return True
        return False

    outcomes = stopped(house, 1, asked, "other")
    assert [outcome.kind for outcome in outcomes] == [WaitReason.STOPPED]
    assert house.row(house.order(1)).state is State.SUBMITTED
    assert house.row(house.order(1)).request_id == house.charges()[0]["request_id"]


def test_a_submit_without_an_answer_in_time_is_unknown(house: Any, slow_input: Any) -> None:
    outcomes = stopped(house, 1, slow_input.asked.is_set, "person")
    assert [outcome.kind for outcome in outcomes] == [WaitReason.UNKNOWN]
    assert ".." not in outcomes[0].reason
    row = house.row(house.order(1))
    assert row.state is State.UNKNOWN
    slow_input.set()
    assert house.one(house.order(1)).kind is WaitReason.UNKNOWN


def test_a_request_id_that_a_stop_keeps_from_being_recorded_is_in_the_log(
    queued: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording = threading.Event()

    def down(*_: Any, **__: Any) -> Any:
        recording.set()
        raise LedgerUnavailable("down")  # and the engine's patience with it is longer than the stop's

    monkeypatch.setattr(queued.ledger, "submitted", down)
    stopped(queued, 1, recording.is_set, "other")
    (charge,) = queued.charges()
    command = f"i2v ledger resolve {queued.order(1).fingerprint} --request-id {charge['request_id']}"
    assert command in caplog.text


def test_a_claim_that_a_stop_did_not_wait_for_leaves_nothing_unknown(
    queued: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming, winding_down = threading.Event(), threading.Event()
    claim, quiet = queued.ledger.claim, Context.drain

    def slow(*given: Any, **named: Any) -> Any:
        claiming.set()
        assert winding_down.wait(30)  # committed by its thread only when nobody waits for it any more
        return claim(*given, **named)

    async def noted(self: Context) -> None:
        winding_down.set()
        await quiet(self)

    monkeypatch.setattr(queued.ledger, "claim", slow)
    monkeypatch.setattr(Context, "drain", noted)
    stopped(queued, 1, claiming.is_set, "other")
    order = queued.order(1)
    assert "claimed" in queued.what(order)
    assert queued.states([order]) == [State.PLANNED]
    assert queued.charges() == []
    assert queued.ledger.spent_today("sandbox").reserved_microdollars == 0


# Real signals


@pytest.mark.parametrize(
    ("number", "why", "state"),
    [(signal.SIGINT, "person", State.CANCELLED), (signal.SIGTERM, "other", State.SUBMITTED)],
)
def test_signals_stop_a_real_process(
    queued: Any, tmp_path: Path, number: signal.Signals, why: str, state: State
) -> None:
    process = queued.child(queued.orders(8), tmp_path / "ledger.sqlite", stop_kind=why)
    until(in_state(queued, State.SUBMITTED, 8))
    process.send_signal(number)
    process.send_signal(number)  # an impatient person: the clean-up is not cut short
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(out.splitlines()) == 8
    assert set(queued.states(queued.orders(8))) == {state}
