"""GETs (and the free cancel): retried if a retry may help, and parsed leniently."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import Verdict
from resources.redact import MAX_LINE, redact_line
from resources.runcomfy import wire as words
from resources.runcomfy.errors import (
    Forbidden,
    NotReady,
    RateLimited,
    Rejected,
    RequestGone,
    ServiceError,
    ServiceUnavailable,
    Unauthorized,
    UnknownModel,
)
from resources.runcomfy.pacing import RetryPolicy
from resources.runcomfy.refusals import CallSubject, error_code, error_text, read_error, retry_after
from resources.runcomfy.wire import CancelOutcome, RequestState

OUT = "https://files.runcomfy.net/v.mp4?sig=topsecret"


def ask(kit: Any, call: str, *acts: Any, argument: str = "req_1", **changes: Any) -> tuple[Any, Any]:
    async def scenario() -> tuple[Any, Any]:
        async with kit.wire(*acts) as wire, kit.client(wire.base, **changes) as client:
            try:
                arguments = () if call in {"balance", "models", "account"} else (argument,)
                return await getattr(client, call)(*arguments), wire
            except ServiceError as error:
                return error, wire

    outcome, wire = kit.run(scenario())
    assert "topsecret" not in repr(outcome)
    assert kit.token not in repr(outcome)
    return outcome, wire


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("in_queue", RequestState.WAITING),
        ("in_progress", RequestState.RUNNING),
        ("completed", RequestState.ENDED),
        ("succeeded", RequestState.ENDED),
        ("failed", RequestState.FAILED),
        ("cancelled", RequestState.CANCELLED),
        ("canceled", RequestState.CANCELLED),
        ("IN_QUEUE", RequestState.WAITING),
        ("paused", RequestState.UNREADABLE_WORD),
        ("", RequestState.UNREADABLE_WORD),
        (None, RequestState.UNREADABLE_WORD),
        (7, RequestState.UNREADABLE_WORD),
        (["completed"], RequestState.UNREADABLE_WORD),
    ],
)
def test_a_status_word_is_read_or_counts_as_not_finished(kit: Any, word: object, state: RequestState) -> None:
    outcome, wire = ask(kit, "status", kit.say(200, {"request_id": "req_1", "status": word, "queue_position": 3}))
    assert (outcome.state, outcome.queue_position) == (state, 3)
    assert wire.seen[0].target == "/v1/requests/req_1/status"
    assert wire.seen[0].headers["authorization"] == f"Bearer {kit.token}"


def test_completed_is_an_end_on_status_and_a_success_only_on_result() -> None:
    assert words.read_status({"status": "completed"}).state is RequestState.ENDED
    assert RequestState.ENDED.over
    assert words.read_result({"status": "completed"}).state is RequestState.SUCCEEDED


@given(st.text(max_size=30))
def test_an_unknown_word_never_counts_as_ended(word: str) -> None:
    known = {"completed", "succeeded", "failed", "cancelled", "canceled", "in_queue", "in_progress"}
    if word.strip().lower() not in known:
        assert words.read_status({"status": word}).state is RequestState.UNREADABLE_WORD
        assert words.read_result({"status": word}).state is RequestState.UNREADABLE_WORD
        assert not RequestState.UNREADABLE_WORD.over


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["status", "output", "error", "cost", "created_at", "finished_at", "queue_position", "outcome", "input_schema",
          "base_price_usd", "price_unit", "model_id", "display_name", "error_code", "detail", "message", "code",
          "balance_usd", "balance_microdollars"]  # fmt: skip


@given(body=st.dictionaries(st.sampled_from(FIELDS), json_values), status=st.integers(200, 599))
def test_no_answer_crashes_a_parser(body: dict[str, Any], status: int) -> None:
    words.read_status(body)
    words.read_result(body)
    words.read_cancel(body)
    words.read_entry(body, "a/b")
    words.read_balance(body)
    assert isinstance(read_error("It", CallSubject.REQUEST, status, body), ServiceError)


def test_a_result_is_read_whole(kit: Any) -> None:
    answer = {
        "request_id": "req_1", "status": "succeeded", "output": {"poster": "https://files.runcomfy.net/p.jpg", "video": OUT},
        "input": {"image_url": "https://b.example/k?sig=1"}, "cost": 0.3,
        "created_at": "2026-09-23T10:00:00Z", "finished_at": "2026-09-23T10:01:00+00:00",
    }  # fmt: skip
    outcome, wire = ask(kit, "result", kit.say(200, answer))
    assert outcome.state is RequestState.SUCCEEDED
    assert [url.get_secret_value() for url in outcome.output_urls] == [OUT, "https://files.runcomfy.net/p.jpg"]
    assert outcome.cost_microdollars == 300_000
    assert (outcome.finished_at - outcome.created_at).total_seconds() == 60
    assert wire.seen[0].target.endswith("/result?include_cost=true")


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ({"video": "https://a.b/1"}, ["https://a.b/1"]), ({"videos": ["https://a.b/1", "https://a.b/2"]}, ["https://a.b/1", "https://a.b/2"]),
        ({"video": {"url": "https://a.b/1"}}, ["https://a.b/1"]), ("https://a.b/1", ["https://a.b/1"]), (["https://a.b/1"], ["https://a.b/1"]),
        ({"image": "https://a.b/i", "video": "https://a.b/v"}, ["https://a.b/v", "https://a.b/i"]), ({"video": None}, []), (None, []), ({"note": "no address"}, []),
        ({"video": "https://a.b/1", "videos": ["https://a.b/1"]}, ["https://a.b/1"]),
    ],
)  # fmt: skip
def test_outputs_are_found_under_output_alone(output: object, urls: list[str]) -> None:
    answer = words.read_result(
        {"status": "succeeded", "output": output, "input": {"video_url": "https://mine.example/x"}}
    )
    assert [url.get_secret_value() for url in answer.output_urls] == urls


@pytest.mark.parametrize(
    ("usd", "cost"),
    [(0.1, 100_000), (0.3, 300_000), ("0.25", 250_000), (1, 1_000_000), (0, 0), (1e-7, 1), (None, None), (True, None), (-1, None), (float("nan"), None), (float("inf"), None), ("free", None), (1e12, None), (10**400, None)],
)  # fmt: skip
def test_costs_are_whole_micro_dollars_or_nothing(usd: object, cost: int | None) -> None:
    assert words.read_result({"status": "succeeded", "cost": usd}).cost_microdollars == cost


@pytest.mark.parametrize(
    ("error", "said"),
    [("no face", "no face"), ({"message": "no face"}, "no face"), ({"kind": 3}, '{"kind": 3}'), (None, None), ("see https://x.example/y?sig=1 now", "see [removed] now")],
)  # fmt: skip
def test_a_failed_result_carries_the_services_words(error: object, said: str | None) -> None:
    answer = words.read_result({"status": "failed", "error": error})
    assert (answer.state, answer.error) == (RequestState.FAILED, said)


def test_an_early_result_is_not_finished_however_the_service_reports_it(kit: Any) -> None:
    for act in (kit.say(200, {"request_id": "req_1", "status": "in_queue"}), kit.say(400, {"error_code": 400005})):
        outcome, wire = ask(kit, "result", act)
        assert not outcome.state.over
        assert len(wire.seen) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [({"outcome": "cancelled", "status": "in_progress"}, CancelOutcome.CANCELLED), ({"outcome": "not_cancellable", "status": "cancelled"}, CancelOutcome.NOT_CANCELLABLE), ({"outcome": "cancellation_requested"}, CancelOutcome.REQUESTED), ({"status": "cancelled"}, CancelOutcome.UNCONFIRMED), ({"outcome": "perhaps"}, CancelOutcome.UNCONFIRMED)],
)  # fmt: skip
def test_a_cancel_trusts_the_outcome_alone(kit: Any, answer: object, outcome: CancelOutcome) -> None:
    got, wire = ask(kit, "cancel", kit.say(202, answer))
    assert got is outcome
    assert (wire.seen[0].method, wire.seen[0].target) == ("POST", "/v1/requests/req_1/cancel")


def test_not_cancellable_after_a_lost_answer_is_unconfirmed(kit: Any) -> None:
    got, wire = ask(kit, "cancel", kit.cut(), kit.say(202, {"outcome": "not_cancellable"}))
    assert got is CancelOutcome.UNCONFIRMED
    assert len(wire.seen) == 2


def test_a_cancel_without_an_answer_is_unconfirmed(kit: Any) -> None:
    got, wire = ask(kit, "cancel", kit.cut())
    assert got is CancelOutcome.UNCONFIRMED
    assert len(wire.seen) == 3


GOOD = {"request_id": "req_1", "status": "in_queue"}


@pytest.mark.parametrize("fault", ["500", "503", "garbage", "empty", "cut", "reset", "hang", "302", "html404", "other"])
def test_a_failed_read_call_is_retried_and_succeeds(kit: Any, fault: str) -> None:
    act = {
        "500": kit.say(500, {"error_message": "x"}), "503": kit.say(503, raw=b""), "garbage": kit.say(200, raw=b"{"),
        "empty": kit.say(200, raw=b""), "cut": kit.cut(), "reset": kit.reset(), "hang": kit.hang(),
        "302": kit.say(302, {}, {"Location": "/x"}), "html404": kit.say(404, raw=b"<html>"),
        "other": kit.say(200, {"request_id": "req_2", "status": "completed"}),
    }[fault]  # fmt: skip
    limits = kit.timeouts(question_read=0.15)
    if fault == "other":
        outcome, wire = ask(kit, "status", act, kit.say(200, GOOD), timeouts=limits)
        assert isinstance(outcome, ServiceUnavailable)
        assert "another request" in outcome.message
        return
    outcome, wire = ask(kit, "status", act, kit.say(200, GOOD), timeouts=limits)
    assert outcome.state is RequestState.WAITING
    assert len(wire.seen) == 2


@pytest.mark.parametrize("fault", ["500", "cut", "hang"])
def test_a_read_call_that_keeps_failing_raises_and_does_not_affect_the_request(kit: Any, fault: str) -> None:
    act = {"500": kit.say(500, {}), "cut": kit.cut(), "hang": kit.hang()}[fault]
    outcome, wire = ask(kit, "status", act, timeouts=kit.timeouts(question_read=0.1))
    assert type(outcome) is ServiceUnavailable
    assert outcome.verdict is Verdict.RETRYABLE
    # Three attempts; aiohttp itself asks once more where a connection is lost.
    assert len(wire.seen) == (6 if fault == "cut" else 3)


def test_retry_after_is_obeyed(kit: Any) -> None:
    begin = time.monotonic()
    outcome, wire = ask(kit, "status", kit.say(429, {}, {"Retry-After": "1"}), kit.say(200, GOOD))
    assert outcome.state is RequestState.WAITING
    assert time.monotonic() - begin >= 1
    assert len(wire.seen) == 2


def test_a_long_retry_after_is_passed_to_the_caller(kit: Any) -> None:
    outcome, wire = ask(kit, "status", kit.say(429, {}, {"Retry-After": "3600"}))
    assert (type(outcome), outcome.retry_after, len(wire.seen)) == (RateLimited, 900, 1)


def test_pauses_are_jittered(kit: Any) -> None:
    from resources.runcomfy.client import RunComfyClient

    policy = RetryPolicy(jitter=1.0)
    client = RunComfyClient("http://127.0.0.1:1/v1", "", "", None, service="sandbox", policy=policy)
    pauses = {client._pause(RateLimited("x", retry_after=2)) for _ in range(20)}
    assert len(pauses) > 10
    assert all(2 <= pause <= 3 for pause in pauses)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"error_code": 404001}, RequestGone), (400, {"error_code": 404001}, RequestGone), (403, {"error_code": 403001}, Forbidden),
        (403, {}, Unauthorized), (401, {}, Unauthorized), (400, {"error_code": 400004}, Unauthorized), (200, {"error_code": 404001}, RequestGone),
        (200, {"error_code": "400004", "status": "completed"}, Unauthorized), (418, {"detail": "teapot"}, Rejected),
    ],
)  # fmt: skip
def test_a_refusal_is_not_retried(kit: Any, status: int, body: object, kind: type[Rejected]) -> None:
    outcome, wire = ask(kit, "status", kit.say(status, body))
    assert type(outcome) is kind
    assert len(wire.seen) == 1


def test_a_404_without_the_services_own_code_proves_nothing_about_paid_work(kit: Any) -> None:
    outcome, _ = ask(kit, "result", kit.say(404, {"detail": "Not Found"}))
    assert type(outcome) is ServiceUnavailable


@pytest.mark.parametrize("body", [{"detail": "Not Found"}, {"error_code": 404001}, {"error_code": 400001}])
def test_a_missing_model_is_an_unknown_model(kit: Any, body: dict[str, object]) -> None:
    outcome, _ = ask(kit, "model", kit.say(400 if body.get("error_code") == 400001 else 404, body), argument="a/b")
    assert type(outcome) is UnknownModel


def test_a_catalogue_entry_is_read(kit: Any) -> None:
    entry = {
        "model_id": "a/b",
        "display_name": "B",
        "base_price_usd": 0.08,
        "price_unit": "second",
        "input_schema": {"x": 1},
    }
    outcome, wire = ask(kit, "model", kit.say(200, entry), argument="a/b")
    assert (outcome.model_id, outcome.base_price_microdollars, outcome.price_unit) == ("a/b", 80_000, "second")
    assert wire.seen[0].target == "/v1/models/a/b"


def test_the_catalogue_is_listed(kit: Any) -> None:
    outcome, wire = ask(kit, "models", kit.say(200, {"models": [{"model_id": "a/b"}, "junk"], "total": 1}))
    assert [entry.model_id for entry in outcome.models] == ["a/b"]
    assert wire.seen[0].target == "/v1/models?limit=100&offset=0"


@pytest.mark.parametrize(
    ("answer", "amount"),
    [({"balance_usd": 64.11, "balance_microdollars": 64106410}, 64_106_410), ({"balance_usd": -0.5}, -500_000), ({"balance_microdollars": 0}, 0), ({"balance_microdollars": -3}, -3)],
)  # fmt: skip
def test_a_balance_may_be_zero_or_negative(kit: Any, answer: object, amount: int) -> None:
    outcome, wire = ask(kit, "balance", kit.say(200, answer))
    assert outcome.microdollars == amount
    assert wire.seen[0].target == "/prod/v2/balance"


def test_the_account_is_read(kit: Any) -> None:
    outcome, wire = ask(kit, "account", kit.say(200, {"id": "u1", "email": "a@b.example"}))
    assert (outcome.user_id, outcome.email) == ("u1", "a@b.example")
    assert wire.seen[0].target == "/api/auth/me"


@pytest.mark.parametrize("request_id", ["", "a/b", "..", "a b", "a?b", "ä", "a" * 129, "a\n"])
def test_a_request_id_that_would_leave_its_path_is_not_sent(kit: Any, request_id: str) -> None:
    outcome, wire = ask(kit, "status", kit.say(200, GOOD), argument=request_id)
    assert isinstance(outcome, RequestGone)
    assert wire.seen == []


def test_a_hundred_concurrent_read_calls_are_all_answered(kit: Any) -> None:
    async def scenario() -> tuple[int, int]:
        async with kit.wire(kit.say(200, GOOD)) as wire, kit.client(wire.base) as client:
            answers = await asyncio.gather(*(client.status("req_1") for _ in range(100)))
            return len(answers), wire.connections

    answered, connections = kit.run(scenario())
    assert answered == 100
    assert connections <= 64


def test_cookies_of_the_service_are_not_kept(kit: Any) -> None:
    async def scenario() -> list[str | None]:
        act = kit.say(200, GOOD, {"Set-Cookie": "a=1; Path=/"})
        async with kit.wire(act) as wire, kit.client(wire.base) as client:
            await client.status("req_1")
            await client.status("req_1")
            return [seen.headers.get("cookie") for seen in wire.seen]

    assert kit.run(scenario()) == [None, None]


def test_retries_are_reported_to_the_log_and_never_to_stdout(
    kit: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """stdout belongs to results; stamina prints there through structlog unless it is told not to."""
    caplog.set_level("WARNING", logger="stamina")  # the command silences it for its whole process
    ask(kit, "status", kit.say(500, {}), kit.say(200, GOOD))
    assert capfd.readouterr().out == ""
    assert "stamina.retry_scheduled" in caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error_message": "a", "message": "b", "error": "c", "detail": "d"}, "a"), ({"message": "b", "error": "c"}, "b"), ({"error": "c", "detail": "d"}, "c"),
        ({"detail": "d"}, "d"), ({"detail": [{"loc": ["body", "duration"], "msg": "too long", "input": "https://x/y?sig=topsecret"}]}, "duration: too long"),
        ({"error": {"message": "inner"}}, "inner"), ({}, ""), (None, ""), ({"message": ""}, ""), ({"message": "Bearer abc.def is bad"}, "[removed] is bad"),
    ],
)  # fmt: skip
def test_messages_are_read_in_the_documented_order(body: Any, said: str) -> None:
    assert error_text(body) == said


def test_code_counts_only_in_an_answer_that_http_calls_an_error() -> None:
    assert error_code({"code": 400002}, http_status=400) == 400002
    assert error_code({"code": 400002}, http_status=200) is None
    assert isinstance(read_error("It", CallSubject.REQUEST, 400, {"error_code": 400005}), NotReady)


@given(st.text(max_size=3000))
def test_texts_from_outside_are_one_printable_line_without_addresses(text: str) -> None:
    line = redact_line(f"{text} https://b.example/k?X-Amz-Signature=topsecret {text}")
    assert "topsecret" not in line
    assert len(line) <= MAX_LINE
    assert line.isprintable()


@pytest.mark.parametrize("value", ["", None, "x", "nan", "inf", "-5", "1e999"])
def test_a_retry_after_that_makes_no_sense_is_none_or_zero(value: str | None) -> None:
    assert retry_after(value, words.moment("2026-01-01T00:00:00Z")) in {None, 0, 900}  # type: ignore[arg-type]


def test_a_retry_after_can_be_a_date() -> None:
    now = words.moment("2026-01-01T00:00:00Z")
    assert now is not None
    assert retry_after("Thu, 01 Jan 2026 00:00:09 GMT", now) == 9
