"""The heartbeat: as long as a run lives nobody takes its requests for orphans."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest


def test_no_error_ends_the_heartbeat(build_house: Any, make_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house = build_house(make_sandbox(generation_seconds=300, queue_share=1))
    heartbeat = house.ledger.heartbeat
    calls: list[int] = []

    async def main() -> None:
        again = asyncio.Event()
        loop = asyncio.get_running_loop()

        def beat(owner: str, lease_seconds: float) -> int:
            calls.append(1)
            if len(calls) == 1:
                raise ZeroDivisionError
            kept: int = heartbeat(owner, lease_seconds)
            loop.call_soon_threadsafe(again.set)
            return kept

        monkeypatch.setattr(house.ledger, "heartbeat", beat)

        async def consume() -> None:
            async with (
                house.engine(lease_seconds=1.5, deadline_seconds=60) as engine,
                aclosing(engine.stream([house.order(1)])) as outcomes,
            ):
                async for _ in outcomes:
                    pass

        task = asyncio.create_task(consume())
        try:
            async with asyncio.timeout(20):
                await again.wait()
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(main())
    assert len(calls) >= 2
