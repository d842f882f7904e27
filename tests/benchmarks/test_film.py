"""The benchmark of long films measures what it says; small here, so that it is quick."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.film import KINDS, SECONDS, faults, shots_for

ROOT = Path(__file__).parents[2]


def test_a_short_film_is_joined_and_measured(tmp_path: Path) -> None:
    results = tmp_path / "film.json"
    command = [sys.executable, "-m", "benchmarks.film", "--minutes", "0.5", "--height", "90", "--results", str(results)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(results.read_text())
    short, long = told["films"]
    assert long["shots"] > short["shots"]
    assert long["seams"] == long["shots"] - 1
    for film in (short, long):
        assert abs(film["seconds"] - film["wanted_seconds"]) < 1 / film["fps"]
        assert film["mb_peak"] > film["mb_before"] > 50
        assert (film["width"], film["height"], film["fps"]) == (160, 90, 24)
        assert film["loudness_lufs"] is not None


def test_the_kinds_are_mixed() -> None:
    assert {bool(kind.sound) for kind in KINDS} == {True, False}
    assert len({kind.fps for kind in KINDS}) > 2
    assert len({(kind.width, kind.height) for kind in KINDS}) > 2
    assert (SECONDS, shots_for(10)) == (5, 127)


def test_what_is_over_a_limit_is_said() -> None:
    fine = {"shots": 12, "mb_peak": 400.0, "seconds": 60.0, "wanted_seconds": 60.0, "frames_off": 0.2}
    assert faults([fine, {**fine, "shots": 120}]) == []
    assert "1200.0 MB" in faults([fine, {**fine, "mb_peak": 1200.0}])[0]
    assert "grew by 300 MB" in faults([fine, {**fine, "mb_peak": 700.0}])[0]
    assert "instead of 60.0 s" in faults([fine, {**fine, "seconds": 59.0, "frames_off": 24.0}])[0]
