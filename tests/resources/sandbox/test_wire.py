"""Every call of docs/runcomfy-api.md, in the form that the documentation and the vendor's own clients expect."""

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from resources.sandbox.app import create_app
from resources.sandbox.config import SandboxConfig
from resources.sandbox.core import Sandbox

HAPPYHORSE = "happyhorse/happyhorse-1-0/image-to-video"
HAPPYHORSE_CATALOGUE = "happyhorse/happyhorse-1.0/image-to-video"
WAN_T2V = "wan-ai/wan-2-7/text-to-video"
WAN_T2V_CATALOGUE = "wan-ai/wan-2.7/text-to-video"
WAN_I2V = "wan-ai/wan-2.7/image-to-video"
SEEDANCE = "bytedance/seedance-v2/pro"
SEEDANCE_CATALOGUE = "bytedance/seedance-2.0/pro"
ALL = (HAPPYHORSE, HAPPYHORSE_CATALOGUE, WAN_T2V, WAN_T2V_CATALOGUE, WAN_I2V, SEEDANCE, SEEDANCE_CATALOGUE)
LOWER = {"resolution": "720p", "watermark": None}


def test_submit_answers_with_an_id_and_urls_of_its_own(slow):
    answer = slow.submit()
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", body["request_id"])
    base = f"{slow.base_url}/v1/requests/{body['request_id']}".replace("//v1", "/v1")
    assert [body[f"{name}_url"] for name in ("status", "result", "cancel")] == [
        f"{base}/{name}" for name in ("status", "result", "cancel")
    ]
    assert body["status"] == "in_queue"


def test_a_request_in_the_queue(slow):
    first, second = slow.accepted(seed=1), slow.accepted(seed=2)
    status = slow.status(second)
    assert status["request_id"] == second
    assert status["status"] == "in_queue"
    assert status["queue_position"] == slow.status(first)["queue_position"] + 1
    result = slow.result(second)
    assert result["status"] == "in_queue"
    assert result["finished_at"] is None
    assert "output" not in result
    assert "cost" not in result


def test_a_request_to_its_end(quick):
    request_id = quick.accepted()
    result = quick.ended(request_id)
    assert quick.status(request_id)["status"] == "completed"
    assert result["status"] == "succeeded"
    assert result["model_id"] == HAPPYHORSE
    assert result["cost"] == pytest.approx(0.6)
    assert result["created_at"] < result["finished_at"]
    assert set(result["output"]) == {"video"}
    assert result["input"]["prompt"] == "Push in slowly."
    assert "cost" not in quick.get(f"/v1/requests/{request_id}/result").json()


def test_in_progress_comes_between(start):
    server = start(generation_seconds=600, generation_spread=0, queue_share=0)
    with httpx.Client(base_url=server.url, headers={"Authorization": "Bearer x"}, verify=False) as client:
        body = {"prompt": "Pan.", "duration": 2, "resolution": "720p"}
        request_id = client.post(f"/v1/models/{WAN_T2V}", json=body).json()["request_id"]
        assert client.get(f"/v1/requests/{request_id}/status").json()["status"] == "in_progress"
        assert client.get(f"/v1/requests/{request_id}/result").json()["status"] == "in_progress"
        cancel = client.post(f"/v1/requests/{request_id}/cancel")
        assert (cancel.status_code, cancel.json()["outcome"]) == (202, "not_cancellable")


def test_cancel_works_in_the_queue_and_gives_the_money_back(slow):
    before = slow.charges()
    request_id = slow.accepted()
    cancel = slow.post(f"/v1/requests/{request_id}/cancel")
    assert cancel.status_code == 202
    assert cancel.json() == {"request_id": request_id, "status": "cancelled", "outcome": "cancelled"}
    assert slow.status(request_id)["status"] == "cancelled"
    assert slow.result(request_id)["status"] == "cancelled"
    assert slow.result(request_id)["cost"] == 0
    assert slow.post(f"/v1/requests/{request_id}/cancel").json()["outcome"] == "not_cancellable"
    after = slow.charges()
    assert after["count"] == before["count"] + 1  # a submission is a submission
    assert after["total_microdollars"] == before["total_microdollars"]


