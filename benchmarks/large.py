"""What grows with the number of clips: the CPU of `i2v status`, and of a gallery build with nothing new.

One clip is really made, over a real S3 server and a real sandbox. Then the registry, the ledger and the bucket get so many more
that are like it, and each figure is measured at a small and at a large number, in turn, on the same machine. The seconds are CPU
of the process that is measured and of its children.

Usage: python -m benchmarks.large [--only status|gallery] [--clips 500 25000] [--gallery-clips 5000] [--results FILE]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from benchmarks.again import JOB, picture
from i2v_assets.cli.dev.services import dagster_home
from resources.devservers.start import environment, start_s3, start_sandbox
from resources.ledger.ledger import Ledger
from resources.ledger.tables import requests, submissions
from resources.registry.registry import Registry
from resources.registry.tables import clips
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

RESULTS = Path(__file__).parent / "large.json"

STATUS_RATIO = 1.5
"""Most that `i2v status` may take over the large bucket, in terms of the small one."""

GALLERY_CPU_SECONDS = 1.0
"""Most CPU of a gallery build with nothing new."""

ROUNDS = 5
"""Measurements of each size, in turn; the median counts."""

WRITERS = 16
"""Threads that write the copies: each mostly waits for the S3 server."""

NAME = "seedling"
"""The clip that is made: a word that no hash or number contains, because its copies have another in its place."""


def cpu() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def services(folder: Path, name: str, stack: ExitStack) -> Iterator[None]:
    """Start the servers and set the environment; what was set before is put back."""
    sandbox = stack.enter_context(start_sandbox(folder / "sandbox", generation_seconds=0.2, render="cached"))
    s3 = stack.enter_context(start_s3(folder / "s3"))
    given = {"settle_seconds": 0, "measure": False, "clips_per_run": 1000, "data_dir": folder / "data", "bucket": name}
    before = dict(os.environ)
    os.environ |= environment(s3, sandbox, **given) | {"DAGSTER_DISABLE_TELEMETRY": "1"}
    os.environ["DAGSTER_HOME"] = str(dagster_home(folder / "data"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def make_one(instance: dg.DagsterInstance) -> None:
    """Make one clip through the pipeline."""
    from benchmarks.run_dagster import requested  # imported late, because the definitions read the settings on import
    from i2v_assets.definitions import defs

    (tags,) = list(requested(instance))
    assert defs.resolve_job_def(JOB).execute_in_process(instance=instance, tags=dict(tags)).success


def multiply(bucket: Bucket, count: int, *, with_results: bool) -> None:
    """Add clips like the one that is there, until there are so many: uploads, rows, and results if asked for.

    The uploads are admitted as the sensor does it, and then have the state, the request and the payment of the first.
    """
    from i2v_assets.uploads.ingest import scan_uploads

    names = [f"{NAME}-{number:05}" for number in range(1, count)]
    prints = {each: f"{number:064x}" for number, each in enumerate(names)}
    texts = {info.key: bucket.read(info.key) for info in bucket.list() if f"/{NAME}" in info.key}
    with Ledger.open(load_settings().ledger_address) as ledger:
        connection = ledger.database.engine.connect()
        row, request, submission = (
            dict(connection.execute(sa.select(table)).mappings().one()) for table in (clips, requests, submissions)
        )
        connection.close()
        original = row["fingerprint"].encode()

        def write(each: str) -> None:
            for key, data in texts.items():
                if key.startswith("uploads/"):
                    bucket.write(key.replace(NAME, each), each.encode(), "application/octet-stream")
                elif with_results:
                    is_text = key.endswith((".json", ".txt"))
                    copy = data.replace(NAME.encode(), each.encode()).replace(original, prints[each].encode())
                    bucket.write(key.replace(NAME, each), copy if is_text else b"x", "text/plain")

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, names))
        scan_uploads(bucket, Registry(ledger.database), load_settings())
        of_upload = {"clip", "source", "version", "content", "priority", "admitted_at", "arrived_at"}
        same = {key: value for key, value in row.items() if key not in of_upload}
        same |= {"answered_version": clips.c.version, "delivered_version": clips.c.version}
        prints_of = {"fingerprint": sa.bindparam("its_print"), "planned_fingerprint": sa.bindparam("its_print")}
        with ledger.database.write() as connection:
            statement = clips.update().where(clips.c.clip == sa.bindparam("its_name")).values(**{**same, **prints_of})
            connection.execute(statement, [{"its_name": each, "its_print": prints[each]} for each in names])
            of_request = [{"clip": each, "fingerprint": prints[each], "request_id": each} for each in names]
            connection.execute(requests.insert(), [request | each for each in of_request])
            submission.pop("id")
            of_submission = [{"fingerprint": prints[each], "request_id": each} for each in names]
            connection.execute(submissions.insert(), [submission | each for each in of_submission])


def status_cpu(*words: str) -> float:
    """Return the CPU seconds of one `i2v status`."""
    before = cpu()
    done = subprocess.run([Path(sys.executable).with_name("i2v"), *words], check=True, capture_output=True, text=True)
    if "newest" not in done.stderr and words == ("status",):
        raise SystemExit(f"i2v status did not list the clips: {done.stdout[-500:]} {done.stderr[-500:]}")
    return cpu() - before


def measure_status(sizes: Sequence[int]) -> dict[str, Any]:
    """Measure `i2v status` over buckets of these sizes, in turn, beside `i2v --version`."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="i2v-large-") as folder:
        homes = {size: Path(folder) / str(size) for size in sizes}
        environments = {}
        for size, home in homes.items():
            home.mkdir()
            with services(home, f"large-{size}", stack):
                child("make", size, results=False)
                environments[size] = dict(os.environ)
        found: dict[int, list[float]] = {size: [] for size in sizes}
        bare = []
        for _ in range(ROUNDS):
            for size, variables in environments.items():
                os.environ |= variables
                found[size].append(status_cpu("status"))
            bare.append(status_cpu("--version"))
    median = {size: statistics.median(seconds) for size, seconds in found.items()}
    return {
        "what": "status",
        **{f"cpu_s_at_{size}": round(seconds, 2) for size, seconds in median.items()},
        "version_cpu_s": round(statistics.median(bare), 2),
        "ratio": round(median[sizes[-1]] / median[sizes[0]], 2),
        "at_most": STATUS_RATIO,
    }


