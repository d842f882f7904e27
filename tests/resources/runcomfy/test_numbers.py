"""Numbers, ids and outputs from outside, whatever stands there: bounded, or not told."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.ledger.leases import LONGEST_PAUSE
from resources.prices.quote import believe
from resources.runcomfy import wire
from resources.runcomfy.refusals import CallSubject, error_code, read_error, retry_after

NOW = datetime(2026, 11, 27, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ODD = st.one_of(JSON, st.integers(-(10**400), 10**400), st.floats(allow_nan=True, allow_infinity=True))


@given(st.one_of(st.text(max_size=40), st.floats().map(str), st.integers(-(10**400), 10**400).map(str)))
def test_a_retry_after_is_bounded_whatever_it_says(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE.total_seconds()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2), ("0", 0), ("-3", 0), ("1764259200", 900), ("1e300", 900), ("inf", 900), ("nan", None), ("soon", None),
        ("Fri, 27 Nov 2026 00:00:30 GMT", 30), ("Fri, 27 Nov 1970 00:00:30 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 900),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 900),
    ],
)  # fmt: skip
def test_a_retry_after_of_each_kind(value: str, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.dictionaries(st.sampled_from(["cost", "created_at", "finished_at", "status", "output", "error"]), ODD))
def test_a_result_is_read_whatever_it_holds(body: dict[str, Any]) -> None:
    answer = wire.read_result(body)
    assert answer.cost_microdollars is None or 0 <= answer.cost_microdollars <= 10**12
    for moment in (answer.created_at, answer.finished_at):
        assert moment is None or wire.EARLIEST <= moment <= wire.LATEST
    assert len(answer.output_urls) <= wire.MAX_OUTPUTS


@given(ODD, ODD, ODD)
def test_every_other_number_is_read_or_not_told(position: Any, balance: Any, price: Any) -> None:
    place = wire.read_status({"status": "in_queue", "queue_position": position}).queue_position
    assert place is None or 0 <= place <= wire.MAX_QUEUE
    read = wire.read_balance({"balance_microdollars": balance, "balance_usd": balance})
    assert read is None or abs(read.microdollars) <= 10**12
    base = wire.read_entry({"model_id": "m", "base_price_usd": price}).base_price_microdollars
    assert base is None or 0 < base <= 10**12


@given(ODD, st.integers(200, 599))
def test_every_code_is_read_or_not_told(code: Any, status: int) -> None:
    found = error_code({"error_code": code}, http_status=status)
    assert found is None or abs(found) < 10**11
    assert read_error("Submit", CallSubject.MODEL, status, {"error_code": code}).message


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"request_id": "a-1"}, ("a-1",)),
        ({"error": {"request_id": "a-1"}}, ("a-1",)),
        ({"detail": [{"ctx": {"request_id": "a-1"}}]}, ("a-1",)),
        ({"data": {"requestId": "a-1"}}, ("a-1",)),
        ({"error_code": 429001, "result_url": "https://x/v1/requests/a-1/result?x=1"}, ("a-1",)),
        ([{"request_id": "a-1"}, {"request_id": "b"}], ("a-1", "b")),
        ({"request_id": 17}, ("17",)),
        ({"input": {"request_id": "mine"}}, ()),
        ({"message": "no"}, ()),
        ({"request_id": None, "id": ""}, ()),
    ],
)
def test_ids_are_found_wherever_they_stand(body: Any, ids: tuple[str, ...]) -> None:
    assert wire.named_ids(json.dumps(body).encode()) == wire.NamedIds(ids)


@pytest.mark.parametrize(
    "text", [b'<html>"request_id": "a-1"', b'{"request_id":"a-1","status', b'x "requestId" : "a-1"']
)
def test_ids_are_found_in_what_is_no_json(text: bytes) -> None:
    assert wire.named_ids(text).ids == ("a-1",)


@pytest.mark.parametrize("odd", ["a/b", "../x", 1.5, "x" * 200])
def test_an_id_that_cannot_be_one_is_told(odd: Any) -> None:
    assert wire.named_ids(json.dumps({"request_id": odd}).encode()) == wire.NamedIds((), unusable=True)


@given(ODD)
def test_ids_are_looked_for_whatever_the_answer_is(body: Any) -> None:
    assert len(wire.named_ids(json.dumps(body).encode()).ids) <= wire.MAX_IDS


@pytest.mark.parametrize(
    ("output", "first", "named"),
    [
        ({"video_cover": "https://x/c", "video": "https://x/v"}, "v", 1),
        ({"video": ["https://x/a", "https://x/b"]}, "a", 2),
        ({"images": ["https://x/i"], "videos": [{"url": "https://x/v"}]}, "v", 1),
        ({"thumbnail": "https://x/t", "video_url": "https://x/u"}, "u", 0),
        ("https://x/v", "v", 0),
    ],
)
def test_outputs_come_in_the_order_in_which_they_are_tried(output: Any, first: str, named: int) -> None:
    answer = wire.read_result({"status": "succeeded", "output": output})
    assert answer.output_urls[0].get_secret_value() == f"https://x/{first}"
    assert answer.named_videos == named


@given(st.integers(0, 10**12), st.none() | st.integers(0, 10**8), st.booleans())
def test_a_cost_counts_as_told_or_as_planned(reported: int, planned: int | None, succeeded: bool) -> None:
    belief = believe(reported, planned, succeeded=succeeded)
    assert belief.microdollars in {reported, planned or None}
    if belief.doubt:
        assert (reported == 0 and succeeded) or (planned and reported > 5 * planned)
    else:
        assert belief.microdollars == reported


def test_bounds_are_what_they_are_said_to_be() -> None:
    assert timedelta(minutes=15) == LONGEST_PAUSE
    assert math.isclose(LONGEST_PAUSE.total_seconds(), 900)
