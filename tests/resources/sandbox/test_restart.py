"""What a sandbox knows survives its death."""

import os
import signal
import socket
import time

import httpx
import pytest

from resources.devservers.start import ServerNotStarted
from resources.sandbox.__main__ import main

WAN_T2V = "wan-ai/wan-2-7/text-to-video"
BODY = {"prompt": "Pan left.", "duration": 2, "resolution": "720p", "seed": 3}


def client_of(server) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": "Bearer x"}, timeout=30, verify=False)


def ended(client: httpx.Client, request_id: str) -> dict:
    deadline = time.monotonic() + 120
    while (result := client.get(f"/v1/requests/{request_id}/result").json())["status"] in ("in_queue", "in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.03)
    return dict(result)


def test_requests_in_progress_go_on_after_a_kill(start):
    server = start(generation_seconds=1.5, generation_spread=0)
    with client_of(server) as client:
        ids = [
            client.post(f"/v1/models/{WAN_T2V}", json={**BODY, "seed": seed}).json()["request_id"] for seed in (1, 2, 3)
        ]
        cancelled = client.post(f"/v1/models/{WAN_T2V}", json={**BODY, "seed": 9}).json()["request_id"]
        assert client.post(f"/v1/requests/{cancelled}/cancel").json()["outcome"] == "cancelled"
        client.put("/_sandbox/switches", json={"output": "videos"})
        client.put("/_sandbox/balance", json={"balance_usd": 5})
        client.post("/_sandbox/faults", json={"where": "submit", "kind": "http_500", "times": 3})
        assert client.post(f"/v1/models/{WAN_T2V}", json=BODY).status_code == 500
        before = client.get("/_sandbox/charges").json()
    os.kill(server.pid, signal.SIGKILL)
    server.process.process.wait()
    with client_of(start(generation_seconds=1.5, generation_spread=0)) as client:
        assert client.get("/_sandbox/charges").json() == before
        assert client.get("/prod/v2/balance").json()["balance_usd"] == 5
        assert client.get("/_sandbox/faults").json()["faults"][0]["left"] == 2
        for request_id in ids:
            [url] = ended(client, request_id)["output"]["videos"]
            assert httpx.get(url).status_code == 200
        assert ended(client, cancelled)["status"] == "cancelled"


def test_finished_videos_are_still_there(start):
    server = start(generation_seconds=0)
    with client_of(server) as client:
        request_id = client.post(f"/v1/models/{WAN_T2V}", json=BODY).json()["request_id"]
        first = ended(client, request_id)
        video = httpx.get(first["output"]["video"]).content
    server.stop()
    with client_of(start(generation_seconds=0)) as client:
        second = ended(client, request_id)
        assert {**second, "output": 0} == {**first, "output": 0}
        assert httpx.get(second["output"]["video"]).content == video


def test_two_sandboxes_do_not_share_a_folder(start):
    start()
    with pytest.raises(ServerNotStarted, match="Another sandbox uses"):
        start()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "99999"], "is not a port"),
        (["--generation-seconds", "-1"], "is not 0 or more"),
        (["--generation-spread", "nan"], "is not 0 or more"),
        (["--queue-share", "2"], "is not between 0 and 1"),
        (["--scale", "0"], "is not above 0 and at most 1"),
        (["--scale", "1.5"], "is not above 0 and at most 1"),
        (["--public-base", "ftp://x"], "is not an http(s) base"),
    ],
)
def test_options_out_of_range_exit_with_64(tmp_path, capsys, arguments, text):
    assert main(["--data", str(tmp_path), *arguments]) == 64
    assert text in capsys.readouterr().err


def test_a_taken_port_is_reported(start, tmp_path, capsys):
    server = start()
    port = server.url.rsplit(":", 1)[1]
    assert main(["--data", str(tmp_path / "other"), "--port", port]) == 64
    assert "Cannot listen on" in capsys.readouterr().err


def test_it_ends_at_once_while_an_answer_is_held(start):
    server = start(generation_seconds=0)
    with client_of(server) as client:
        client.post("/_sandbox/faults", json={"where": "balance", "kind": "timeout"})
        held = socket.create_connection((client.base_url.host, client.base_url.port))
        held.sendall(b"GET /prod/v2/balance HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n")
        while client.get("/_sandbox/faults").json()["count"]:
            time.sleep(0.02)  # until the held call is there
        client.post(f"/v1/models/{WAN_T2V}", json={**BODY, "duration": 15})  # and a rendering goes on
        server.stop()
        assert server.process.process.returncode == -signal.SIGTERM, "it was killed: it did not end by itself in time"
        held.close()


def test_the_state_is_the_owner_s_and_grants_nothing(start, media, media_server, tmp_path):
    """Presigned addresses open the bucket to whoever holds them, after the request's end too."""
    import sqlite3

    data = tmp_path / "kept"
    server = start("kept", generation_seconds=0)
    media_url = media_server.put("hero.jpg", media.picture())
    address = f"{media_url}?X-Amz-Signature=0123456789abcdef&X-Amz-Credential=AKIAMARKED"
    with client_of(server) as client:
        answer = client.post(
            "/v1/models/happyhorse/happyhorse-1-0/image-to-video",
            json={"image_url": address, "prompt": "Pan.", "duration": 3, "resolution": "720P"},
        )
        assert answer.status_code == 200, answer.text
        shown = client.get(f"/_sandbox/requests/{answer.json()['request_id']}").text
        assert "AKIAMARKED" not in shown
    server.stop()
    files = [path for path in data.rglob("*") if path.is_file()]
    assert not [
        path for path in files if b"AKIAMARKED" in path.read_bytes() or b"0123456789abcdef" in path.read_bytes()
    ]
    for path in data.glob("sandbox.sqlite*"):
        assert path.stat().st_mode & 0o077 == 0, path

    # What an earlier version left is cleaned at the next start.
    with sqlite3.connect(data / "sandbox.sqlite") as database:
        (record,) = database.execute("SELECT record FROM requests").fetchone()
        database.execute("UPDATE requests SET record = ?", (record.replace(media_url, address),))
    database.close()
    (data / "sandbox.sqlite").chmod(0o644)
    start("kept").stop()
    assert b"AKIAMARKED" not in b"".join(path.read_bytes() for path in data.glob("sandbox.sqlite*"))
    assert (data / "sandbox.sqlite").stat().st_mode & 0o077 == 0
