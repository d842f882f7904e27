"""Measure one sensor evaluation over thousands of new uploads: scanning, registering, adding keys, requesting runs.

The listing sensor lists a real S3 server. The queue sensor does too, and reads moto's queue, a single Python process that
handles some 300 messages a second (SQS: thousands). Its share of the time is reported and does not count towards the limit.
Dagster is a real instance on Postgres, with the storage of deploy/dagster.yaml.

The launch benchmark measures launching the runs that one evaluation requests, as the daemon does in the same tick (it writes
the run, with a planned event for each asset of each clip), and the same with Dagster's own storage.

The idle benchmark measures an evaluation with nothing new beside a bare `list_objects_v2` of the same objects.

Usage: python -m benchmarks.admission [--uploads 5000] [--only listing|queue|folders|idle|launch] [--launches 10] [--results FILE]
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psutil
import psycopg
import yaml
from rich.console import Console
from rich.table import Table

from i2v_assets.defs.run_requests import cut_ranges
from resources.devservers.start import environment, free_port, start_postgres, start_s3
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

LIMIT_SECONDS = 20.0
"""Maximum seconds of one evaluation of 5,000 uploads; Dagster stops an evaluation after 60 s."""

KINDS = ("listing", "queue", "folders", "idle", "launch")

IDLE_RATIO = 1.3
"""Most that an evaluation with nothing new may take of a bare listing of the same objects."""

IDLE_ROUNDS = 5
"""Evaluations and bare listings in turn; the median of each counts."""

DEPLOY = Path(__file__).parents[1] / "deploy"

CLIPS_PER_RUN = 100
"""The default of I2V_CLIPS_PER_RUN."""

MOTO = """
import logging, sys, threading, time
from moto.server import main
from moto.sqs import models
logging.getLogger("werkzeug").setLevel(logging.ERROR)
# For each message sent or received, moto counts all others and calls a slow clock for each.
models.Queue.BASE_ATTRIBUTES = [name for name in models.Queue.BASE_ATTRIBUTES if "Approximate" not in name]
models.unix_time = lambda: time.time()
models.unix_time_millis = lambda: time.time() * 1000
# Its queue is not thread-safe.
lock, receive = threading.Lock(), models.SQSBackend.receive_message
def receive_alone(*arguments, **named):
    with lock:
        return receive(*arguments, **named)
models.SQSBackend.receive_message = receive_alone
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


