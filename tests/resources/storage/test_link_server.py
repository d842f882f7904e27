import asyncio
import http.client
import os
import sys
import urllib.error
import urllib.request

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.devservers.start import ChildProcess, environment, free_port
from resources.storage.bucket import Bucket
from resources.storage.client import make_client
from resources.storage.link_server import links_app

VIDEO = "clips/hero/video.mp4"
DATA = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def bucket(s3_server):
    """One for all tests here, since they only read what they themselves wrote."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment(s3=s3_server).items():
            patched.setenv(name, value)
        bucket = Bucket("links", make_client())
        bucket.ensure()
        bucket.write(VIDEO, DATA, "text/html")
        bucket.write("uploads/secret.jpg", b"secret", "image/jpeg")
        yield bucket


class Client:
    """Asks the application without a socket in between."""

    def __init__(self, bucket):
        self._transport = httpx.ASGITransport(links_app(bucket))

    def request(self, method, path, **options):
        async def ask():
            async with httpx.AsyncClient(transport=self._transport, base_url="http://127.0.0.1:3001") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def head(self, path):
        return self.request("HEAD", path)


@pytest.fixture(scope="module")
def client(bucket):
    return Client(bucket)


def test_whole_file(client):
    answer = client.get(f"/{VIDEO}")
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"


def test_head_has_the_same_headers_and_no_body(client):
    whole, head = client.get(f"/{VIDEO}"), client.head(f"/{VIDEO}")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers == whole.headers


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-99", 5, 99),
        ("bytes=1000-", 1000, len(DATA) - 1),
        ("bytes=-10", len(DATA) - 10, len(DATA) - 1),
        ("bytes=0-99999999", 0, len(DATA) - 1),
        ("bytes=-99999999", 0, len(DATA) - 1),
    ],
)
def test_range(client, wanted, first, last):
    answer = client.get(f"/{VIDEO}", headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("wanted", [f"bytes={len(DATA)}-", "bytes=9-3", "bytes=-0"])
def test_range_of_nothing(client, wanted):
    answer = client.get(f"/{VIDEO}", headers={"Range": wanted})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes"])
def test_other_ranges_get_the_whole(client, wanted):
    answer = client.get(f"/{VIDEO}", headers={"Range": wanted})
    assert (answer.status_code, len(answer.content)) == (200, len(DATA))


def test_unchanged_files_are_not_sent_again(client):
    first = client.get(f"/{VIDEO}").headers
    for headers in (
        {"If-None-Match": first["etag"]},
        {"If-None-Match": f'"x", W/{first["etag"]}'},
        {"If-Modified-Since": first["last-modified"]},
    ):
        answer = client.get(f"/{VIDEO}", headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(f"/{VIDEO}", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get(f"/{VIDEO}", headers={"If-Modified-Since": "rubbish"}).status_code == 200


def test_range_of_another_object_gets_the_whole(client):
    etag = client.get(f"/{VIDEO}").headers["etag"]
    same = client.get(f"/{VIDEO}", headers={"Range": "bytes=0-1", "If-Range": etag})
    other = client.get(f"/{VIDEO}", headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_empty_file(client, bucket):
    bucket.write("gallery/empty.html", b"", "text/html")
    answer = client.get("/gallery/empty.html")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert client.get("/gallery/empty.html", headers={"Range": "bytes=0-0"}).status_code == 416


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("gallery/index.html", "text/html; charset=utf-8"),
        ("clips/hero/plan.json", "application/json"),
        ("clips/hero/poster.jpg", "image/jpeg"),
        ("clips/hero/REFUSED.txt", "text/plain; charset=utf-8"),
        ("clips/hero/unknown", "application/octet-stream"),
    ],
)
def test_the_content_type_follows_the_name(client, bucket, key, content_type):
    bucket.write(key, b"x", "video/whatever")
    answer = client.get(f"/{key}")
    assert answer.headers["content-type"] == content_type
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/uploads/secret.jpg",
        "/clips/../uploads/secret.jpg",
        "/clips/%2e%2e/uploads/secret.jpg",
        "/clips/..%2fuploads/secret.jpg",
        "/clips//../uploads/secret.jpg",
        "/clips/..\\uploads/secret.jpg",
        "//uploads/secret.jpg",
        "/clips/",
        "/clips",
        "/",
        "/clips/none.mp4",
        "/clips/a%00b",
    ],
)
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404


def test_nothing_is_written(client):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, f"/{VIDEO}").status_code == 405


def test_other_host_names_are_refused(client):
    assert client.get(f"/{VIDEO}", headers={"Host": "evil.example"}).status_code == 400
    assert client.get(f"/{VIDEO}", headers={"Host": "localhost:3001"}).status_code == 200


def test_an_unreachable_storage_is_reported(s3_environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("resources.storage.client._ATTEMPTS", 1)
    answer = Client(Bucket("b", make_client())).get(f"/{VIDEO}")
    assert answer.status_code == 503
    assert "make dev" in answer.text


def test_as_a_process(bucket, tmp_path):
    port = free_port()
    arguments = [sys.executable, "-m", "resources.storage.link_server", "--port", str(port)]
    with ChildProcess(
        arguments, log=tmp_path / "links.log", environment={**os.environ, "I2V_BUCKET": bucket.name}
    ) as server:

        def status(path, host="127.0.0.1"):
            connection = http.client.HTTPConnection(host, port, timeout=60)
            try:
                connection.request("GET", path)
                return connection.getresponse().status
            except ConnectionRefusedError:
                return None
            finally:
                connection.close()

        server.wait_until(lambda: status("/") is not None, seconds=20, what="The link server")
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/{VIDEO}", timeout=60).read() == DATA
        # Unlike the test client, http.client sends a path as it is.
        for path in ("/clips/../uploads/secret.jpg", "/clips/%2e%2e/uploads/secret.jpg", "//uploads/secret.jpg"):
            assert status(path) == 404
        server.stop()
        assert server.process.returncode in (0, -15)
    assert (tmp_path / "links.log").read_text() == ""


EVIL = b"<script>fetch('/gallery/data.js')</script>"


@pytest.mark.parametrize(
    ("key", "content_type", "policy"),
    [
        ("sequences/evil.html", "text/html; charset=utf-8", "sandbox"),
        ("sequences/a/EVIL.HTML", "text/html; charset=utf-8", "sandbox"),
        ("clips/hero/evil.svg", "image/svg+xml", "sandbox"),
        ("gallery/other.html", "text/html; charset=utf-8", "sandbox"),
        ("gallery/sub/index.html", "text/html; charset=utf-8", "sandbox"),
        ("sequences/evil.xhtml", "application/octet-stream", None),
        ("sequences/evil.xml", "application/octet-stream", None),
        ("sequences/evil.js", "text/plain; charset=utf-8", None),
        ("sequences/evil.css", "text/plain; charset=utf-8", None),
        ("gallery/data/page-000.js", "text/javascript; charset=utf-8", None),
        ("gallery/index.html", "text/html; charset=utf-8", None),
    ],
)
def test_pages_out_of_the_bucket_run_nothing(client, bucket, key, content_type, policy):
    bucket.write(key, EVIL, "text/html")
    answer = client.get(f"/{key}")
    assert answer.headers["content-type"] == content_type
    assert answer.headers.get("content-security-policy") == policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


DATES = st.one_of(
    st.sampled_from(
        [
            "Mon, 01 Jan 2024 00:00:00 -0000", "Mon, 01 Jan 99999 00:00:00 GMT", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}", f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT",
            "Mon, 32 Jan 2024 25:61:61 GMT", "01 Jan", ",", "-", "Mon", "1 1 1 1 1 1", "Mon, 01 Jan 0000 00:00:00 GMT",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)  # fmt: skip
RANGES = st.one_of(
    st.sampled_from(
        [
            f"bytes={'9' * 5000}-",
            f"bytes=-{'9' * 5000}",
            f"bytes=0-{'9' * 5000}",
            f"bytes={'0' * 5000}1-2",
            "bytes=-",
            "bytes=--1",
        ]
    ),
    st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}(,[0-9]*-[0-9]*)?", fullmatch=True),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)


@given(wanted=RANGES, since=DATES, condition=DATES)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strange_ranges_and_dates_are_answered(client, wanted, since, condition):
    answer = client.get(f"/{VIDEO}", headers={"Range": wanted, "If-Modified-Since": since, "If-Range": condition})
    assert answer.status_code in (200, 206, 304, 416)


def test_a_range_past_every_number(client):
    assert client.get(f"/{VIDEO}", headers={"Range": f"bytes={'9' * 5000}-"}).status_code == 416
    answer = client.get(f"/{VIDEO}", headers={"Range": f"bytes={'0' * 5000}1-2"})
    assert (answer.status_code, answer.content) == (206, DATA[1:3])


def test_pages_of_others_change_nothing_and_ask_under_no_other_name(client):
    assert client.request("POST", f"/{VIDEO}", headers={"Origin": "https://evil.example"}).status_code == 403
    for host in ("127.0.0.1.evil.example", "localhost.evil.example", "evil.example:3001", "localhost."):
        assert client.get(f"/{VIDEO}", headers={"Host": host}).status_code == 400
    assert client.get(f"/{VIDEO}", headers={"Host": "[::1]:3001"}).status_code == 200
