import hashlib
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ResponseStreamingError

from resources.devservers.start import free_port
from resources.errors import Verdict
from resources.settings import Settings
from resources.storage import bucket as bucket_module
from resources.storage import client
from resources.storage.bucket import Bucket
from resources.storage.client import PART_BYTES, make_client
from resources.storage.errors import (
    AccessDenied,
    BadRequest,
    BucketMissing,
    EndpointUnreachable,
    ObjectMissing,
    ObjectTooLarge,
    StorageUnavailable,
)
from resources.storage.reachability import check_reachable

STRANGE_NAMES = ["a b.txt", "é ü.txt", "日本.txt", "quo'te\".txt", "plus+%41&=?.txt", "emoji 🎬.txt", "per%2Fcent.txt"]


def keys_of(bucket, prefix=""):
    return sorted(info.key for info in bucket.list(prefix))


def test_write_read_and_list(bucket):
    bucket.write("uploads/a.txt", b"hello", "text/plain")
    assert bucket.read("uploads/a.txt") == b"hello"
    info = bucket.head("uploads/a.txt")
    assert (info.key, info.size_bytes, info.content_type) == ("uploads/a.txt", 5, "text/plain")
    assert info.etag == hashlib.md5(b"hello").hexdigest()
    (listed,) = bucket.list("uploads/")
    assert (listed.etag, listed.size_bytes, listed.modified_at) == (info.etag, 5, info.modified_at)


def test_fetch_returns_the_downloaded_version(bucket, tmp_path):
    bucket.write("uploads/a.txt", b"one", "text/plain")
    plain = bucket.fetch("uploads/a.txt", tmp_path / "a")
    assert (plain.etag, plain.version_id) == (hashlib.md5(b"one").hexdigest(), "")
    bucket._client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    bucket.write("uploads/a.txt", b"two", "text/plain")
    two = bucket.fetch("uploads/a.txt", tmp_path / "a")
    bucket.write("uploads/a.txt", b"three", "text/plain")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert two.version_id not in ("", bucket.head("uploads/a.txt").version_id)
    for version, content in ((two.version_id, b"two"), ("", b"three")):
        url = bucket.presign_get("uploads/a.txt", 60, version).get_secret_value()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
            assert answer.read() == content
    with pytest.raises(ObjectMissing):
        bucket.fetch("uploads/none.txt", tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_body_that_breaks_off_is_fetched_again(bucket, tmp_path, monkeypatch):
    bucket.write("uploads/a.txt", b"whole", "text/plain")
    bucket._quick = None  # boto3 alone
    real, broken = bucket_module.shutil.copyfileobj, []

    def breaks(source, target, length):
        if not broken:
            broken.append(target.write(b"wh"))
            raise ResponseStreamingError(error="reset")
        real(source, target, length)

    monkeypatch.setattr(bucket_module.shutil, "copyfileobj", breaks)
    bucket.fetch("uploads/a.txt", tmp_path / "a")
    assert broken
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_strange_names_come_back_as_they_are(bucket, name):
    key = f"uploads/{name}"
    bucket.write(key, b"x", "text/plain")
    assert keys_of(bucket) == [key]
    assert bucket.read(key) == b"x"
    bucket.copy(key, "clips/copy.txt")
    assert bucket.read("clips/copy.txt") == b"x"
    url = bucket.presign_get(key, 60).get_secret_value()
    assert urllib.request.urlopen(url, timeout=60).read() == b"x"


def test_listing_covers_every_page(bucket):
    """Folders, names that sort around the slash, and 2,500 keys."""
    wanted = [f"uploads/many/{number:04}.txt" for number in range(2490)]
    wanted += ["uploads/a.txt", "uploads/a/b.txt", "uploads/a-b.txt", "uploads/a/c/d.txt", "uploads/z.txt", "other.txt"]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: bucket.write(key, b"1", "text/plain"), wanted))
    assert keys_of(bucket) == sorted(wanted)
    assert keys_of(bucket, "uploads/a") == ["uploads/a-b.txt", "uploads/a.txt", "uploads/a/b.txt", "uploads/a/c/d.txt"]
    after = "uploads/many/2000.txt"
    assert sorted(info.key for info in bucket.list("", after)) == sorted(key for key in wanted if key > after)
    bucket.delete_many(wanted)
    assert keys_of(bucket) == []


