"""When will it be ready? What is known of an endpoint's generation times, and from it the moments to ask.

Times are taken as log-normal: right-skewed, never negative, and one pair of numbers that a handful of results can move.
The pair starts from a prior and learns from the ledger's history and from the running batch. A batch shows its quick
requests first, so those still running count too, as "longer than so many seconds" (expectation maximisation for
right-censored samples); without them a batch would believe itself quicker than it is.

The rule of the schedule: **every poll has the same chance of finding the request ended.** Polls then follow the hazard
of the distribution: none while nothing can be ready, closest where the end is likely, and their expected number is one
over that chance, whatever the distribution. A poll early on finds little and shortens few delays, so as long as most
requests still run the chance that is waited for is larger. In the far tail, where the forecast has been wrong, gaps grow
with the age.
"""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import NormalDist

from resources.schemas.families import PRIOR_SECONDS, PRIOR_SPREAD, record_of

POLL_CHANCE = 0.075
"""Chance that a poll finds the end, once the first have ended: with the early polls that makes about 9 per request."""
COLD_CHANCE = 0.063
"""The same while little is known: results come late then, and a few more polls pay for that."""
EARLY_CHANCE = 0.25
"""The same while the share `EARLY_SHARE` of the requests would still run."""
EARLY_SHARE = 0.5
EARLY_GAP = 0.32
"""Longest gap meanwhile, as a share of the age: what ends early is noticed within so much of its own time."""
MISSED_SHARE = 0.025
"""The first look comes `EARLY_GAP` after so many can be ready: only these few are noticed later than that."""
COLD_RESULTS = 20
"""With fewer results little is known: their middle is still off by a tenth or more."""
JITTER = 0.35
"""Each poll's chance varies by so much either way, so that requests submitted together do not poll together."""
TAIL_GAP = 0.05
"""Smallest gap between two polls of one request as a share of its age: finer would not be noticed by anybody."""
TAIL_GROWTH = 0.01
"""How much that share grows with each poll beyond `TAIL_POLLS`: the slowest requests shall not cost forty polls."""
TAIL_POLLS = 40
LAST_SHARE = 0.05
LAST_GAP = 0.03
"""The gap while at most this share still runs, as a share of the age: a whole batch waits for these few."""
PROBE_START = 0.1
PROBES = 0.8
"""Where nothing is known of an endpoint, this part of the requests is looked at once before the prior's median, each at a moment
drawn from the share `PROBE_START` of it on, evenly on a logarithmic scale: together they soon see that the first have ended."""
SCOUTS = 2
"""So many requests poll then from the smallest gap on and often, for a batch of so few that one look each would miss it."""
SCOUT_GAP = 0.1
"""Longest gap of a scout that is young or queued, as a share of the prior's median."""
SCOUT_GROWTH = 1.3
"""Later, each of a scout's gaps brings it to at most so many times the age that it has."""
MOVED = 0.15
"""A forecast whose mean logarithm moves by so much (a sixth) makes the waiting requests think again."""
WIDEST_GAP = 60.0
"""Longest gap in seconds, whatever the forecast says: a surprise is noticed within a minute."""
WAITING_GROWTH = 0.2
"""While queued, the next look comes after this share of the time waited so far, where that is longer."""
PRIOR_WEIGHT = 0.5
"""The prior counts as so many results, and as fewer the more there are: a batch that is three times as quick or slow is
believed soon."""
DOUBT = 2.0
"""The forecast is as wide as if it rested on so many more results than have come."""
PRIOR_FADES = 10.0
"""After so many results the prior counts half."""
HISTORY_WEIGHT = 60.0
"""Older results count as at most so many: a service that is slower today is believed within one batch."""
REFIT_SECONDS = 2.0
"""The running batch is taken into account at most so often."""
ORIGINS = 5
"""Points that stand for an unknown start between two looks."""

_STANDARD = NormalDist()


def _normal_survival(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))


def _inverse_mills(z: float) -> float:
    """Expected excess of a standard normal beyond ``z``; its asymptote where the survival underflows."""
    survival = _normal_survival(z)
    if survival < 1e-300:
        return z + 1 / z
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / survival


