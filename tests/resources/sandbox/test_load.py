"""Thousands of requests in flight, and polls while videos render; `benchmarks/parts.py` measures both."""

import asyncio
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


def test_a_poll_writes_nothing(start):
    server = start(generation_seconds=3600, render="cached")

    def written() -> list[tuple[str, int, int]]:
        files = sorted(Path(server.data_dir).glob("sandbox.sqlite*"))
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]

    async def main() -> None:
        async with connect(server.url) as session:
            ids = await submit(session, 1500)
            await poll(session, ids, "status")
            state = written()
            await poll(session, ids, "status")
            await poll(session, ids, "result?include_cost=true")
            assert written() == state
            assert psutil.Process(server.pid).memory_info().rss < 300e6

    asyncio.run(main())


def test_polls_are_answered_while_two_videos_render(start):
    server = start(generation_seconds=0, generation_spread=0, queue_share=0)

    async def main() -> int:
        async with connect(server.url) as session:
            rendering = await submit(session, 2, duration=3)
            answered = ended = 0
            while ended < len(rendering):
                async with session.get(f"/v1/requests/{rendering[ended]}/status") as answer:
                    ended += (await answer.json())["status"] == "completed"
                answered += 1
                await asyncio.sleep(0.01)
            return answered

    assert asyncio.run(main()) > 20
