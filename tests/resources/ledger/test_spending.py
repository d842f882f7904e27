"""Each submission is reported once: as open, settled, returned, or wasted."""

from i2v_assets.reports.spend import Reuse, spend_table, totals
from resources.ledger.records import State

PRICE = 1_000_000


def sums(book):
    reuses = [Reuse(r.day, r.route, r.model_id, r.clip, r.price) for r in book.ledger.reuses("sandbox")]
    return totals(spend_table(book.ledger.spent("sandbox"), reuses, sources={}))


def test_every_end_of_a_submission_is_reported_correctly(book):
    book.at(State.SUBMITTED)
    assert sums(book) == dict.fromkeys(sums(book), 0) | {"requests": 1, "reserved": PRICE, "open": PRICE}
    failed = book.at(State.FAILED)
    assert (sums(book)["open"], sums(book)["wasted"]) == (2 * PRICE, 0)  # it may still be charged
    book.ledger.settle(failed, 300_000, attempt=1)
    assert (sums(book)["open"], sums(book)["wasted"], sums(book)["settled"]) == (PRICE, 300_000, 300_000)
    book.ledger.retry(failed, by="test", attempt=1)
    book.claim(failed)
    book.ledger.submitted(failed, attempt=2, owner="a", request_id="second")
    book.ledger.succeeded(failed, attempt=2, cost_microdollars=700_000)
    assert (sums(book)["wasted"], sums(book)["settled"]) == (300_000, 1_000_000)  # the first attempt stays wasted
    refused = book.plan()
    book.claim(refused)
    book.ledger.refused(refused, attempt=1, owner="a", reason="no", final=True)
    assert sums(book)["refused"] == PRICE
    assert sums(book)["requests"] == 4
    budget = book.ledger.spend(book.clock().date(), service="sandbox")
    assert budget.microdollars == sums(book)["open"] + sums(book)["settled"]


def test_a_reuse_is_recorded_once_for_each_version(book):
    name = book.at(State.SUCCEEDED)
    book.ledger.settle(name, 400_000)
    for version in ("v1", "v1", "v2"):
        book.ledger.reused(name, clip="my-token", version=version)
    assert [(r.clip, r.price) for r in book.ledger.reuses("sandbox")] == [("my-token", 400_000)] * 2
    assert book.ledger.reuses("runcomfy") == ()
    assert sums(book)["saved"] == 800_000
