"""What a clip leaves in the database: bytes by table, and events by type.

Clips are made over Postgres with the storage of deploy/dagster.yaml, a real S3 server and a real sandbox, in range runs as the
sensor asks for them; ledger and registry are in the same database. Each figure is the growth of a table with its indexes, divided
by the clips, after as many clips again, so that what every database needs once does not count.

The images are plain, so the pictures in the events are as small as they can be; with `--photographs` they are photographs.

Usage: python -m benchmarks.footprint [--clips 100] [--photographs] [--results FILE]
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from PIL import Image

from benchmarks.admission import deployed
from benchmarks.again import JOB, picture
from resources.devservers.start import environment, start_s3, start_sandbox
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

RESULTS = Path(__file__).parent / "footprint.json"
BYTES_PER_CLIP = 20_000
"""Most bytes of all tables and indexes for one clip."""

SIZES = """
SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables
"""
EVENTS = """
SELECT coalesce(dagster_event_type, 'log line'), count(*), avg(pg_column_size(event))::int FROM event_logs GROUP BY 1
"""


SAMPLES = ("pet.jpg", "portrait.png", "environment.jpg", "product.webp")


def photograph(number: int) -> bytes:
    """Return one of the project's samples, another file for each number."""
    sample = Path(__file__).parents[1] / "i2v_assets" / "samples" / SAMPLES[number % len(SAMPLES)]
    out = io.BytesIO()
    with Image.open(sample) as opened:
        image = opened.convert("RGB")
    image.paste((number % 256, number // 256, 99), (0, 0, 16, 16))  # survives a lossy encoder
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def make(count: int, start: int, photographs: bool) -> None:
    """Upload so many images and make them clips, by the sensor's own requests."""
    bucket = Bucket(os.environ["I2V_BUCKET"], make_client())
    bucket.ensure()
    for number in range(start, start + count):
        if photographs:
            bucket.write(f"uploads/{number:05}.jpg", photograph(number), "image/jpeg")
        else:
            bucket.write(f"uploads/{number:05}.png", picture(number), "image/png")
    import dagster as dg  # imported late, because the definitions read the settings on import

    from benchmarks.run_dagster import requested
    from i2v_assets.definitions import defs

    job = defs.resolve_job_def(JOB)
    with dg.DagsterInstance.get() as instance:
        for tags in list(requested(instance)):
            assert job.execute_in_process(instance=instance, tags=dict(tags)).success


def sizes(url: str) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Return the bytes of each table with its indexes, and the events of each type with their mean length."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        tables = {str(name): int(size) for name, size in connection.execute(SIZES)}
        events = {str(kind): (int(count), int(length)) for kind, count, length in connection.execute(EVENTS)}
    return tables, events


def measure(clips: int, photographs: bool) -> dict[str, Any]:
    """Make the clips twice, and return what the second half added."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="i2v-footprint-") as folder:
        home = Path(folder)
        sandbox = stack.enter_context(start_sandbox(home / "sandbox", generation_seconds=0.2, render="cached"))
        s3 = stack.enter_context(start_s3(home / "s3"))
        instance, server = stack.enter_context(deployed())
        ledger = server.url.replace("postgresql://", "postgresql+psycopg://")
        given = {"settle_seconds": 0, "data_dir": home / "data", "bucket": "footprint", "ledger_url": ledger}
        variables = os.environ | environment(s3, sandbox, **given) | {"DAGSTER_HOME": instance.root_directory}
        found = []
        for start in (0, clips):
            command = [sys.executable, "-m", "benchmarks.footprint", "--child", str(start), "--clips", str(clips)]
            command += ["--photographs"] if photographs else []
            subprocess.run(command, check=True, env=variables, stderr=subprocess.DEVNULL)
            found.append(sizes(server.url))
    (before, events_before), (after, events_after) = found
    tables = {name: round((size - before.get(name, 0)) / clips) for name, size in after.items()}
    counts = {
        kind: (count - events_before.get(kind, (0, 0))[0], length) for kind, (count, length) in events_after.items()
    }
    return {
        "clips": clips,
        "photographs": photographs,
        "bytes_per_clip": sum(tables.values()),
        "at_most": BYTES_PER_CLIP,
        "tables": dict(sorted(((name, size) for name, size in tables.items() if size), key=lambda each: -each[1])),
        "events_per_clip": {
            kind: {"count": round(count / clips, 2), "mean_bytes": length}
            for kind, (count, length) in sorted(counts.items(), key=lambda each: -each[1][0] * each[1][1])
            if count
        },
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a clip leaves more than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--photographs", action="store_true", help="photographs instead of plain images")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.child is not None:
        make(given.clips, given.child, given.photographs)
        return 0
    found = measure(given.clips, given.photographs)
    text = json.dumps(found, indent=2)
    given.results.write_text(text + "\n")
    print(text)
    return int(found["bytes_per_clip"] > BYTES_PER_CLIP)


if __name__ == "__main__":
    sys.exit(main())
