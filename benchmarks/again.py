"""Process the same bucket twice: measure the time of a batch whose clips all exist, and check that it costs nothing.

A real S3 server and a real sandbox run in separate processes, as in `benchmarks.batch`. The run is a range, as a person requests
it. The clock covers the run in a warm process, because the first run used the same process. A separate run adds what every run
costs, 2.5 s of CPU.

Usage: python -m benchmarks.again [--clips 30] [--results FILE]
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
from PIL import Image

from i2v_assets.cli.dev.services import dagster_home
from resources.devservers.start import environment, start_s3, start_sandbox
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

RESULTS = Path(__file__).parent / "again.json"
JOB = "make_clips_job"


def measure(folder: Path, clips: int, stack: ExitStack) -> dict[str, float]:
    """Make the clips twice and measure the second time."""
    sandbox = stack.enter_context(start_sandbox(folder / "sandbox", generation_seconds=0.2, render="cached"))
    s3 = stack.enter_context(start_s3(folder / "s3"))
    places = {"s3": s3, "sandbox": sandbox, "bucket": "again", "data_dir": folder / "data"}
    settings = {"settle_seconds": 0, "measure": False, "previews": False, "clips_per_run": 1000}
    os.environ.update(environment(**places, **settings))
    os.environ["DAGSTER_HOME"] = str(dagster_home(folder / "data"))
    upload(clips)
    import dagster as dg  # imported late, because the definitions read the settings on import

    from benchmarks.run_dagster import requested
    from i2v_assets.definitions import defs

    def charges() -> int:
        return int(httpx.get(f"{sandbox.url}/_sandbox/charges").raise_for_status().json()["count"])

    instance = stack.enter_context(dg.DagsterInstance.get())
    job = defs.resolve_job_def(JOB)
    (tags,) = list(requested(instance))
    job.execute_in_process(instance=instance, tags=dict(tags))
    paid = charges()
    if paid != clips:
        raise SystemExit(f"{paid} charges for {clips} clips")
    ends = {name: tags[name] for name in tags if name.startswith("dagster/asset_partition_range_")}
    began, cpu = time.monotonic(), time.process_time()
    job.execute_in_process(instance=instance, tags=ends)
    return {
        f"again_s_for_{clips}_clips": time.monotonic() - began,
        "again_cpu_s": time.process_time() - cpu,
        "charges_of_the_second_time": charges() - paid,
        "clips": clips,
    }


def upload(clips: int) -> None:
    """Upload `clips` images, each with different bytes."""
    bucket = Bucket("again", make_client())
    bucket.ensure()
    bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
    for number in range(clips):
        bucket.write(f"uploads/{number:04}.png", picture(number), "image/png")


def picture(number: int) -> bytes:
    """Return a small PNG that is another one for each number."""
    out = io.BytesIO()
    Image.new("RGB", (600, 400), (number % 256, number // 256, 99)).save(out, "PNG")
    return out.getvalue()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Process the same bucket twice.")
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, ExitStack() as stack:
        figures = measure(Path(folder), given.clips, stack)
    given.results.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 1 if figures["charges_of_the_second_time"] else 0


if __name__ == "__main__":
    sys.exit(main())
