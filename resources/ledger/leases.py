"""How long a claim is valid: its owner stops early, and all others wait longer than the lease says.

Between the two lies a gap of `MARGIN_SECONDS` + `GRACE_SECONDS` in which no process may send. It covers the difference
between clocks, and a pause of the owner between its last check of the clock and the first byte of its POST.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

MARGIN_SECONDS = 5.0
"""Seconds left below which a claim is renewed before anything is sent. Clocks kept by NTP differ by milliseconds, badly
kept ones by a second or two; writing a request takes milliseconds."""
GRACE_SECONDS = 30.0
"""Seconds after the end of the lease until a claim counts as dead. Clouds freeze a machine for up to about 30 s when
they move it. Only a freeze longer than this plus the margin, right after the last check of the clock, could do harm.
The price: the unknown outcome of a dead run is reported half a minute later."""

LONGEST_LEASE = timedelta(hours=1)
"""The most that I2V_LEASE_SECONDS may be. A lease that ends later than so long from now was written by a clock that is
wrong, and counts as run out."""
LONGEST_PAUSE = timedelta(minutes=15)
"""The longest pause that is granted to the service: a larger Retry-After is a mistake (a date, milliseconds)."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The time until which the owner of a claim may send, by two clocks.

    The wall clock alone could be set back, and the monotonic clock may stop while a machine is suspended. A wall clock that
    shows a time before the claim was set back: the others may count the lease as run out (`LONGEST_LEASE`) by now.
    """

    since: datetime
    until: datetime
    monotonic_until: float

    @classmethod
    def of(cls, lease_until: datetime, lease_seconds: float, *, since: float) -> Self:
        """Return the hold of a lease that was requested at ``since`` (monotonic seconds).

        ``lease_until`` is by this process's own clock, too: the ledger may keep the time of another machine.

        The margin is at most a third of the lease, so that a short lease stays usable.
        """
        margin = min(MARGIN_SECONDS, lease_seconds / 3)
        began = lease_until - timedelta(seconds=lease_seconds + margin)
        return cls(began, lease_until - timedelta(seconds=margin), since + lease_seconds - margin)

    def good(self, now: datetime, monotonic: float) -> bool:
        """Return True while the claim is valid."""
        return self.since <= now < self.until and monotonic < self.monotonic_until
