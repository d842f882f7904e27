"""Hidden price rules, a substituted model, and words that no documentation lists."""

from typing import Any

import pytest

from resources.sandbox.prices import BilledWork, PriceRules, bill

WORK = BilledWork("a/b", "1080p", 5, "on", 2, 1, 4.0)


def cost(rules: dict[str, Any], *, number: int = 0, age: float = 0) -> int:
    return bill(PriceRules(**rules), 1_000_000, 200_000, WORK, number=number, age=age, hour=3).microdollars


@pytest.mark.parametrize(
    ("rules", "microdollars"),
    [
        ({}, 1_000_000),
        ({"factors": {"resolution": {"1080p": 1.5}}}, 1_500_000),
        ({"factors": {"resolution": {"720p": 1.5}}}, 1_000_000),
        ({"factors": {"resolution": {"1080p": 1.5}, "sound": {"on": 1.2}, "duration": {"5": 2}}}, 3_600_000),
        (
            {"factors": {"images": {"2": 1.1}, "videos": {"1": 1.1}, "hour": {"3": 2}, "model_id": {"a/b": 1}}},
            2_420_000,
        ),
        ({"input_seconds": 0.5}, 1_400_000),
        ({"per_image_usd": 0.05}, 1_100_000),
        ({"factor": 1.234567, "round_to_usd": 0.01}, 1_230_000),
        ({"outliers": 1, "outlier_factor": 4}, 4_000_000),
    ],
)
def test_rules_say_what_a_request_costs(rules: dict[str, Any], microdollars: int) -> None:
    assert cost(rules) == microdollars


def test_prices_drift_with_requests_and_with_time() -> None:
    assert cost({"drift_per_request": 0.01}, number=2) == 1_020_100
    assert cost({"drift_per_hour": 0.5}, age=7200) == 2_250_000


def test_shares_are_drawn_and_the_same_for_the_same_seed() -> None:
    rules = PriceRules(outliers=0.05, late=0.1, late_seconds=9, missing=0.1, seed=4)
    bills = [bill(rules, 1_000_000, 200_000, WORK, number=number, age=0, hour=0) for number in range(2000)]
    assert bills == [bill(rules, 1_000_000, 200_000, WORK, number=number, age=0, hour=0) for number in range(2000)]
    for share, found in (
        (0.05, [each for each in bills if each.microdollars > 1_000_000]),
        (0.1, [each for each in bills if each.delay is None]),
        (0.09, [each for each in bills if each.delay == 9]),
    ):
        assert len(found) / 2000 == pytest.approx(share, abs=0.03)


def test_a_request_is_charged_by_the_rules_that_held_when_it_was_accepted(quick: Any) -> None:
    before = quick.charges()["total_microdollars"]
    quick.put("/_sandbox/prices", json={"factors": {"resolution": {"1080p": 1.5}}}).raise_for_status()
    request_id = quick.accepted(resolution="1080P")
    quick.put("/_sandbox/prices", json={"factor": 9}).raise_for_status()
    ended = quick.ended(request_id)
    told = quick.get(f"/v1/requests/{request_id}/result", params={"include_cost": "true"}).json()
    assert ended["status"] == "succeeded"
    assert quick.charges()["total_microdollars"] - before == round(told["cost"] * 1e6) == 900_000
    assert quick.get("/_sandbox/prices").json()["factor"] == 9
    assert quick.delete("/_sandbox/prices").json()["factor"] == 1


def test_a_missing_cost_is_never_told(quick: Any) -> None:
    quick.put("/_sandbox/prices", json={"missing": 1}).raise_for_status()
    request_id = quick.accepted(resolution="1080P")
    quick.ended(request_id)
    assert "cost" not in quick.get(f"/v1/requests/{request_id}/result", params={"include_cost": "true"}).json()


@pytest.mark.parametrize(
    "rules",
    [{"factors": {"colour": {"red": 2}}}, {"factors": {"resolution": {"1080p": -1}}}, {"unheard": 1}, {"late": 2}],
)
def test_rules_that_cannot_be_are_refused(quick: Any, rules: dict[str, Any]) -> None:
    assert quick.put("/_sandbox/prices", json=rules).status_code == 422


def test_another_model_answers_in_other_words(slow: Any) -> None:
    slow.switch(answering_model="wan-ai/wan-2.7/text-to-video", waiting_word="pending", working_word="processing")
    request_id = slow.accepted()
    answer = slow.get(f"/v1/requests/{request_id}/result").json()
    assert answer["model_id"] == "wan-ai/wan-2.7/text-to-video"
    assert answer["status"] in {"pending", "processing"}


@pytest.mark.parametrize(
    ("side", "taken"), [({"no_balance": 400}, "400"), ({"queue_base": "0"}, 0), ({"auth_error": 403}, "403")]
)
def test_a_side_is_taken_as_a_number_or_as_text(quick: Any, side: dict[str, Any], taken: object) -> None:
    (name,) = side
    assert quick.put("/_sandbox/switches", json=side).json()[name] == taken


def test_entries_are_of_the_kind_that_the_vendors_tool_asks_for(quick: Any) -> None:
    assert quick.get("/v1/models", params={"kind": "model"}).json()["total"] > 0


def test_the_page_of_a_login_carries_no_code_and_takes_one(quick: Any) -> None:
    start = quick.post("/api/cli-auth/start").json()
    assert start["user_code"] not in start["verify_url"]
    assert 'name="code"' in quick.get(start["verify_url"]).text
    page = quick.get(start["verify_url"], params={"code": start["user_code"].lower()})
    assert "Authorize" in page.text