@dataclass
class Forecast:
    """Generation times of one endpoint and duration, in seconds.

    Attributes:
        mu: Mean of the logarithm.
        sigma: Standard deviation of the logarithm, widened by how little is known.
        version: Grows whenever the forecast has moved far.
    """

    prior_median: float
    prior_spread: float
    history: tuple[float, ...] = ()
    ages: Callable[[], Iterable[float]] = tuple
    mu: float = field(init=False)
    sigma: float = field(init=False)
    version: int = field(init=False, default=0)
    _scouts: int = field(init=False, default=0)
    _told: float = field(init=False, default=0.0)
    _seen: list[float] = field(init=False, default_factory=list)
    _fitted_at: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        self.mu, self.sigma = math.log(self.prior_median), self.prior_spread
        self._fit()
        self._told = self.mu

    def scout(self) -> bool:
        """True for the first few requests of an endpoint that nothing is known of."""
        if self.history or self._seen or self._scouts >= SCOUTS:
            return False
        self._scouts += 1
        return True

    @property
    def results(self) -> int:
        """How many results it rests on."""
        return len(self.history) + len(self._seen)

    def learn(self, seconds: float) -> None:
        """Take a result into account."""
        if seconds > 0:
            self._seen.append(seconds)

    def refresh(self, now: float) -> None:
        """Fit again with what the batch has shown, unless that was done a moment ago.

        Args:
            now: Any monotonic clock, in seconds.
        """
        if self._seen and now - self._fitted_at >= REFIT_SECONDS:
            is_first = not self.history and self._fitted_at == -math.inf
            self._fitted_at = now
            self._fit()
            if is_first or abs(self.mu - self._told) > MOVED:
                self._told = self.mu
                self.version += 1

    def survival(self, seconds: float) -> float:
        """Probability of taking longer than ``seconds``."""
        if seconds <= 0:
            return 1.0
        return _normal_survival((math.log(seconds) - self.mu) / self.sigma)

    def quantile(self, share: float) -> float:
        """Seconds within which ``share`` of the requests end."""
        return math.exp(self.mu + self.sigma * _STANDARD.inv_cdf(share))

    def first_look(self, jitter: float) -> float:
        """Return the seconds after which a request is looked at for the first time.

        Where nothing is known, that is when the first of its batch has ended, and without any at the prior's median.
        """
        if not self.results:
            return self.prior_median
        missed = self.quantile(MISSED_SHARE)
        if not self.history and len(self._seen) < COLD_RESULTS:
            missed = min(missed, *self._seen)
        # The second where times hardly differ.
        return min(missed * (1 + EARLY_GAP * jitter), self.quantile(EARLY_CHANCE))

    def wait_for_chance(self, ages: tuple[float, ...], chance: float) -> float:
        """Seconds after which the request has ended with probability ``chance``, given that it has not now.

        Args:
            ages: How long it may have been running, each as likely as the others.
            chance: Between 0 and 1.
        """
        alive = sum(self.survival(age) for age in ages)
        if alive < 1e-9 * len(ages):  # far beyond anything that was ever seen: the forecast has nothing to say
            return WIDEST_GAP
        wanted = alive * (1 - chance)
        low, high = 0.0, math.exp(self.mu)
        while sum(self.survival(age + high) for age in ages) > wanted:
            low, high = high, high * 2
        while high - low > 0.01 * high:
            middle = (low + high) / 2
            if sum(self.survival(age + middle) for age in ages) > wanted:
                low = middle
            else:
                high = middle
        return high

    def _fit(self) -> None:
        share = min(1.0, HISTORY_WEIGHT / len(self.history)) if self.history else 0.0
        logs = [(math.log(seconds), share) for seconds in self.history if seconds > 0]
        logs += [(math.log(seconds), 1.0) for seconds in self._seen]
        prior_mean, prior_variance = math.log(self.prior_median), self.prior_spread**2
        running = [math.log(age) for age in self.ages() if age > 0] if logs else []
        mu, variance = self.mu, self.sigma**2
        ended = sum(part for _, part in logs)
        weight = PRIOR_WEIGHT / (1 + ended / PRIOR_FADES)
        total = ended + len(running) + weight
        for _ in range(8):  # moves less than a percent after that
            sigma = math.sqrt(variance)
            expected = []
            for log_age in running:
                mills = _inverse_mills((log_age - mu) / sigma)
                expected.append((mu + sigma * mills, mu * mu + variance + sigma * mills * (log_age + mu)))
            first = sum(log * part for log, part in logs) + sum(mean for mean, _ in expected)
            second = sum(log * log * part for log, part in logs) + sum(square for _, square in expected)
            mu = (first + weight * prior_mean) / total
            spread = second - 2 * mu * first + (total - weight) * mu * mu
            spread += weight * (prior_variance + (prior_mean - mu) ** 2)
            variance = max(spread / total, 0.02**2)
        self.mu, self.sigma = mu, math.sqrt(variance * (1 + 1 / (ended + DOUBT)))


