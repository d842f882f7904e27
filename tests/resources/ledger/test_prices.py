"""Settled costs teach later quotes, and a cost above what was reserved holds its family until a person agrees."""

from dataclasses import replace
from typing import Any

import pytest

from resources.ledger.errors import IllegalTransition, LedgerError
from resources.ledger.holds import ENDPOINT_HELD
from resources.ledger.ledger import Ledger
from resources.ledger.records import Claimed, OverBudget, QuotedPrice, Spend, Unwanted
from resources.prices.billed import Billed
from resources.prices.quote import PastCost
from resources.wait_reason import WaitReason

FAMILY = "happyhorse-1.0/image-to-video"
HD = Billed(family=FAMILY, resolution="1080p", duration=5)
SD = HD.model_copy(update={"resolution": "720p"})


def quoted(billed: Billed = HD) -> QuotedPrice:
    return QuotedPrice(billed.key, 500_000, 600_000, "terms")


def made(book: Any, cost: int | None, billed: Billed = HD, **changes: Any) -> str:
    name: str = book.plan(**changes)
    claim = book.claim(name, quoted=quoted(billed))
    assert isinstance(claim, Claimed), claim
    book.ledger.submitted(name, attempt=1, owner="a", request_id=f"r-{name}")
    book.ledger.succeeded(name, attempt=1, cost_microdollars=cost)
    return name


def claim(book: Any, billed: Billed = HD, **changes: Any) -> Any:
    return book.claim(book.plan(**changes), quoted=quoted(billed))


def test_costs_are_remembered_with_what_they_were_quoted_by(book: Any) -> None:
    for cost in (700_000, 800_000, 900_000):
        made(book, cost)
        book.clock.forward(1)
    made(book, 400_000, SD)
    unsettled, free = made(book, None), made(book, 0)
    past = [PastCost(HD.key, 500_000, "terms", cost, age) for cost, age in ((900_000, 3), (800_000, 4), (700_000, 5))]
    assert list(book.ledger.past_costs("sandbox", HD)) == past
    assert [found.cost for found in book.ledger.past_costs("sandbox", SD)] == [400_000]
    assert book.ledger.past_costs("runcomfy", HD) == ()
    near = book.ledger.past_costs("sandbox", HD.model_copy(update={"duration": 9}))
    assert {found.cost for found in near} == {900_000, 800_000, 700_000, 400_000}, "all of the family, to choose from"
    book.clock.forward(1)
    book.ledger.settle(unsettled, 650_000)
    assert book.ledger.past_costs("sandbox", HD)[0].cost == 650_000, "as late as it was told"
    assert book.row(free).cost_doubted


def test_a_cost_above_what_was_reserved_holds_the_family_for_all_processes(book: Any, ledger_url: str) -> None:
    under_way = book.plan()
    assert isinstance(book.claim(under_way, quoted=quoted()), Claimed)
    dear = made(book, 1_200_000)
    assert book.row(dear).price_surprise == 200_000
    with Ledger.open(ledger_url, book.clock) as other:
        name = book.plan()
        found = other.claim(
            name, owner="another", run_id=None, lease_seconds=60, price_microdollars=1, model_id="m", caps=book.caps,
            max_in_flight=9, quoted=quoted(),
        )  # fmt: skip
    assert isinstance(found, Unwanted)
    assert found.reason is WaitReason.PRICE_AGREEMENT
    assert "cost $1.20, and at most $1.00 was agreed to" in found.text
    assert f"i2v models --accept {FAMILY}" in found.remedy
    assert isinstance(claim(book, family="wan-2.7/text-to-video"), Claimed), "another family goes on"
    book.ledger.submitted(under_way, attempt=1, owner="a", request_id="r-1")
    assert book.ledger.succeeded(under_way, attempt=1, cost_microdollars=1), "what is under way is finished"
    assert book.ledger.is_price_held(dear)


def test_other_parameters_go_on_once_the_costs_under_way_are_told(book: Any) -> None:
    made(book, 1_200_000)
    assert isinstance(claim(book, SD), Unwanted), "the endpoint is held at once"
    book.clock.forward(ENDPOINT_HELD.total_seconds() + 1)
    assert isinstance(claim(book, SD), Claimed)
    assert isinstance(claim(book, HD), Unwanted)
    assert isinstance(book.claim(book.plan()), Unwanted), "parameters that are not known may be those"