@pytest.mark.parametrize("model_id", ALL)
def test_every_id_is_in_the_catalogue(quick, model_id):
    entry = quick.get(f"/v1/models/{model_id}").json()
    assert entry["model_id"] == model_id
    assert entry["base_price_usd"] == 0.2
    assert entry["price_unit"] == "second"
    assert "prompt" in entry["input_schema"]["properties"]


@pytest.mark.parametrize(
    ("model_id", "changes"),
    [
        (HAPPYHORSE, {}),
        (HAPPYHORSE_CATALOGUE, {}),
        (WAN_T2V, {**LOWER, "image_url": None, "aspect_ratio": "9:16"}),
        (WAN_T2V_CATALOGUE, {**LOWER, "image_url": None, "aspect_ratio": "9:16"}),
        (WAN_I2V, LOWER),
        (SEEDANCE, {**LOWER, "image_url": [], "duration": 4}),
        (SEEDANCE_CATALOGUE, {**LOWER, "image_url": None, "images": [], "duration": 4}),
    ],
)
def test_every_id_takes_a_submission(slow, model_id, changes):
    assert slow.accepted(model_id, **changes)


def test_the_catalogue_is_searched_and_paged(quick):
    everything = quick.get("/v1/models").json()
    assert everything["total"] == len(ALL) == len(everything["models"])
    assert all("input_schema" not in entry for entry in everything["models"])
    page = quick.get("/v1/models", params={"limit": 2, "offset": 6, "include_schema": "true"}).json()
    assert (len(page["models"]), page["total"], page["limit"], page["offset"]) == (1, 7, 2, 6)
    assert "input_schema" in page["models"][0]
    assert quick.get("/v1/models", params={"search": "SEEDANCE"}).json()["total"] == 2
    assert quick.get("/v1/models", params={"category": "text-to-video"}).json()["total"] == 2
    assert quick.get("/v1/models", params={"kind": "image"}).json()["total"] == 0
    assert quick.get("/v1/models/categories").json() == {"categories": ["image-to-video", "text-to-video"]}


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "offset=-1"])
def test_a_page_out_of_range_is_refused(quick, query):
    assert quick.get(f"/v1/models?{query}").status_code == 422


def test_the_catalogue_can_drift(quick):
    patch = {"base_price_usd": 0.5, "input_schema": {"properties": {"seed": None, "duration": {"maximum": 10}}}}
    assert quick.put(f"/_sandbox/catalogue/{HAPPYHORSE}", json=patch).status_code == 200
    entry = quick.get(f"/v1/models/{HAPPYHORSE}").json()
    assert entry["base_price_usd"] == 0.5
    assert "seed" not in entry["input_schema"]["properties"]
    assert entry["input_schema"]["properties"]["duration"]["maximum"] == 10
    quick.ended(request_id := quick.accepted())
    assert quick.result(request_id)["cost"] == pytest.approx(1.5)
    quick.delete("/_sandbox/catalogue")
    assert quick.get(f"/v1/models/{HAPPYHORSE}").json()["base_price_usd"] == 0.2


def test_the_balance_goes_down_with_each_submission(slow):
    before = slow.get("/prod/v2/balance").json()
    slow.accepted(duration=5)
    after = slow.get("/prod/v2/balance").json()
    assert before["balance_microdollars"] - after["balance_microdollars"] == 1_000_000
    assert after["balance_usd"] == pytest.approx(after["balance_microdollars"] / 1e6)
    assert after["currency"] == "USD"


def test_an_empty_account_cannot_submit(slow):
    count = slow.charges()["count"]
    slow.put("/_sandbox/balance", json={"balance_usd": 0})
    answer = slow.submit()
    assert (answer.status_code, answer.json()["error_code"]) == (402, 400002)
    assert slow.charges()["count"] == count


