"""The SQS queue of the bucket's event notifications, one for each upload.

A message stays in the queue until it is deleted by its receipt; a receiver has it alone for `HIDDEN_SECONDS`. A message
that is not deleted comes again, and after the queue's ``maxReceiveCount`` it goes to the dead-letter queue. So
unreadable messages are left here, and the redrive policy (deploy/) removes them without losing them.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from resources.bounded_json import read_json
from resources.errors import SettingsError
from resources.settings import Settings, is_loopback
from resources.storage.client import configured_region
from resources.storage.errors import AccessDenied, BadRequest, StorageError, StorageUnavailable, error_code, http_status

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Most messages in one receive or delete call (SQS API reference)."""

LONG_POLL_SECONDS = 5
"""Seconds that the first receive waits for a message: long polls query all of SQS' servers, and cost no more."""

DRAIN_SECONDS = 1
"""Seconds that further receives wait before the queue counts as empty."""

HIDDEN_SECONDS = 180
"""SQS visibility timeout in seconds: three times the longest evaluation of a sensor (60 s)."""

RECEIVERS = 8
"""Concurrent receives while the queue is full; a call takes 10 to 50 ms and returns at most ten messages."""

MAX_KEY_BYTES = 1024
"""Longest key of an object (S3 user guide, "Naming Amazon S3 objects")."""

MAX_BUCKET_NAME = 63
"""Longest name of a bucket (S3 user guide, "Bucket naming rules"); no more of a name is quoted."""

_REGION = re.compile(r"//sqs\.([a-z0-9-]+)\.amazonaws\.")


class QueueMissing(StorageError):
    """The queue does not exist under these credentials."""


class PoisonMessage(StorageError):
    """A message that is not an event notification of the bucket."""


@dataclass(frozen=True)
class UploadMessage:
    """One message: its receipt, and its keys or why it cannot be read."""

    message_id: str
    receipt: str
    keys: tuple[str, ...] = ()
    problem: str = ""


def read_event(body: str, bucket: str, prefix: str = "") -> tuple[str, ...]:
    """Return the keys of one event notification; none for S3's test event and for keys outside the prefix.

    Keys are URL-encoded as in a form: ``+`` is a space, ``%2B`` a plus.

    Args:
        body: the message's body.
        bucket: the expected bucket; an event of another one is an error.
        prefix: the project's part of the bucket; keys are returned without it.

    Raises:
        PoisonMessage: the message is something else.
    """
    try:
        content = read_json(body)
    except ValueError:
        raise PoisonMessage("It is not JSON.") from None
    if not isinstance(content, dict):
        raise PoisonMessage("It is not an event notification.")
    if content.get("Event") == "s3:TestEvent":
        return ()
    records = content.get("Records")
    if not isinstance(records, list) or not records:
        raise PoisonMessage("It contains no records.")
    keys = (_key_of(record, bucket) for record in records)
    return tuple(key.removeprefix(prefix) for key in keys if key.startswith(prefix))


def _key_of(record: Any, bucket: str) -> str:
    try:
        name, bucket_name, key = record["eventName"], record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]
    except (KeyError, TypeError):
        raise PoisonMessage("A record is not an S3 event.") from None
    if not isinstance(name, str) or not isinstance(key, str) or not name.startswith("Object"):
        raise PoisonMessage("A record is not an object event.")
    if bucket_name != bucket:
        raise PoisonMessage(f"It is about the bucket {str(bucket_name)[:MAX_BUCKET_NAME]!r}, not {bucket!r}.")
    try:
        found = unquote_plus(key, errors="strict")
        size = len(found.encode())
    except UnicodeError:  # bytes that are not text, or half a character, which JSON may spell
        raise PoisonMessage("Its key is not UTF-8.") from None
    if not 0 < size <= MAX_KEY_BYTES or "\0" in found:
        raise PoisonMessage("Its key cannot be one of an object.")
    return found


