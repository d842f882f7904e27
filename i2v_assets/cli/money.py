"""What today's budget still allows."""

from dataclasses import dataclass

from i2v_assets.cli.console import dollars
from i2v_assets.cli.opened import Books


@dataclass(frozen=True)
class MoneyLeft:
    """Today's caps and what counts against them; money in micro-dollars."""

    spent_microdollars: int
    cap_microdollars: int
    requests: int
    cap_requests: int

    @property
    def microdollars(self) -> int:
        """Dollars that may still be reserved today."""
        return max(self.cap_microdollars - self.spent_microdollars, 0)

    @property
    def text(self) -> str:
        """For people."""
        return (
            f"Today {dollars(self.spent_microdollars) or '$0'} of at most {dollars(self.cap_microdollars)} and"
            f" {self.requests} of at most {self.cap_requests} requests are used."
        )

    def plain(self) -> dict[str, int]:
        """For programs."""
        return {
            "spent_microdollars": self.spent_microdollars,
            "cap_microdollars": self.cap_microdollars,
            "requests": self.requests,
            "cap_requests": self.cap_requests,
        }


def money_left(books: Books) -> MoneyLeft:
    """What counts against today's caps of the service in force."""
    from resources.generation.opening import caps_of

    limits = caps_of(books.settings)
    spent = books.ledger.spent_today(books.settings.service, books.settings.zone)
    return MoneyLeft(spent.microdollars, limits.usd_per_day_microdollars, spent.requests, limits.requests_per_day)
