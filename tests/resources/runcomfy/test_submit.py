"""The paid POST: sent once, on its own connection, and its failure named by what it proves."""

import asyncio
import json
import logging
import socket
import ssl
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from resources.errors import SettingsError, Verdict
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.errors import (
    InsufficientBalance,
    InvalidInput,
    MissingToken,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServiceError,
    Unauthorized,
    UnknownModel,
)

MODEL = "bytedance/seedance-2.0/pro"
BODY = {"prompt": "Drift. \ud83d", "image_url": "https://b.example/k?X-Amz-Signature=topsecret"}
ACCEPTED = {"request_id": "req_1", "status_url": "https://evil.example/steal"}


def submit(kit: Any, *acts: Any, **changes: Any) -> tuple[Any, Any]:
    """The outcome of one submit, and what the server saw."""

    async def scenario() -> tuple[Any, Any]:
        async with kit.wire(*acts) as wire, kit.client(wire.base, **changes) as client:
            try:
                return await client.submit(MODEL, BODY), wire
            except ServiceError as error:
                return error, wire

    outcome, wire = kit.run(scenario())
    if isinstance(outcome, ServiceError):
        assert "topsecret" not in repr(outcome) + outcome.text
        assert kit.token not in repr(outcome) + outcome.text
        assert outcome.__cause__ is None
    return outcome, wire


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_accepted_submit_gives_the_request_id(kit: Any, status: int) -> None:
    outcome, wire = submit(kit, kit.say(status, ACCEPTED))
    assert outcome.request_id == "req_1"
    (seen,) = wire.seen
    assert (seen.method, seen.target) == ("POST", f"/v1/models/{MODEL}")
    assert seen.headers["authorization"] == f"Bearer {kit.token}"
    assert json.loads(seen.body) == BODY


PROOFS = [
    # (status, body, headers, class, code)
    (400, {"error_code": 400001, "error_message": "bad id"}, {}, UnknownModel, 400001),
    (400, {"error_code": 400002, "message": "no balance"}, {}, InsufficientBalance, 400002),
    (402, {"detail": "pay"}, {}, InsufficientBalance, 402),
    (400, {"error_code": 400004, "error": "token"}, {}, Unauthorized, 400004),
    (401, {"detail": "who"}, {}, Unauthorized, 401),
    (403, {"code": "400004"}, {}, Unauthorized, 400004),
    (404, {"detail": "Not Found"}, {}, UnknownModel, 404),
    (404, {"error_code": 404001}, {}, UnknownModel, 404001),
    (422, {"detail": [{"loc": ["body", "duration"], "msg": "too long", "input": "x"}]}, {}, InvalidInput, 422),
    (400, {"error_code": 422001}, {}, InvalidInput, 422001),
    (409, {"message": "conflict"}, {}, Rejected, 409),
    (200, {"error_code": 400002, "error_message": "no balance"}, {}, InsufficientBalance, 400002),
    (200, {"error_code": 422001}, {}, InvalidInput, 422001),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind", "code"), PROOFS)
def test_an_explicit_no_is_a_refusal(
    kit: Any, status: int, body: object, headers: dict[str, str], kind: type[Rejected], code: int
) -> None:
    outcome, wire = submit(kit, kit.say(status, body, headers))
    assert type(outcome) is kind
    assert (outcome.service_code, outcome.verdict, len(wire.seen)) == (code, Verdict.FINAL, 1)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(429, {"Retry-After": "7"}, 7), (429, {}, None), (429, {"Retry-After": "soon"}, None)],
)
def test_too_many_requests_is_rate_limited(kit: Any, status: int, headers: dict[str, str], wait: object) -> None:
    outcome, wire = submit(kit, kit.say(status, {"detail": "slow"}, headers))
    assert isinstance(outcome, RateLimited)
    assert (outcome.retry_after, outcome.verdict, len(wire.seen)) == (wait, Verdict.RETRYABLE, 1)


def unknown_acts(kit: Any) -> dict[str, Any]:
    return {
        "500": kit.say(500, {"error_message": "oops"}),
        "503 with Retry-After": kit.say(503, {}, {"Retry-After": "1"}),
        "502 in HTML": kit.say(502, raw=b"<html>bad gateway</html>"),
        "200 garbage": kit.say(200, raw=b"\x00\xff{"),
        "200 empty": kit.say(200, raw=b""),
        "200 list": kit.say(200, ["req_1"]),
        "200 without an id": kit.say(200, {"status": "ok"}),
        "200 with an id that leaves the path": kit.say(200, {"request_id": "../../models/x"}),
        "200 with an endless id": kit.say(200, {"request_id": "a" * 129}),
        "200 with absurd nesting": kit.say(200, raw=b"[" * 100_000),
        "200 with an error code and an id": kit.say(200, {"error_code": 400002, "request_id": "req_1"}),
        "200 with an error code that is no number": kit.say(200, {"error_code": "boom"}),
        "200 with a code of the 500s": kit.say(200, {"error_code": 500001}),
        "307": kit.say(307, {}, {"Location": "/elsewhere"}),
        "408": kit.say(408, {"detail": "timeout"}),
        "400 without a body": kit.say(400, raw=b""),
        "gzip that is none": kit.say(200, raw=b"nogzip", headers={"Content-Encoding": "gzip"}),
        "closed after the request": kit.cut(),
        "closed within the head": kit.cut(b"HTTP/1.1 200 OK\r\nContent-"),
        "closed within the body": kit.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        "no HTTP at all": kit.cut(b"SSH-2.0-OpenSSH\r\n\r\n"),
        "reset after the request": kit.reset(),
    }


