"""Run many generation requests concurrently and yield each outcome as it completes; `open_engine` builds one from the settings."""

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from resources.errors import Verdict
from resources.generation import witness
from resources.generation.context import Context, InFlightRequest, OnChange
from resources.generation.shutdown import StopKind, get_stop_reason, wind_down
from resources.generation.state_machine import follow
from resources.generation.types import EngineOptions, Failed, GenerationRequest, Outcome
from resources.ledger.errors import IllegalTransition, LedgerError, StaleClaim, UnknownRequest
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, caps_of, utc_now
from resources.runcomfy.catalogue import Catalogue
from resources.runcomfy.client import RunComfyClient
from resources.runcomfy.factory import build_catalogue, build_client
from resources.runcomfy.pacing import RetryPolicy
from resources.schemas.inputs import Service
from resources.settings import Settings
from resources.storage.bucket import Bucket
from resources.storage.reachability import check_reachable

log = logging.getLogger(__name__)

ENGINE_RETRIES = RetryPolicy(attempts=2, total_seconds=10.0, longest_retry_after=0.0)
"""Retries of the client under the engine: two tries within 10 s. The engine repeats polls by itself, and a Retry-After has
to reach its pacer, which delays every call and not only the one that got it."""

FLEET_SECONDS = 2.0
"""Seconds between two reads of the pauses that other processes recorded for the service."""
HEARTBEATS = 3
"""Heartbeats within one lease."""


