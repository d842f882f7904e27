"""How long a claim may be acted upon: its owner stops early, and everybody else waits longer than the lease says.

Between the two lies a gap of `MARGIN_SECONDS` + `GRACE_SECONDS`, in which nobody may send: the time that clocks may
disagree, and that an owner may be held up between its last look at the clock and the first byte of its POST.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

MARGIN_SECONDS = 5.0
"""A claim with less than this left is renewed before anything is sent. Hosts that keep their clocks by NTP disagree by
milliseconds, badly kept ones by a second or two; the write of a request takes milliseconds."""
GRACE_SECONDS = 30.0
"""So long after the lease a claim counts as dead. Clouds freeze a machine for up to about 30 s when they move it; a freeze
in the one moment that no look at a clock covers has to be longer than this and the margin together to do harm. The
price: a dead run's unknown outcome is told half a minute later."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Until when the owner of a claim may send, by two clocks.

    The wall's alone would be fooled by being set back, the monotonic one by a machine that was suspended.
    """

    until: datetime
    monotonic_until: float

    @classmethod
    def of(cls, lease_until: datetime, lease_seconds: float, *, since: float) -> Self:
        """The hold of a lease that was asked for at ``since`` (monotonic).

        The margin is at most a third of the lease, so that a short lease can be used at all.
        """
        margin = min(MARGIN_SECONDS, lease_seconds / 3)
        return cls(lease_until - timedelta(seconds=margin), since + lease_seconds - margin)

    def good(self, now: datetime, monotonic: float) -> bool:
        """True while the claim may be acted upon."""
        return now < self.until and monotonic < self.monotonic_until
