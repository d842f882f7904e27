"""The schedule of polls, played out on made-up requests in no time: few polls, and little delay."""

import heapq
import math
import random
import statistics
from typing import NamedTuple

import pytest

from resources.generation.poll_schedule import Forecast, PollTimer, prior


class Played(NamedTuple):
    """Polls per request, the median and the 95th percentile of delay over the request's time, and the times learned."""

    polls: float
    delay: float
    late: float
    learned: tuple[float, ...]


def play(
    median: float,
    p95: float,
    *,
    count: int = 200,
    history: tuple[float, ...] = (),
    queue_share: float = 0.0,
    seed: int = 1,
    clock_start: float = 1000.0,
) -> Played:
    """Play a batch out."""
    dice = random.Random(seed)
    spread = math.log(p95 / median) / 1.645
    whole = [median * math.exp(dice.gauss(0, spread)) for _ in range(count)]
    ages, ended, latest = [0.0] * count, [False] * count, [0.0] * count
    forecast = Forecast(*prior("happyhorse/x", 5), history=history)
    forecast.ages = lambda: [age for age, done in zip(ages, ended, strict=True) if not done]
    watches = [PollTimer(forecast, min_gap=0.2, rng=dice) for _ in range(count)]
    due = [(clock_start + 0.02 * n + watch.next_gap(0), n) for n, watch in enumerate(watches)]
    heapq.heapify(due)
    polls, delays, learned, version = 0, [], [], 0
    while due:
        now, n = heapq.heappop(due)
        age = now - clock_start - 0.02 * n
        polls += 1
        if age >= whole[n]:
            ended[n] = True
            delays.append((age - whole[n]) / whole[n])
            learned.append(whole[n] - watches[n].started)
            forecast.learn(learned[-1])
        else:
            if age < whole[n] * queue_share:
                watches[n].queued(age)
            else:
                watches[n].running(age)
            latest[n], ages[n] = age, max(age - watches[n].started, 0.0)
            heapq.heappush(due, (now + watches[n].next_gap(age), n))
        forecast.refresh(now)
        if forecast.version != version:
            version = forecast.version
            due = [(max(now, clock_start + 0.02 * k + latest[k] + watches[k].next_gap(latest[k])), k) for _, k in due]
            heapq.heapify(due)
    return Played(polls / count, statistics.median(delays), sorted(delays)[int(count * 0.95)], tuple(learned))


@pytest.mark.parametrize("queue_share", [0.0, 0.2])
def test_polls_are_few_and_the_end_is_noticed_soon_cold_and_learned(queue_share: float) -> None:
    cold, learned = cold_and_learned(30, 90, queue_share)
    for figures in (cold, learned):
        assert statistics.mean(each.polls for each in figures) <= 10
        assert statistics.mean(each.delay for each in figures) <= 0.05
        assert statistics.mean(each.late for each in figures) <= 0.35
    assert statistics.mean(each.polls for each in learned) <= 9.5


@pytest.mark.parametrize("times", [1 / 3, 3], ids=["three times as quick", "three times as slow"])
def test_a_service_far_off_the_prior_is_believed_within_the_batch(times: float) -> None:
    median = prior("happyhorse/x", 5)[0] * times
    cold, learned = cold_and_learned(median, 3 * median, 0.05)
    assert statistics.mean(each.polls for each in cold) <= 11
    assert statistics.mean(each.polls for each in learned) <= 9.5
    for figures in (cold, learned):
        assert statistics.mean(each.delay for each in figures) <= 0.055
        assert statistics.mean(each.late for each in figures) <= 0.45


def test_a_batch_without_history_looks_at_moments_that_are_spread() -> None:
    """Nobody knows when the first can be ready: one look each, from a tenth of the prior's median on."""
    forecast = Forecast(60, 0.6)
    looks = sorted(PollTimer(forecast, min_gap=0.2, rng=random.Random(seed)).next_gap(0) for seed in range(200))
    assert 6 <= looks[5] < 9
    assert looks[-1] == 60


def cold_and_learned(median: float, p95: float, queue_share: float) -> tuple[list[Played], list[Played]]:
    """Play four batches without history, and four with that of these."""
    cold = [play(median, p95, seed=seed, queue_share=queue_share) for seed in range(4)]
    learned = [
        play(median, p95, seed=seed + 100, history=each.learned, queue_share=queue_share)
        for seed, each in enumerate(cold)
    ]
    return cold, learned


def test_nothing_is_asked_while_nothing_can_be_ready() -> None:
    forecast = Forecast(40, 0.6, history=tuple(random.Random(1).gauss(60, 1) for _ in range(50)))
    watch = PollTimer(forecast, min_gap=0.2, rng=random.Random(1))
    assert 50 < watch.next_gap(0) < 62


def test_gaps_close_up_around_the_end_and_open_again_after() -> None:
    forecast = Forecast(40, 0.6, history=tuple(random.Random(1).gauss(60, 3) for _ in range(50)))
    watch = PollTimer(forecast, min_gap=0.2, rng=random.Random(1))
    watch.running(55)
    around = watch.next_gap(60)
    assert around < 5
    assert watch.next_gap(300) > around


def test_a_batch_that_shows_its_quick_ones_first_is_not_taken_for_quick() -> None:
    """Three of forty ended at 10 s; the others run still at 30 s, and that counts."""
    forecast = Forecast(40, 0.6, ages=lambda: [30.0] * 37)
    for _ in range(3):
        forecast.learn(10)
    forecast.refresh(100)
    assert forecast.quantile(0.5) > 35


def test_a_queue_starts_the_clock_anew() -> None:
    forecast = Forecast(40, 0.6, history=(40.0,) * 50)
    watch = PollTimer(forecast, min_gap=0.2, rng=random.Random(1))
    watch.queued(30)
    assert watch.next_gap(30) > 25
    assert watch.running(60)
    assert not watch.running(65)
    assert watch.started == 45


def test_an_unknown_and_quick_service_is_found_out_by_scouts() -> None:
    assert play(2, 3, count=30).delay < 2  # without scouts the first look would come after 18 s: a delay of 8


def test_times_far_beyond_every_forecast_are_still_looked_at_every_minute() -> None:
    forecast = Forecast(40, 0.6, history=(40.0,) * 50)
    watch = PollTimer(forecast, min_gap=0.2, rng=random.Random(1))
    watch.running(5000)
    assert watch.next_gap(5000) == 60
