"""Thousands of requests in flight cost next to nothing, and rendering does not make a poll wait."""

import asyncio
import time
from pathlib import Path

import aiohttp
import psutil

WAN_T2V = "wan-ai/wan-2-7/text-to-video"
HEADERS = {"Authorization": "Bearer x"}


async def submit(session: aiohttp.ClientSession, count: int, **body: object) -> list[str]:
    async def one(seed: int) -> str:
        values = {"prompt": "Pan.", "duration": 2, "resolution": "720p", "seed": seed, **body}
        async with session.post(f"/v1/models/{WAN_T2V}", json=values) as answer:
            return str((await answer.json())["request_id"])

    return await asyncio.gather(*(one(seed) for seed in range(1, count + 1)))


async def poll(session: aiohttp.ClientSession, ids: list[str], what: str) -> None:
    async def one(request_id: str) -> None:
        async with session.get(f"/v1/requests/{request_id}/{what}") as answer:
            assert (await answer.json())["status"] == "in_queue"

    await asyncio.gather(*(one(request_id) for request_id in ids))


def connect(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(url, headers=HEADERS, connector=aiohttp.TCPConnector(limit=40))


def test_a_poll_costs_well_under_a_millisecond_and_writes_nothing(start):
    server = start(generation_seconds=3600, render="cached")
    process = psutil.Process(server.pid)

    def cpu() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def written() -> list[tuple[str, int, int]]:
        files = sorted(Path(server.data_dir).glob("sandbox.sqlite*"))
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]

    async def main() -> float:
        async with connect(server.url) as session:
            ids = await submit(session, 1500)
            await poll(session, ids, "status")
            state, before = written(), cpu()
            await poll(session, ids, "status")
            await poll(session, ids, "result?include_cost=true")
            assert written() == state
            return (cpu() - before) / (2 * len(ids))

    seconds = asyncio.run(main())
    assert seconds < 0.0008  # 0.2 ms on an idle machine
    assert process.memory_info().rss < 300e6


def test_polls_are_answered_while_two_videos_render(start):
    server = start(generation_seconds=0, generation_spread=0, queue_share=0)

    async def main() -> list[float]:
        async with connect(server.url) as session:
            rendering = await submit(session, 2, duration=3)
            waits = []
            ended = 0
            while ended < len(rendering):
                started = time.monotonic()
                async with session.get(f"/v1/requests/{rendering[ended]}/status") as answer:
                    ended += (await answer.json())["status"] == "completed"
                waits.append(time.monotonic() - started)
                await asyncio.sleep(0.01)
            return sorted(waits)

    waits = asyncio.run(main())
    assert len(waits) > 20
    assert waits[len(waits) // 2] < 0.05
