"""A bucket whose events reach a queue: moto's server speaks both protocols."""

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from moto.server import ThreadedMotoServer
from moto.sqs.models import Queue, SQSBackend

from i2v_assets.defs.queue_sensor import QueueScan, ingest_messages
from i2v_assets.uploads.ingest import UploadScan, scan_uploads
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry
from resources.settings import Settings, load_settings, variable_name
from resources.storage import client as s3_client
from resources.storage import upload_queue
from resources.storage.bucket import Bucket
from resources.storage.upload_queue import UploadQueue


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    lock = threading.Lock()  # moto's queue is not made for calls at once
    patch = pytest.MonkeyPatch()
    for name in ("receive_message", "delete_message", "send_message"):
        patch.setattr(SQSBackend, name, _one_at_a_time(getattr(SQSBackend, name), lock))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    patch.undo()


def _one_at_a_time(call: Callable[..., Any], lock: threading.Lock) -> Callable[..., Any]:
    def locked(*arguments: Any, **named: Any) -> Any:
        with lock:
            return call(*arguments, **named)

    return locked


@dataclass
class Yard:
    """The bucket, its queue with dead letters, and the registry."""

    bucket: Bucket
    sqs: Any
    url: str
    dead_url: str
    ledger: Ledger
    registry: Registry
    settings: Settings

    def put(self, *keys: str, data: bytes = b"x") -> None:
        for key in keys:
            self.bucket.write(key, data, "application/octet-stream")

    def note(self, queue: UploadQueue | None = None, **changes: Any) -> QueueScan:
        settings = self.settings.model_copy(update=changes)
        reader = queue or UploadQueue(self.url, self.sqs, bucket=self.bucket.name)
        return ingest_messages(self.bucket, self.registry, self.ledger.database, reader, settings)

    def sweep(self) -> UploadScan:
        return scan_uploads(self.bucket, self.registry, self.settings)

    def send(self, body: object) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def send_many(self, bodies: list[object]) -> None:
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(i), "MessageBody": json.dumps(body)} for i, body in enumerate(bodies[start : start + 10])
            ]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def event(self, key: str, name: str = "ObjectCreated:Put", bucket: str = "") -> dict[str, object]:
        s3 = {"bucket": {"name": bucket or self.bucket.name}, "object": {"key": key}}
        return {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": s3}]}

    def left(self, url: str = "") -> int:
        """Return the number of messages in a queue, including received ones that were not deleted."""
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=wanted)["Attributes"]
        return sum(int(value) for value in found.values())

    def note_again(self) -> QueueScan:
        """Evaluate again once the messages of the last evaluation are visible."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            seen = self.note()
            if seen.messages:
                return seen
        raise AssertionError("nothing came again")

    def purge(self) -> None:
        self.sqs.purge_queue(QueueUrl=self.url)

    def clips(self, *states: ClipState) -> list[str]:
        return sorted(row.clip for row in self.registry.list(states))


@pytest.fixture
def yard(moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    for name in [*(variable_name(field) for field in Settings.model_fields), "AWS_PROFILE", "AWS_SESSION_TOKEN"]:
        monkeypatch.delenv(name, raising=False)
    name = f"yard-{secrets.token_hex(6)}"
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_ENDPOINT_URL_S3": moto_url,
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "I2V_SERVICE": "sandbox",
        "RUNCOMFY_MODEL_API_BASE": "http://127.0.0.1:9/v1",
        "I2V_BUCKET": name,
        "I2V_DATA_DIR": str(tmp_path / "data"),
        "I2V_SETTLE_SECONDS": "0",
        "I2V_UPLOADS_FROM": "queue",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(upload_queue, "LONG_POLL_SECONDS", 1)
    monkeypatch.setattr(upload_queue, "DRAIN_SECONDS", 0)
    s3 = s3_client.make_client()
    bucket = Bucket(name, s3)
    bucket.ensure()
    sqs = upload_queue.make_client(moto_url)
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"]
    own = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [{"QueueArn": own, "Events": events}]}
    )
    monkeypatch.setenv("I2V_UPLOAD_QUEUE_URL", url)
    settings = load_settings()
    with Ledger.open(settings.ledger_address) as ledger:
        yield Yard(bucket, sqs, url, dead, ledger, Registry(ledger.database), settings)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make received messages visible again after one second, as after the visibility timeout."""
    monkeypatch.setattr(upload_queue, "HIDDEN_SECONDS", 1)


@contextmanager
def swift_moto() -> Iterator[None]:
    """Remove moto's message counts, which it recomputes for each message sent or received."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "BASE_ATTRIBUTES", [name for name in Queue.BASE_ATTRIBUTES if "Approximate" not in name])
        yield


@pytest.fixture
def swift() -> Callable[[], AbstractContextManager[None]]:
    return swift_moto