def test_prefix_is_a_bucket_in_the_bucket(bucket, tmp_path):
    part = Bucket(bucket.name, make_client(), prefix="team/")
    part.write("a.txt", b"1", "text/plain")
    part.copy("a.txt", "b.txt")
    part.download("b.txt", tmp_path / "b.txt")
    bucket.write("a.txt", b"2", "text/plain")
    assert keys_of(part) == ["a.txt", "b.txt"]
    assert keys_of(bucket) == ["a.txt", "team/a.txt", "team/b.txt"]
    part.delete_many(["a.txt"])
    part.delete("b.txt")
    assert keys_of(bucket) == ["a.txt"]


@pytest.mark.parametrize("size", [1000, PART_BYTES + 5])
def test_upload_and_download(bucket, tmp_path, size):
    source, back = tmp_path / "in.bin", tmp_path / "folder" / "back.bin"
    source.write_bytes(os.urandom(size))
    bucket.upload(source, "videos/x.mp4", "video/mp4", {"take": "1"})
    info = bucket.head("videos/x.mp4")
    assert (info.size_bytes, info.content_type) == (size, "video/mp4")
    bucket.copy("videos/x.mp4", "clips/x/video.mp4")
    assert bucket.head("clips/x/video.mp4").content_type == "video/mp4"
    bucket.download("clips/x/video.mp4", back)
    assert back.read_bytes() == source.read_bytes()
    assert list(back.parent.iterdir()) == [back]


def test_presigned_url_ends(bucket):
    bucket.write("a.txt", b"secret", "text/plain")
    url = bucket.presign_get("a.txt", 60)
    assert "X-Amz-Signature" not in repr(url)
    assert urllib.request.urlopen(url.get_secret_value(), timeout=60).read() == b"secret"
    with pytest.raises(urllib.error.HTTPError) as stripped:
        urllib.request.urlopen(url.get_secret_value().split("?", maxsplit=1)[0], timeout=60)
    assert stripped.value.code == 403


def test_expired_presigned_url_is_refused(bucket, monkeypatch):
    bucket.write("a.txt", b"secret", "text/plain")
    signed_at = datetime.now(UTC) - timedelta(seconds=120)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: signed_at)
    fresh = bucket.presign_get("a.txt", 600).get_secret_value()
    assert urllib.request.urlopen(fresh, timeout=60).read() == b"secret"
    with pytest.raises(urllib.error.HTTPError) as expired:
        urllib.request.urlopen(bucket.presign_get("a.txt", 60).get_secret_value(), timeout=60)
    assert expired.value.code == 403


def test_ranges(bucket):
    bucket.write("a", b"0123456789", "text/plain")
    with bucket.open_range("a", 2, 4) as part, bucket.open_range("a", 7) as rest, bucket.open_range("a") as whole:
        assert (part.read(), rest.read(), whole.read()) == (b"234", b"789", b"0123456789")


def test_large_objects_are_not_read(bucket):
    bucket.write("a", b"0123456789", "text/plain")
    assert bucket.read("a", 10) == b"0123456789"
    with pytest.raises(ObjectTooLarge, match=r"'a' has 10 bytes, but at most 9"):
        bucket.read("a", 9)


def test_missing_objects(bucket, tmp_path):
    assert bucket.head("none") is None
    bucket.delete("none")
    for call in (
        lambda: bucket.read("none"),
        lambda: bucket.download("none", tmp_path / "x"),
        lambda: bucket.copy("none", "b"),
        lambda: bucket.open_range("none"),
    ):
        with pytest.raises(ObjectMissing, match="'none'") as caught:
            call()
        assert caught.value.verdict is Verdict.FINAL
    assert not list(tmp_path.iterdir())