@pytest.mark.parametrize("decision", ["authorized", "denied"])
def test_device_login(quick, decision):
    start = quick.post("/api/cli-auth/start").json()
    assert start["poll_interval"] >= 1
    assert start["expires_in"] > 0

    def poll() -> httpx.Response:
        return quick.post("/api/cli-auth/poll", json={"device_code": start["device_code"]})

    assert poll().json() == {"status": "pending"}
    assert start["user_code"] not in start["verify_url"]
    page = quick.get(start["verify_url"], params={"code": start["user_code"]})
    assert start["user_code"] in page.text
    assert quick.post("/cli-auth", data={"code": start["user_code"], "decision": decision}).status_code == 200
    answer = poll()
    assert answer.json()["status"] == decision
    if decision == "denied":
        assert answer.status_code == 410
    else:
        me = quick.get("/api/auth/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}).json()
        assert me == {"id": "sandbox-user", "email": "sandbox@sandbox.invalid", "token_type": "Bearer"}


def test_an_unknown_device_code_has_expired(quick):
    answer = quick.post("/api/cli-auth/poll", json={"device_code": "nope"})
    assert (answer.status_code, answer.json()) == (410, {"status": "expired"})


CALLS = [
    ("POST", f"/v1/models/{HAPPYHORSE}"),
    ("GET", "/v1/models"),
    ("GET", f"/v1/models/{HAPPYHORSE}"),
    ("GET", "/v1/models/categories"),
    ("GET", "/v1/requests/x/status"),
    ("GET", "/v1/requests/x/result"),
    ("POST", "/v1/requests/x/cancel"),
    ("GET", "/prod/v2/balance"),
    ("GET", "/api/auth/me"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("header", [None, "Bearer", "Basic abc", "Bearer a b", "Bearer expired-token"])
def test_every_call_wants_a_token(quick, method, path, header):
    headers = {} if header is None else {"Authorization": header}
    del quick.headers["Authorization"]
    answer = quick.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (401, 400004)


def error(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("error_code")


def test_errors_have_a_status_and_a_code(quick):
    assert error(quick.post("/v1/models/nobody/knows", json={})) == (404, 404001)
    assert error(quick.post("/v1/models/no model/x", json={})) == (400, 400001)
    assert error(quick.get("/v1/requests/unknown/status")) == (404, 404001)
    assert error(quick.get("/v1/requests/unknown/result")) == (404, 404001)
    assert error(quick.get("/nowhere")) == (404, 404000)
    assert error(quick.delete("/v1/models")) == (405, 405000)
    assert quick.get("/v1/models/", follow_redirects=False).status_code in (400, 404)


def test_another_account_may_not_read(slow):
    request_id = slow.accepted()
    for path in ("status", "result"):
        answer = slow.get(f"/v1/requests/{request_id}/{path}", headers={"Authorization": "Bearer other-token"})
        assert error(answer) == (403, 403001)


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"prompt": None}, ["body", "prompt"]),
        ({"duration": 2}, ["body", "duration"]),
        ({"duration": 16}, ["body", "duration"]),
        ({"duration": "5"}, ["body", "duration"]),
        ({"resolution": "720p"}, ["body", "resolution"]),
        ({"seed": -1}, ["body", "seed"]),
        ({"seed": 2**31}, ["body", "seed"]),
        ({"image_url": "ftp://host/x.jpg"}, ["body", "image_url"]),
        ({"colour": "red"}, ["body", "colour"]),
    ],
)
def test_a_body_that_does_not_fit_the_schema(slow, changes, location):
    count = slow.charges()["count"]
    answer = slow.submit(**changes)
    assert error(answer) == (422, 422001)
    assert [part["loc"] for part in answer.json()["detail"]] == [location]
    assert slow.charges()["count"] == count


def test_a_body_that_is_not_json(slow):
    answer = slow.post(f"/v1/models/{HAPPYHORSE}", content=b"{nope")
    assert error(answer) == (422, 422001)


def test_the_openapi_document_names_every_route(quick, tmp_path):
    app = create_app(Sandbox(SandboxConfig(data=tmp_path)))
    served = {
        (method.lower(), re.sub(r":path}", "}", route.path))
        for route in app.routes
        for method in route.methods - {"HEAD"}
    }
    document = quick.get("/_sandbox/openapi.json").json()
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == served
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/v1/models/{HAPPYHORSE}"), ("POST", "/_sandbox/faults"), ("PUT", "/_sandbox/switches")],
)
def test_a_body_that_is_nested_too_deep_is_refused(slow, method, path):
    answer = slow.request(method, path, content=b"[" * 100_000)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_login_poll_that_is_nested_too_deep_is_refused(slow):
    assert slow.post("/api/cli-auth/poll", content=b"[" * 100_000).status_code == 410
