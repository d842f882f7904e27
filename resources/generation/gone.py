"""When the service is believed that it does not know a request: what was paid for is not given up for one answer."""

import random
from dataclasses import dataclass

ANSWERS = 3
"""So many such answers in a row are believed."""
SPREAD_SECONDS = 60.0
"""The least time from the first of them to the last: a deploy of the service, or a node that lags behind the one that
took the request, is over by then."""


@dataclass(slots=True)
class Doubt:
    """Counts the answers of one request that it is not known (code 404001)."""

    answers: int = 0
    first: float = 0.0

    def believes(self, now: float) -> bool:
        """Another such answer came (``now`` is monotonic): True when it is time to believe it."""
        if self.answers == 0:
            self.first = now
        self.answers += 1
        return self.answers >= ANSWERS and now - self.first >= SPREAD_SECONDS

    def forget(self) -> None:
        """The service knows the request after all."""
        self.answers = 0

    @staticmethod
    def pause(rng: random.Random) -> float:
        """Seconds until it is asked again, so that the last answer that is needed comes when the spread is over."""
        return SPREAD_SECONDS / (ANSWERS - 1) * rng.uniform(1.0, 1.25)