def test_a_person_agrees_once_and_the_same_cost_holds_no_more(book: Any) -> None:
    dear = made(book, 1_200_000)
    (hold,) = book.ledger.agree_to_prices("sandbox", FAMILY, by="ann")
    assert (hold.kind, hold.billed, hold.clip) == ("price", HD.key, "hero")
    assert book.ledger.price_holds("sandbox") == ()
    assert not book.ledger.is_price_held(dear)
    book.ledger.settle(dear, 1_200_000)
    assert isinstance(claim(book), Claimed)
    assert book.ledger.agree_to_prices("sandbox", FAMILY, by="ann") == ()
    book.ledger.settle(dear, 1_300_000)
    assert isinstance(claim(book), Unwanted), "it was told dearer still"


def test_what_is_told_beyond_a_doubted_cost_counts_against_the_caps_until_it_is_agreed_to(book: Any) -> None:
    """25 times the price: whether it is right a person has to say, and until then it may be charged."""
    dear = made(book, 25_000_000)
    assert book.row(dear).cost_doubted
    assert book.ledger.spent_today("sandbox") == Spend(1, 1_000_000, 24_000_000)
    assert book.ledger.spend_of("hero") == {dear: Spend(1, 1_000_000, 24_000_000)}
    book.caps = replace(book.caps, usd_per_day_microdollars=20_000_000)
    assert isinstance(claim(book, family="another"), OverBudget)
    book.ledger.agree_to_prices("sandbox", FAMILY, by="ann")
    assert book.ledger.spent_today("sandbox") == Spend(1, 25_000_000, 0)
    assert not book.row(dear).cost_doubted
    book.ledger.settle(dear, 25_000_000)
    assert book.ledger.spent_today("sandbox") == Spend(1, 25_000_000, 0), "told again, it stays agreed to"


def test_surprises_are_listed_with_their_amounts(book: Any) -> None:
    made(book, 900_000)
    dear = made(book, 1_200_000)
    (found,) = book.ledger.surprises("sandbox")
    assert (found.fingerprint, found.clip, found.family) == (dear, "hero", FAMILY)
    assert (found.reserved, found.told) == (1_000_000, 1_200_000)
    book.clock.forward(8 * 86_400)
    assert book.ledger.surprises("sandbox") == ()


def test_another_model_holds_the_whole_family(book: Any) -> None:
    name = book.plan()
    assert isinstance(book.claim(name, quoted=quoted()), Claimed)
    book.ledger.submitted(name, attempt=1, owner="a", request_id="r-1")
    row = book.ledger.succeeded(name, attempt=1, answered_model_id="wan-ai/wan-2.7", substituted=True)
    assert row.answered_model_id == "wan-ai/wan-2.7"
    book.clock.forward(ENDPOINT_HELD.total_seconds() + 1)
    for billed in (HD, SD):
        found = claim(book, billed)
        assert isinstance(found, Unwanted)
        assert "wan-ai/wan-2.7 answered" in found.text
    book.ledger.agree_to_prices("sandbox", FAMILY, by="ann")
    assert isinstance(claim(book), Claimed)


def test_a_request_that_alone_exceeds_a_cap_names_the_setting(book: Any) -> None:
    book.caps = replace(book.caps, usd_per_day_microdollars=999_999)
    found = book.claim(book.plan(), run_id=None)
    assert isinstance(found, OverBudget)
    assert found.text == (
        "This clip may cost $1.00, but at most $0.999999 may be spent today."
        " I2V_SANDBOX_BUDGET_USD_PER_DAY raises the limit."
    )
    book.caps = replace(book.caps, usd_per_day_microdollars=1_000_000)
    assert isinstance(book.claim(book.plan(), run_id=None), Claimed)


@pytest.mark.parametrize("cost", [None, 400_000])
def test_a_cost_that_stays_unknown_counts_as_at_most(book: Any, cost: int | None) -> None:
    book.caps = replace(book.caps, usd_per_day_microdollars=1_500_000)
    made(book, cost)
    expected = OverBudget if cost is None else Claimed
    assert isinstance(claim(book), expected)


def test_a_doubted_cost_teaches_nothing_until_somebody_agrees_or_corrects_it(book: Any) -> None:
    dear = made(book, 25_000_000)
    assert book.ledger.past_costs("sandbox", HD) == ()
    book.ledger.correct_cost(dear, 1_100_000, by="ann")
    assert [past.cost for past in book.ledger.past_costs("sandbox", HD)] == [1_100_000]
    other = made(book, 30_000_000, family="another")
    book.ledger.agree_to_prices("sandbox", "another", by="ann")
    assert sorted(past.cost for past in book.ledger.past_costs("sandbox", HD)) == [1_100_000, 30_000_000]
    assert not book.row(other).cost_doubted


