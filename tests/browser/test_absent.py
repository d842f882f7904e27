"""Without a browser the tests are skipped; if a browser is required they fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("required", "outcome", "code"), [("", "1 skipped", 0), ("1", "1 error", 1)])
def test_a_missing_chromium_is_loud(tmp_path: Path, required: str, outcome: str, code: int) -> None:
    copy = tmp_path / "browser"
    copy.mkdir()
    for name in ("conftest.py", "sample_bucket.py"):
        shutil.copy(Path(__file__).with_name(name), copy / name)
    (copy / "test_one.py").write_text("def test_one(page):\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(copy)],
        env={**os.environ, "PATH": str(tmp_path), "I2V_REQUIRE_BROWSER": required, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert outcome in done.stdout
    assert "NOT tested in a browser" in done.stdout.split("WARNING")[1]
