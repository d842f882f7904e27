"""Messages of the upload queue, and its failures."""

import json
from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from resources.errors import SettingsError, Verdict
from resources.settings import Settings
from resources.storage.errors import AccessDenied, BadRequest, StorageError, StorageUnavailable
from resources.storage.upload_queue import PoisonMessage, QueueMissing, UploadQueue, make_client, read_event

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/uploads"


def event(key: str, bucket: str = "b", name: str = "ObjectCreated:Put") -> str:
    return json.dumps({"Records": [{"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]})


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("uploads/hero.jpg", "uploads/hero.jpg"),
        ("uploads/a+b.jpg", "uploads/a b.jpg"),
        ("uploads/a%2Bb.jpg", "uploads/a+b.jpg"),
        ("uploads%2Fsh%C3%B6n.jpg", "uploads/shön.jpg"),
        ("uploads/100%25.jpg", "uploads/100%.jpg"),
        ("uploads/%E6%98%A0%E7%94%BB.png", "uploads/映画.png"),
    ],
)
def test_keys_are_decoded(sent: str, key: str) -> None:
    assert read_event(event(sent), "b") == (key,)


def test_records_removals_and_prefixes() -> None:
    both = {"Records": [json.loads(event(key))["Records"][0] for key in ("us/uploads/a.jpg", "them/uploads/b.jpg")]}
    assert read_event(json.dumps(both), "b", prefix="us/") == ("uploads/a.jpg",)
    assert read_event(event("uploads/a.jpg", name="ObjectRemoved:Delete"), "b") == ("uploads/a.jpg",)


def test_the_test_event_has_no_keys() -> None:
    assert read_event(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}), "b") == ()


@pytest.mark.parametrize(
    "body",
    [
        "", "hello", "[]", "{}", '{"Records": []}', '{"Records": [1]}', '{"Records": [{"eventName": null}]}',
        "[" * 100_000, event("a.jpg", name="Replication:Done"), event("a.jpg", bucket="other"), event("%ff.jpg"),
        event("uploads/\ud800.jpg"), event("uploads/%ED%A0%80.jpg"), event("uploads/a%00b.jpg"), event(""),
        event("u" * 1025), event("%E6%98%A0" * 342), event("a.jpg", bucket="\ud800" * 9999),
        '{"Records": [' + '{"s3":' * 100_000,
    ],
    ids=lambda body: ascii(body)[:60],
)  # fmt: skip
def test_anything_else_is_poison(body: str) -> None:
    with pytest.raises(PoisonMessage):
        read_event(body, "b")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[UploadQueue, Stubber]]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = make_client(URL)
    assert client.meta.region_name == "eu-central-1"  # that of the address, whatever is configured
    with Stubber(client) as stub:
        yield UploadQueue(URL, client, bucket="b"), stub


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", 400, QueueMissing),
        ("AccessDenied", 403, AccessDenied),
        ("ThrottlingException", 400, StorageUnavailable),
        ("InternalError", 500, StorageUnavailable),
        ("InvalidParameterValue", 400, BadRequest),
    ],
)
def test_failures_are_translated_by_their_meaning(
    queue: tuple[UploadQueue, Stubber], code: str, status: int, kind: type[StorageError]
) -> None:
    reader, stub = queue
    stub.add_client_error("receive_message", code, f"see {URL}", http_status_code=status)
    with pytest.raises(kind) as raised:
        reader.receive(at_most=10, seconds=1)
    assert (raised.value.verdict is Verdict.RETRYABLE) == (kind is StorageUnavailable)
    assert raised.value.remedy
    assert URL not in raised.value.text


def test_no_time_left_deletes_nothing(queue: tuple[UploadQueue, Stubber]) -> None:
    reader, stub = queue
    assert reader.delete([f"r{number}" for number in range(25)], seconds=-1) == 25
    stub.assert_no_pending_responses()


def test_a_queue_has_to_be_named() -> None:
    with pytest.raises(SettingsError, match="needs a queue"):
        UploadQueue.from_settings(Settings(uploads_from="queue"))
