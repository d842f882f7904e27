"""`i2v serve` as a person uses it: settings from one file, the UI behind its guard, and Ctrl-C ends all of it."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from resources.devservers.start import RunningS3, RunningSandbox, environment, free_port
from resources.storage.bucket import Bucket

PROGRAM = str(Path(sys.executable).with_name("i2v"))
ROOT = Path(__file__).parents[2]
START_SECONDS = 180
MARK = "TEST_SERVE"


def clean() -> dict[str, str]:
    """The shell's environment without what decides where files and money are."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("I2V_", "AWS_", "RUNCOMFY_", "DAGSTER_"))
    }


def until(holds: Callable[[], object], what: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen: {log.read_text()[-3000:]}"
        time.sleep(0.1)


def left(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def status(port: int, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [PROGRAM, "serve", *arguments], cwd=folder, env={**clean(), MARK: str(folder)}, stdout=sink, stderr=sink
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def test_one_file_of_settings_one_command_and_a_clip(
    tmp_path: Path, bucket: Bucket, sandbox: RunningSandbox, s3_server: RunningS3, samples: Path
) -> None:
    settings = environment(
        s3=s3_server, sandbox=sandbox, bucket=bucket.name, settle_seconds=0, sensor_seconds=1, measure=False,
        previews=False, presets_file="presets.yaml", ui_hosts="ui.example.com",
    )  # fmt: skip
    (tmp_path / "presets.yaml").write_text((ROOT / "i2v_assets" / "planning" / "presets.yaml").read_text())
    (tmp_path / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    port = free_port()
    with started(tmp_path, "--port", str(port)) as (process, log):
        until(lambda: b"Ctrl-C" in log.read_bytes() or process.poll() is not None, "the start", log)
        assert f"Dagster UI:  http://127.0.0.1:{port}" in log.read_text()
        assert status(port, "/server_info", {}) == 200
        assert status(port, "/graphql?query={version}", {"Host": "ui.example.com"}) == 200
        assert status(port, "/graphql?query={version}", {"Host": "evil.example"}) == 400
        assert status(port, "/graphql?query=mutation{x}", {}) == 405
        home = tmp_path / ".i2v" / "dagster"
        assert (home / "dagster.yaml").read_bytes() == (ROOT / "i2v_assets" / "dagster_local.yaml").read_bytes()
        second = subprocess.run(
            [PROGRAM, "serve", "--port", str(free_port())],
            cwd=tmp_path,
            env=clean(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 75
        assert "works in" in second.stderr

        bucket.upload(samples / "pet.jpg", "uploads/pet.jpg", "image/jpeg")
        until(lambda: bucket.head("clips/pet/manifest.json") or process.poll() is not None, "the clip", log)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    assert left(tmp_path) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1"])
def test_it_listens_for_others_only_under_names(tmp_path: Path, host: str) -> None:
    told = subprocess.run(
        [PROGRAM, "serve", "--host", host, "--port", str(free_port())],
        cwd=tmp_path, env={**clean(), "RUNCOMFY_TOKEN": "x"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 64
    assert "I2V_UI_HOSTS" in told.stderr


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [({"RUNCOMFY_TOKEN": "x"}, 64, "I2V_BUCKET is not set"), ({"I2V_BUCKET": "videos"}, 77, "No RunComfy token")],
    ids=["no bucket", "no token"],
)
def test_it_does_not_start_without_what_it_cannot_work_without(
    tmp_path: Path, given: dict[str, str], code: int, words: str
) -> None:
    shell = {**clean(), "HOME": str(tmp_path), "I2V_SERVICE": "runcomfy", **given}
    told = subprocess.run(
        [PROGRAM, "serve", "--port", str(free_port())], cwd=tmp_path, env=shell, capture_output=True, text=True,
        check=False, timeout=START_SECONDS,
    )  # fmt: skip
    assert told.returncode == code
    assert words in told.stderr


def test_the_systemd_unit_starts_it_and_keeps_it_in() -> None:
    unit = (ROOT / "deploy" / "i2v-serve.service").read_text()
    lines = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    assert lines["ExecStart"].endswith("/.venv/bin/i2v serve")
    assert lines["ReadWritePaths"] == f"{lines['WorkingDirectory']}/.i2v"
    assert (lines["NoNewPrivileges"], lines["ProtectSystem"], lines["UMask"]) == ("true", "strict", "0077")
    assert "EnvironmentFile" not in lines, "i2v reads .env itself, by its own rules of quoting"
    assert yaml.safe_load((ROOT / "i2v_assets" / "dagster_local.yaml").read_text())["telemetry"] == {"enabled": False}
