"""The calls of every clip go without boto3 and say the same; whatever goes wrong with them is boto3's to do over."""

import gzip
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from resources.storage import client
from resources.storage.bucket import Bucket
from resources.storage.client import DoOver, QuickCalls, make_client
from resources.storage.errors import AccessDenied, ObjectMissing, ObjectTooLarge, StorageUnavailable


def by_boto3(bucket: Bucket) -> Bucket:
    """The same bucket without quick calls."""
    other = Bucket(bucket.name, make_client(), prefix=bucket.prefix)
    other._quick = None
    return other


@pytest.fixture
def heard(bucket: Bucket) -> list[str]:
    """The calls that boto3 makes for the bucket."""
    calls: list[str] = []
    bucket._client.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    return calls


def test_the_calls_of_a_clip_are_made_without_boto3(bucket: Bucket, heard: list[str], tmp_path: Path) -> None:
    video = tmp_path / "video"
    video.write_bytes(b"v" * 300_000)
    bucket.write("clips/a/plan.json", b"{}", "application/json", cache_control="no-store")
    first = bucket.write_if("requests/a", b"1", "application/json", etag=None)
    second = bucket.write_if("requests/a", b"2", "application/json", etag=first)
    assert bucket.upload_new(video, "videos/a.mp4", "video/mp4", {"sha256": "ab"})
    bucket.copy("videos/a.mp4", "clips/a/video.mp4")
    info = bucket.fetch("clips/a/video.mp4", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == video.read_bytes()
    assert (info.content_type, info.metadata) == ("video/mp4", {"sha256": "ab"})
    assert bucket.read_tagged("requests/a", 10) == (b"2", second)
    assert heard == []


@pytest.mark.parametrize("versions", [False, True])
def test_both_ways_say_the_same_of_an_object(bucket: Bucket, tmp_path: Path, versions: bool) -> None:
    if versions:
        enabled: Any = {"Status": "Enabled"}
        bucket._client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=enabled)
    other = by_boto3(bucket)
    writers: dict[str, Callable[[str], object]] = {
        "quick": lambda key: bucket.write(key, b"same", "text/plain; charset=utf-8", cache_control="max-age=60"),
        "boto3": lambda key: other.write(key, b"same", "text/plain; charset=utf-8", cache_control="max-age=60"),
    }
    for name, write in writers.items():
        write(name)
        assert bucket.peek(name) == other.peek(name)
        assert bucket.fetch(name, tmp_path / "a") == other.fetch(name, tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"same"
    heads = [other._client.head_object(Bucket=bucket.name, Key=name) for name in writers]
    assert len({(head["ETag"], head["ContentType"], head["CacheControl"]) for head in heads}) == 1
    packed: Any = {"Body": gzip.compress(b"words"), "ContentEncoding": "gzip", "Metadata": {"a-b": "c"}}
    bucket._client.put_object(Bucket=bucket.name, Key="packed", **packed)
    assert bucket.read("packed") == other.read("packed"), "nothing is unpacked on the way"
    mine, theirs = bucket.peek("packed"), other.peek("packed")
    assert mine is not None
    assert theirs is not None
    assert mine.metadata == theirs.metadata == {"a-b": "c"}


def test_refused_conditions_and_missing_objects_are_boto3_s_to_tell(bucket: Bucket, heard: list[str]) -> None:
    assert bucket.write_new("a", b"1", "text/plain")
    assert not bucket.write_new("a", b"2", "text/plain")
    assert bucket.write_if("a", b"3", "text/plain", etag="0" * 32) is None
    with pytest.raises(ObjectMissing, match="'none'") as caught:
        bucket.read("none")
    assert caught.value.__cause__ is None
    with pytest.raises(ObjectTooLarge):
        bucket.read("a", max_bytes=0)
    assert bucket.peek("none") is None
    assert heard == ["PutObject", "PutObject", "GetObject", "GetObject", "HeadObject"]
    heard.clear()
    assert bucket.read("a") == b"1"
    assert heard == [], "none of that makes the quick calls rest"


@pytest.mark.parametrize("key", ["a//b", "a/./b", "a/../b"])
def test_a_key_that_would_become_another_one_is_boto3_s(bucket: Bucket, key: str) -> None:
    assert bucket._quick is not None
    with pytest.raises(DoOver):
        bucket._quick.put(key, b"", {"Content-Type": "text/plain"})


ODD = [*" ._~!*'()%#?+&=@:,;$<>{}[]|^`\"é日😀", "%20", "%2F", "e\u0301", "\u00a0", "\u200b", "\t", "\x7f"]
"""What names of files hold; a backslash is left out, since the test's server makes a slash of it for every client."""


def test_a_key_of_any_characters_is_the_same_object_for_both(bucket: Bucket) -> None:
    draw, other = random.Random(7), by_boto3(bucket)
    keys = {"".join(draw.choices([*ODD, "a", "/"], k=draw.randint(2, 9))).strip("/") for _ in range(60)}
    for key in sorted(keys - {"", ".", ".."} | {f"folder/x{each}" for each in ODD}):
        if "//" in key or "/./" in f"/{key}/" or "/../" in f"/{key}/":
            continue  # boto3's alone, see above
        bucket.write(key, key.encode(), "text/plain")
        assert other.read(key) == key.encode(), key
        assert bucket.read(key) == key.encode(), key
        assert bucket.peek(key) == other.peek(key), key


# A server that answers what it is told


@dataclass
class Server:
    """What the server answers to every call, and the keys that calls were signed with."""

    status: int = 200
    body: bytes = b""
    signed: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.signed.append(self.headers["Authorization"].split("Credential=")[1].split("/")[0])
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Sat, 28 Nov 2026 14:00:00 GMT")
            self.end_headers()
            self.wfile.write(told.body if self.command != "HEAD" else b"")

        do_GET = do_HEAD = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{serving.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setattr(client, "_ATTEMPTS", 1)
        yield told
        serving.shutdown()


ERROR = b"<Error><Code>%s</Code><Message>no</Message></Error>"


@pytest.mark.parametrize("status", [301, 400, 403, 500, 503])
def test_after_an_answer_that_is_not_about_the_object_the_quick_calls_rest(server: Server, status: int) -> None:
    quick = QuickCalls.of(make_client(), "some-bucket")
    assert quick is not None
    server.status, server.body = status, ERROR % b"SlowDown"
    for call in (lambda: quick.head("a"), lambda: quick.get("a"), lambda: quick.copy("a", "b")):
        with pytest.raises(DoOver) as caught:
            call()
        error = caught.value
        assert error.__context__ is None or error.__suppress_context__, "no address is quoted"
    assert len(server.signed) == 1, "the second and third were not sent"


def test_a_panic_of_the_client_is_boto3_s_to_meet(server: Server) -> None:
    quick = QuickCalls.of(make_client(), "some-bucket")
    assert quick is not None
    with pytest.raises(DoOver):
        quick.put("a", b"", {"Content-Type": "text/plain", "odd name\n": "x"})


def test_what_a_copy_says_in_its_body_counts(server: Server) -> None:
    quick = QuickCalls.of(make_client(), "some-bucket")
    assert quick is not None
    server.body = ERROR % b"InternalError"
    with pytest.raises(DoOver):
        quick.copy("a", "b")


def test_the_error_is_the_one_that_boto3_meets(server: Server) -> None:
    server.status, server.body = 503, ERROR % b"SlowDown"
    with pytest.raises(StorageUnavailable, match="SlowDown"):
        Bucket("some-bucket", make_client()).read("a")
    assert len(server.signed) == 2
    server.status, server.body = 403, ERROR % b"ExpiredToken"
    with pytest.raises(AccessDenied, match="ExpiredToken"):
        Bucket("some-bucket", make_client()).write("a", b"", "text/plain")


def test_renewed_credentials_are_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_client()
    credentials = client._sessions[made].get_credentials()
    assert credentials is not None
    monkeypatch.setattr(client, "_CREDENTIAL_SECONDS", 1)
    quick = QuickCalls.of(made, "some-bucket")
    assert quick is not None
    quick.head("a")
    credentials.access_key = "second"
    while server.signed[-1] != "second":  # asked for once in a tenth of a second at most
        quick.head("a")
    assert server.signed[0] == "first"


# Where boto3 alone is used


def test_only_what_obstore_can_sign_for_is_quick(s3_environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert QuickCalls.of(make_client(), "plain-name") is not None
    assert QuickCalls.of(make_client(), "directory--usw2-az1--x-s3") is None
    assert QuickCalls.of(make_client(), "arn:aws:s3:us-west-2:123456789012:accesspoint/some") is None
    with monkeypatch.context() as patched:
        patched.setenv("NO_PROXY", "127.0.0.1")
        assert QuickCalls.of(make_client(), "plain-name") is not None
        patched.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert QuickCalls.of(make_client(), "plain-name") is None
    with monkeypatch.context() as patched:
        patched.delenv("AWS_ENDPOINT_URL_S3")
        patched.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        patched.setenv("AWS_CA_BUNDLE", "/own/authority.pem")
        assert QuickCalls.of(make_client(), "plain-name") is None
    for name in ("AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SKIP_SIGNATURE"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "CRC32")  # boto3 does not read it, and obstore would not start with it
            assert QuickCalls.of(make_client(), "plain-name") is None
    with monkeypatch.context() as patched:
        patched.delenv("AWS_ACCESS_KEY_ID")
        patched.delenv("AWS_SECRET_ACCESS_KEY")
        assert QuickCalls.of(make_client(), "plain-name") is None


def test_a_bucket_is_where_boto3_finds_it(s3_environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = s3_environment.endpoint
    assert client._place(make_client(), "plain-name") == (endpoint, False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{endpoint}/below")
    assert client._place(make_client(), "plain-name") == (f"{endpoint}/below", False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    place = client._place(make_client(), "plain-name")
    assert place is not None
    server, in_host = place
    assert server.startswith("https://plain-name.s3")
    assert in_host


def test_a_forked_child_has_no_quick_calls(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bucket.peek("none") is None
    monkeypatch.setattr(client, "_first_process", 1)
    assert bucket._quick is not None
    with pytest.raises(DoOver):
        bucket._quick.head("none")
    assert bucket.peek("none") is None
