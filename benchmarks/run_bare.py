"""Run the same batch with the least that a program can do: one asyncio loop and aiohttp, in this one file.

Submit, poll every 2 s, download, upload to an address that was presigned before. No ledger, budget, retry, thread or SDK,
so its CPU is the limit that no client in Python gets below.
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

from benchmarks.workload import Meter, inputs_of, read_spec
from resources.schemas.endpoints import ENDPOINTS, ids_for, to_body
from resources.settings import load_settings
from resources.storage.client import make_client

POLL_SECONDS = 2.0
CONNECTIONS = 64
"""As many as the plain client has."""


async def work() -> None:
    spec, settings = read_spec(), load_settings()
    store, bucket, scratch = make_client(), settings.required_bucket, Path(spec["scratch"])
    await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
    base = settings.runcomfy_model_api_base.rstrip("/")
    token = settings.runcomfy_token.get_secret_value() if settings.runcomfy_token else ""
    headers = {"Authorization": f"Bearer {token}"}

    def presigned(call: str, key: str) -> str:
        return store.generate_presigned_url(call, {"Bucket": bucket, "Key": key}, 3600)

    prepared = []
    for number, inputs in enumerate(inputs_of(spec)):
        endpoint = ENDPOINTS[ids_for(inputs.family)[0]]
        body = to_body(endpoint, inputs, lambda medium: presigned("get_object", medium.key))
        prepared.append(
            (f"{base}/models/{endpoint.model_id}", body, presigned("put_object", f"videos/{number:064x}.mp4"))
        )
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        meter = Meter()

        async def ask(url: str) -> dict[str, object]:
            async with http.get(url, headers=headers) as response:
                return dict(await response.json())

        async def one(url: str, body: dict[str, object], target: str) -> None:
            async with http.post(url, json=body, headers=headers) as response:
                request_id = str((await response.json())["request_id"])
            while True:
                await asyncio.sleep(POLL_SECONDS)
                meter.figures.polls += 1
                if (await ask(f"{base}/requests/{request_id}/status"))["status"] == "completed":
                    break
            meter.figures.noticed[request_id] = time.time()
            result = await ask(f"{base}/requests/{request_id}/result")
            path = scratch / f"{request_id}.mp4"
            async with http.get(dict(result["output"])["video"]) as response:  # type: ignore[call-overload]
                with path.open("wb") as file:
                    async for part in response.content.iter_any():
                        file.write(part)
            with path.open("rb") as file:
                size = str(path.stat().st_size)
                async with http.put(target, data=file, headers={"Content-Length": size}) as response:
                    response.raise_for_status()
            path.unlink()

        async def sample() -> None:
            while True:
                await asyncio.sleep(1)
                meter.waiting()

        sampling = asyncio.create_task(sample())
        async with asyncio.TaskGroup() as group:
            for parts in prepared:
                group.create_task(one(*parts))
        sampling.cancel()
        meter.end(len(prepared))
    meter.print_figures()


if __name__ == "__main__":
    asyncio.run(work())
    sys.exit(0)