class Engine:
    """Run many generation requests concurrently and yield each outcome as it completes. One event loop, one stream.

    Args:
        service: Which service the client talks to; part of every fingerprint.
        client: An opened client. Its own retries should be few, since the engine paces and repeats polls itself.
        catalogue: Ids and prices.
        bucket: Where inputs lie and videos go.
        ledger: The record of every request.
        options: Limits.
        scratch: Folder for videos on their way; one's own, since names in it are fingerprints.
        owner: Who claims: unique to this process and engine.
        run_id: The run that works.
        budget_run: Whose budget per run counts; its own where it is empty.
        stop_kind: Returns why the stream is cancelled, when it is; called in a thread.
        rng: Source of all jitter.
        clock: Returns the time, which decides whether an order may still be submitted.
        on_change: Called with each request as it is planned, submitted, seen running and done; called in the event loop.
    """

    def __init__(
        self,
        service: Service,
        client: RunComfyClient,
        catalogue: Catalogue,
        bucket: Bucket,
        ledger: Ledger,
        options: EngineOptions,
        *,
        scratch: Path,
        owner: str,
        run_id: str,
        budget_run: str = "",
        stop_kind: Callable[[], StopKind] = lambda: "other",
        rng: random.Random | None = None,
        clock: Callable[[], datetime] = utc_now,
        on_change: OnChange = lambda _row, _refusal: None,
    ) -> None:
        self._ctx = Context(
            service,
            client,
            catalogue,
            bucket,
            ledger,
            options,
            scratch=scratch,
            owner=owner,
            run_id=run_id,
            budget_run=budget_run or run_id,
            rng=rng or random.Random(),  # noqa: S311 - jitter
            clock=clock,
            on_change=on_change,
        )
        self._stop_kind = stop_kind
        self._locks: dict[str, asyncio.Lock] = {}
        self._finished: asyncio.Queue[Outcome | None] = asyncio.Queue(options.waiting_outcomes)
        self._left: list[Outcome] = []

    @property
    def catalogue(self) -> Catalogue:
        """Ids and prices, as the engine itself asks for them."""
        return self._ctx.catalogue

    @property
    def calls(self) -> int:
        """Requests to the service so far."""
        return self._ctx.client.calls

    @property
    def polls(self) -> int:
        """Those of them that asked for the state of a request."""
        return self._ctx.client.polls

    async def stream(
        self, orders: AsyncIterable[GenerationRequest] | Iterable[GenerationRequest]
    ) -> AsyncGenerator[Outcome, None]:
        """Yield each request's outcome as it completes; requests are pulled as there is room for them.

        When the task that consumes the stream is cancelled, flights are wound down (see ``stopping``), their outcomes
        are yielded too, and the cancellation goes on. Use it within ``contextlib.aclosing``, so that it is also wound
        down when the consumer's own code raises.
        """
        driver = asyncio.create_task(self._drive(orders))
        try:
            while (outcome := await self._finished.get()) is not None:
                yield outcome
        except asyncio.CancelledError:
            for outcome in await asyncio.shield(asyncio.create_task(self._stop(driver))):
                yield outcome
            raise
        finally:
            if not driver.done():
                await asyncio.shield(asyncio.create_task(self._stop(driver)))
            await self._leave()
        await driver  # what the source of the orders raised

    async def _drive(self, orders: AsyncIterable[GenerationRequest] | Iterable[GenerationRequest]) -> None:
        """Feed the requests in and wait for all of them; a failing source ends the feeding, not what is in flight."""
        beats = asyncio.create_task(self._beat())
        try:
            async with asyncio.TaskGroup() as group:
                feeder = asyncio.create_task(self._feed(orders, group))
                try:
                    await asyncio.wait({feeder})
                finally:
                    feeder.cancel()
        finally:
            beats.cancel()
            if not self._ctx.stopping:
                await self._finished.put(None)
        if not feeder.cancelled() and (error := feeder.exception()) is not None:
            raise error

    async def _feed(
        self, orders: AsyncIterable[GenerationRequest] | Iterable[GenerationRequest], group: asyncio.TaskGroup
    ) -> None:
        # A few more than may be in flight, so that downloads do not keep free slots at the service empty.
        lanes = asyncio.Semaphore(self._ctx.options.max_in_flight + self._ctx.options.downloads)
        async for order in _pulled(orders, lanes):
            group.create_task(self._one(order, lanes))

    async def _one(self, order: GenerationRequest, lanes: asyncio.Semaphore) -> None:
        try:
            # Gathered, so that an unexpected error in one clip arrives here as a value and stops no other.
            (result,) = await asyncio.gather(self._outcome(order), return_exceptions=True)
            if isinstance(result, BaseException):
                self._ctx.flights.pop(order.fingerprint, None)
                outcome: Outcome = _unforeseen(order, result)
            else:
                outcome = result
            try:
                await self._finished.put(outcome)
            except asyncio.CancelledError:
                self._left.append(outcome)
                raise
        finally:
            lanes.release()

    async def _outcome(self, order: GenerationRequest) -> Outcome:
        # Two clips of the same bytes and words are one request: the second waits for the first, and finds its video.
        lock = self._locks.setdefault(order.fingerprint, asyncio.Lock())
        async with lock:
            flight = self._ctx.flights[order.fingerprint] = InFlightRequest(order)
            outcome = await follow(self._ctx, flight)
            del self._ctx.flights[order.fingerprint]  # not in a `finally`: a stop has to know what was on its way
            return outcome

    async def _beat(self) -> None:
        """Renew the leases and read the pauses that other processes recorded; ends only when it is cancelled.

        Without it the requests of a living run would be taken for orphans.
        """
        ctx = self._ctx
        beat_every = ctx.options.lease_seconds / HEARTBEATS
        beaten = time.monotonic()
        while True:
            await asyncio.sleep(min(FLEET_SECONDS, beat_every))
            try:
                if time.monotonic() - beaten >= beat_every:
                    await ctx.in_ledger(ctx.ledger.heartbeat, ctx.owner, ctx.options.lease_seconds)
                    beaten = time.monotonic()
                state = await ctx.in_ledger(ctx.ledger.pause_state, ctx.service)
                until = utc_now() + timedelta(seconds=state.seconds) if state.seconds > 0 else None
                ctx.pacer.on_retry_after(until, resumes=state.resumes)
                ctx.outage = await ctx.in_ledger(ctx.ledger.outage, ctx.service) if state.misses else None
            except LedgerError as error:
                log.warning("Heartbeat write failed: %s", error.message)
            except Exception:
                log.exception("Heartbeat failed with an unexpected error; it continues.")

    async def _stop(self, driver: "asyncio.Task[None]") -> list[Outcome]:
        """Stop the clips' tasks, wind their requests down, and return every outcome that was not yielded yet."""
        ctx, began = self._ctx, time.monotonic()
        ctx.stopping = True
        why = asyncio.create_task(get_stop_reason(self._stop_kind, ctx.options.stop_seconds / 2))
        driver.cancel()
        beats = asyncio.create_task(self._beat())  # the driver's ends with it; leases have to outlive the stop
        await asyncio.wait({driver})
        kind = await why
        log.info("Stopped by %s with %d requests in flight.", kind, len(ctx.flights))
        try:
            stopped = await wind_down(ctx, kind, began)
        finally:
            beats.cancel()
        finished: list[Outcome] = []
        while not self._finished.empty():
            if (outcome := self._finished.get_nowait()) is not None:
                finished.append(outcome)
        return [*finished, *self._left, *stopped]

    async def _leave(self) -> None:
        """Release everything, so that the next run need not wait for leases to expire."""
        ctx = self._ctx
        try:
            async with asyncio.timeout(ctx.options.stop_seconds):
                await ctx.drain()  # an adoption that is still being written would lease its row again
                await self._record_ids()
                await self._give_back()
                await self._finish_records()
                await ctx.in_ledger(ctx.ledger.release, ctx.owner)
        except (LedgerError, TimeoutError):
            log.warning("Leases could not be released; they expire by themselves.")
        ctx.close()

    async def _record_ids(self) -> None:
        """Try once more to record the ids that the ledger could not take when they were answered (a full disk)."""
        ctx = self._ctx
        for fingerprint, sent in ctx.sent.unrecorded(ctx.owner):
            with contextlib.suppress(StaleClaim, IllegalTransition, UnknownRequest):  # kept as an event where it can be
                await ctx.in_ledger(
                    ctx.ledger.submitted, fingerprint,
                    attempt=sent.attempt, owner=sent.owner, request_id=sent.request_id or "",
                )  # fmt: skip
            ctx.sent.recorded(fingerprint, sent.attempt)

    async def _give_back(self) -> None:
        """Return claims whose POST was never begun: a stop that ended their task did not end the thread that committed them.

        Left alone they would become `unknown`, and a person would look for requests that were never sent.
        """
        ctx = self._ctx
        for row in await ctx.in_ledger(ctx.ledger.claimed_by, ctx.owner):
            if (row.fingerprint, row.attempt) not in ctx.posted:
                reason = "the run was stopped before anything was sent"
                with contextlib.suppress(StaleClaim):  # taken away meanwhile; the leases are still to be let go of
                    await ctx.in_ledger(
                        ctx.ledger.never_delivered, row.fingerprint, attempt=row.attempt, owner=ctx.owner, reason=reason
                    )

    async def _finish_records(self) -> None:
        """Free the records of what was returned, and wait for those that are being written."""
        ctx = self._ctx
        if not ctx.posts:  # else one of them may be about to send
            await witness.free_all(ctx)
        if ctx.writes:
            await asyncio.wait(set(ctx.writes))

    async def settle_unknown(self, row: RequestRow) -> bool:
        """Look up an unknown outcome in the bucket's record; True if that settled it."""
        return await witness.settle_unknown(self._ctx, row)


