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
