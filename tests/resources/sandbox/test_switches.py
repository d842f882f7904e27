"""Where the sources disagree, a switch plays either side."""

import pytest

HAPPYHORSE = "happyhorse/happyhorse-1-0/image-to-video"


def failed(client) -> str:
    client.fault("submit", "failed_result")
    request_id = client.accepted()
    client.ended(request_id)
    return request_id


@pytest.mark.parametrize("status", [401, 403, 400])
def test_auth_error(quick, status):
    quick.switch(auth_error=str(status))
    answer = quick.get("/v1/models", headers={"Authorization": "Bearer revoked"})
    assert (answer.status_code, answer.json()["error_code"]) == (status, 400004)


@pytest.mark.parametrize("status", [402, 400])
def test_no_balance(slow, status):
    slow.switch(no_balance=str(status))
    slow.put("/_sandbox/balance", json={"balance_usd": -1})
    assert slow.get("/prod/v2/balance").json()["balance_microdollars"] == -1_000_000
    answer = slow.submit()
    assert (answer.status_code, answer.json()["error_code"]) == (status, 400002)


def test_early_result(slow):
    request_id = slow.accepted()
    slow.switch(early_result="400")
    answer = slow.get(f"/v1/requests/{request_id}/result")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 400005)


def test_failed_status(quick):
    request_id = failed(quick)
    assert quick.result(request_id)["status"] == "failed"
    assert quick.status(request_id)["status"] == "completed"
    quick.switch(failed_status="failed")
    assert quick.status(request_id)["status"] == "failed"


def test_failed_error_and_charge(quick):
    request_id = failed(quick)
    assert isinstance(quick.result(request_id)["error"], str)
    assert quick.result(request_id)["cost"] == pytest.approx(0.6)
    quick.switch(failed_error="object", charge_failed=False)
    assert quick.result(request_id)["error"]["message"]
    assert quick.result(request_id)["cost"] == 0
    charge = next(one for one in quick.charges()["charges"] if one["request_id"] == request_id)
    assert charge["refunded"]


def test_submit_status(slow):
    slow.switch(submit_status="202")
    assert slow.submit().status_code == 202


def test_output(quick):
    request_id = quick.accepted()
    url = quick.ended(request_id)["output"]["video"]
    quick.switch(output="videos")
    assert quick.result(request_id)["output"] == {"videos": [url]}


@pytest.mark.parametrize(
    ("switch", "gone", "left"),
    [
        ({"documented_ids": False}, "bytedance/seedance-v2/pro", "bytedance/seedance-2.0/pro"),
        ({"catalogue_ids": False}, "bytedance/seedance-2.0/pro", "bytedance/seedance-v2/pro"),
        ({"missing_models": ["wan-ai/wan-2.7/image-to-video"]}, "wan-ai/wan-2.7/image-to-video", HAPPYHORSE),
    ],
)
def test_ids_can_be_missing(quick, switch, gone, left):
    quick.switch(**switch)
    for answer in (quick.get(f"/v1/models/{gone}"), quick.post(f"/v1/models/{gone}", json={})):
        assert (answer.status_code, answer.json()["error_code"]) == (404, 404001)
    assert quick.get(f"/v1/models/{left}").status_code == 200
    listed = {entry["model_id"] for entry in quick.get("/v1/models").json()["models"]}
    assert gone not in listed
    assert left in listed


def test_spellings(slow):
    request_id = slow.accepted()
    slow.switch(cancelled_word="canceled", cancel_outcome="cancellation_requested")
    cancel = slow.post(f"/v1/requests/{request_id}/cancel").json()
    assert (cancel["status"], cancel["outcome"]) == ("canceled", "cancellation_requested")
    assert slow.status(request_id)["status"] == slow.result(request_id)["status"] == "canceled"


@pytest.mark.parametrize("name", ["message", "error_message", "error", "detail"])
def test_error_fields(quick, name):
    quick.switch(error_text_name=name, error_code_name="code")
    body = quick.get("/v1/requests/x/status").json()
    assert body["code"] == 404001
    assert "unknown" in body[name]


def test_queue_base(slow):
    request_id = slow.accepted()
    one = slow.status(request_id)["queue_position"]
    slow.switch(queue_base=0)
    assert slow.status(request_id)["queue_position"] == one - 1


def test_cost_can_be_late_or_missing(quick):
    request_id = quick.accepted()
    assert "cost" in quick.ended(request_id)
    quick.switch(cost_delay_seconds=1000)
    assert "cost" not in quick.result(request_id)
    quick.switch(cost_delay_seconds=0, cost=False)
    assert "cost" not in quick.result(request_id)


def test_the_input_is_echoed_or_not(slow):
    request_id = slow.accepted()
    assert slow.result(request_id)["input"]["duration"] == 3
    slow.switch(echo_input=False)
    assert "input" not in slow.result(request_id)


def test_price_unit(slow):
    slow.switch(price_unit="output")
    assert slow.get(f"/v1/models/{HAPPYHORSE}").json()["price_unit"] == "output"
    slow.accepted(duration=10)
    assert slow.charges()["charges"][-1]["price_microdollars"] == 200_000


def test_logins(quick):
    quick.switch(login_auto_approve=True)
    code = quick.post("/api/cli-auth/start").json()["device_code"]
    assert quick.post("/api/cli-auth/poll", json={"device_code": code}).json()["status"] == "authorized"
    quick.switch(login_auto_approve=False, login_ended_status="200")
    login = quick.post("/api/cli-auth/start").json()
    said = {"user_code": login["user_code"], "decision": "denied"}
    assert quick.post("/_sandbox/logins", json=said).json() == {"status": "denied"}
    answer = quick.post("/api/cli-auth/poll", json={"device_code": login["device_code"]})
    assert (answer.status_code, answer.json()["status"]) == (200, "denied")


def test_an_unknown_switch_is_refused(quick):
    for body in ({"nope": 1}, {"auth_error": "500"}, []):
        assert quick.put("/_sandbox/switches", json=body).status_code == 422


def test_switches_that_are_not_named_stay(quick):
    quick.switch(output="videos")
    quick.switch(early_result="400")
    switches = quick.get("/_sandbox/switches").json()
    assert (switches["output"], switches["early_result"]) == ("videos", "400")