async def _pulled(
    orders: AsyncIterable[GenerationRequest] | Iterable[GenerationRequest], lanes: asyncio.Semaphore
) -> AsyncIterator[GenerationRequest]:
    """Yield requests from either kind of source, each pulled only when there is a lane for it."""
    if isinstance(orders, AsyncIterable):
        source = aiter(orders)
        while True:
            await lanes.acquire()
            try:
                order = await anext(source)
            except StopAsyncIteration:
                return
            yield order
    else:
        for order in orders:
            await lanes.acquire()
            yield order


def _unforeseen(order: GenerationRequest, error: BaseException) -> Failed:
    """Return the failure for a bug of our own; the row says how far it came, and the next run continues from there."""
    log.error("Clip %s: unexpected error.", order.clip, exc_info=error)
    return Failed(
        order, f"An unforeseen error: {type(error).__name__}.",
        "The log has the details. The ledger knows how far it came; run the clip again.", verdict=Verdict.RETRYABLE,
    )  # fmt: skip


# From the settings


def options_of(settings: Settings) -> EngineOptions:
    """Return the engine's limits by the settings."""
    return EngineOptions(
        caps=caps_of(settings),
        max_in_flight=settings.max_in_flight,
        deadline_seconds=settings.deadline_seconds,
        lease_seconds=settings.lease_seconds,
        presign_seconds=settings.presign_seconds,
        inline_input_bytes=settings.inline_input_bytes,
        on_unknown=settings.on_unknown,
        resubmit_cap=settings.resubmit_cap,
        allow_unknown_price=settings.allow_unknown_price,
        price_headroom=settings.price_headroom,
        max_attempts=settings.max_attempts,
    )


def new_owner() -> str:
    """Return a new name for the owner of claims: host, process and a random part, so that no two engines share one."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


@contextlib.asynccontextmanager
async def open_engine(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    *,
    scratch: Path,
    run_id: str,
    budget_run: str = "",
    stop_kind: Callable[[], StopKind] = lambda: "other",
    options: EngineOptions | None = None,
    clock: Callable[[], datetime] = utc_now,
    on_change: OnChange = lambda _row, _refusal: None,
) -> AsyncGenerator[Engine, None]:
    """Open an engine for one stream, with a client of its own.

    Args:
        settings: The settings in force.
        ledger: An opened ledger.
        bucket: Holds the inputs and gets the videos.
        scratch: Folder for videos between download and upload.
        run_id: The run that works.
        budget_run: The run whose budget counts; empty: ``run_id``. A retried run shares the budget of the first try.
        stop_kind: Returns why the stream was cancelled; called in a thread, and only then.
        options: Other limits than the settings'.
        clock: Returns the time by which a request may still be submitted.
        on_change: Called in the event loop with each request as it is planned, submitted, seen running and done.

    Raises:
        MissingToken: no token is configured.
        EndpointUnreachable: the paid service cannot fetch inputs from this bucket.
        SettingsError: an address or a pinned id does not fit.
    """
    if settings.service == "runcomfy":  # the sandbox reads inputs on this machine too
        check_reachable(bucket, settings.service)
    async with build_client(settings, ENGINE_RETRIES) as client:
        yield Engine(
            settings.service,
            client,
            build_catalogue(settings, client),
            bucket,
            ledger,
            options or options_of(settings),
            scratch=scratch,
            owner=new_owner(),
            run_id=run_id,
            budget_run=budget_run,
            stop_kind=stop_kind,
            clock=clock,
            on_change=on_change,
        )
