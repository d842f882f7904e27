"""What all clips of one engine share: outside objects, bounds, threads, what was sent, and until when a claim may send.

What this process has sent and was answered is remembered whatever becomes of the ledger: a database that fails over may come
back without the latest commits, so that the claim, or the whole row, is missing on the copy that was promoted. What was sent
before is then written to the new row, and is never sent again.
"""

import asyncio
import functools
import logging
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, ParamSpec, Self, TypeAlias, TypeVar

from resources.errors import ErrorCode, Verdict
from resources.generation.poll_schedule import Forecast, prior
from resources.generation.rate_limit import Pacer
from resources.generation.types import EngineOptions, GenerationRequest, Held
from resources.generation.witness import Witness
from resources.ledger.errors import LedgerError, LedgerFull, LedgerUnavailable
from resources.ledger.leases import MARGIN_SECONDS
from resources.ledger.ledger import Ledger
from resources.ledger.lookouts import Outage
from resources.ledger.records import NewRequest, RequestRow, utc_now
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.errors import RateLimited
from resources.schemas.inputs import Service
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageError
from resources.wait_reason import WaitReason
from resources.witness.store import Place


@dataclass(frozen=True, slots=True)
class Sent:
    """One POST of this process, or one request that it polled: the id is None until an answer named it."""

    attempt: int
    owner: str
    request_id: str | None = None
    recorded: bool = False


class SentMemory:
    """By fingerprint and attempt: every POST that may have arrived."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[int, Sent]] = {}

    def begin(self, fingerprint: str, attempt: int, owner: str) -> None:
        """A POST is about to go out."""
        self._sent.setdefault(fingerprint, {})[attempt] = Sent(attempt, owner)

    def forget(self, fingerprint: str, attempt: int) -> None:
        """That POST provably made nothing: it never arrived, or was refused without an id."""
        self._sent.get(fingerprint, {}).pop(attempt, None)

    def answered(self, fingerprint: str, attempt: int, owner: str, request_id: str, *, recorded: bool = False) -> None:
        """The service has the request under this id; ``recorded`` once the ledger has it too."""
        self._sent.setdefault(fingerprint, {})[attempt] = Sent(attempt, owner, request_id, recorded)

    def of(self, fingerprint: str, attempt: int) -> Sent | None:
        """Return what was sent at this attempt or a later one: the latest with an id, else the latest; None if nothing."""
        later = [each for number, each in self._sent.get(fingerprint, {}).items() if number >= attempt]
        return max(later, key=lambda each: (each.request_id is not None, each.attempt), default=None)

    def recorded(self, fingerprint: str, attempt: int) -> None:
        """The ledger has the id."""
        sent = self._sent.get(fingerprint, {})
        if attempt in sent:
            sent[attempt] = replace(sent[attempt], recorded=True)

    def unrecorded(self, owner: str) -> list[tuple[str, Sent]]:
        """Return the ids of an owner's POSTs that the ledger has not taken yet, by fingerprint."""
        return [
            (fingerprint, each)
            for fingerprint, attempts in self._sent.items()
            for each in attempts.values()
            if each.owner == owner and each.request_id is not None and not each.recorded
        ]


_BY_LEDGER: Final[dict[str, SentMemory]] = {}
"""One memory per ledger and process, so that a later run of this process knows what an earlier one sent."""


def memory_of(ledger: Ledger) -> SentMemory:
    """Return this process's memory of what it sent for a ledger."""
    return _BY_LEDGER.setdefault(ledger.engine.url.render_as_string(hide_password=True), SentMemory())


log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

OnChange: TypeAlias = Callable[[RequestRow, RateLimited | None], None]
"""Told each change of a request that a person may want to see, with the refusal if the service has no room for it now."""

STORAGE_TRIES = 4
"""Tries of a bucket call, beyond boto3's own."""
PROOF_SECONDS = 5.0
"""Seconds for which a proof that the ledger can be written counts."""


