"""Each fault has the effect that the table in docs/sandbox.md documents."""

import re
from pathlib import Path

import httpx
import pytest

from resources.sandbox.faults import ALLOWED, Fault, FaultQueue, Kind, Where

HAPPYHORSE = "happyhorse/happyhorse-1-0/image-to-video"
STATUS = {401: 400004, 402: 400002, 404: 404001, 422: 422001, 429: 429001, 500: 500001, 503: 503001}


def call(client, where: str, request_id: str) -> httpx.Response:
    match where:
        case "submit":
            return client.submit()
        case "cancel":
            return client.post(f"/v1/requests/{request_id}/cancel")
        case "models":
            return client.get(f"/v1/models/{HAPPYHORSE}")
        case "balance":
            return client.get("/prod/v2/balance")
        case "login":
            return client.post("/api/cli-auth/start")
        case _:
            return client.get(f"/v1/requests/{request_id}/{where}")


CALLS = ["submit", "status", "result", "cancel", "models", "balance", "login"]


@pytest.mark.parametrize("where", CALLS)
@pytest.mark.parametrize("status", STATUS)
def test_http_errors(slow, where, status):
    request_id = slow.accepted()
    count = slow.charges()["count"]
    slow.fault(where, f"http_{status}", retry_after=3, message="On purpose.")
    answer = call(slow, where, request_id)
    assert (answer.status_code, answer.json()["error_code"]) == (status, STATUS[status])
    assert answer.json()["message"] == "On purpose."
    assert answer.headers["retry-after"] == "3"
    assert ("detail" in answer.json()) == (status == 422)
    assert slow.charges()["count"] == count  # nothing was accepted
    assert slow.status(request_id)["status"] == "in_queue"  # nor cancelled
    assert call(slow, where, request_id).is_success  # and it is used up


@pytest.mark.parametrize("where", CALLS)
@pytest.mark.parametrize("kind", ["disconnect_before", "disconnect_after", "timeout", "garbage", "error_200"])
def test_broken_answers(slow, where, kind):
    request_id = slow.accepted()
    count = slow.charges()["count"]
    slow.fault(where, kind)
    accepted = kind in ("disconnect_after", "timeout", "garbage")
    if kind == "timeout":
        slow.timeout = httpx.Timeout(0.4)
        with pytest.raises(httpx.ReadTimeout):
            call(slow, where, request_id)
        slow.timeout = httpx.Timeout(30)
    elif kind.startswith("disconnect"):
        with pytest.raises(httpx.RemoteProtocolError):
            call(slow, where, request_id)
    else:
        answer = call(slow, where, request_id)
        assert answer.status_code == 200
        if kind == "garbage":
            with pytest.raises(ValueError, match=r".*"):
                answer.json()
        else:
            assert answer.json()["error_code"] == 500001
    assert slow.charges()["count"] == count + (where == "submit" and accepted)
    cancelled = where == "cancel" and accepted
    assert slow.status(request_id)["status"] == ("cancelled" if cancelled else "in_queue")


@pytest.mark.parametrize(("kind", "accepted"), [("http_500", True), ("timeout", False), ("disconnect_after", False)])
def test_the_operator_chooses_whether_a_bad_answer_accepts(slow, kind, accepted):
    count = slow.charges()["count"]
    slow.fault("submit", kind, accepted=accepted)
    slow.timeout = httpx.Timeout(0.4)
    try:
        assert slow.submit().status_code == 500
    except httpx.HTTPError:
        assert kind != "http_500"
    slow.timeout = httpx.Timeout(30)
    assert slow.charges()["count"] == count + accepted


def test_a_fault_that_accepts_does_not_accept_an_invalid_body(slow):
    count = slow.charges()["count"]
    slow.fault("submit", "disconnect_after")
    assert slow.submit(duration=99).status_code == 422
    assert slow.charges()["count"] == count


@pytest.mark.parametrize("where", ["submit", "status", "result"])
def test_failed_result(quick, where):
    request_id = None if where == "submit" else quick.accepted()
    quick.fault(where, "failed_result", message="Not this.")
    if request_id is None:
        request_id = quick.accepted()
    else:
        call(quick, where, request_id)
    result = quick.ended(request_id)
    assert (result["status"], result["error"]) == ("failed", "Not this.")
    assert "output" not in result
    assert quick.status(request_id)["status"] == "completed"


