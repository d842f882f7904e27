"""The pipeline in separate processes: daemon, code server, run workers. No process is left behind."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT

import dagster as dg
import psutil
import pytest
from PIL import Image

from i2v_assets.cli.dev.services import Services, local_services
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry
from resources.settings import load_settings
from resources.storage.bucket import Bucket

SECONDS = 240
MARK = "I2V_TEST_HOUSE"


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    settings = {
        MARK: str(tmp_path),
        "I2V_BUCKET": "daemon",
        "I2V_SETTLE_SECONDS": "0",
        "I2V_SENSOR_SECONDS": "1",
        "I2V_MEASURE": "false",
    }
    for name in [name for name in os.environ if name.startswith(("I2V_", "AWS_", "RUNCOMFY_"))]:
        monkeypatch.delenv(name)
    with local_services(
        tmp_path / "data", sandbox={"generation_seconds": 0.2, "render": "cached"}, settings=settings
    ) as up:
        for name, value in up.environment.items():
            monkeypatch.setenv(name, value)
        yield up


def inhabitants(house: Path) -> list[str]:
    """The processes that were started for this test, by a variable that only they have."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(house):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:150]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_daemon_finds_uploads_and_its_run_workers_make_them_and_nothing_stays(
    services: Services, tmp_path: Path
) -> None:
    bucket = Bucket.from_settings(load_settings())
    bucket.ensure()
    bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
    for number in range(3):
        out = io.BytesIO()
        Image.new("RGB", (400, 300), (number, 80, 80)).save(out, "PNG")
        bucket.write(f"uploads/clip-{number}.png", out.getvalue(), "image/png")
    bucket.write("uploads/broken.png", b"no picture", "image/png")

    with (
        services.start(["dagster._daemon", "run", "-m", "i2v_assets.definitions"], "daemon.log", SIGINT) as daemon,
        Ledger.open(load_settings().ledger_address) as ledger,
    ):
        assert inhabitants(tmp_path), "the search for processes finds them"
        open_states = {ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING}
        deadline = time.monotonic() + SECONDS
        while True:
            rows = {row.clip: row for row in Registry(ledger.database).list()}
            if len(rows) == 4 and not open_states & {row.state for row in rows.values()}:
                break
            assert daemon.running, daemon.log_tail(40)
            assert time.monotonic() < deadline, (
                f"{[(row.clip, row.state) for row in rows.values()]} {daemon.log_tail(40)}"
            )
            time.sleep(0.2)

    assert {clip: row.state for clip, row in rows.items()} == {
        "broken": ClipState.REFUSED,
        **{f"clip-{number}": ClipState.DELIVERED for number in range(3)},
    }
    assert bucket.head("clips/clip-2/poster.jpg") is not None
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        began = {run.tags["dagster/sensor_name"] for run in instance.get_runs()}
        assert began - {"gallery_follows"} == {"uploads"}
        assert not instance.get_materialized_partitions(dg.AssetKey("clip_video")) - set(rows)
    asked_to_end = time.monotonic()
    while [line for line in inhabitants(tmp_path) if "dagster" in line]:
        assert time.monotonic() < asked_to_end + SECONDS, daemon.log_tail(40)
        time.sleep(0.05)
    assert "No heartbeat received" not in daemon.log_tail(1000), (
        "the daemon ended it, it did not end by itself after 20 s"
    )
    print(f"the code server ended {time.monotonic() - asked_to_end:.1f} s after the daemon")


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> Iterator[None]:
    """Set up before the services, so it looks after they have ended."""
    yield
    deadline = time.monotonic() + SECONDS
    while left := inhabitants(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
