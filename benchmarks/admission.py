"""One sensor evaluation over thousands of new uploads, measured: found, recorded, keys added, runs asked for.

The listing sensor looks into a real S3 server; the queue sensor too, and reads moto's queue. That is one Python process which
takes and gives some 300 messages a second (SQS thousands), so its share of the seconds is told and does not count towards
the limit. Dagster is a real instance on SQLite.

Usage: python -m benchmarks.admission [--uploads 5000] [--only listing|queue|folders] [--results FILE]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from rich.console import Console
from rich.table import Table

from resources.sandbox.starter import environment, free_port, start_s3
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

LIMIT_SECONDS = 20.0
"""What one evaluation may take for 5,000 uploads; Dagster ends it after 60 s."""

MOTO = """
import logging, sys, threading, time
from moto.server import main
from moto.sqs import models
logging.getLogger("werkzeug").setLevel(logging.ERROR)
# For each message that goes in or out moto counts all others, and asks a slow clock for each of them.
models.Queue.BASE_ATTRIBUTES = [name for name in models.Queue.BASE_ATTRIBUTES if "Approximate" not in name]
models.unix_time = lambda: time.time()
models.unix_time_millis = lambda: time.time() * 1000
# Nor is its queue made for calls at once.
lock, receive = threading.Lock(), models.SQSBackend.receive_message
def receive_alone(*arguments, **named):
    with lock:
        return receive(*arguments, **named)
models.SQSBackend.receive_message = receive_alone
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


def keys_of(kind: str, count: int) -> list[tuple[str, bytes]]:
    """So many uploads: loose pictures in ten folders, or folders with a brief and a picture each."""
    if kind == "folders":
        return [
            (f"uploads/night/{number:05}/{name}", data)
            for number in range(count // 2)
            for name, data in (("brief.yaml", f"prompt: drift {number}\n".encode()), ("still.jpg", b"x"))
        ]
    return [(f"uploads/shelf-{number % 10}/{number:05}.jpg", str(number).encode()) for number in range(count)]


@contextmanager
def moto() -> Iterator[str]:
    """moto's server as a process of its own."""
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
    """Put them there, sixteen at a time."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda each: bucket.write(each[0], each[1], "application/octet-stream"), uploads))


def tell(url: str, bucket: str, keys: list[str]) -> None:
    """One event notification for each key, as S3 words it."""
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
    """One evaluation: its result, its seconds, and the CPU seconds of this process."""
    from resources.ledger.resource import LedgerResource
    from resources.storage.resource import BucketResource

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


def measure(kind: str, count: int) -> dict[str, Any]:
    """One way of noticing so many uploads."""
    from resources.ledger import Ledger
    from resources.ledger.registry import Registry
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
        tell(url, bucket.name, [key for key, _ in uploads])
    from i2v_assets.sensors.queue import queue_sensor
    from i2v_assets.sensors.uploads import uploads_sensor

    with dg.instance_for_test() as instance:
        result, seconds, cpu = evaluate(uploads_sensor if kind == "listing" else queue_sensor, instance)
        keys = len(instance.get_dynamic_partitions("clips"))
        # An evaluation over nothing new, after one that admitted everything.
        _, idle, _ = evaluate(uploads_sensor if kind == "listing" else queue_sensor, instance, result.cursor)
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
    }


def child(kind: str, count: int, s3_variables: dict[str, str]) -> dict[str, Any]:
    """Measure in a process of its own, over a ledger of its own."""
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
        command = [sys.executable, "-m", "benchmarks.admission", "--child", kind, "--uploads", str(count)]
        told = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout
        return dict(json.loads(told.splitlines()[-1]))


def main() -> int:
    """Measure and print; 1 when a figure is over its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--uploads", type=int, default=5000)
    parser.add_argument("--only", nargs="*", choices=("listing", "queue", "folders"))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.uploads)))
        return 0
    found = []
    with tempfile.TemporaryDirectory(prefix="i2v-bench-s3-") as folder, start_s3(Path(folder)) as s3:
        for kind in given.only or ("listing", "queue", "folders"):
            found.append(child(kind, given.uploads, environment(s3=s3)))
    table = Table(title=f"One evaluation over {given.uploads:,} new uploads")
    for name in found[0]:
        table.add_column(name.replace("_", " "))
    for each in found:
        table.add_row(*(str(value) for value in each.values()))
    Console(width=140).print(table)
    if given.results:
        given.results.write_text(json.dumps(found, indent=2) + "\n")
    return int(
        any(
            each["seconds"] - each["of_these_the_queue"] > each["limit_seconds"] or each["keys"] != each["clips"]
            for each in found
        )
    )


if __name__ == "__main__":
    sys.exit(main())