UNKNOWN = [
    "500",
    "503 with Retry-After",
    "502 in HTML",
    "200 garbage",
    "200 empty",
    "200 list",
    "200 without an id",
    "200 with an id that leaves the path",
    "200 with an endless id",
    "200 with absurd nesting",
    "200 with an error code and an id",
    "200 with an error code that is no number",
    "200 with a code of the 500s",
    "307",
    "408",
    "400 without a body",
    "gzip that is none",
    "closed after the request",
    "closed within the head",
    "closed within the body",
    "no HTTP at all",
    "reset after the request",
]


@pytest.mark.parametrize("what", UNKNOWN)
def test_without_an_explicit_no_the_outcome_is_unknown_and_nothing_is_sent_again(kit: Any, what: str) -> None:
    outcome, wire = submit(kit, unknown_acts(kit)[what])
    assert type(outcome) is OutcomeUnknown
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.remedy
    assert len(wire.seen) == 1
    assert wire.connections == 1


def test_the_table_of_unknown_outcomes_is_whole(kit: Any) -> None:
    assert set(UNKNOWN) == set(unknown_acts(kit))


def test_an_id_in_a_contradicting_answer_is_kept_for_the_person_who_resolves_it(kit: Any) -> None:
    outcome, _ = submit(kit, kit.say(200, {"error_code": 400002, "request_id": "req_1"}))
    assert outcome.request_id == "req_1"


@pytest.mark.parametrize("slow", ["silence", "drip"])
def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(kit: Any, slow: str) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    act, limits = {
        "silence": (kit.hang(), kit.timeouts(submit_read=0.1)),
        "drip": (drip, kit.timeouts(submit_read=5, submit=0.2)),
    }[slow]
    outcome, wire = submit(kit, act, timeouts=limits)
    assert type(outcome) is OutcomeUnknown
    assert "in time" in outcome.message
    assert len(wire.seen) == 1


def test_a_server_that_closes_before_reading_leaves_the_outcome_unknown(kit: Any) -> None:
    """The connection was open, so the request may have been written before it closed."""

    async def scenario() -> tuple[ServiceError, int]:
        async with kit.wire(close_at_once=9) as wire, kit.client(wire.base) as client:
            with pytest.raises(OutcomeUnknown) as caught:
                await client.submit(MODEL, BODY)
            return caught.value, wire.connections

    error, connections = kit.run(scenario())
    assert type(error) is OutcomeUnknown
    assert connections == 1


def submit_to(kit: Any, base: str, **changes: Any) -> ServiceError:
    async def scenario() -> ServiceError:
        async with kit.client(base, **changes) as client:
            with pytest.raises(ServiceError) as caught:
                await client.submit(MODEL, BODY)
            return caught.value

    error: ServiceError = kit.run(scenario())
    return error


def test_a_refused_connection_proves_that_nothing_was_delivered(kit: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = submit_to(kit, f"http://127.0.0.1:{port}")
    assert type(error) is NotSent
    assert error.verdict is Verdict.RETRYABLE


def test_a_name_that_does_not_resolve_proves_that_nothing_was_delivered(kit: Any) -> None:
    error = submit_to(kit, "https://no-such-host.invalid", service="runcomfy")
    assert type(error) is NotSent


def test_a_failed_tls_handshake_proves_that_nothing_was_delivered(kit: Any) -> None:
    """A server that hangs up on the handshake: with TLS nothing is sent before it is done."""

    async def scenario() -> ServiceError:
        async with kit.wire(close_at_once=9) as wire:
            async with kit.client(wire.base.replace("http:", "https:")) as client:
                with pytest.raises(ServiceError) as caught:
                    await client.submit(MODEL, BODY)
            assert wire.seen == []
            return caught.value

    assert type(kit.run(scenario())) is NotSent


def test_a_full_pool_proves_that_nothing_was_delivered(kit: Any) -> None:
    class Full(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            async with httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1)) as pool:
                first = asyncio.ensure_future(pool.handle_async_request(request))
                await sent.wait()
                try:
                    return await pool.handle_async_request(request)
                finally:
                    first.cancel()

    sent = asyncio.Event()

    async def scenario() -> ServiceError:
        async def arrived(writer: asyncio.StreamWriter) -> None:
            sent.set()
            await asyncio.Event().wait()

        async with kit.wire(arrived) as wire:
            limits = kit.timeouts(pool=0.1)
            async with kit.client(wire.base, transport=Full(), timeouts=limits) as client:
                with pytest.raises(ServiceError) as caught:
                    await client.submit(MODEL, BODY)
            return caught.value

    assert type(kit.run(scenario())) is NotSent


