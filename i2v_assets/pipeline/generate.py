"""Lets each clip await its own videos while one engine makes all of them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from resources.generation.types import Delivered, GenerationRequest, Outcome


class GenerationQueue:
    """A counter: clips hand in orders and wait; the engine takes them and hands back outcomes as they happen."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[GenerationRequest | None] = asyncio.Queue()
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}

    async def generate(self, order: GenerationRequest) -> Outcome:
        """The outcome of an order.

        Two clips of the same bytes and the same brief have one fingerprint: they share one generation, and the file on
        local disk belongs to the first.
        """
        shared = self._waiting.get(order.fingerprint)
        if shared is not None:
            outcome = await asyncio.shield(shared)
            if isinstance(outcome, Delivered):
                return replace(outcome, order=order, local_path=None, paid=False, already=True)
            return replace(outcome, order=order)
        future = self._waiting[order.fingerprint] = asyncio.get_running_loop().create_future()
        await self._queue.put(order)
        return await asyncio.shield(future)

    async def taken(self) -> AsyncIterator[GenerationRequest]:
        """What was handed in, until the counter closes."""
        while (order := await self._queue.get()) is not None:
            yield order

    @asynccontextmanager
    async def served_by(
        self, stream: Callable[[AsyncIterator[GenerationRequest]], AsyncGenerator[Outcome, None]]
    ) -> AsyncIterator[None]:
        """Serve orders with an engine's stream for the length of the block; an engine that breaks breaks the block."""

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
