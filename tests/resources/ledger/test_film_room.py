"""The budget keeps room for all requests of a film, until each is sent, the film ends, or its process died."""

from datetime import UTC

import pytest

from resources.ledger.film_room import Film, NoRoom
from resources.ledger.records import Caps, Claimed, OverBudget

PRICE = 1_000_000
FIRST, SECOND, THIRD = (digit * 64 for digit in "abc")


def film(*pieces: str, holder: str = "h1", run: str = "run-1") -> Film:
    return Film(holder, "sandbox", run, dict.fromkeys(pieces, PRICE))


def caps(dollars: float, per_run: float = 1000, requests: int = 100, requests_per_run: int = 100) -> Caps:
    return Caps(round(dollars * PRICE), requests, round(per_run * PRICE), requests_per_run, UTC)


def refusal_beside_a_film(book, cap: Caps) -> str:
    """Keep the room of a film of two requests, claim another request, and return why the next one is refused."""
    assert book.ledger.keep_room(film(FIRST, SECOND), cap, 300) is None
    assert isinstance(book.claim(book.plan(), caps=cap), Claimed)
    refused = book.claim(book.plan(), caps=cap)
    assert isinstance(refused, OverBudget)
    return refused.text


def test_other_requests_do_not_take_the_room_of_a_film(book):
    three = caps(3)
    assert "$3.00 of at most $3.00 today are spent or reserved" in refusal_beside_a_film(book, three)
    for piece in (FIRST, SECOND):  # each of its own requests has its room, once
        assert isinstance(book.claim(book.plan(piece), caps=three), Claimed)
    assert book.ledger.kept_room("sandbox").microdollars == 0
    assert book.ledger.spent_today("sandbox").reserved_microdollars == 3 * PRICE


def test_a_second_film_sees_the_first_and_fits_once_it_ended(book):
    cap = caps(3)
    assert book.ledger.keep_room(film(FIRST, SECOND), cap, 300) is None
    other = film(THIRD, "d" * 64, holder="h2", run="run-2")
    assert book.ledger.keep_room(other, cap, 300) == NoRoom(2, 2 * PRICE, PRICE, 2 * PRICE, 98, 2)
    book.ledger.release_room(film(FIRST, SECOND))
    assert book.ledger.keep_room(other, cap, 300) is None


def test_requests_that_two_films_share_are_counted_once(book):
    cap = caps(3)
    assert book.ledger.keep_room(film(FIRST, SECOND), cap, 300) is None
    assert book.ledger.keep_room(film(SECOND, THIRD, holder="h2"), cap, 300) is None
    assert book.ledger.kept_room("sandbox").microdollars == 3 * PRICE


def test_what_is_paid_of_a_film_needs_no_room(book):
    assert isinstance(book.claim(book.plan(FIRST)), Claimed)
    assert book.ledger.keep_room(film(FIRST, SECOND, THIRD), caps(3), 300) is None
    assert book.ledger.kept_room("sandbox").microdollars == 2 * PRICE


@pytest.mark.parametrize(
    ("cap", "left_requests"),
    [(caps(9, per_run=3), 98), (caps(100, requests_per_run=3), 1)],
    ids=["dollars", "requests"],
)
def test_the_cap_of_a_run_counts_its_own_films_alone(book, cap: Caps, left_requests: int):
    assert book.ledger.keep_room(film(FIRST, SECOND), cap, 300) is None
    others = THIRD, "d" * 64
    refused = book.ledger.keep_room(film(*others, holder="h2"), cap, 300)
    assert isinstance(refused, NoRoom)
    assert (refused.unsent, refused.left_requests) == (2, left_requests)
    assert book.ledger.keep_room(film(*others, holder="h3", run="run-2"), cap, 300) is None


def test_other_requests_of_a_run_do_not_take_the_room_of_its_film(book):
    cap = caps(9, per_run=3)
    assert "$3.00 of at most $3.00 in this run are spent or reserved" in refusal_beside_a_film(book, cap)
    assert isinstance(book.claim(book.plan(), caps=cap, run_id="run-2"), Claimed)


def test_the_room_of_a_process_that_died_ends_with_its_lease(sqlite_book):
    ledger, clock, cap = sqlite_book.ledger, sqlite_book.clock, caps(3)
    assert ledger.keep_room(film(FIRST, SECOND), cap, 300) is None
    clock.forward(200)
    ledger.renew_room(film(FIRST, SECOND), 300)
    clock.forward(200)
    other = film(THIRD, "d" * 64, holder="h2")
    assert isinstance(ledger.keep_room(other, cap, 300), NoRoom)
    clock.forward(101)
    assert ledger.kept_room("sandbox").microdollars == 0
    assert ledger.keep_room(other, cap, 300) is None


def test_the_caps_on_requests_have_room_for_all_of_a_film_or_for_none(book):
    three = caps(100, requests=3)
    assert "3 of at most 3 requests today are used" in refusal_beside_a_film(book, three)
    other = film(THIRD, "d" * 64, holder="h2", run="run-2")
    assert book.ledger.keep_room(other, three, 300) == NoRoom(2, 2 * PRICE, 97 * PRICE, 2 * PRICE, 0, 2)
    for piece in (FIRST, SECOND):
        assert isinstance(book.claim(book.plan(piece), caps=three), Claimed)
    assert book.ledger.kept_room("sandbox") == (0, 0)


def test_a_film_that_ends_leaves_the_room_of_one_that_shares_its_requests(book):
    cap = caps(3)
    first, same = film(FIRST, SECOND), film(FIRST, SECOND, holder="h2")
    assert book.ledger.keep_room(first, cap, 300) is None
    assert book.ledger.keep_room(same, cap, 300) is None
    book.ledger.release_room(same)
    other = film(THIRD, "d" * 64, holder="h3")
    assert isinstance(book.ledger.keep_room(other, cap, 300), NoRoom)
