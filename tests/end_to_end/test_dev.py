"""`i2v dev` as a person uses it: it starts, a file becomes a clip, and Ctrl-C stops everything."""

import io
import json
import os
import signal
import socket
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
    shell = {**os.environ, **quick, **PRODUCTION, "I2V_DATA_DIR": str(tmp_path), "PYTHONPATH": str(house)}
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
        bucket.write("uploads/hero.png", picture(), "image/png")
        until(lambda: bucket.head("clips/hero/manifest.json") or dev.poll() is not None, "the clip", log)
        assert bucket.head("clips/hero/video.mp4") is not None, log.read_text()
        # Another command in the same shell sees what the processes see.
        told = subprocess.run(
            [program, "--dev", "status", "--json"], env=shell, cwd=house, capture_output=True, check=True
        )
        assert [(clip["clip"], clip["state"]) for clip in json.loads(told.stdout)["clips"]] == [("hero", "delivered")]

        dev.send_signal(signal.SIGINT)
        assert dev.wait(60) == 0, log.read_text()
    finally:
        dev.kill()
        dev.wait()
    assert inhabitants(tmp_path) == []
    assert not (tmp_path / "dev" / "environment").exists()
