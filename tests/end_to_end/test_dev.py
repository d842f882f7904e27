"""`i2v dev` as a person uses it: it starts, a file becomes a clip, and Ctrl-C stops everything."""

import http.client
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from dotenv import dotenv_values
from PIL import Image

from i2v_assets.cli.dev.services import local_services
from resources.settings import load_settings
from resources.storage.bucket import Bucket

MARK = "TEST_HOUSE"  # not I2V_*: those do not reach the services
START_SECONDS = 180
"""It takes 11 s on two busy cores; tests may have many neighbours."""


def until(holds: Callable[[], object], what: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen: {log.read_text()[-2000:]}"
        time.sleep(0.1)


def inhabitants(house: Path) -> list[str]:
    """The processes that were started for this test, by a variable that only they have."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(house):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:150]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def listening(house: Path) -> dict[int, str]:
    """The TCP ports on which this test's processes listen, with the process that does."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(house) or str(house) in process.cwd():
                for each in process.net_connections("tcp"):
                    if each.status == psutil.CONN_LISTEN:
                        assert each.laddr.ip == "127.0.0.1", (each, process.cmdline())
                        found[each.laddr.port] = f"{process.pid} {' '.join(process.cmdline())[:150]}"
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


FORM = b'--X\r\nContent-Disposition: form-data; name="file"; filename="planted.png"\r\n\r\nbytes\r\n--X--\r\n'
PATHS = (
    *("/", "/i2v/", "/i2v/uploads/planted.png", "/buckets/i2v/uploads/planted.png", "/uploads/planted.png"),
    *("/dir/status", "/dir/assign", "/vol/status", "/status", "/metrics", "/v1/models", "/_sandbox/requests"),
    *("/graphql?query={version}", "/gallery/index.html", "/clips/hero/video.mp4", "/debug/pprof/"),
)
HEALTH = ("/healthz", "/status", "/server_info", "/_sandbox/health")
"""What probes ask under any name; S3's `/status` says nothing but that it runs."""


def ask(port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int | None:
    """The status of an answer, None where the port does not speak HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def speaks_without_a_certificate(port: int) -> bool:
    """Whether a TLS port answers a client that has none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as raw, context.wrap_socket(raw) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return tls.recv(1) != b""
    except OSError:
        return False


def refuses_strangers(port: int, who: str) -> None:
    """No page of another origin, no foreign name and no neighbour without credentials gets anything from a port."""
    foreign = {"Host": f"evil.example:{port}"}
    page = {"Host": f"127.0.0.1:{port}", "Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}
    for path in PATHS:
        if path not in HEALTH:
            assert ask(port, "GET", path, foreign) in (None, 400, 403), (path, who)
        assert ask(port, "POST", path, {**page, "Content-Type": "multipart/form-data; boundary=X"}, FORM) in (
            *(None, 400, 403, 405, 411, 415), *(501,),
        ), (path, who)  # fmt: skip
        assert ask(port, "PUT", path, page, b"bytes") in (None, 400, 403, 405, 501), (path, who)
        assert ask(port, "DELETE", path, page) in (None, 400, 403, 405, 501), (path, who)
    assert not speaks_without_a_certificate(port), who


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


PRODUCTION = {
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEXAMPLETOKEN",
    "AWS_PROFILE": "production",
    "I2V_LEDGER_URL": "postgresql+psycopg://production.invalid/ledger",
    "I2V_BUCKET": "production",
    "I2V_REQUIRE_APPROVAL": "true",
    "I2V_GENERATE_ONLY": "00:00-00:01",
    "I2V_UPLOADS_FROM": "queue",
}
"""What the shell of somebody who works with the real service holds."""


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (30, 60, 90)).save(out, "PNG")
    return out.getvalue()


def test_it_comes_up_makes_a_clip_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("I2V_", "AWS_", "RUNCOMFY_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    quick = {"I2V_SETTLE_SECONDS": "0", "I2V_SENSOR_SECONDS": "1", "I2V_MEASURE": "false", "I2V_PREVIEWS": "false"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program, house = str(Path(sys.executable).with_name("i2v")), Path(__file__).parents[2]
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    elsewhere.mkdir()
    shell = {
        **os.environ, **quick, **PRODUCTION, "I2V_DATA_DIR": str(tmp_path), "PYTHONPATH": str(house),
        "XDG_STATE_HOME": str(state),
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as sink:
        dev = subprocess.Popen(
            [program, "dev", "--port", str(port), "--generation-seconds", "0.2"],
            env={**shell, MARK: str(tmp_path)}, cwd=house, stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        until(lambda: b"Ctrl-C" in log.read_bytes() or dev.poll() is not None, "the start", log)
        assert answers(f"http://127.0.0.1:{port}/server_info"), log.read_text()
        for name, value in dotenv_values(tmp_path / "dev" / "environment").items():
            monkeypatch.setenv(name, value or "")
        bucket = Bucket.from_settings(load_settings())
        # The S3 server's ten, of which the last come late, the sandbox, the links, the UI.
        until(lambda: len(listening(tmp_path)) >= 13 or dev.poll() is not None, "the listening", log)
        doors = listening(tmp_path)
        for door, who in doors.items():
            refuses_strangers(door, who)
        assert [info.key for info in bucket.list()] == []
        bucket.write("uploads/hero.png", picture(), "image/png")
        until(lambda: bucket.head("clips/hero/manifest.json") or dev.poll() is not None, "the clip", log)
        assert bucket.head("clips/hero/video.mp4") is not None, log.read_text()
        # Another command in the same shell sees what the processes see, and so does one in any other folder.
        stranger = {name: value for name, value in shell.items() if name != "I2V_DATA_DIR"}
        for its_shell, folder in ((shell, house), (stranger, elsewhere)):
            told = subprocess.run(
                [program, "--dev", "status", "--json"], env=its_shell, cwd=folder, capture_output=True, check=True
            )
            found = [(clip["clip"], clip["state"]) for clip in json.loads(told.stdout)["clips"]]
            assert found == [("hero", "delivered")]

        lines = log.read_text().splitlines()
        keys = dotenv_values(tmp_path / "dev" / "environment")
        assert any(
            keys["AWS_ENDPOINT_URL_S3"] in line and keys["AWS_SECRET_ACCESS_KEY"] in line and "s3://i2v" in line
            for line in lines
        )
        (gallery,) = [line for line in lines if line.startswith("Gallery:")]
        assert f"{keys['I2V_VIDEO_LINK_BASE']}gallery/index.html" in gallery
        (aws,) = [line for line in lines if " s3 cp FILE s3://i2v/uploads/" in line]
        assert all(f"{name}={keys[name]}" in aws for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
        assert any("rclone copy FILE " in line and keys["AWS_SECRET_ACCESS_KEY"] in line for line in lines)

        second = subprocess.run([program, "dev", "--port", str(port)], env=shell, cwd=house, capture_output=True,
                                text=True, check=False)  # fmt: skip
        assert second.returncode == 75
        assert "already running here" in second.stderr
        assert f"http://127.0.0.1:{port}" in second.stderr
        other = {**shell, "I2V_DATA_DIR": str(elsewhere)}
        third = subprocess.run([program, "dev", "--port", str(port)], env=other, cwd=house, capture_output=True,
                               text=True, check=False)  # fmt: skip
        assert third.returncode == 64
        assert f"already running on port {port}" in " ".join(third.stderr.split())

        dev.send_signal(signal.SIGINT)
        assert dev.wait(60) == 0, log.read_text()
    finally:
        dev.kill()
        dev.wait()
    assert inhabitants(tmp_path) == []
    assert not (tmp_path / "dev" / "environment").exists()


def test_the_links_that_the_ui_was_given_hold_after_a_restart(tmp_path: Path) -> None:
    bases = []
    for _ in range(2):
        with local_services(tmp_path / "data", sandbox={}) as services:
            bases.append(services.link_base)
    assert bases[0] == bases[1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(bases[0].rstrip("/").rpartition(":")[2])))
        taken.listen()
        with local_services(tmp_path / "data", sandbox={}) as services:
            assert services.link_base != bases[0]


def test_a_killed_one_is_said_not_to_run(tmp_path: Path) -> None:
    """SIGKILL leaves the file with the services' addresses; `--dev` must not try them."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "environment").write_text("AWS_ENDPOINT_URL_S3='http://127.0.0.1:9'\nI2V_SERVICE='sandbox'\n")
    (tmp_path / "dev.lock").write_text("Process 1 (i2v dev)")
    told = subprocess.run(
        [str(Path(sys.executable).with_name("i2v")), "--dev", "status"],
        env={**os.environ, "I2V_DATA_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 64
    assert "is not running" in told.stderr
    assert "leave out" not in told.stderr
