"""The same bucket processed twice: how long a batch takes whose clips are all there, and that it costs nothing.

A real S3 server and a real sandbox in processes of their own, as for `benchmarks.batch`; the run is a range as a person asks
for it. The clock goes from the run's start to its end in a process that is warm, since the first run was in it: a run of its
own adds what every run costs, 2.5 s of CPU.

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
    """Make the clips, and let them be made again."""
    sandbox = stack.enter_context(start_sandbox(folder / "sandbox", generation_seconds=0.2, render="cached"))
    s3 = stack.enter_context(start_s3(folder / "s3"))
    places = {"s3": s3, "sandbox": sandbox, "bucket": "again", "data_dir": folder / "data"}
    settings = {"settle_seconds": 0, "measure": False, "previews": False, "clips_per_run": 1000}
    os.environ.update(environment(**places, **settings))
    os.environ["DAGSTER_HOME"] = str(dagster_home(folder / "data"))
    upload(clips)
    import dagster as dg  # only now: the definitions read the settings as they are loaded

    from benchmarks.run_dagster import requested
    from i2v_assets.definitions import defs

    def charges() -> int:
        return int(httpx.get(f"{sandbox.url}/_sandbox/charges").raise_for_status().json()["count"])

    instance = stack.enter_context(dg.DagsterInstance.get())
    job = defs.get_job_def(JOB)
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
    """So many pictures, each with bytes of its own."""
    bucket = Bucket("again", make_client())
    bucket.ensure()
    bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
    for number in range(clips):
        out = io.BytesIO()
        Image.new("RGB", (600, 400), (number % 256, number // 256, 99)).save(out, "PNG")
        bucket.write(f"uploads/{number:04}.png", out.getvalue(), "image/png")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The same bucket processed twice.")
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, ExitStack() as stack:
        found = measure(Path(folder), given.clips, stack)
    given.results.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    return 1 if found["charges_of_the_second_time"] else 0


if __name__ == "__main__":
    sys.exit(main())
