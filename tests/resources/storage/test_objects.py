"""Of several writers at most one wins, and nothing is left of the others."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.storage.bucket import Bucket
from resources.storage.client import PART_BYTES, make_client
from resources.storage.errors import (
    StorageUnavailable,
)


def test_one_of_eight_writers_wins(bucket):
    for key in ("videos/1", "videos/2", "videos/3"):
        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(bucket.write_new, key, b"%d" % who, "text/plain") for who in range(8)]
        won = [writer.result() for writer in writers]
        assert won.count(True) == 1
        assert bucket.read(key) == b"%d" % won.index(True)


def test_conflict_while_writing_is_tried_again(bucket):
    """AWS answers 409 when another write of the key ends at that moment."""
    client = make_client()
    conflicts = iter([409, 409, None])

    def conflict(**_):
        status = next(conflicts)
        if status:
            from botocore.awsrequest import AWSResponse

            body = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
            raw = type("Raw", (), {"stream": lambda self, **_: iter([body])})()
            return AWSResponse("", status, {}, raw)
        return None

    client.meta.events.register("before-send.s3.PutObject", conflict)
    conflicted = Bucket(bucket.name, client)
    conflicted._quick = None  # boto3 alone, whose calls the hook answers
    assert conflicted.write_new("a", b"1", "text/plain")
    conflicts = iter([409, 409, 409])
    with pytest.raises(StorageUnavailable, match="ConditionalRequestConflict"):
        conflicted.write_new("b", b"1", "text/plain")


@pytest.mark.parametrize("size", [1000, PART_BYTES + 5])
def test_upload_new_never_replaces(bucket, tmp_path, size, monkeypatch):
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"1" * size)
    second.write_bytes(b"2" * size)
    assert bucket.upload_new(first, "videos/x.mp4", "video/mp4", {"take": "1"})
    assert not bucket.upload_new(second, "videos/x.mp4", "video/mp4")
    # The condition decides, not the look beforehand.
    monkeypatch.setattr(Bucket, "head", lambda *_: None)
    assert not bucket.upload_new(second, "videos/x.mp4", "video/mp4")
    assert bucket.read("videos/x.mp4") == b"1" * size
    assert "Uploads" not in make_client().list_multipart_uploads(Bucket=bucket.name)


def test_failed_parts_are_aborted(bucket, tmp_path, monkeypatch):
    source = tmp_path / "in.bin"
    source.write_bytes(b"1" * (PART_BYTES + 5))
    client = make_client()

    def fail(**_):
        raise OSError("disk gone")

    client.meta.events.register("before-call.s3.UploadPart", fail)
    with pytest.raises(OSError, match="disk gone"):
        Bucket(bucket.name, client).upload_new(source, "x", "video/mp4")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket.name)
    assert bucket.head("x") is None
