"""Let each clip await its own videos while one engine makes all of them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from i2v_assets.pipeline.takes import Take
from i2v_assets.planning.plan import Plan
from resources.generation.types import Delivered, GenerationRequest, Held, Outcome
from resources.ledger.errors import LedgerError
from resources.ledger.ledger import Ledger
from resources.wait_reason import WaitReason

_ASKED_AGAIN = {WaitReason.PERSON, WaitReason.REPLACED, WaitReason.STOPPED, WaitReason.PAUSED}
"""Why a request was not sent although the same one may be later in this run: another clip of the same bytes may still want it,
or a pause has ended."""


class Generator(Protocol):
    """What generating needs of the pipeline's context."""

    @property
    def ledger(self) -> Ledger:
        """The record of every request."""

    @property
    def generate(self) -> Callable[[GenerationRequest], Awaitable[Outcome]]:
        """Bring one request to its outcome."""


@dataclass
class Generated:
    """The outcomes of a clip's takes, in order, and those takes that have a video."""

    outcomes: list[Outcome]
    takes: list[Take]

    def add(self, more: "Generated") -> None:
        """Add further takes."""
        self.outcomes += more.outcomes
        self.takes += more.takes

    def discard(self) -> None:
        """Delete the files on local disk."""
        for take in self.takes:
            if take.outcome.local_path is not None:
                take.outcome.local_path.unlink(missing_ok=True)


async def generate_takes(context: Generator, plans: Sequence[Plan], requests: Sequence[GenerationRequest]) -> Generated:
    """Bring the requests of a clip's plans to their outcomes, all at once.

    Raises:
        LedgerError: the ledger has lost the row of a delivered video.
    """

    async def one(plan: Plan, request: GenerationRequest) -> tuple[Outcome, Take | None]:
        outcome = await context.generate(request)
        if not isinstance(outcome, Delivered):
            return outcome, None
        row = await asyncio.to_thread(context.ledger.get, plan.fingerprint)
        if row is None:  # the engine delivered it, so only another program can have taken it out
            raise LedgerError(f"The ledger has lost {plan.fingerprint[:12]}.", remedy="Restore the ledger's database.")
        return outcome, Take(plan, outcome, row)

    found = await asyncio.gather(*(one(plan, request) for plan, request in zip(plans, requests, strict=True)))
    return Generated([outcome for outcome, _ in found], [take for _, take in found if take is not None])


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
