"""Single parts, measured: grouping a listing, the sandbox's polls, a poll beside rendering, one rendering.

Each line says what was measured and the limit. It ends with 1 when a limit is passed, which on a busy machine says nothing.

Usage: python -m benchmarks.parts [--only grouping polls waits heic voice rendering]
"""

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import av
import cv2
import numpy as np
import psutil
from PIL import Image

from i2v_assets.uploads.grouping import group_uploads
from resources.devservers.start import RunningSandbox, start_sandbox
from resources.media.preparation import Preparation
from resources.media.prepare import prepare_file
from resources.sandbox.drawing.job import MediaFolder, RenderJob
from resources.sandbox.drawing.render import render
from resources.schemas.families.happyhorse_1_0 import NAME as HAPPYHORSE_I2V
from resources.schemas.inputs import MediumKind
from resources.storage.bucket import ObjectInfo

SAMPLE = Path(__file__).parents[1] / "i2v_assets" / "samples" / "pet.jpg"
MODEL = "wan-ai/wan-2-7/text-to-video"
REQUESTS = 1500
"""In flight at once: more than a night's largest batch has."""


def grouping() -> float:
    """Return the CPU seconds of grouping 90,000 pictures and 10,000 sounds."""
    now = datetime.now(UTC)
    then = now - timedelta(minutes=1)
    things = [ObjectInfo(f"uploads/f{i // 1000}/{i:06}.jpg", 1000, "e", then) for i in range(90_000)]
    things += [ObjectInfo(f"uploads/f{i // 1000}/{i:06}.mp3", 1000, "e", then) for i in range(10_000)]
    began = time.process_time()
    found = group_uploads(things, now, 30, {}, {})
    spent = time.process_time() - began
    if len(found.candidates) != 90_000:
        raise SystemExit(f"{len(found.candidates)} clips were found, not 90000.")
    return spent


def polls() -> float:
    """Return the sandbox's CPU milliseconds for a poll, with many requests in flight."""
    with _sandbox(generation_seconds=3600, render="cached") as sandbox:
        process = psutil.Process(sandbox.pid)

        async def measure() -> float:
            async with _session(sandbox) as session:
                ids = await _submit(session, REQUESTS)
                await asyncio.gather(*(_status(session, each) for each in ids))
                before = process.cpu_times()
                await asyncio.gather(*(_status(session, each) for each in ids))
                after = process.cpu_times()
                return (after.user + after.system - before.user - before.system) / len(ids) * 1000

        return asyncio.run(measure())


def waits() -> float:
    """Return the median milliseconds of a poll while two videos render."""
    with _sandbox(generation_seconds=0, generation_spread=0, queue_share=0) as sandbox:

        async def measure() -> float:
            async with _session(sandbox) as session:
                left = await _submit(session, 2, duration=3)
                took = []
                while left:
                    began = time.monotonic()
                    if await _status(session, left[0]) == "completed":
                        left = left[1:]
                    took.append(time.monotonic() - began)
                    await asyncio.sleep(0.01)
                return statistics.median(took) * 1000

        return asyncio.run(measure())


def rendering() -> float:
    """Return the CPU seconds of rendering 5 s of 720p with the most expensive camera move, in one thread as in the server."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder:
        media = MediaFolder(Path(folder) / "media")
        content = SAMPLE.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        media.path(sha256).write_bytes(content)
        job = RenderJob(
            model_id="a/b", family=HAPPYHORSE_I2V, prompt="orbit", seconds=5, width=1280, height=720,
            resolution="720p", seed=5, images=(sha256,),
        )  # fmt: skip
        began = time.process_time()
        render(job, media, Path(folder) / "video.mp4", mark=None, stop=threading.Event())
        return time.process_time() - began


def _cpu_times(work: Callable[[], object], bare: Callable[[], object]) -> float:
    """Return the CPU of a piece of work in times of the bare library's, each the best of three."""

    def best(of: Callable[[], object]) -> float:
        spent = []
        for _ in range(3):
            began = time.process_time()
            of()
            spent.append(time.process_time() - began)
        return min(spent)

    return best(work) / best(bare)


