"""Runs killed at every state of the ledger and at random moments: nothing is paid twice, everything is delivered.

`make crash` does the same with 200 kills of whole runs over 30 clips, and with ARGS=--lose-ledger destroys the ledger 20 times
on the way. Here few of the 20 are at run level, since each of
those lives imports Dagster anew.
"""

import subprocess
import sys
from pathlib import Path

import pytest

CRASH = Path(__file__).parent / "crash.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("level", "kills", "clips", "losses", "full"),
    [("run", 4, 4, 0, 0), ("engine", 12, 10, 0, 0), ("engine", 10, 8, 4, 0), ("engine", 8, 8, 0, 6)],
)
def test_nothing_is_paid_twice_and_everything_arrives(
    level: str, kills: int, clips: int, losses: int, full: int, tmp_path: Path
) -> None:
    process = subprocess.run(
        [sys.executable, str(CRASH), "--level", level, "--kills", str(kills), "--clips", str(clips), "--seed", "2",
         "--lose-ledger", str(losses), "--full-disk", str(full), "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    assert int(process.stdout.split()[0]) >= kills