def test_a_corrected_cost_counts_and_is_not_told_otherwise_again(book: Any) -> None:
    dear = made(book, 25_000_000)
    row = book.ledger.correct_cost(dear, 1_100_000, by="ann")
    assert (row.cost_microdollars, row.told_microdollars, row.cost_doubted) == (1_100_000, 1_100_000, False)
    assert book.ledger.spent_today("sandbox") == Spend(1, 1_100_000, 0)
    event = book.ledger.events(dear)[-1]
    assert (event.what, event.owner, event.reason) == ("cost_corrected", "ann", "$1.10 by the bill; it was $25.00")
    assert event.at == book.clock()
    book.ledger.settle(dear, 25_000_000)
    assert book.row(dear) == row, "the service tells it once more"
    assert book.ledger.doubted_costs("sandbox") == ()
    assert isinstance(claim(book), Unwanted), "agreeing is another command"
    assert "By the bill it was $1.10." in book.ledger.price_holds("sandbox")[0].reason
    book.ledger.agree_to_prices("sandbox", FAMILY, by="ann")
    assert isinstance(claim(book), Claimed)
    assert book.row(dear).cost_microdollars == 1_100_000


def test_a_cost_that_was_never_told_is_written_from_the_bill(book: Any) -> None:
    open_cost = made(book, None)
    assert book.ledger.spent_today("sandbox") == Spend(1, 0, 1_000_000)
    book.ledger.correct_cost(open_cost, 0, by="ann")
    assert book.ledger.spent_today("sandbox") == Spend(1, 0, 0)
    assert book.ledger.events(open_cost)[-1].reason == "$0.00 by the bill; it was not known"
    assert book.ledger.past_costs("sandbox", HD) == ()
    book.ledger.correct_cost(open_cost, 700_000, by="bob")
    assert [past.cost for past in book.ledger.past_costs("sandbox", HD)] == [700_000], "corrected once more"
    assert book.ledger.price_holds("sandbox") == ()
    book.ledger.correct_cost(open_cost, 1_500_000, by="bob")
    (hold,) = book.ledger.price_holds("sandbox")
    assert "cost $1.50, and at most $1.00 was agreed to" in hold.reason
    assert [found.told for found in book.ledger.surprises("sandbox")] == [1_500_000]


def test_an_earlier_attempt_is_corrected_by_its_own_id(book: Any) -> None:
    name = book.plan()
    assert isinstance(book.claim(name, quoted=quoted()), Claimed)
    book.ledger.submitted(name, attempt=1, owner="a", request_id="r-1")
    book.ledger.failed(name, attempt=1, reason="no", final=False)
    book.ledger.retry(name, by="ann", attempt=1)
    claimed = book.claim(name, quoted=quoted())
    assert isinstance(claimed, Claimed)
    attempt = claimed.row.attempt
    book.ledger.submitted(name, attempt=attempt, owner="a", request_id="r-2")
    with pytest.raises(IllegalTransition, match="not on a bill yet"):
        book.ledger.correct_cost(name, 1, by="ann")
    assert book.ledger.counted_cost(name, "r-1") == 1_000_000, "its reservation, until its cost is known"
    book.ledger.correct_cost(name, 300_000, by="ann", request_id="r-1")
    assert (book.ledger.counted_cost(name, "r-1"), book.ledger.counted_cost(name)) == (300_000, 1_000_000)
    assert book.row(name).cost_microdollars is None
    assert book.ledger.spent_today("sandbox") == Spend(2, 300_000, 1_000_000)


def test_what_cannot_have_been_charged_has_no_cost_to_correct(book: Any) -> None:
    planned = book.plan()
    with pytest.raises(IllegalTransition, match="no submission that can have been charged"):
        book.ledger.correct_cost(planned, 1, by="ann")
    done = made(book, 1)
    with pytest.raises(IllegalTransition, match="no submission"):
        book.ledger.correct_cost(done, 1, by="ann", request_id="another")
    with pytest.raises(LedgerError, match="not a valid cost"):
        book.ledger.correct_cost(done, -1, by="ann")
    assert book.row(done).cost_microdollars == 1
