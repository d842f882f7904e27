"""The one pace of all requests to the service: when one call is answered "too many", all calls slow down, in every process."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from resources.ledger.leases import LONGEST_PAUSE as LONGEST_GRANTED
from resources.runcomfy.errors import RateLimited

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
"""Seconds to hold back after a 429 without Retry-After; doubles with each in a row."""
LONGEST_PAUSE = 120.0
SPREAD = 0.25
"""Everybody who was held back starts again over this share of the pause (at least a second), not at once."""
POLL_THROUGH = 30.0
"""Seconds between two polls that pass through a long pause: what is paid for is not left alone for its whole length."""
NAP_SECONDS = 1.0
"""Waits are cut into pieces of this length, so that the end of a pause is noticed."""


class Pacer:
    """Holds calls back while the service says so.

    Args:
        tell: Passes the end of a pause on to the other processes.
        rng: Source of the jitter.
    """

    def __init__(self, tell: Callable[[datetime], Awaitable[object]], rng: random.Random) -> None:
        self._tell = tell
        self._rng = rng
        self._until = 0.0
        self._spread = 0.0
        self._streak = 0
        self._next_poll = 0.0
        self._resumes: int | None = None
        self.refusals = 0

    @property
    def pausing(self) -> float:
        """Seconds until calls may go out again; 0 when they may."""
        return max(0.0, self._until - time.monotonic())

    async def clear(self, give_up: float = float("inf")) -> bool:
        """Return True when a call may go out, False once it is ``give_up`` (monotonic) and none may."""
        waited = False
        while True:
            left = self.pausing
            if left == 0:
                if waited:
                    await asyncio.sleep(self._rng.uniform(0, self._spread))
                    waited = False
                    continue
                return True
            waited = True
            if not await self._nap(left, give_up):
                return False

    async def clear_for_poll(self, give_up: float = float("inf")) -> bool:
        """Like ``clear``; but one caller in `POLL_THROUGH` seconds goes on during a pause, since its request is paid for."""
        waited = False
        while True:
            left, now = self.pausing, time.monotonic()
            if left == 0:
                if waited:
                    await asyncio.sleep(self._rng.uniform(0, self._spread))
                    waited = False
                    continue
                return True
            if now >= self._next_poll:
                self._next_poll = now + POLL_THROUGH
                return True
            waited = True
            if not await self._nap(min(left, self._next_poll - now), give_up):
                return False

    @staticmethod
    async def _nap(seconds: float, give_up: float) -> bool:
        left = give_up - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(seconds, NAP_SECONDS, left))
        return True

    async def refused(self, error: RateLimited) -> float:
        """A call was refused for now.

        Returns:
            Seconds that all calls are held back.
        """
        self.refusals += 1
        if self.pausing == 0:  # calls that were on their way together count as one refusal
            self._streak += 1
        exponent = min(self._streak - 1, 10)  # the longest pause is reached long before
        backoff = min(FIRST_PAUSE * 2**exponent, LONGEST_PAUSE) * self._rng.uniform(0.75, 1.25)
        asked = backoff if error.retry_after is None else error.retry_after
        seconds = min(max(asked, 0.0), LONGEST_GRANTED.total_seconds())
        self._hold(seconds)
        await self._tell(datetime.now(UTC) + timedelta(seconds=seconds))
        return seconds

    def answered(self) -> None:
        """A call was answered: the next refusal starts from the first pause again."""
        if self.pausing == 0:
            self._streak = 0

    def on_retry_after(self, until: datetime | None, *, resumes: int = 0) -> None:
        """Obey what the ledger says: the service asked another process to wait until then, or a person ended the pause.

        ``resumes`` is how many pauses were ended by a person so far.
        """
        if self._resumes is not None and resumes != self._resumes and self.pausing > 0:
            log.info("A person ended the pause.")
            self._until, self._spread = 0.0, 0.0
        self._resumes = resumes
        if until is not None:
            self._hold(min((until - datetime.now(UTC)).total_seconds(), LONGEST_GRANTED.total_seconds()))

    def _hold(self, seconds: float) -> None:
        now = time.monotonic()
        until = now + seconds
        if until > self._until:
            log.info("The service asks to wait: no calls for %.1f s.", seconds)
            if self.pausing == 0:
                self._next_poll = now + POLL_THROUGH
            self._until = until
            self._spread = max(seconds * SPREAD, 1.0) if seconds > 1 else seconds