def test_each_submit_has_a_fresh_connection(kit: Any) -> None:
    """A stale pooled connection would fail after the request was written."""

    async def scenario() -> list[int]:
        async with kit.wire(kit.say(200, ACCEPTED)) as wire, kit.client(wire.base) as client:
            for _ in range(3):
                await client.submit(MODEL, BODY)
            return [seen.connection for seen in wire.seen]

    assert kit.run(scenario()) == [1, 2, 3]


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(kit: Any) -> None:
    async def scenario() -> tuple[ServiceError, int]:
        async with kit.wire(kit.say(200, ACCEPTED)) as thief:
            for status in (301, 302, 303, 307, 308):
                there = {"Location": f"{thief.base}/v1/models/{MODEL}"}
                async with kit.wire(kit.say(status, {}, there)) as wire, kit.client(wire.base) as client:
                    with pytest.raises(OutcomeUnknown):
                        await client.submit(MODEL, BODY)
            return len(thief.seen)

    assert kit.run(scenario()) == 0


@pytest.mark.parametrize(
    "model_id", ["", "../requests", "a//b", "a/../b", "/a", "a/", "a b", "a?b", "a%2Fb", "a/./b", "ä/b"]
)
def test_a_model_id_that_would_leave_its_path_is_refused_unsent(kit: Any, model_id: str) -> None:
    async def scenario() -> int:
        async with kit.wire(kit.say(200, ACCEPTED)) as wire, kit.client(wire.base) as client:
            with pytest.raises(UnknownModel):
                await client.submit(model_id, BODY)
            return len(wire.seen)

    assert kit.run(scenario()) == 0


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}])
def test_a_body_that_is_not_json_is_refused_unsent(kit: Any, body: dict[str, object]) -> None:
    async def scenario() -> int:
        async with kit.wire(kit.say(200, ACCEPTED)) as wire, kit.client(wire.base) as client:
            with pytest.raises(InvalidInput):
                await client.submit(MODEL, body)
            return len(wire.seen)

    assert kit.run(scenario()) == 0


def test_without_a_token_nothing_is_sent(kit: Any) -> None:
    async def scenario() -> int:
        async with kit.wire(kit.say(200, ACCEPTED)) as wire, kit.client(wire.base, token=None) as client:
            with pytest.raises(MissingToken, match="No RunComfy token") as caught:
                await client.submit(MODEL, BODY)
            assert "i2v login" in caught.value.remedy
            return len(wire.seen)

    assert kit.run(scenario()) == 0


@pytest.mark.parametrize(
    ("service", "base"),
    [
        ("runcomfy", "http://model-api.runcomfy.net/v1"),
        ("runcomfy", "ftp://x/v1"),
        ("sandbox", "https://model-api.runcomfy.net/v1"),
        ("sandbox", "http://192.168.1.1/v1"),
        ("runcomfy", "https://user:pw@model-api.runcomfy.net/v1"),
    ],
)
def test_a_base_of_the_other_service_is_refused(service: Any, base: str) -> None:
    with pytest.raises(SettingsError):
        RunComfyClient(base, base, base, SecretStr("t"), service=service)


def test_the_log_holds_no_token_and_no_address(kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    submit(kit, kit.say(200, ACCEPTED))
    submit(kit, kit.say(500, {"message": f"cannot fetch {BODY['image_url']} for Bearer {kit.token}"}))
    assert "topsecret" not in caplog.text
    assert kit.token not in caplog.text
    assert "HTTP Request: POST http://127.0.0.1/[hidden]" in caplog.text


def test_tls_is_verified() -> None:
    from resources.runcomfy.transport import tls_context

    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    assert tls_context().check_hostname


def test_a_claim_that_ends_while_connecting_sends_nothing(kit: Any) -> None:
    asked: list[int] = []

    async def scenario() -> Any:
        async with kit.wire(kit.say(200, ACCEPTED)) as wire, kit.client(wire.base) as client:

            def may_send() -> bool:
                asked.append(wire.connections)
                return False

            with pytest.raises(NotSent, match="nothing was sent"):
                await client.submit(MODEL, BODY, may_send=may_send)
            return wire

    wire = kit.run(scenario())
    assert len(asked) == 1
    assert wire.seen == []
