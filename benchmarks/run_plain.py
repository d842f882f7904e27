"""Run the same batch with a plain client: submit, poll every 2 s (like the vendor's own tool), download.

It has no ledger, budget or rate limit, which only makes it cheaper.
"""

import asyncio
import sys
import time
from pathlib import Path

import httpx

from benchmarks.workload import Meter, inputs_of, read_spec
from resources.schemas.endpoints import ENDPOINTS, ids_for, to_body
from resources.schemas.inputs import GenerationInputs
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.keys import video_key

POLL_SECONDS = 2.0


async def work() -> None:
    spec, settings = read_spec(), load_settings()
    clips = inputs_of(spec)
    bucket = Bucket.from_settings(settings)
    scratch = Path(spec["scratch"])
    await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
    token = settings.runcomfy_token.get_secret_value() if settings.runcomfy_token else ""
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(
        base_url=settings.runcomfy_model_api_base,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        limits=limits,
        trust_env=False,
    ) as http:
        meter = Meter()

        async def one(number: int, inputs: GenerationInputs) -> None:
            endpoint = ENDPOINTS[ids_for(inputs.family)[0]]
            body = to_body(endpoint, inputs, lambda medium: bucket.presign_get(medium.key, 3600).get_secret_value())
            request_id = (await http.post(f"models/{endpoint.model_id}", json=body)).json()["request_id"]
            while True:
                await asyncio.sleep(POLL_SECONDS)
                meter.figures.polls += 1
                if (await http.get(f"requests/{request_id}/status")).json()["status"] == "completed":
                    break
            meter.figures.noticed[request_id] = time.time()
            url = (await http.get(f"requests/{request_id}/result")).json()["output"]["video"]
            path = scratch / f"{request_id}.mp4"
            async with http.stream("GET", url, headers={"Authorization": ""}) as response:
                with path.open("wb") as file:
                    async for part in response.aiter_bytes():
                        file.write(part)
            await asyncio.to_thread(bucket.upload, path, video_key(f"{number:064x}"), "video/mp4")
            path.unlink()

        async def sample() -> None:
            while True:
                await asyncio.sleep(1)
                meter.waiting()

        sampling = asyncio.create_task(sample())
        async with asyncio.TaskGroup() as group:
            for number, inputs in enumerate(clips):
                group.create_task(one(number, inputs))
        sampling.cancel()
        meter.end(len(clips))
    meter.print_figures()


if __name__ == "__main__":
    asyncio.run(work())
    sys.exit(0)