def measure_gallery(count: int) -> dict[str, Any]:
    """Measure gallery builds: the first, and those with nothing new, in the process of the first and in one of their own."""
    with (
        ExitStack() as stack,
        tempfile.TemporaryDirectory(prefix="i2v-large-") as folder,
        services(Path(folder), "large-gallery", stack),
    ):
        child("make", count, results=True)
        time.sleep(2)  # what was written in this second still settles
        whole, *again = child("gallery", count)["cpu_s"]
        (alone,) = child("gallery", count, rounds=1)["cpu_s"]
    return {
        "what": "gallery",
        "clips": count,
        "whole_cpu_s": round(whole, 2),
        "nothing_new_cpu_s": round(statistics.median(again), 2),
        "nothing_new_with_its_imports_cpu_s": round(alone, 2),
        "at_most": GALLERY_CPU_SECONDS,
    }


def build(count: int, rounds: int) -> dict[str, Any]:
    """Build the gallery so many times in this process, and return the CPU seconds of each build's step."""
    from i2v_assets.definitions import defs

    job, seconds = defs.resolve_job_def("gallery_job"), []
    with dg.DagsterInstance.get() as instance:
        for _ in range(rounds):
            before = cpu()
            made = job.execute_in_process(instance=instance)
            seconds.append(cpu() - before)
            (event,) = made.asset_materializations_for_node("gallery")
            if event.metadata["clips"].value != count:
                raise SystemExit(f"The gallery shows {event.metadata['clips'].value} of {count} clips.")
    return {"cpu_s": seconds}


def child(what: str, count: int, *, results: bool = False, rounds: int = 1 + ROUNDS) -> dict[str, Any]:
    """Do one part in a process of its own, since the definitions read the settings when they are imported."""
    words = ["--child", what, "--clips", str(count), "--rounds", str(rounds)]
    words += ["--with-results"] if results else []
    command = [sys.executable, "-m", "benchmarks.large", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def part(given: argparse.Namespace) -> dict[str, Any]:
    """Do what `child` asks for."""
    (count,) = given.clips
    if given.child == "gallery":
        return build(count, given.rounds)
    bucket = Bucket(load_settings().bucket, make_client())
    bucket.ensure()
    bucket.write(f"uploads/{NAME}.png", picture(0), "image/png")
    with dg.DagsterInstance.get() as instance:
        make_one(instance)
    multiply(bucket, count, with_results=given.with_results)
    return {}


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("status", "gallery"), nargs="*", default=("status", "gallery"))
    parser.add_argument("--clips", type=int, nargs="+", default=[500, 25_000])
    parser.add_argument("--gallery-clips", type=int, default=5_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--with-results", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.child:
        print(json.dumps(part(given)))
        return 0
    found = {}
    if "status" in given.only:
        found["status"] = measure_status(sorted(given.clips))
    if "gallery" in given.only:
        found["gallery"] = measure_gallery(given.gallery_clips)
    text = json.dumps(found, indent=2)
    given.results.write_text(text + "\n")
    print(text)
    gallery = found.get("gallery", {}).get("nothing_new_cpu_s", 0.0)
    return int(found.get("status", {}).get("ratio", 0.0) > STATUS_RATIO or gallery > GALLERY_CPU_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