def heic() -> float:
    """Return the CPU of preparing a HEIC of 12 megapixels, in times of Pillow's bare decode and encode."""
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as name:
        folder = Path(name)
        source = folder / "photo.heic"
        with Image.open(SAMPLE) as sample:
            sample.convert("RGB").resize((4000, 3000)).save(source, "HEIF", quality=80)
        wanted = Preparation(kind=MediumKind.IMAGE, reasons=(), max_bytes=10_000_000)

        def bare() -> None:
            with Image.open(source) as image:
                image.convert("RGB").save(folder / "bare.jpg", quality=92)

        return _cpu_times(lambda: prepare_file(source, folder / "ours.jpg", wanted, "photo.heic"), bare)


def voice() -> float:
    """Return the CPU of preparing a voice memo of 30 s, in times of PyAV's bare decode and encode."""
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as name:
        folder = Path(name)
        source = folder / "memo.m4a"
        with av.open(str(source), "w", format="ipod") as file:
            stream = file.add_stream("aac", rate=44_100, layout="mono")
            hum = (np.sin(np.arange(30 * 44_100) / 44_100 * 2 * np.pi * 220) * 0.3).astype(np.float32)
            for at in range(0, len(hum) - 1024, 1024):
                frame = av.AudioFrame.from_ndarray(hum[None, at : at + 1024], format="fltp", layout="mono")
                frame.rate, frame.pts = 44_100, at
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        wanted = Preparation(kind=MediumKind.AUDIO, reasons=(), max_bytes=15_000_000)

        def bare() -> None:
            with av.open(str(source)) as read, av.open(str(folder / "bare.wav"), "w", format="wav") as out:
                written = out.add_stream("pcm_s16le", rate=44_100, layout="mono")
                resampler = av.AudioResampler(format="s16", layout="mono", rate=44_100)
                for frame in read.decode(audio=0):
                    for part in resampler.resample(frame):
                        out.mux(written.encode(part))
                out.mux(written.encode(None))

        return _cpu_times(lambda: prepare_file(source, folder / "ours.wav", wanted, "memo.m4a"), bare)


PARTS: dict[str, tuple[Callable[[], float], float, str]] = {
    "grouping": (grouping, 6, "CPU s for 100,000 uploads"),  # 2 s on a quiet machine
    "polls": (polls, 0.8, "CPU ms a poll of the sandbox"),  # 0.2 ms on a quiet machine
    "waits": (waits, 50, "ms a poll takes while two videos render (median)"),
    "heic": (heic, 1.6, "times Pillow's CPU for a HEIC of 12 megapixels"),  # 1.0 on a quiet machine
    "voice": (voice, 1.6, "times PyAV's CPU for a voice memo of 30 s"),  # 1.2 on a quiet machine
    "rendering": (rendering, 4, "CPU s for 5 s of 720p"),
}


@contextmanager
def _sandbox(**options: object) -> Iterator[RunningSandbox]:
    with (
        tempfile.TemporaryDirectory(prefix="i2v-bench-sandbox-") as folder,
        start_sandbox(Path(folder), **options) as sandbox,
    ):
        yield sandbox


def _session(sandbox: RunningSandbox) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=40)
    return aiohttp.ClientSession(sandbox.url, headers={"Authorization": "Bearer x"}, connector=connector)


async def _submit(session: aiohttp.ClientSession, count: int, duration: int = 2) -> list[str]:
    async def one(seed: int) -> str:
        body = {"prompt": "Pan.", "duration": duration, "resolution": "720p", "seed": seed}
        async with session.post(f"/v1/models/{MODEL}", json=body) as answer:
            return str((await answer.json())["request_id"])

    return await asyncio.gather(*(one(seed) for seed in range(1, count + 1)))


async def _status(session: aiohttp.ClientSession, request_id: str) -> str:
    async with session.get(f"/v1/requests/{request_id}/status") as answer:
        return str((await answer.json())["status"])


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    over = False
    for name in parser.parse_args(words).only:
        measure, limit, unit = PARTS[name]
        found = measure()
        over |= found > limit
        print(f"{name:10} {found:8.2f} {unit}; at most {limit:g}", flush=True)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
