"""The plain-text answers beside a clip that has no video (yet): REFUSED.txt, FAILED.txt and WAITING.txt.

They are for people who only see the bucket: a title, what happened, the limit, what to do, and what happens next. The UI,
the gallery and `i2v status` show the same answer, made from the registry's row (`answer_of`). What an answer says about
money comes from the ledger alone (`Money`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from resources.ledger.records import Money
from resources.messages import counted, pasteable, plain
from resources.money import dollars
from resources.problem import Problem
from resources.redact import redact
from resources.registry.rows import ClipRow, ClipState
from resources.schemas.inputs import Service
from resources.wait_reason import WaitReason

NO_MONEY = Money()
"""The ledger has no request of the clip."""


class AnswerKind(StrEnum):
    """Which of the three answers it is; the value is the file's name."""

    REFUSED = "REFUSED.txt"
    FAILED = "FAILED.txt"
    WAITING = "WAITING.txt"


@dataclass(frozen=True)
class Answer:
    """One answer; ``text`` is the content of its file.

    Attributes:
        kind: which of the three.
        title: its first line.
        problems: what is in the way.
        next: what happens next.
        facts: further lines at its end.
        price: what the title adds about the price, empty if nothing.
    """

    kind: AnswerKind
    title: str
    problems: tuple[Problem, ...]
    next: str
    facts: tuple[str, ...] = ()
    price: str = ""

    @property
    def text(self) -> str:
        """The file's content: UTF-8 lines, no markup, nothing that grants access to anything."""
        blocks = [
            _line(f"{self.title}{self.price}"),
            *(_block(problem, number) for number, problem in self._numbered()),
        ]
        if self.next:
            blocks.append(f"What happens next: {_line(self.next)}")
        if self.facts:
            blocks.append("\n".join(map(_line, self.facts)))
        return pasteable(redact("\n\n".join(block for block in blocks if block))) + "\n"

    def _numbered(self) -> list[tuple[int, Problem]]:
        single = len(self.problems) == 1
        return [(0 if single else number, problem) for number, problem in enumerate(self.problems, start=1)]


def _block(problem: Problem, number: int) -> str:
    lines = [f"What: {_line(problem.what)}"]
    if problem.limit:
        lines.append(f"Limit: {_line(problem.limit)}")
    if problem.remedy:
        lines.append(f"What to do: {_line(problem.remedy)}")
    return "\n".join([f"{number}.", *lines] if number else lines)


def _line(text: str) -> str:
    """One line: a name or a message from outside must not be able to write lines of its own."""
    return plain(text)


def _facts(service: Service, money: Money) -> tuple[str, ...]:
    facts = tuple(f"Request: {_line(request_id)}" for request_id in money.request_ids)
    return (*facts, "Service: sandbox (for testing; no money)") if service == "sandbox" else facts


def money_sentence(money: Money) -> str:
    """Return what the ledger proves about the money of a clip, in one or two sentences."""
    if money.open_requests:
        charged = f"{dollars(money.charged_microdollars)} was charged. " if money.charged_microdollars else ""
        may = "may have been sent" if money.unconfirmed else "was sent"
        most = (
            f"up to {dollars(money.open_microdollars)} may be charged"
            if money.open_microdollars
            else "it may be charged"
        )
        return f"{charged}A request {may}, and {most}; the service has not said what it charged."
    if money.charged_microdollars:
        return f"{dollars(money.charged_microdollars)} was charged."
    if money.sent and money.earlier_requests:
        return "Nothing was charged, beyond the clip's earlier requests."
    if money.sent:
        return "Nothing was charged."
    if money.earlier_requests:
        return "Nothing was paid yet, beyond the clip's earlier requests."
    return "Nothing was paid yet."


def next_step(clip: str, reason: WaitReason | None, money: Money = NO_MONEY) -> str:
    """Return what happens next to a clip that waits, with the command that leads out if nothing happens by itself."""
    if reason is WaitReason.PERSON and money.open_requests and money.request_ids:
        fetch = f"to fetch it sooner, or to make the clip after all, run: i2v retry {_line(clip)}"
        return f"its request runs on at the service. If it succeeds, `adopt_orphans` fetches it; {fetch}"
    match reason:
        case WaitReason.APPROVAL | WaitReason.HEAP:
            return "it goes on once a person has approved it."
        case WaitReason.PRICE_AGREEMENT:
            return "it goes on by itself once a person has agreed to it: i2v models --accept FAMILY"
        case WaitReason.PAUSED:
            return "it goes on by itself once a person has run: i2v resume"
        case WaitReason.UNKNOWN:
            return "nothing by itself. It goes on once a person has run: i2v ledger resolve"
        case WaitReason.LOST | WaitReason.FINAL:
            return f"nothing by itself. Run: i2v retake {_line(clip)}, which is paid for; or upload a changed file or brief."
        case WaitReason.PERSON:
            return f"nothing by itself. Run: i2v retry {_line(clip)}"
        case WaitReason.NEVER | None:
            return f"nothing by itself. Run: i2v retry {_line(clip)}, or upload a changed file or brief."
        case _:
            return "it goes on by itself as soon as this is out of the way."


