"""Decides which clips go on: those whose gate has opened, and those whose run ended without an answer. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from resources.registry.rows import ClipRow, ClipState
from resources.wait_reason import WaitReason

MAX_RUNS_WITHOUT_ANSWER = 3
"""After this many runs that ended without an answer, the clip counts as failed: something kills its runs."""

RUN_GRACE = timedelta(minutes=3)
"""How long after a run's last sign Dagster may still start its retry (monitoring looks every two minutes)."""


LONGEST_PAUSE = timedelta(hours=6)
"""A clip whose runs keep dying is tried four times a day: often enough for the day on which the cause is gone."""


class RunState(StrEnum):
    """State of the run that a clip is in."""

    ALIVE = "alive"
    ENDED = "ended"
    CANCELED = "canceled"
    GONE = "gone"


@dataclass(frozen=True)
class DispatchInputs:
    """What the gates are asked of.

    Attributes:
        now: the time.
        window_open: paid work may start.
        dollars_left: micro-dollars of today's budget that are not spent or reserved.
        requests_left: requests of today's budget.
        dollars_per_run: micro-dollars that one run may spend.
        requests_per_run: requests that one run may send.
        requests_of: how many requests a clip that waits for the budget still needs.
        approved: a record of an approval holds for the plan that the clip waits with.
        is_unknown: the ledger still does not know this fingerprint's outcome.
        run_state: of the run that a clip is in.
        paid_for: a request of this clip was sent, and its video is not the clip's yet.
        made: that video is made already.
        paused: a person paused all paid work.
        is_price_held: the family of this fingerprint waits for a person's agreement.
        in_heap: the clip came with many others that cost too much together, and none of them was approved.
        is_film_blocked: another shot of the clip's film is refused, or is planned anew and may be refused again.
    """

    now: datetime
    window_open: bool
    dollars_left: int
    requests_left: int
    dollars_per_run: int
    requests_per_run: int
    approved: Callable[[ClipRow], bool]
    is_unknown: Callable[[str], bool]
    run_state: Callable[[ClipRow], RunState]
    requests_of: Callable[[ClipRow], int] = lambda _row: 1
    paid_for: Callable[[str], bool] = lambda _clip: False
    made: Callable[[str], bool] = lambda _clip: False
    paused: bool = False
    in_heap: Callable[[str], bool] = lambda clip: False
    is_price_held: Callable[[str], bool] = lambda _fingerprint: True
    is_film_blocked: Callable[[ClipRow], bool] = lambda _row: False


@dataclass(frozen=True)
class Decisions:
    """What to do with the clips that have no answer or wait for something."""

    due: tuple[str, ...] = ()
    due_after_lost_run: tuple[str, ...] = ()
    stopped_by_person: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    to_fetch: tuple[str, ...] = ()
    """A person stopped their run, and their video is made: it is delivered, and nothing more is paid."""


def decide(rows: Iterable[ClipRow], world: DispatchInputs) -> Decisions:
    """Go through the clips, those with the highest priority first, and spend what is left of the day on them."""
    due: list[str] = []
    lost: list[str] = []
    stopped: list[str] = []
    given_up: list[str] = []
    to_fetch: list[str] = []
    dollars, requests = world.dollars_left, world.requests_left
    for row in sorted(rows, key=lambda row: (-row.priority, row.admitted_at)):
        if row.state in (ClipState.DISPATCHED, ClipState.WORKING):
            run = world.run_state(row)
            if run is RunState.CANCELED:
                (to_fetch if world.made(row.clip) else stopped).append(row.clip)
            elif run is not RunState.ALIVE and world.now - row.updated_at > RUN_GRACE:
                if row.lost_runs + 1 < MAX_RUNS_WITHOUT_ANSWER:
                    lost.append(row.clip)
                elif not world.paid_for(row.clip):
                    given_up.append(row.clip)
                elif world.now - row.updated_at > _pause_after(row.lost_runs):
                    lost.append(row.clip)
        elif row.state is ClipState.WAITING:
            if row.wait is WaitReason.BUDGET:
                count = _affordable(row, world, dollars, requests)
                if count:
                    requests, dollars = requests - count, dollars - (row.price_microdollars or 0)
                    due.append(row.clip)
            elif _opens(row, world):
                due.append(row.clip)
    return Decisions(tuple(due), tuple(lost), tuple(stopped), tuple(given_up), tuple(to_fetch))


def _affordable(row: ClipRow, world: DispatchInputs, dollars: int, requests: int) -> int:
    """Return how many requests a clip needs if the budget has room for it; 0 if it has none."""
    price = row.price_microdollars or 0
    if price > world.dollars_per_run or world.requests_per_run < 1:
        return 0  # every run that it got would end as the one before did: without it
    if requests < 1 or price > dollars:
        return 0
    count = world.requests_of(row)
    return count if count <= min(requests, world.requests_per_run) else 0


def _pause_after(lost_runs: int) -> timedelta:
    """Return how long a clip that is paid for is left alone after so many runs without an answer; it is never given up."""
    doublings = min(lost_runs + 1 - MAX_RUNS_WITHOUT_ANSWER, 8)
    return min(LONGEST_PAUSE, RUN_GRACE * (1 << doublings))


def _opens(row: ClipRow, world: DispatchInputs) -> bool:
    fingerprint = row.planned_fingerprint or ""
    match row.wait:
        case WaitReason.APPROVAL:
            return world.approved(row)
        case WaitReason.HEAP:
            return world.approved(row) or not world.in_heap(row.clip)
        case WaitReason.FILM:
            return world.approved(row) or not world.is_film_blocked(row)
        case WaitReason.WINDOW:
            return world.window_open
        case WaitReason.PAUSED:
            return not world.paused
        case WaitReason.UNKNOWN:
            return not world.is_unknown(fingerprint)
        case WaitReason.PRICE_AGREEMENT if not world.is_price_held(fingerprint):
            return True
        case WaitReason(retry_after=timedelta() as pause):
            return world.now - row.updated_at > pause
        case _:
            return False
