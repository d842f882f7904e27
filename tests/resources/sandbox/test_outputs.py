"""Downloads of the finished videos, and their faults."""

import io

import av
import httpx
import pytest


@pytest.fixture
def url(quick) -> str:
    return str(quick.ended(quick.accepted())["output"]["video"])


def shape(data: bytes) -> tuple[int, int, float, bool]:
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height, (container.duration or 0) / 1e6, bool(container.streams.audio)


def test_the_whole_file_and_ranges(quick, url):
    whole = quick.get(url)
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    assert int(whole.headers["content-length"]) == len(whole.content)
    part = quick.get(url, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert part.content == whole.content[100:200]
    assert quick.get(url, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert quick.head(url).headers["content-length"] == str(len(whole.content))


def test_no_token_is_asked_and_no_file_invented(quick, slow, url):
    assert httpx.get(url).status_code == 200
    assert quick.get("/outputs/nothing.mp4").status_code == 404
    assert slow.get(f"/outputs/{slow.accepted()}.mp4").status_code == 404  # not finished yet


def test_the_base_of_the_outputs_is_a_setting(start):
    server = start(generation_seconds=0, render="cached", public_base="http://files.runcomfy.net:8188/")
    with httpx.Client(base_url=server.url, headers={"Authorization": "Bearer x"}, timeout=30, verify=False) as client:
        body = {"prompt": "Pan.", "duration": 2, "resolution": "720p"}
        answer = client.post("/v1/models/wan-ai/wan-2-7/text-to-video", json=body).json()
        assert answer["result_url"].startswith(server.url)
        while (result := client.get(answer["result_url"]).json())["status"] != "succeeded":
            pass
        assert result["output"]["video"] == f"http://files.runcomfy.net:8188/outputs/{answer['request_id']}.mp4"


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_http_errors(quick, url, status):
    quick.fault("download", f"http_{status}")
    assert quick.get(url).status_code == status
    assert quick.get(url).status_code == 200


@pytest.mark.parametrize("kind", ["truncated", "disconnect_before", "disconnect_after", "too_large"])
def test_a_body_that_breaks_off(quick, url, kind):
    quick.fault("download", kind)
    with pytest.raises(httpx.RemoteProtocolError):
        quick.get(url)


def test_what_a_truncated_body_announces(quick, url):
    size = len(quick.get(url).content)
    for kind, announced in (("truncated", size), ("too_large", 3 * 1024**3)):
        quick.fault("download", kind)
        with quick.stream("GET", url) as answer:
            assert int(answer.headers["content-length"]) == announced


def test_garbage_and_a_held_answer(quick, url):
    quick.fault("download", "garbage")
    assert b"ftyp" not in quick.get(url).content
    quick.fault("download", "timeout")
    with pytest.raises(httpx.ReadTimeout):
        quick.get(url, timeout=0.3)


def test_a_redirect_to_a_hostile_host(quick, url):
    quick.fault("download", "hostile_url", url="http://127.0.0.1.evil.example/x.mp4")
    answer = quick.get(url)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1.evil.example/x.mp4")


@pytest.mark.parametrize("where", ["submit", "result", "download"])
def test_a_defect_stays_with_its_request(quick, where):
    if where == "submit":
        quick.fault("submit", "wrong_size")
    request_id = quick.accepted()
    other = quick.accepted()
    url = quick.ended(request_id)["output"]["video"]
    if where != "submit":
        assert shape(quick.get(url).content)[:2] == (1280, 720)
        quick.fault(where, "wrong_size", request_id=request_id)
        quick.result(request_id)
    for _ in range(2):
        assert shape(quick.get(url, timeout=30).content)[:2] == (640, 360)
    assert shape(quick.video(other))[:2] == (1280, 720)


def test_cached_rendering_keeps_one_file_per_shape(quick, quick_server):
    ids = [quick.accepted(seed=seed) for seed in range(1, 20)]
    videos = {quick.video(request_id) for request_id in ids}
    assert len(videos) == 1
    names = [path.name for path in (quick_server.data_dir / "outputs" / "cached").iterdir()]
    assert len([name for name in names if "-3s-720p-1280x720.mp4" in name and name.startswith("happyhorse")]) == 1
    assert not list((quick_server.data_dir / "outputs").glob("*.mp4"))


STRANGE = [
    *(
        f"bytes={'9' * 5000}-",
        f"bytes=-{'9' * 5000}",
        f"bytes=0-{'9' * 5000}",
        f"bytes={'0' * 5000}1-2",
        "bytes=-",
        "bytes=--1",
    ),
    *(
        "bytes",
        "=",
        "bytes=9-3",
        "bytes=1-2-3",
        "bytes=a-b",
        "bytes=0-0,0-0," * 300,
        "lines=1-2",
        "bytes=-0",
        "bytes=0-,5-6,-1",
    ),
]


@pytest.mark.parametrize("wanted", STRANGE)
def test_strange_ranges_are_no_fault_of_the_sandbox(quick, url, wanted):
    assert quick.get(url, headers={"Range": wanted}).status_code in (200, 206, 400, 416)


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 2024 00:00:00 -0000", "Mon, 01 Jan 99999 00:00:00 GMT", "01 Jan", ",", "-", "x" * 2000]
)
def test_strange_dates_are_no_fault_of_the_sandbox(quick, url, date):
    for name in ("If-Modified-Since", "If-Range", "If-Unmodified-Since"):
        assert quick.get(url, headers={name: date, "Range": "bytes=0-1"}).status_code in (200, 206, 304, 416)
