"""What is left of today's budget."""

from dataclasses import asdict, dataclass
from datetime import datetime

from i2v_assets.session import Session
from resources.ledger.budget import day_bounds
from resources.ledger.records import caps_of, utc_now
from resources.messages import counted
from resources.money import dollars


@dataclass(frozen=True)
class BudgetToday:
    """Today's caps and what counts against them; money in micro-dollars."""

    spent_microdollars: int
    cap_microdollars: int
    requests: int
    cap_requests: int

    @property
    def text(self) -> str:
        """Return it in one sentence, for people."""
        return (
            f"Today {dollars(self.spent_microdollars) or '$0'} of at most {dollars(self.cap_microdollars)} and"
            f" {self.requests} of at most {counted(self.cap_requests, 'request')} are used."
        )

    def plain(self) -> dict[str, int]:
        """Return it for programs."""
        return asdict(self)


def budget_today(session: Session) -> BudgetToday:
    """Return what counts against today's caps of the service in force."""
    caps = caps_of(session.settings)
    spent = session.ledger.spent_today(session.settings.service, session.settings.zone)
    return BudgetToday(spent.microdollars, caps.usd_per_day_microdollars, spent.requests, caps.requests_per_day)


def budget_opens_at(session: Session, price_microdollars: int, today: BudgetToday) -> datetime | None:
    """Return when the day's budget has room again for a request of this price, in UTC.

    None: it has room now, so the clip waits only for the next run; or it never has, since the price is above the cap.
    """
    full = (
        today.spent_microdollars + price_microdollars > today.cap_microdollars or today.requests >= today.cap_requests
    )
    if not full or price_microdollars > today.cap_microdollars or not today.cap_requests:
        return None
    return day_bounds(utc_now(), session.settings.zone)[1]