def test_missing_bucket(s3_environment, tmp_path):
    missing = Bucket("no-such-bucket", make_client())
    (tmp_path / "file").write_bytes(b"1")
    for call in (
        missing.check,
        lambda: list(missing.list()),
        lambda: missing.head("a"),
        lambda: missing.read("a"),
        lambda: missing.write("a", b"", "text/plain"),
        lambda: missing.write_new("a", b"", "text/plain"),
        lambda: missing.download("a", tmp_path / "x"),
        lambda: missing.upload(tmp_path / "file", "a", "text/plain"),
    ):
        with pytest.raises(BucketMissing, match="'no-such-bucket' does not exist") as caught:
            call()
        assert "I2V_BUCKET" in caught.value.remedy


def test_ensure_may_be_called_by_many(s3_environment):
    made = Bucket("ensured-by-many", make_client())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: made.ensure(), range(8)))
    made.check()
    make_client().delete_bucket(Bucket=made.name)


def test_wrong_credentials(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    stranger = Bucket(bucket.name, make_client())
    for call in (lambda: stranger.read("a"), lambda: stranger.head("a"), lambda: stranger.write("a", b"", "x/y")):
        with pytest.raises(AccessDenied, match="'a'") as caught:
            call()
        assert "AWS_ACCESS_KEY_ID" in caught.value.remedy


def test_no_credentials(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessDenied, match="no S3 credentials"):
        Bucket(bucket.name, make_client()).check()


def test_unknown_profile(s3_environment, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AccessDenied, match="no S3 credentials"):
        Bucket.from_settings(Settings(bucket="i2v"))


def test_server_down(s3_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("resources.storage.client._ATTEMPTS", 1)
    down = Bucket("b", make_client())
    (tmp_path / "file").write_bytes(b"1")
    for call in (
        lambda: down.read("a"),
        lambda: down.upload(tmp_path / "file", "a", "text/plain"),
        lambda: list(down.list()),
        lambda: down.download("a", tmp_path / "x"),
        down.now,
    ):
        with pytest.raises(StorageUnavailable, match="EndpointConnectionError") as caught:
            call()
        assert caught.value.verdict is Verdict.RETRYABLE
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_failed_deletions_are_reported(bucket, monkeypatch):
    answer = {"Errors": [{"Key": "a", "Code": "AccessDenied"}]}
    with monkeypatch.context() as patched:
        patched.setattr(bucket._client, "delete_objects", lambda **_: answer)
        with pytest.raises(BadRequest, match="could not delete 'a': AccessDenied"):
            bucket.delete_many(["a"])


def test_clock_is_the_servers(bucket, monkeypatch):
    assert abs(bucket.now() - datetime.now(UTC)) < timedelta(seconds=3)
    passed = iter([100.0, 107.0])
    told = {"ResponseMetadata": {"HTTPHeaders": {"date": "Sun, 22 Nov 2026 18:33:05 GMT"}}}
    with monkeypatch.context() as patched:
        patched.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(passed)))
        bucket._clock.hear(told)
        assert bucket.now() == datetime(2026, 11, 22, 18, 33, 12, tzinfo=UTC)


def test_the_real_service_cannot_fetch_from_here(bucket, monkeypatch):
    check_reachable(bucket, "sandbox")
    with pytest.raises(EndpointUnreachable, match="cannot download the inputs") as caught:
        check_reachable(bucket, "runcomfy")
    assert caught.value.verdict is Verdict.FINAL
    assert "AWS_ENDPOINT_URL_S3" in caught.value.remedy
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    check_reachable(Bucket("b", make_client()), "runcomfy")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *(
            (host, True)
            for host in ("127.0.0.2", "0.0.0.0", "127.1", "2130706433", "0x7f.1", "localhost.", "LOCALHOST")
        ),
        *((host, True) for host in ("minio.localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]")),
        *((host, False) for host in ("8.8.8.8", "[2001:4860::1]", "localhost.example.com", "128.1", "minio")),
    ],
)
def test_this_machine_in_any_spelling_is_refused_for_the_real_service(bucket, monkeypatch, host, here):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:9000")
    reached = Bucket("b", make_client())
    if not here:
        check_reachable(reached, "runcomfy")
        return
    with pytest.raises(EndpointUnreachable):
        check_reachable(reached, "runcomfy")


def test_proxies_are_not_used_for_this_machine(bucket, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    Bucket(bucket.name, make_client()).check()
