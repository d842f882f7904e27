from dataclasses import replace

import pytest

from i2v_assets.clip_folder.notes import Answer, AnswerKind, failed, refused, waiting
from resources.ledger.records import Money
from resources.money import dollars
from resources.problem import Problem
from resources.wait_reason import WaitReason

WIDE = Problem(
    "hero.jpg is 4000 x 900 pixels, aspect 4.44", "aspect from 0.4 to 2.5", "Crop it to 2250 x 900 or taller."
)


def test_a_refusal_says_what_which_limit_what_to_do_and_what_comes_next() -> None:
    answer = refused("hero", [WIDE])
    assert answer.kind.value == "REFUSED.txt"
    assert answer.text == (
        "REFUSED: hero was not made. Nothing was sent to the service and nothing was paid.\n"
        "\n"
        "What: hero.jpg is 4000 x 900 pixels, aspect 4.44\n"
        "Limit: aspect from 0.4 to 2.5\n"
        "What to do: Crop it to 2250 x 900 or taller.\n"
        "\n"
        "What happens next: upload the corrected file under the same name (a converted file under its new name). "
        "The change is noticed by itself, and this note goes away once the clip is made.\n"
    )


def test_several_problems_are_numbered() -> None:
    text = refused("hero", [WIDE, Problem("no prompt")]).text
    assert "\n1.\nWhat: hero.jpg" in text
    assert "\n2.\nWhat: no prompt\n" in text


CHARGED = Money(charged_microdollars=1_200_000, sent=True, request_ids=("r-1",), fingerprints=frozenset({"f"}))
FREE = Money(sent=True, request_ids=("r-1",), fingerprints=frozenset({"f"}))
OPEN = Money(open_microdollars=600_000, open_requests=1, sent=True, request_ids=("r-1",), fingerprints=frozenset({"f"}))
UNCONFIRMED = Money(open_microdollars=600_000, open_requests=1, sent=True, unconfirmed=True)


@pytest.mark.parametrize(
    ("money", "words"),
    [
        (OPEN, "A request was sent, and up to $0.60 may be charged; the service has not said what it charged."),
        (FREE, "Nothing was charged."),
        (CHARGED, "$1.20 was charged."),
        (replace(CHARGED, open_requests=1), "$1.20 was charged. A request was sent, and it may be charged; "),
    ],
)
def test_a_failure_says_what_was_charged(money: Money, words: str) -> None:
    answer = failed("hero", Problem("content refused"), money, reason=WaitReason.NEVER)
    assert answer.kind is AnswerKind.FAILED
    assert words in answer.text
    assert "was sent to the service" in answer.text
    assert "nothing by itself. Run: i2v retry hero, or upload a changed file or brief." in answer.text
    assert "Request: r-1" in answer.text


def test_a_failure_before_anything_was_sent_does_not_say_that_it_was() -> None:
    text = failed("hero", Problem("no token"), Money(), reason=WaitReason.NEVER).text
    assert text.startswith("FAILED: hero was not made. Nothing was sent to the service and nothing was paid.\n")


def test_a_failure_for_good_does_not_ask_to_try_the_same_again() -> None:
    text = failed("hero", Problem("content"), FREE, reason=WaitReason.FINAL).text
    assert "upload a changed file or brief." in text
    assert "i2v retake hero" in text
    assert "i2v retry" not in text


def test_a_failure_that_is_tried_again_says_so() -> None:
    assert "(1 more attempt)" in failed("h", Problem("x"), FREE, reason=WaitReason.RETRY, retries_left=1).text
    assert "(2 more attempts)" in failed("h", Problem("x"), FREE, reason=WaitReason.RETRY, retries_left=2).text
    assert "i2v retry h" in failed("h", Problem("x"), FREE, reason=WaitReason.RETRY).text


def test_waiting_tells_paid_from_unpaid() -> None:
    problem = Problem("waits for its turn")
    held = waiting("hero", problem, Money(), reason=WaitReason.BUDGET, price_microdollars=900_000)
    assert held.text.startswith("WAITING: hero is not made yet. Nothing was paid yet. It will cost about $0.90.")
    assert "What happens next: it goes on by itself as soon as this is out of the way." in held.text
    unknown = waiting("hero", Problem("no answer"), UNCONFIRMED, reason=WaitReason.UNKNOWN)
    assert "A request may have been sent, and up to $0.60 may be charged" in unknown.text
    assert "will cost" not in unknown.text
    assert "What happens next: nothing by itself. It goes on once a person has run: i2v ledger resolve" in unknown.text


@pytest.mark.parametrize("money", [Money(), Money(earlier_requests=1), OPEN, FREE, CHARGED, UNCONFIRMED])
@pytest.mark.parametrize("reason", list(WaitReason))
def test_no_answer_says_that_nothing_was_paid_unless_the_ledger_does(reason: WaitReason, money: Money) -> None:
    problem = Problem("what happened")
    answers = [
        waiting("hero", problem, money, reason=reason, price_microdollars=600_000),
        failed("hero", problem, money, reason=reason),
        refused("hero", [problem], money),
    ]
    for answer in answers:
        nothing = "Nothing was paid" in answer.text or "nothing was paid" in answer.text
        assert nothing == (not money.sent), answer.text
        assert ("Nothing was charged" in answer.text) == (money is FREE), answer.text
        assert all(f"Request: {each}" in answer.text for each in money.request_ids)


@pytest.mark.parametrize("reason", list(WaitReason))
def test_an_answer_says_whether_the_clip_goes_on_by_itself(reason: WaitReason) -> None:
    following = waiting("hero", Problem("x"), Money(), reason=reason).next
    assert following.startswith("it goes on by itself") == reason.resumes_by_itself


@pytest.mark.parametrize(
    "answer",
    [
        refused("a\nWhat: forged", [Problem("x\n\nWhat happens next: pay me", "l\r\nx", "y\u2028z")]),
        failed(
            "a",
            Problem("see https://x.example/?X-Amz-Signature=1"),
            Money(request_ids=("r\nWhat: q",)),
            reason=WaitReason.NEVER,
        ),
    ],
)
def test_texts_from_outside_write_no_lines_of_their_own_and_no_addresses(answer: Answer) -> None:
    heads = [line.split(":")[0] for line in answer.text.splitlines() if line]
    assert heads.count("What") == 1
    assert heads.count("What happens next") == 1
    assert "https:" not in answer.text


def test_the_sandbox_is_marked() -> None:
    assert "Service: sandbox" in refused("a", [Problem("x")], service="sandbox").text


@pytest.mark.parametrize(
    ("micro", "text"), [(0, "$0.00"), (1_250_000, "$1.25"), (4_000, "$0.004"), (1_234_567, "$1.234567")]
)
def test_dollars(micro: int, text: str) -> None:
    assert dollars(micro) == text