def refused(
    clip: str,
    problems: Sequence[Problem],
    money: Money = NO_MONEY,
    *,
    service: Service = "runcomfy",
) -> Answer:
    """Return REFUSED.txt: the upload or its brief cannot become a request."""
    clean = not (money.sent or money.may_have_been_paid or money.earlier_requests)
    paid = "Nothing was sent to the service and nothing was paid." if clean else money_sentence(money)
    return Answer(
        AnswerKind.REFUSED,
        f"REFUSED: {_line(clip)} was not made. {paid}",
        tuple(problems),
        "upload the corrected file under the same name (a converted file under its new name). The change is noticed by "
        "itself, and this note goes away once the clip is made.",
        _facts(service, money),
    )


def refused_upload(source: str, problem: Problem) -> Answer:
    """Return the note of an upload that cannot be a clip, named after its own key."""
    return Answer(AnswerKind.REFUSED, f"REFUSED: {_line(source)}", (problem,), "")


def failed(
    clip: str,
    problem: Problem,
    money: Money,
    *,
    reason: WaitReason,
    retries_left: int = 0,
    service: Service = "runcomfy",
) -> Answer:
    """Return FAILED.txt: a request brought no video, or the clip could not even be sent.

    ``retries_left`` are the automatic attempts that are still to come.
    """
    if reason is WaitReason.RETRY and retries_left:
        attempts = counted(retries_left, "more attempt")
        after = f"it is tried again by itself ({attempts}), by the nightly retry, which is paid for. To try it now, run: i2v retry {_line(clip)}"
    else:
        after = next_step(clip, WaitReason.NEVER if reason is WaitReason.RETRY else reason)
    if money.sent:
        happened = f"was sent to the service and brought no video. {money_sentence(money)}"
    elif money.earlier_requests:
        happened = f"was not made. {money_sentence(money)}"
    else:
        happened = "was not made. Nothing was sent to the service and nothing was paid."
    title = f"FAILED: {_line(clip)} {happened}"
    return Answer(AnswerKind.FAILED, title, (problem,), after, _facts(service, money))


def waiting(
    clip: str,
    problem: Problem,
    money: Money,
    *,
    reason: WaitReason | None,
    expected_microdollars: int | None = None,
    price_microdollars: int | None = None,
    most_microdollars: int | None = None,
    advice: Sequence[str] = (),
    service: Service = "runcomfy",
) -> Answer:
    """Return WAITING.txt: something has to happen first.

    ``expected_microdollars`` is what the takes that are not sent yet are expected to cost, ``price_microdollars`` the most
    that they may cost, ``most_microdollars`` with every take that a low quality score may add. ``advice`` is what the person
    who decides should know of the plan.
    """
    price = ""
    if price_microdollars:
        it = "What is not sent yet" if money.sent else "It"
        expected = price_microdollars if expected_microdollars is None else expected_microdollars
        price = f" {it} will cost about {dollars(expected)}"
        most = max(price_microdollars, most_microdollars or 0)
        if most > expected:
            price += f", and at most {dollars(most)}"
        price += " with its rerolls." if most > price_microdollars else "."
    title = f"WAITING: {_line(clip)} is not made yet. {money_sentence(money)}"
    facts = (*(f"Advice: {words}" for words in advice), *_facts(service, money))
    return Answer(AnswerKind.WAITING, title, (problem,), next_step(clip, reason, money), facts, price)


def answer_of(row: ClipRow, money: Money, *, service: Service, retries_per_clip: int) -> Answer | None:
    """Return the answer that a clip has now, made from its row and the ledger; None if it has none of the three."""
    problem = Problem(row.reason or "No reason was noted.", remedy=row.remedy or "")
    match row.state:
        case ClipState.REFUSED:
            return refused(row.clip, [problem], money, service=service)
        case ClipState.FAILED:
            left = max(0, retries_per_clip - row.retries)
            return failed(
                row.clip, problem, money, reason=row.wait or WaitReason.NEVER, retries_left=left, service=service
            )
        case ClipState.WAITING:
            return waiting(row.clip, problem, money, reason=row.wait, service=service)
    return None
