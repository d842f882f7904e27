"""One thing that is in the way of a clip or a film, in words for people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What is in the way, against which limit, and what removes it.

    Attributes:
        what: What is wrong, as measured.
        limit: What would be right.
        remedy: What to do, with a command if one line can.
        file: The file to blame, or ``brief``; empty if ``what`` needs none.
    """

    what: str
    limit: str = ""
    remedy: str = ""
    file: str = ""

    @property
    def text(self) -> str:
        """Everything in one line."""
        return " ".join(part for part in (self.what, self.limit, self.remedy) if part)

    @property
    def named(self) -> str:
        """What is wrong, with the file's name in front unless it is said already."""
        return self.what if self.file in self.what else f"{self.file}: {self.what}"


def read_problems(plain: object) -> tuple[Problem, ...]:
    """Return problems that were written as JSON.

    Raises:
        ValueError: they are not a list of problems, or a part of one is not text.
    """
    if not isinstance(plain, list):
        raise ValueError("The problems are not a list.")  # noqa: TRY004 - one error for whatever the JSON is
    for each in plain:
        if not isinstance(each, dict) or "what" not in each or not each.keys() <= set(Problem.__dataclass_fields__):
            raise ValueError("A problem has other parts.")
        if not all(isinstance(part, str) for part in each.values()):
            raise ValueError("A part of a problem is not text.")
    return tuple(Problem(**each) for each in plain)