@pytest.mark.parametrize(("kind", "state"), [("stuck", "in_progress"), ("stuck_in_queue", "in_queue")])
def test_stuck(quick, kind, state):
    quick.fault("submit", kind)
    stuck = quick.accepted()
    quick.ended(quick.accepted(seed=8))
    assert quick.status(stuck)["status"] == quick.result(stuck)["status"] == state
    outcome = quick.post(f"/v1/requests/{stuck}/cancel").json()["outcome"]
    assert outcome == ("cancelled" if kind == "stuck_in_queue" else "not_cancellable")


@pytest.mark.parametrize("where", ["status", "result"])
def test_unknown_word(quick, where):
    request_id = quick.accepted()
    quick.ended(request_id)
    quick.fault(where, "unknown_word")
    assert getattr(quick, where)(request_id)["status"] == "reticulating_splines"
    assert getattr(quick, where)(request_id)["status"] in ("completed", "succeeded")


@pytest.mark.parametrize("url", [None, r"https://127.0.0.1\@cdn.runcomfy.net/x", "file:///etc/passwd"])
def test_hostile_url(quick, url):
    quick.fault("result", "hostile_url", **({} if url is None else {"url": url}))
    request_id = quick.accepted()
    result = quick.ended(request_id)
    assert result["output"]["video"] == (url or "https://files.runcomfy.net.evil.example/video.mp4")
    assert quick.result(request_id)["output"] == result["output"]


def test_the_first_fault_that_fits_hits(slow):
    slow.fault("submit", "http_500", model_id="bytedance/seedance-v2/pro")
    slow.fault("submit", "http_503", times=2)
    slow.fault("submit", "http_429")
    assert [slow.submit().status_code for _ in range(4)] == [503, 503, 429, 200]
    waiting = slow.get("/_sandbox/faults").json()
    assert waiting["count"] == 1
    assert waiting["faults"][0]["left"] == 1
    assert slow.delete("/_sandbox/faults").json() == {"cleared": 1}
    assert slow.get("/_sandbox/faults").json()["count"] == 0


def test_a_fault_for_one_request(slow):
    first, second = slow.accepted(), slow.accepted()
    slow.fault("status", "http_500", request_id=second)
    assert slow.status(first)["status"] == "in_queue"
    assert slow.get(f"/v1/requests/{second}/status").status_code == 500


def test_several_faults_in_one_call(slow):
    faults = [{"where": "balance", "kind": "http_500"}, {"where": "balance", "kind": "http_503"}]
    assert slow.post("/_sandbox/faults", json=faults).json() == {"queued": 2}
    assert [slow.get("/prod/v2/balance").status_code for _ in range(3)] == [500, 503, 200]


def test_a_probability_is_drawn_from_the_seed():
    def hits(seed: int) -> list[bool]:
        queue = FaultQueue(seed)
        queue.add(Fault(where=Where.STATUS, kind=Kind.HTTP_500, probability=0.2, times=10_000))
        return [queue.take(Where.STATUS) is not None for _ in range(2000)]

    assert hits(1) == hits(1) != hits(2)
    assert 300 < sum(hits(1)) < 500


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "cancel", "kind": "black"},
        {"where": "nowhere", "kind": "http_500"},
        {"where": "submit", "kind": "nothing"},
        {"where": "submit", "kind": "http_500", "times": 0},
        {"where": "submit", "kind": "http_500", "probability": 0},
        {"where": "submit"},
        {"where": "submit", "kind": "http_500", "colour": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(quick, fault):
    answer = quick.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_the_documents_table_names_every_kind_and_call():
    text = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))
    where_of = {kind: {where for where in Where if kind in ALLOWED[where]} for kind in Kind}
    calls = {Where.SUBMIT, Where.STATUS, Where.RESULT, Where.CANCEL, Where.MODELS, Where.BALANCE, Where.LOGIN}
    for kind, wheres in where_of.items():
        said = rows[kind.value].replace("any call", ", ".join(sorted(calls)))
        assert {part.strip() for part in said.split(",")} == {where.value for where in wheres}, kind


@pytest.mark.parametrize("where", ["status", "result", "models", "balance"])
def test_a_head_request_does_not_use_up_a_fault(slow, where):
    request_id = slow.accepted()
    slow.fault(where, "http_503")
    address = {"models": f"/v1/models/{HAPPYHORSE}", "balance": "/prod/v2/balance"}
    assert slow.head(address.get(where, f"/v1/requests/{request_id}/{where}")).status_code == 200
    assert call(slow, where, request_id).status_code == 503


def test_a_head_request_for_a_file_does_not_use_up_its_fault(quick):
    url = quick.ended(quick.accepted())["output"]["video"]
    quick.fault("download", "http_503")
    assert quick.head(url).status_code == 200
    assert quick.get(url).status_code == 503
