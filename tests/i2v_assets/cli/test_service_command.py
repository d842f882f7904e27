"""`i2v service resume`, what `i2v doctor` says of the ledger's database, and `i2v verify` of a file that is no video."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.ledger.ledger import Ledger
from resources.settings import load_settings


@pytest.fixture
def ledger(world: Any) -> Any:
    with Ledger.open(load_settings().ledger_address) as opened:
        yield opened


def test_a_pause_is_ended_by_a_command(world: Any, ledger: Ledger) -> None:
    ledger.pause("sandbox", datetime.now(UTC) + timedelta(days=20_000))
    found = {check["name"]: check for check in world("doctor", "--json").json["checks"]}
    assert "i2v service resume" in found["service, pause"]["remedy"]
    ran = world("service", "resume", "--json")
    assert ran.code == 0
    assert 0 < ran.json["seconds_left"] <= 900
    assert ledger.paused_until("sandbox") is None
    assert "There is no pause" in world("service", "resume").out


def test_the_doctor_says_what_the_database_promises(world: Any) -> None:
    ran = world("doctor")
    assert ran.code == 0, ran.out
    assert "ok    ledger, commits: a commit is on the disk" in ran.out


def test_a_file_that_is_no_video_is_not_proven(world: Any, ledger: Ledger, tmp_path: Path) -> None:
    ran = world("run", "animate", "--image", str(world.image()), "--input", '{"prompt": "Slow push in", "duration": 3}')
    assert ran.code == 0, ran.err
    (row,) = ledger.list()
    page = tmp_path / "page.mp4"
    page.write_bytes(b"\x00\x00\x00\x18ftypisom<html>Sign in</html>")
    with ledger.database.write() as connection:  # as an earlier version would have recorded it
        digest = hashlib.sha256(page.read_bytes()).hexdigest()
        connection.exec_driver_sql(f"UPDATE ledger_requests SET video_sha256 = '{digest}'")
    ran = world("verify", str(page))
    assert ran.code == 1
    assert "WRONG it is not a video" in ran.out
    assert "NOT proven" in ran.out
    assert row.video_key is not None
