"""The ledger as Prometheus metrics. Every scrape reads again: the values are the fleet's, not this process'."""

import logging
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from resources.ledger.errors import LedgerError
from resources.ledger.ledger import Ledger
from resources.ledger.records import Spend, State
from resources.metrics.fleet import FleetMeasures, Measures
from resources.registry.pending_uploads import PendingUploads
from resources.settings import USD, Settings

log = logging.getLogger(__name__)

BOUNDS = (15.0, 30.0, 60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 450.0, 600.0, 900.0, 1800.0)
"""Histogram bounds in seconds: the service's generations take one to five minutes, and a run stops waiting after
`deadline_seconds` (1,800)."""

CLIPS_HELP = "Clips by state, and what the waiting ones wait for."


class LedgerCollector(Collector):
    """Reads the ledger at each scrape.

    Args:
        settings: the caps and the service.
        open_ledger: opens the ledger, at the first scrape and again after a failure. A database that is down is then a
            metric (``i2v_up 0``) and does not stop the exporter.
    """

    def __init__(self, settings: Settings, open_ledger: Callable[[], Ledger]) -> None:
        self._settings = settings
        self._open = open_ledger
        self._opened: tuple[Ledger, FleetMeasures] | None = None

    def describe(self) -> list[Metric]:
        """Return nothing: otherwise the registry would read the ledger to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; if the ledger does not answer, only ``i2v_up 0``."""
        up = GaugeMetricFamily("i2v_up", "1 if the ledger answers, else 0.")
        try:
            found = list(self._read())
        except LedgerError as error:
            log.warning("Ledger read failed: %s", error.text)
            self.close()
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from found

    def close(self) -> None:
        """Close the ledger."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _read(self) -> Iterator[Metric]:
        if self._opened is None:
            ledger = self._open()
            self._opened = ledger, FleetMeasures(ledger.database)
        ledger, measures = self._opened
        settings = self._settings
        now = measures.take(settings.service, BOUNDS)
        yield from self._requests(now, len(ledger.orphans(settings.service)))
        yield from self._money(ledger.spent_today(settings.service, settings.zone))
        yield from self._clips(now, PendingUploads(ledger.database).count())
        yield from _events(now)
        yield _generations(now)

    def _requests(self, now: Measures, orphans: int) -> Iterator[Metric]:
        states = GaugeMetricFamily("i2v_requests", "Requests by state.", labels=["service", "state"])
        for service in now.in_flight:
            for state in State:
                states.add_metric([service, state.value], now.requests.get((service, state.value), 0))
        yield states
        flying = GaugeMetricFamily("i2v_in_flight", "Requests with a live lease, in all processes.", labels=["service"])
        unknown = GaugeMetricFamily(
            "i2v_unknown_requests", "Requests of unknown outcome that a person has to resolve.", labels=["service"]
        )
        paused = GaugeMetricFamily(
            "i2v_paused_seconds", "Seconds until the service may be called again (429).", labels=["service"]
        )
        for service, count in now.in_flight.items():
            flying.add_metric([service], count)
            unknown.add_metric([service], now.requests.get((service, State.UNKNOWN.value), 0))
            paused.add_metric([service], now.paused_seconds.get(service, 0.0))
        yield from (flying, unknown, paused)
        yield GaugeMetricFamily("i2v_max_in_flight", "The fleet's limit.", value=self._settings.max_in_flight)
        yield GaugeMetricFamily(
            "i2v_orphans", "Paid requests that no process polls and that should be adopted.", value=orphans
        )

    def _money(self, spent: Spend) -> Iterator[Metric]:
        settings = self._settings
        sandbox = settings.is_sandbox
        today = GaugeMetricFamily("i2v_spend_today_dollars", "Today's dollars: settled and reserved.", labels=["kind"])
        today.add_metric(["settled"], spent.settled_microdollars / USD)
        today.add_metric(["reserved"], spent.reserved_microdollars / USD)
        yield today
        cap = settings.sandbox_budget_usd_per_day if sandbox else settings.budget_usd_per_day
        most = settings.sandbox_budget_requests_per_day if sandbox else settings.budget_requests_per_day
        yield GaugeMetricFamily("i2v_budget_dollars", "The daily cap in dollars.", value=cap)
        yield GaugeMetricFamily("i2v_requests_today", "Paid requests today.", value=spent.requests)
        yield GaugeMetricFamily("i2v_budget_requests", "The daily cap in requests.", value=most)

    @staticmethod
    def _clips(now: Measures, pending: int) -> Iterator[Metric]:
        states = GaugeMetricFamily("i2v_clips", CLIPS_HELP, labels=["state", "waiting_for"])
        for (state, waiting_for), count in sorted(now.clips.items()):
            states.add_metric([state, waiting_for], count)
        yield states
        yield GaugeMetricFamily(
            "i2v_queue_age_seconds", "Age of the oldest clip that no run works on yet.", value=now.queue_age_seconds
        )
        yield GaugeMetricFamily("i2v_pending_uploads", "Uploads from the queue that are incomplete.", value=pending)


EVENTS = {
    "refused": ("i2v_refusals", "Requests that the service rejected."),
    "refused_for_now": ("i2v_too_many_requests", "Submits that the service rejected temporarily (429)."),
    "adopted": ("i2v_adoptions", "Requests adopted from a run that died."),
    "never_delivered": ("i2v_never_delivered", "Submits that did not reach the service."),
    "outcome_unknown": ("i2v_outcomes_unknown", "Submits of unknown outcome."),
    "expired": ("i2v_dead_claims", "Claims whose owner died before the response was recorded."),
    "delivered": ("i2v_videos_delivered", "Videos delivered to the bucket."),
}
"""The counter for each kind of ledger event."""


def _events(now: Measures) -> Iterator[Metric]:
    for what, (name, meaning) in EVENTS.items():
        yield CounterMetricFamily(name, meaning, value=now.events.get(what, 0))


def _generations(now: Measures) -> Metric:
    seconds = HistogramMetricFamily(
        "i2v_generation_seconds",
        "Seconds from submit to the end of the generation, of all successes.",
        labels=["model"],
    )
    for spread in now.generations:
        buckets = [(str(bound), float(count)) for bound, count in zip(BOUNDS, spread.within, strict=True)]
        seconds.add_metric([spread.model_id], [*buckets, ("+Inf", float(spread.count))], spread.seconds)
    return seconds