def prior(model_id: str, duration: int) -> tuple[float, float]:
    """Median and spread for an endpoint nothing is known of; the median grows with the video's duration."""
    record = record_of(model_id)
    seconds, spread = (record.prior_seconds, record.prior_spread) if record else (PRIOR_SECONDS, PRIOR_SPREAD)
    return seconds * max(duration, 1) / 5, spread


class PollTimer:
    """The polls of one request: when the next one is due, from what the earlier ones showed.

    Times are seconds since the submit.
    """

    def __init__(self, forecast: Forecast, *, min_gap: float, rng: random.Random) -> None:
        self._forecast = forecast
        self._min_gap = min_gap
        self._rng = rng
        self._queued_at = 0.0
        self._running_at: float | None = None
        self.seen_queued = False
        self.polls = 0
        self._scout = forecast.scout()
        self._probe = PROBE_START ** rng.random() if rng.random() < PROBES else 1.0

    def queued(self, at: float) -> None:
        """A poll at ``at`` found it still queued."""
        self.polls += 1
        self._queued_at, self.seen_queued, self._running_at = at, True, None

    def running(self, at: float) -> bool:
        """A poll at ``at`` found it running; True the first time."""
        self.polls += 1
        first = self._running_at is None
        if self._running_at is None:
            self._running_at = at
        return first

    @property
    def started(self) -> float:
        """Best guess of the start: the submit itself where no poll found it queued."""
        if not self.seen_queued:
            return 0.0
        return (self._queued_at + (self._running_at if self._running_at is not None else self._queued_at)) / 2

    def _chance(self, survival: float) -> float:
        if survival > EARLY_SHARE:
            return EARLY_CHANCE
        return COLD_CHANCE if len(self._forecast.history) < COLD_RESULTS else POLL_CHANCE

    def _ages(self, now: float) -> tuple[float, ...]:
        """How long it may have been running, each as likely as the others."""
        if not self.seen_queued or self._running_at is None:
            return (now,)
        step = (self._running_at - self._queued_at) / ORIGINS
        return tuple(max(now - self._queued_at - step * (k + 0.5), 0.0) for k in range(ORIGINS))

    def _gap(self, ages: tuple[float, ...], now: float, jitter: float) -> float:
        """Return the gap of a request that has been running for one of ``ages``, so that the first look is behind it."""
        age = ages[len(ages) // 2]
        survival = self._forecast.survival(age)
        growth = TAIL_GROWTH * max(0, self.polls - TAIL_POLLS)
        if survival < LAST_SHARE and self._forecast.results >= COLD_RESULTS:
            return now * (LAST_GAP * jitter + growth)
        gap = self._forecast.wait_for_chance(ages, self._chance(survival) * jitter)
        if survival > EARLY_SHARE:
            gap = min(gap, now * EARLY_GAP * jitter)
        return max(gap, now * (TAIL_GAP + growth))

    def next_gap(self, now: float) -> float:
        """Seconds from ``now``, the moment of the latest poll, to the next one."""
        jitter = self._rng.uniform(1 - JITTER, 1 + JITTER)
        first = 0.0 if self._scout else self._forecast.first_look(jitter)
        if self.polls == 0 and not self._forecast.results:
            first = min(first, self._forecast.prior_median * self._probe)
        if self.seen_queued and self._running_at is None:
            gap = max(first, now * WAITING_GROWTH)
        else:
            ages = self._ages(now)
            gap = max(self._gap(ages, now, jitter), first - ages[len(ages) // 2])
        if self._scout:
            age = now - self.started
            gap = min(gap, max(age * (SCOUT_GROWTH - 1), self._forecast.prior_median * SCOUT_GAP))
        return min(max(gap, self._min_gap), WIDEST_GAP)
