"""The plain-text answers beside a clip that has no video (yet): REFUSED.txt, FAILED.txt and WAITING.txt.

They are for people who only see the bucket: a title, what happened, the limit, what to do, and what happens next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from resources.money import dollars
from resources.outside_text import plain
from resources.plurals import counted
from resources.redact import redact
from resources.schemas.inputs import Service


class AnswerKind(StrEnum):
    """Which of the three answers it is; the value is the file's name."""

    REFUSED = "REFUSED.txt"
    FAILED = "FAILED.txt"
    WAITING = "WAITING.txt"


@dataclass(frozen=True)
class Problem:
    """One thing that is in the way: what, against which limit, and what removes it."""

    what: str
    limit: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Answer:
    """One answer; ``text`` is the content of its file."""

    kind: AnswerKind
    title: str
    problems: tuple[Problem, ...]
    next: str
    facts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The file's content: UTF-8 lines, no markup, nothing that grants access to anything."""
        blocks = [_line(self.title), *(_block(problem, number) for number, problem in self._numbered())]
        blocks.append(f"What happens next: {_line(self.next)}")
        if self.facts:
            blocks.append("\n".join(map(_line, self.facts)))
        return redact("\n\n".join(block for block in blocks if block)) + "\n"

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


def _facts(service: Service, request_id: str | None = None) -> tuple[str, ...]:
    facts = (f"Request: {_line(request_id)}",) if request_id else ()
    return (*facts, "Service: sandbox (for testing; no money)") if service == "sandbox" else facts


def refused(clip: str, problems: Sequence[Problem], *, service: Service = "runcomfy") -> Answer:
    """REFUSED.txt: the upload or its brief cannot become a request; nothing was sent and nothing was paid."""
    return Answer(
        AnswerKind.REFUSED,
        f"REFUSED: {_line(clip)} was not made. Nothing was sent to the service and nothing was paid.",
        tuple(problems),
        "upload the corrected file under the same name (a converted file under its new name). The change is noticed by "
        "itself, and this note goes away once the clip is made.",
        _facts(service),
    )


def failed(
    clip: str,
    problem: Problem,
    *,
    cost_microdollars: int | None,
    retries_left: int = 0,
    final: bool = False,
    sent: bool = True,
    request_id: str | None = None,
    service: Service = "runcomfy",
) -> Answer:
    """FAILED.txt: a request brought no video, or the clip could not even be sent.

    ``cost_microdollars`` is what the service charged for it, None when it has not said; ``retries_left`` the automatic
    attempts that are still to come; ``final`` that the same would fail again; ``sent`` False that nothing was sent.
    """
    if cost_microdollars is None:
        paid = "The service has not said what it charged."
    elif cost_microdollars == 0:
        paid = "Nothing was charged."
    else:
        paid = f"{dollars(cost_microdollars)} was charged."
    if retries_left:
        after = f"it is tried again by itself ({counted(retries_left, 'more attempt')})."
    elif final:
        after = "nothing by itself. Upload a changed file or brief."
    else:
        after = f"nothing by itself. Run: i2v retry {_line(clip)}, or upload a changed file or brief."
    happened = (
        f"was sent to the service and brought no video. {paid}"
        if sent
        else "was not made. Nothing was sent to the service and nothing was paid."
    )
    return Answer(
        AnswerKind.FAILED,
        f"FAILED: {_line(clip)} {happened}",
        (problem,),
        after,
        _facts(service, request_id),
    )


def waiting(
    clip: str,
    problem: Problem,
    *,
    price_microdollars: int | None = None,
    most_microdollars: int | None = None,
    sent: bool = False,
    then: str = "it goes on by itself as soon as this is out of the way.",
    request_id: str | None = None,
    service: Service = "runcomfy",
) -> Answer:
    """WAITING.txt: the clip is held (approval, budget, night window, or an outcome that is not known).

    ``sent`` is True when a request may already have reached the service, so that money may have moved;
    ``most_microdollars`` is the price with every take that a low quality score may add.
    """
    paid = "A request may have been sent, so it is not sent again by itself." if sent else "Nothing was paid yet."
    price = ""
    if price_microdollars and not sent:
        price = f" It will cost about {dollars(price_microdollars)}"
        rerolls = most_microdollars is not None and most_microdollars > price_microdollars
        price += f", and at most {dollars(most_microdollars or 0)} with its rerolls." if rerolls else "."
    return Answer(
        AnswerKind.WAITING,
        f"WAITING: {_line(clip)} is not made yet. {paid}{price}",
        (problem,),
        then,
        _facts(service, request_id),
    )


def read_answer(kind: AnswerKind, text: str) -> Answer:
    """The answer that a text says; lines that a person added are left out."""
    title, *lines = text.strip().splitlines() or [""]
    problems: list[Problem] = []
    following = ""
    for line in lines:
        word, _, rest = line.partition(": ")
        if word == "What":
            problems.append(Problem(rest))
        elif word == "Limit" and problems:
            problems[-1] = replace(problems[-1], limit=rest)
        elif word == "What to do" and problems:
            problems[-1] = replace(problems[-1], remedy=rest)
        elif word == "What happens next":
            following = rest
    return Answer(kind, title, tuple(problems), following)