def keys_of(kind: str, count: int) -> list[tuple[str, bytes]]:
    """Return `count` uploads: loose images in ten folders, or folders with a brief and an image each."""
    if kind == "folders":
        return [
            (f"uploads/night/{number:05}/{name}", data)
            for number in range(count // 2)
            for name, data in (("brief.yaml", f"prompt: drift {number}\n".encode()), ("still.jpg", b"x"))
        ]
    return [(f"uploads/shelf-{number % 10}/{number:05}.jpg", str(number).encode()) for number in range(count)]


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server in a separate process and yield its address."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", MOTO, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/moto-api/", trust_env=False)
                    break
                except httpx.TransportError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def upload(bucket: Bucket, uploads: list[tuple[str, bytes]]) -> None:
    """Upload all objects, sixteen at a time."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda each: bucket.write(each[0], each[1], "application/octet-stream"), uploads))


def notify(url: str, bucket: str, keys: list[str]) -> None:
    """Send one event notification per key, in the format of S3."""
    from resources.storage import upload_queue

    client: Any = upload_queue.make_client(url)
    for start in range(0, len(keys), 10):
        entries = []
        for number, key in enumerate(keys[start : start + 10]):
            s3 = {"bucket": {"name": bucket}, "object": {"key": key}}
            body = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}
            entries.append({"Id": str(number), "MessageBody": json.dumps(body)})
        client.send_message_batch(QueueUrl=url, Entries=entries)


def evaluate(sensor: Any, instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[Any, float, float]:
    """Evaluate a sensor once; return the result, the seconds, and the CPU seconds of this process."""
    from resources.dagster_resources import BucketResource, LedgerResource

    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"bucket": BucketResource(), "ledger": LedgerResource()}
    )
    began, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    result = sensor(context)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return result, time.monotonic() - began, used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime


def _timed(call: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return call(*arguments, **named)
        finally:
            seconds.append(time.monotonic() - began)

    return timed


class Server:
    """Resource usage of an instance's database server."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid, self.url = pid, url

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the server and all its processes, including those that ended."""
        server = psutil.Process(self.pid)
        own = server.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in server.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        return float(total)

    def connections(self) -> int:
        """Return the number of connections since the server started."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
            return int(row.fetchone()[0])  # type: ignore[index]


@contextmanager
def deployed(storage: str = "pooled") -> Iterator[tuple[dg.DagsterInstance, Server]]:
    """Yield an instance with the storage of deploy/dagster.yaml, or with Dagster's own storage instead."""
    folder = Path(tempfile.mkdtemp(prefix="i2v-bench-postgres-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user if this process is root
    try:
        with start_postgres(folder / "postgres") as server:
            ours = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "dagster", "PGPASSWORD": "any"}
            os.environ |= ours | {"PGDATABASE": "postgres"}
            config = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
            given = config["storage"]["custom"]["config"]
            kept = {"postgres": given} if storage == "Dagster's own" else config["storage"]
            if storage == "one by one":  # as the pooled storage was before it took many events at once
                os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "0"
            run_queue = config["run_coordinator"]
            home = folder / "home"
            home.mkdir()
            (home / "dagster.yaml").write_text(yaml.safe_dump({"storage": kept, "run_coordinator": run_queue}))
            with dg.DagsterInstance.from_config(str(home)) as instance:
                yield instance, Server(server.pid, f"postgresql://dagster@127.0.0.1:{server.port}/postgres")
    finally:
        shutil.rmtree(folder)


def launch(instance: dg.DagsterInstance, server: Server, requests: list[dg.RunRequest]) -> dict[str, Any]:
    """Create the requested runs like the daemon after an evaluation; queueing adds one more event."""
    from i2v_assets.definitions import defs
    from i2v_assets.defs.dagster_internals import partition_loading_context

    if not requests:
        return {}
    job = defs.resolve_job_def("make_clips_job")
    selected = frozenset(job.asset_layer.executable_asset_keys)
    seconds = []
    connections, server_cpu, cpu = server.connections(), server.cpu_seconds(), resource.getrusage(resource.RUSAGE_SELF)
    for request in requests:
        began = time.monotonic()
        with partition_loading_context(dynamic_partitions_store=instance):
            instance.create_run_for_job(job_def=job, tags=dict(request.tags), asset_selection=selected)
        seconds.append(time.monotonic() - began)
    used = resource.getrusage(resource.RUSAGE_SELF)
    server_used, many = server.cpu_seconds() - server_cpu, len(requests)
    return {
        "launches": many,
        "launch_seconds": round(statistics.median(seconds), 2),
        "launch_cpu": round((used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime) / many, 2),
        "launch_server_cpu": round(server_used / many, 2),
        # One connection belongs to the second call of connections().
        "launch_connections": round((server.connections() - connections - 1) / many),
    }


def measure_launch(storage: str, launches: int) -> dict[str, Any]:
    """Measure launching `launches` runs of 100 clips each with one kind of storage."""
    with deployed(storage) as (instance, server):
        keys = [f"clip-{number:05}" for number in range(CLIPS_PER_RUN * launches)]
        instance.add_dynamic_partitions("clips", keys)
        requests = [dg.RunRequest(tags=part.tags) for part in cut_ranges(keys, keys, CLIPS_PER_RUN)]
        return {"what": f"launch, {storage}", **launch(instance, server, requests)}


def measure(kind: str, count: int, launches: int) -> dict[str, Any]:
    """Measure one way of detecting `count` uploads."""
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.settings import load_settings

    uploads = keys_of(kind, count)
    bucket = Bucket(f"bench-{kind}", make_client())
    bucket.ensure()
    os.environ |= {"I2V_BUCKET": bucket.name, "I2V_UPLOADS_FROM": "listing" if kind == "listing" else "queue"}
    upload(bucket, uploads)
    queue_seconds: list[float] = []
    if kind != "listing":
        import boto3

        from resources.storage.upload_queue import UploadQueue

        for name in ("receive", "delete"):
            setattr(UploadQueue, name, _timed(getattr(UploadQueue, name), queue_seconds))
        url = boto3.client("sqs").create_queue(QueueName=kind)["QueueUrl"]
        os.environ["I2V_UPLOAD_QUEUE_URL"] = url
        notify(url, bucket.name, [key for key, _ in uploads])
    from i2v_assets.defs.queue_sensor import queue_sensor
    from i2v_assets.defs.uploads_sensor import uploads_sensor

    with deployed() as (instance, server):
        result, seconds, cpu = evaluate(uploads_sensor if kind == "listing" else queue_sensor, instance)
        keys = len(instance.get_dynamic_partitions("clips"))
        # A second evaluation without new uploads, after the first admitted everything.
        _, idle, _ = evaluate(uploads_sensor if kind == "listing" else queue_sensor, instance, result.cursor)
        launched = launch(instance, server, list(getattr(result, "run_requests", None) or ())[:launches])
    with Ledger.open(load_settings().ledger_address) as ledger:
        clips = len(Registry(ledger.database).list())
    return {
        "what": kind,
        "uploads": len(uploads),
        "clips": clips,
        "keys": keys,
        "runs": len(getattr(result, "run_requests", None) or ()),
        "seconds": round(seconds, 2),
        "of_these_the_queue": round(sum(queue_seconds[:2]), 2),
        "cpu_seconds": round(cpu, 2),
        "nothing_new_seconds": round(idle, 2),
        "limit_seconds": LIMIT_SECONDS * count / 5000,
        **launched,
    }


def measure_idle(count: int) -> dict[str, Any]:
    """Measure an evaluation with nothing new, and boto3's own listing of the same objects."""
    import boto3

    bucket = Bucket("bench-idle", make_client())
    bucket.ensure()
    os.environ |= {"I2V_BUCKET": bucket.name, "I2V_UPLOADS_FROM": "listing"}
    upload(bucket, keys_of("idle", count))
    time.sleep(6)  # an upload younger than the margin of a look still settles
    from i2v_assets.defs.uploads_sensor import uploads_sensor

    client: Any = boto3.client("s3", endpoint_url=bucket.endpoint)
    looks, bare = [], []
    with dg.DagsterInstance.ephemeral() as instance:
        result, cursor = None, None
        for _ in range(3):
            result, _, _ = evaluate(uploads_sensor, instance, cursor)
            cursor = getattr(result, "cursor", None) or cursor
        for _ in range(IDLE_ROUNDS):
            _, seconds, cpu = evaluate(uploads_sensor, instance, cursor)
            looks.append((seconds, cpu))
            began, used = time.monotonic(), time.process_time()
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix="uploads/")
            listed = sum(len(page.get("Contents", ())) for page in pages)
            bare.append((time.monotonic() - began, time.process_time() - used))
    (look, look_cpu), (alone, alone_cpu) = (
        [statistics.median(each) for each in zip(*measured, strict=True)] for measured in (looks, bare)
    )
    return {
        "what": "idle",
        "uploads": listed,
        "look_seconds": round(look, 2),
        "look_cpu_seconds": round(look_cpu, 2),
        "bare_listing_seconds": round(alone, 2),
        "bare_listing_cpu_seconds": round(alone_cpu, 2),
        "idle_ratio": round(look / alone, 2),
    }


def child(kind: str, count: int, launches: int, s3_variables: dict[str, str]) -> dict[str, Any]:
    """Measure in a separate process with a separate ledger."""
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, moto() as moto_url:
        variables = {
            **os.environ,
            **s3_variables,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_SQS": moto_url,
            "I2V_SERVICE": "sandbox",
            "RUNCOMFY_MODEL_API_BASE": "http://127.0.0.1:9/v1",
            "I2V_DATA_DIR": folder,
            "I2V_SETTLE_SECONDS": "0",
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        command = [sys.executable, "-m", "benchmarks.admission", "--child", kind]
        command += ["--uploads", str(count), "--launches", str(launches)]
        output = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout
        return dict(json.loads(output.splitlines()[-1]))


def main() -> int:
    """Measure and print; return 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--uploads", type=int, default=5000)
    parser.add_argument("--only", nargs="*", choices=KINDS)
    parser.add_argument("--launches", type=int, default=10, help="how many of the requested runs to launch")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        if given.child == "idle":
            measured = measure_idle(given.uploads)
        elif given.child.startswith("launch"):
            measured = measure_launch(given.child.removeprefix("launch"), given.launches)
        else:
            measured = measure(given.child, given.uploads, given.launches)
        print(json.dumps(measured))
        return 0
    results = []
    with tempfile.TemporaryDirectory(prefix="i2v-bench-s3-") as folder, start_s3(Path(folder)) as s3:
        for kind in given.only or KINDS:
            for storage in ("pooled", "one by one", "Dagster's own") if kind == "launch" else ("",):
                results.append(child(kind + storage, given.uploads, given.launches, environment(s3=s3)))
    evaluations = [each for each in results if "seconds" in each]
    for title, rows in (
        (f"One evaluation over {given.uploads:,} new uploads", evaluations),
        ("One evaluation with nothing new", [each for each in results if "idle_ratio" in each]),
        (f"Launching runs of {CLIPS_PER_RUN} clips", [each for each in results if "launches" in each]),
    ):
        table = Table(title=title)
        for name in rows[0] if rows else ():
            table.add_column(name.replace("_", " "))
        for each in rows:
            table.add_row(*(str(value) for value in each.values()))
        if rows:
            Console(width=200).print(table)
    if given.results:
        given.results.write_text(json.dumps(results, indent=2) + "\n")
    return int(
        any(each.get("idle_ratio", 0) > IDLE_RATIO for each in results)
        or any(
            each["seconds"] - each["of_these_the_queue"] > each["limit_seconds"] or each["keys"] != each["clips"]
            for each in evaluations
        )
    )


if __name__ == "__main__":
    sys.exit(main())