class UploadQueue:
    """The queue of one bucket. Every call raises a `StorageError`. Thread-safe."""

    def __init__(self, url: str, client: "SQSClient", *, bucket: str, prefix: str = "") -> None:
        self._url = url
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the queue of ``I2V_UPLOAD_QUEUE_URL`` through boto3's own configuration, without any network call.

        Raises:
            SettingsError: no queue is named.
            AccessDenied: the profile named by AWS_PROFILE does not exist.
        """
        if not settings.upload_queue_url:
            raise SettingsError(
                "I2V_UPLOADS_FROM=queue needs a queue.",
                remedy="Set I2V_UPLOAD_QUEUE_URL to the queue that gets the bucket's event notifications, or "
                "I2V_UPLOADS_FROM=listing.",
            )
        with _translated("set up the client"):
            return cls(
                settings.upload_queue_url, make_client(settings.upload_queue_url), bucket=settings.required_bucket
            )

    def receive(self, *, at_most: int, seconds: float) -> list[UploadMessage]:
        """Return at most ``at_most`` messages, each once, within about ``seconds``.

        The messages stay in the queue, hidden for `HIDDEN_SECONDS`, until `delete`.
        """
        deadline = time.monotonic() + seconds
        found: dict[str, UploadMessage] = {}
        self._take(found, LONG_POLL_SECONDS)

        def drain() -> None:
            while len(found) < at_most and time.monotonic() < deadline and self._take(found, DRAIN_SECONDS):
                pass

        if found:
            with ThreadPoolExecutor(RECEIVERS) as pool:
                for drained in [pool.submit(drain) for _ in range(RECEIVERS)]:
                    drained.result()
        return list(found.values())

    def _take(self, found: dict[str, UploadMessage], wait_seconds: int) -> int:
        with _translated("receive messages"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=HIDDEN_SECONDS,
            )
        messages = answer.get("Messages", [])
        for message in messages:
            found[message["MessageId"]] = self._read(message)  # a second delivery has the valid receipt
        return len(messages)

    def _read(self, message: Any) -> UploadMessage:
        name, receipt = message["MessageId"], message["ReceiptHandle"]
        try:
            return UploadMessage(name, receipt, read_event(message["Body"], self._bucket, self._prefix))
        except PoisonMessage as problem:
            return UploadMessage(name, receipt, problem=problem.message)

    def delete(self, receipts: Iterable[str], *, seconds: float) -> int:
        """Delete messages from the queue, within about ``seconds``.

        Returns:
            The number of messages that are still there; they come again, which is harmless.
        """
        deadline = time.monotonic() + seconds
        every = list(receipts)
        parts = [every[start : start + BATCH] for start in range(0, len(every), BATCH)]
        with ThreadPoolExecutor(RECEIVERS) as pool:
            return sum(pool.map(lambda part: self._delete(part, deadline), parts))

    def _delete(self, receipts: Sequence[str], deadline: float) -> int:
        if time.monotonic() > deadline:
            return len(receipts)
        with _translated("delete messages"):
            answer = self._client.delete_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)],
            )
        return len(answer.get("Failed", []))


def make_client(url: str) -> "SQSClient":
    """Return a client from boto3's own chain; the region is that of the queue's URL, or else the configured one."""
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()
    named = _REGION.search(url)
    region = named[1] if named else configured_region(session)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=5,
        read_timeout=LONG_POLL_SECONDS + 10,
        max_pool_connections=RECEIVERS,
        proxies={} if is_loopback(url) else None,
    )
    return session.client("sqs", region_name=region, config=config)


_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch"}
)
_REMEDY = "Check I2V_UPLOAD_QUEUE_URL, and that the credentials may receive and delete messages of this queue."


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Translate boto3's errors, without their chain (its text contains addresses)."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        failure = _failure(error, f"Upload queue: could not {what}")
    else:
        return
    raise failure from None


def _failure(error: ClientError | BotoCoreError, where: str) -> StorageError:
    if not isinstance(error, ClientError):
        return StorageUnavailable(f"{where}: {type(error).__name__}.", remedy=_REMEDY)
    code, status = error_code(error), http_status(error)
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return QueueMissing(f"{where}: the queue does not exist.", remedy=_REMEDY)
    if code in _DENIED or status in (401, 403):
        return AccessDenied(f"{where}: {code or status}.", remedy=_REMEDY)
    if status >= 500 or status == 429 or "Throttl" in code:
        return StorageUnavailable(f"{where}: {code or status}.", remedy="It is tried again later.")
    return BadRequest(f"{where}: {code or status}.", remedy=_REMEDY)
