"""`i2v demo` as a person with production settings in the shell and the folder runs it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from i2v_assets.cli.dev.demo import CLIPS
from resources.media.probe import probe_video

START_SECONDS = 120
"""It takes 5 s on two busy cores; tests may have many neighbours."""

PRODUCTION = {
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEXAMPLETOKEN",
    "AWS_PROFILE": "production",
    "AWS_CA_BUNDLE": "/nowhere/ca.pem",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "I2V_BUCKET": "production",
    "I2V_GENERATE_ONLY": "00:00-00:01",
    "I2V_UPLOADS_FROM": "queue",
    "I2V_UPLOAD_QUEUE_URL": "http://127.0.0.1:9/queue",
    "I2V_MODEL_IDS": '{"happyhorse-1.0": "not/an/id"}',
    "I2V_ALERT_WEBHOOK": "http://127.0.0.1:9/hook",
    "I2V_UI_URL": "https://dagster.example.com",
    "RUNCOMFY_CONFIG_DIR": "/nowhere",
}
ENV_FILE = "I2V_LEDGER_URL=postgresql+psycopg://production.invalid/ledger\nI2V_REQUIRE_APPROVAL=true\n"


def i2v(folder: Path, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start the command in a folder, in the production shell; what it says goes to the log."""
    with log.open("wb") as sink:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("i2v")), *arguments],
            cwd=folder, stdout=sink, stderr=sink,
            env={**os.environ, **PRODUCTION, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip


@pytest.mark.timeout(400)
def test_it_makes_six_videos_amid_production_settings_and_keeps_a_second_one_off(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(ENV_FILE)
    first_log, second_log = tmp_path / "first.log", tmp_path / "second.log"
    first = i2v(tmp_path, first_log, "demo")
    try:
        deadline = time.monotonic() + START_SECONDS
        while b"are in the bucket" not in first_log.read_bytes():
            assert first.poll() is None, first_log.read_text()
            assert time.monotonic() < deadline, first_log.read_text()
            time.sleep(0.1)

        second = i2v(tmp_path, second_log, "demo")
        assert second.wait(60) == 75, second_log.read_text()
        assert f"Process {first.pid} (i2v demo) works in" in second_log.read_text().replace("\n", " ")

        assert first.wait(300) == 0, first_log.read_text()
    finally:
        first.kill()
        first.wait()
    videos = {path.stem: probe_video(path).seconds for path in (tmp_path / "demo-videos").glob("*.mp4")}
    assert videos.keys() == set(CLIPS)
    assert min(videos.values()) > 2
