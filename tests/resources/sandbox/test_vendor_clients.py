"""The shapes that the vendor's own clients insist on, call by call as each of them makes them (the programs do not run)."""

import math
import re

import pytest

HAPPYHORSE = "happyhorse/happyhorse-1.0/image-to-video"
ENDS = ("completed", "succeeded", "failed", "cancelled", "canceled")


def optional(value: object, kind: type) -> bool:
    return value is None or (isinstance(value, kind) and not isinstance(value, bool))


def test_the_command_line_tool(quick):
    """Strict types, the base's own status URL, the answer's result URL, every URL of the output fetched."""
    submit = quick.submit(HAPPYHORSE)
    assert submit.is_success
    answer = submit.json()
    assert isinstance(answer["request_id"], str)
    assert all(optional(answer.get(name), str) for name in ("status_url", "result_url", "cancel_url"))
    words = []
    while not words or words[-1] not in ENDS:
        status = quick.get(f"/v1/requests/{answer['request_id']}/status").json()
        assert isinstance(status["request_id"], str)
        assert optional(status.get("queue_position"), int)
        assert optional(status.get("result_url"), str)
        words.append(status["status"])
    assert set(words) <= {"in_queue", "in_progress", "completed"}
    result = quick.get(answer["result_url"]).json()
    assert isinstance(result["request_id"], str)
    assert all(optional(result.get(name), str) for name in ("created_at", "finished_at"))
    assert result["status"] == "succeeded"
    [url] = result["output"].values()
    name = url.split("?")[0].rsplit("/", 1)[-1]
    assert name == f"{answer['request_id']}.mp4"  # what it calls the file
    assert quick.get(url).content[4:8] == b"ftyp"


def test_the_command_line_tool_cancels_on_interrupt(slow):
    answer = slow.submit(HAPPYHORSE).json()
    cancel = slow.post(answer["cancel_url"])
    assert cancel.is_success
    assert {"outcome", "status"} <= cancel.json().keys()


def test_the_command_line_tool_lists_models(quick):
    answer = quick.get("/v1/models?limit=50&offset=0").json()
    assert isinstance(answer["total"], int)
    for entry in answer["models"]:
        assert {"model_id", "display_name", "categories", "base_price_usd", "price_unit"} <= entry.keys()
    assert all(isinstance(name, str) for name in quick.get("/v1/models/categories").json()["categories"])


def test_the_mcp_servers_client(quick):
    """Polls /status to its end, then asks /result without the cost; an error_code in a 200 is an error for it."""
    quick.fault("submit", "failed_result", message="Refused.")
    request_id = quick.accepted(HAPPYHORSE)
    quick.ended(request_id)
    for path in ("status", "result"):
        answer = quick.get(f"/v1/requests/{request_id}/{path}").json()
        assert answer.get("error_code") is None
        assert answer["status"].lower() in ("completed", "failed")
    listed = quick.get("/v1/models", params=[("limit", "100"), ("offset", "0"), ("include_schema", "true")]).json()
    assert all(entry["input_schema"]["properties"] for entry in listed["models"])


def test_the_partner_nodes_client(quick):
    """A price first, media inline, then only /result is polled, with the cost; redirects are off, JSON is checked."""
    entry = quick.get(f"/v1/models/{HAPPYHORSE}", follow_redirects=False).json()
    price = entry["base_price_usd"]
    assert (entry["model_id"], entry["price_unit"]) == (HAPPYHORSE, "second")
    assert isinstance(price, int | float)
    assert math.isfinite(price)
    request_id = quick.accepted(HAPPYHORSE)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", request_id)
    states = []
    while not states or states[-1] not in ENDS:
        answer = quick.get(f"/v1/requests/{request_id}/result", params={"include_cost": "true"})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        result = answer.json()
        assert result["model_id"] == HAPPYHORSE
        states.append(result["status"])
    assert set(states) <= {"in_queue", "in_progress", "succeeded"}
    assert result["cost"] == pytest.approx(price * 3)
    assert isinstance(result["output"]["video"], str)
    cancel = quick.post(f"/v1/requests/{request_id}/cancel").json()
    assert cancel["outcome"] == "not_cancellable"
