"""The one pace of all requests to the service: what one call hears of "too many" all calls obey, in every process."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from resources.runcomfy.errors import RateLimited

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
"""Seconds to hold back after a 429 without Retry-After; doubles with each in a row."""
LONGEST_PAUSE = 120.0
SPREAD = 0.25
"""Everybody who was held back starts again over this share of the pause (at least a second), not at once."""


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
        self.refusals = 0

    @property
    def pausing(self) -> float:
        """Seconds until calls may go out again; 0 when they may."""
        return max(0.0, self._until - time.monotonic())

    async def clear(self) -> None:
        """Return when a call may go out."""
        while True:
            left = self.pausing
            if left == 0:
                return
            await asyncio.sleep(left + self._rng.uniform(0, self._spread))

    async def refused(self, error: RateLimited) -> float:
        """A call was refused for now.

        Returns:
            Seconds that all calls are held back.
        """
        self.refusals += 1
        if self.pausing == 0:  # calls that were on their way together count as one refusal
            self._streak += 1
        backoff = min(FIRST_PAUSE * 2 ** (self._streak - 1), LONGEST_PAUSE) * self._rng.uniform(0.75, 1.25)
        seconds = backoff if error.retry_after is None else error.retry_after
        self._hold(seconds)
        await self._tell(datetime.now(UTC) + timedelta(seconds=seconds))
        return seconds

    def answered(self) -> None:
        """A call was answered: the next refusal starts from the first pause again."""
        if self.pausing == 0:
            self._streak = 0

    def on_retry_after(self, until: datetime | None) -> None:
        """Another process was told to wait until then."""
        if until is not None:
            self._hold((until - datetime.now(UTC)).total_seconds())

    def _hold(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        if until > self._until:
            log.info("The service asks to wait: no calls for %.1f s.", seconds)
            self._until = until
            self._spread = max(seconds * SPREAD, 1.0) if seconds > 1 else seconds
