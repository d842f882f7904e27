"""Runs killed at every state of the ledger and at random moments: nothing is paid twice, everything arrives.

`make crash` does the same with 200 kills over 30 clips.
"""

import subprocess
import sys
from pathlib import Path

import pytest

CRASH = Path(__file__).parent / "crash.py"


@pytest.mark.timeout(600)
def test_nothing_is_paid_twice_and_everything_arrives(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, str(CRASH), "--kills", "20", "--clips", "10", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.startswith("20 kills")
