"""Bring the takes of a clip to their outcomes: each plan becomes requests, and one engine makes those of all clips."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial

from i2v_assets.pipeline.context import PipelineContext, RunScope
from i2v_assets.pipeline.film_budget import FilmBudget
from i2v_assets.pipeline.plan import Planned
from i2v_assets.pipeline.takes import Generated, Take
from i2v_assets.pipeline.voice_film import generate_film
from i2v_assets.planning.plan import Plan
from i2v_assets.planning.time_window import parse_window
from resources.generation.types import Delivered, GenerationRequest, Held, Outcome
from resources.ledger.errors import LedgerError
from resources.ledger.records import State
from resources.registry.base import still_wanted
from resources.registry.registry import ClipRow, ClipState
from resources.wait_reason import WaitReason

_ASKED_AGAIN = {WaitReason.PERSON, WaitReason.REPLACED, WaitReason.STOPPED, WaitReason.PAUSED}
"""Why a request was not sent although the same one may be later in this run: another clip of the same bytes may still want it,
or a pause has ended."""


async def generate_take(context: PipelineContext, plan: Plan, request: GenerationRequest) -> Generated:
    """Bring one request to its outcome.

    Raises:
        LedgerError: the ledger has lost the row of a delivered video.
    """
    outcome = await context.generate(request)
    if not isinstance(outcome, Delivered):
        return Generated([outcome], [])
    row = await asyncio.to_thread(context.ledger.get, plan.fingerprint)
    if row is None:  # the engine delivered it, so only another program can have taken it out
        raise LedgerError(f"The ledger has lost {plan.fingerprint[:12]}.", remedy="Restore the ledger's database.")
    return Generated([outcome], [Take(plan, outcome, row)])


class GenerationQueue:
    """Clips put requests in and wait; the engine takes them out and hands back each outcome as it completes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[GenerationRequest | None] = asyncio.Queue()
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}

    async def generate(self, order: GenerationRequest) -> Outcome:
        """Return the outcome of a request.

        Two clips of the same bytes and the same brief have one fingerprint: they share one generation, and the file on
        local disk belongs to the first.
        """
        while (shared := self._waiting.get(order.fingerprint)) is not None:
            outcome = await asyncio.shield(shared)
            if isinstance(outcome, Held) and outcome.kind in _ASKED_AGAIN:
                if self._waiting.get(order.fingerprint) is shared:
                    break  # this clip asks for itself; further ones share its request
                continue
            if isinstance(outcome, Delivered):
                return replace(outcome, order=order, local_path=None, paid=False, already=True)
            return replace(outcome, order=order)
        future = self._waiting[order.fingerprint] = asyncio.get_running_loop().create_future()
        await self._queue.put(order)
        return await asyncio.shield(future)

    async def taken(self) -> AsyncIterator[GenerationRequest]:
        """Yield the requests that were put in, until the queue closes."""
        while (order := await self._queue.get()) is not None:
            yield order

    @asynccontextmanager
    async def served_by(
        self, stream: Callable[[AsyncIterator[GenerationRequest]], AsyncGenerator[Outcome, None]]
    ) -> AsyncIterator[None]:
        """Serve requests with an engine's stream for the length of the block; an engine that breaks breaks the block."""

        async def serve() -> None:
            try:
                async with aclosing(stream(self.taken())) as outcomes:
                    async for outcome in outcomes:
                        future = self._waiting[outcome.order.fingerprint]
                        if not future.done():
                            future.set_result(outcome)
            except BaseException as error:
                for future in self._waiting.values():
                    if not future.done():
                        future.cancel() if isinstance(error, asyncio.CancelledError) else future.set_exception(error)
                raise

        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            yield
            await self._queue.put(None)


PAID = {State.SUBMITTED, State.SUCCEEDED, State.SUBMITTING, State.UNKNOWN}
"""States in which money may have moved: no gate holds what is paid for."""


class TakeMaker:
    """Makes the takes of the clips of one run, within its budget and its hours."""

    def __init__(self, context: PipelineContext, run: RunScope) -> None:
        self._context = context
        self._run = run
        hours = context.settings.generate_only
        self.window = parse_window(hours, context.settings.zone) if hours else None

    @cached_property
    def _film_budget(self) -> FilmBudget:
        return FilmBudget(self._context.ledger, self._context.settings, self._run.budget_run or self._run.run_id)

    @asynccontextmanager
    async def making(self, planned: Planned) -> AsyncIterator[Generated]:
        """Make the takes that are asked for, and delete their files on local disk after the block."""
        generated = await self.generate(planned.row, planned.plans)
        try:
            yield generated
        finally:
            generated.discard()

    async def generate(self, row: ClipRow, plans: Sequence[Plan]) -> Generated:
        """Bring the takes of a clip to their outcomes, all at once."""

        def one(plan: Plan) -> Awaitable[Generated]:
            if plan.pieces:
                return generate_film(self._context, self._film_budget, plan, partial(self.request, row), generate_take)
            return generate_take(self._context, plan, self.request(row, plan))

        made = Generated([], [])
        for more in await asyncio.gather(*(one(plan) for plan in plans)):
            made.add(more)
        return made

    async def states(self, plan: Plan) -> tuple[State | None, ...]:
        """Return the states of a take's requests; None for one that the ledger does not know."""
        rows = [await asyncio.to_thread(self._context.ledger.get, each.fingerprint) for each in plan.requests]
        return tuple(row.state if row is not None else None for row in rows)

    async def is_paid(self, plan: Plan) -> bool:
        """Return whether money may have moved for each request of a take."""
        return all(state in PAID for state in await self.states(plan))

    async def is_paid_in_part(self, plan: Plan) -> bool:
        """Return whether a take of pieces was begun: money may have moved for at least one of them."""
        return bool(plan.pieces) and any(state in PAID for state in await self.states(plan))

    def request(self, row: ClipRow, plan: Plan) -> GenerationRequest:
        """Return the request for a plan that is not of pieces."""
        by = self._retry_by(row)
        request = GenerationRequest(
            plan.clip, plan.take, plan.fingerprint, plan.inputs, plan.route, plan.at_most_microdollars, retry_by=by,
            wanted=still_wanted(row, self._run.run_id), adopt_only=row.stopped_by is not None,
            quote=plan.quote, billed=plan.billed,
        )  # fmt: skip
        if self.window is not None:  # it may wait for a slot until the window is over
            request = replace(request, not_after=self.window.closes(datetime.now(UTC)))
        return request

    def _retry_by(self, row: ClipRow) -> str | None:
        """Return who asks for another attempt: a person who runs a failed clip again, or the retry schedule.

        Each of them asks for one. If the run crashed afterwards, that attempt may have been made: a person is not taken to
        ask twice (an automatic retry is not a run by hand), and the schedule only if the clip got no answer.
        """
        if self._run.by_hand:
            return f"run {self._run.run_id}"
        answered = self._run.retried and row.state is ClipState.FAILED
        return "retry schedule" if self._run.dispatched and row.retries and not answered else None