@dataclass(slots=True)
class InFlightRequest:
    """An order on its way, as far as stopping has to know it.

    Attributes:
        order: The order.
        request_id: Set from the moment at which the service's answer is recorded until the request's end is known.
        attempt: The attempt that ``request_id`` belongs to.
        paid: This run submitted it.
        age: Seconds that it has been running as of the latest poll that found it unfinished; 0 before.
        polls: Calls made to learn of its end.
        forecast: The times that its endpoint is expected to take, while it is being polled.
        notice: Seconds between its end and the poll that found it.
        changed: The row as this flight's own last step left it, which is not read again.
    """

    order: GenerationRequest
    request_id: str | None = None
    attempt: int = 0
    paid: bool = False
    age: float = 0.0
    polls: int = 0
    forecast: Forecast | None = None
    notice: float | None = None
    changed: RequestRow | None = None


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


@dataclass(eq=False)
class Context:
    """One engine's shared state."""

    service: Service
    client: RunComfyClient
    catalogue: Catalogue
    bucket: Bucket
    ledger: Ledger
    options: EngineOptions
    scratch: Path
    owner: str
    run_id: str
    budget_run: str
    rng: random.Random = field(default_factory=random.Random)
    clock: Callable[[], datetime] = field(default_factory=lambda: utc_now)
    on_change: OnChange = lambda _row, _refusal: None
    pacer: Pacer = field(init=False)
    stopping: bool = field(init=False, default=False)
    halt: Held | None = field(init=False, default=None)
    outage: Outage | None = field(init=False, default=None)
    sent: SentMemory = field(init=False)
    flights: dict[str, InFlightRequest] = field(init=False, default_factory=dict)
    posted: set[tuple[str, int]] = field(init=False, default_factory=set)
    """Fingerprint and attempt of every POST that was begun here: none is ever begun twice."""
    posts: set["asyncio.Task[object]"] = field(init=False, default_factory=set)
    writes: set["asyncio.Task[None]"] = field(init=False, default_factory=set)
    """Writes of records that no run waits for any more."""
    witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        self.sent = memory_of(self.ledger)
        self._ledger_threads = ThreadPoolExecutor(self.options.claims, "i2v-ledger")
        self._ledger_calls: set[Future[Any]] = set()
        self._bucket_threads = ThreadPoolExecutor(self.options.downloads + self.options.submits, "i2v-bucket")
        self.claims = asyncio.Semaphore(self.options.claims)
        self.submits = asyncio.Semaphore(self.options.submits)
        self.polls = asyncio.Semaphore(self.options.polls)
        self.downloads = asyncio.Semaphore(self.options.downloads)
        self.pacer = Pacer(lambda until: self.in_ledger(self.ledger.pause, self.service, until), self.rng)
        self._forecasts: dict[tuple[str, int], Forecast] = {}
        self._forecast_lock = asyncio.Lock()
        self._proved_at = -PROOF_SECONDS
        self.witness = Witness(Place(self.bucket))

    def close(self) -> None:
        """Let the threads go; calls under way run to their end."""
        self._ledger_threads.shutdown(wait=False)
        self._bucket_threads.shutdown(wait=False)

    async def in_ledger(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A call of the ledger in a thread; an unreachable database is tried again for `patience_seconds`.

        Raises:
            LedgerError: the ledger's answer, or that it stayed out of reach.
        """
        give_up = time.monotonic() + self.options.patience_seconds
        pause = 0.2
        while True:
            try:
                running = self._ledger_threads.submit(call, *args, **kwargs)
                self._ledger_calls.add(running)
                running.add_done_callback(self._ledger_calls.discard)
                return await asyncio.wrap_future(running)
            except LedgerError as error:
                if isinstance(error, LedgerUnavailable):
                    self._proved_at = -PROOF_SECONDS  # nothing is sent before it is proved anew
                if isinstance(error, LedgerFull):
                    self.stop_full()
                if error.verdict is not Verdict.RETRYABLE or time.monotonic() + pause > give_up:
                    raise
                log.warning("The ledger does not answer, trying again in %.1f s: %s", pause, error.message)
            await asyncio.sleep(pause * self.rng.uniform(0.75, 1.25))
            pause = min(pause * 2, 5.0)

    async def drain(self) -> None:
        """Wait for the ledger's calls under way: a cancelled task no longer hears of its own, but the thread runs on."""
        calls = [asyncio.wrap_future(running) for running in tuple(self._ledger_calls)]
        await asyncio.gather(*calls, return_exceptions=True)  # whoever made a call has heard its error, or left

    async def release(self, row: RequestRow, note: str) -> None:
        """This run's work on a request at the service is over: say why, and leave it to whoever adopts it next.

        At once, since a batch may run for hours after the one clip that it left.
        """
        await self.in_ledger(self.ledger.note, row.fingerprint, self.owner, note)
        await self.in_ledger(self.ledger.release, self.owner, fingerprint=row.fingerprint)

    def write_beside(self, writing: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Write a record beside the request's own way; leaving waits for it."""
        task = asyncio.create_task(writing)
        self.writes.add(task)
        task.add_done_callback(self.writes.discard)
        return task

    async def ask_bucket(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make one call of the bucket in a thread, without further tries.

        Raises:
            StorageError: the bucket's answer.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._bucket_threads, functools.partial(call, *args, **kwargs))

    async def in_bucket(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A call of the bucket in a thread, a few tries where trying again makes sense.

        Raises:
            StorageError: the bucket's answer, or that it stayed out of reach.
        """
        for attempt in range(1, STORAGE_TRIES + 1):
            try:
                return await self.ask_bucket(call, *args, **kwargs)
            except StorageError as error:
                if error.verdict is not Verdict.RETRYABLE or attempt == STORAGE_TRIES:
                    raise
            await asyncio.sleep(2**attempt * 0.25 * self.rng.uniform(0.75, 1.25))
        raise AssertionError("unreachable")

    async def prove_writable(self) -> None:
        """Raise unless the ledger can be written: nothing is paid for that could not be recorded."""
        if time.monotonic() - self._proved_at >= PROOF_SECONDS:
            await self.in_ledger(self.ledger.prove_writable)
            self._proved_at = time.monotonic()

    async def forecast(self, model_id: str, duration: int) -> Forecast:
        """Generation times of an endpoint and duration, with the ledger's history on first use."""
        key = (model_id, duration)
        async with self._forecast_lock:
            if key not in self._forecasts:
                history = await self.in_ledger(self.ledger.generation_times, self.service, model_id, duration)
                median, spread = prior(model_id, duration)
                median = self.options.prior_seconds or median
                self._forecasts[key] = forecast = Forecast(median, spread, tuple(history))
                forecast.ages = lambda: [f.age for f in self.flights.values() if f.forecast is forecast]
        return self._forecasts[key]

    def not_sent(self, row: RequestRow) -> None:
        """Take back that a POST was begun: it provably made nothing."""
        self.posted.discard((row.fingerprint, row.attempt))
        self.sent.forget(row.fingerprint, row.attempt)

    def stop_full(self) -> None:
        """Submit nothing more: the ledger's disk is full, and an id that comes back could not be recorded."""
        if self.halt is not None or not self.flights:
            return
        order = next(iter(self.flights.values())).order
        self.stop_submitting(
            Held(
                order, WaitReason.STORAGE,
                "The ledger's disk is full, so nothing more is submitted: what the service answers could not be recorded.",
                "Free space on the disk of the ledger's database. It goes on by itself then.",
                code=ErrorCode.LEDGER_UNAVAILABLE,
            )
        )  # fmt: skip

    def stop_submitting(self, held: Held) -> Held:
        """Submit nothing more in this run, since the next submit would meet the same refusal. Return ``held``."""
        if self.halt is None:
            self.halt = held
            log.warning("Nothing more is submitted in this run: %s", held.reason)
        return held

    def new_request(self, order: GenerationRequest) -> NewRequest:
        """The order as the ledger keeps it."""
        inputs = order.inputs
        return NewRequest(
            fingerprint=order.fingerprint,
            service=self.service,
            clip=order.clip,
            take=order.take,
            family=inputs.family,
            route=order.route,
            seed=inputs.seed,
            duration=inputs.duration,
            inputs_json=inputs.model_dump_json(exclude_none=True),
        )
