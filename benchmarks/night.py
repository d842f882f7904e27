"""A night in small, with faults, and what a clip costs as the nights grow.

2,000 pictures are uploaded at a steady rate; a fleet of separate processes over real Postgres and a real S3 server makes
their videos in the sandbox, whose every call fails now and then. Then the same without faults at three sizes. The verdict on
money comes from the sandbox's own list of charges.

Writes .i2v/night/night.json (not committed), docs/night.md and docs/images/night-*.svg; with --quick all to .i2v/night/. Ends with 1
when something was paid twice, was lost, or is over a limit. Everything that it starts ends with it, also on Ctrl-C.

Usage: python -m benchmarks.night [--quick] [--clips 2000] [--growth 250 1000 4000] [--runs 4] [--rate 5] [--keep] [--report]
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks.night_course import Night, measure, say
from benchmarks.night_fleet import Fleet, make_folder
from benchmarks.night_report import write_report
from benchmarks.night_verdict import cost_ratio, judge
from resources.errors import I2VError

ROOT = Path(__file__).parents[1]


class Places:
    """Paths of the figures, the report and its images."""

    def __init__(self, quick: bool) -> None:
        trial = ROOT / ".i2v" / "night"
        self.figures = trial / ("trial.json" if quick else "night.json")
        self.report = (trial if quick else ROOT / "docs") / "night.md"
        self.images = self.report.parent / "images"


def machine() -> dict[str, object]:
    """Return a description of this machine."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.night", description="A night in small, measured.")
    parser.add_argument("--clips", type=int, help="of the night with faults; 0 leaves it out (2000)")
    parser.add_argument("--growth", type=int, nargs="*", help="sizes of the nights without faults (250 1000 4000)")
    parser.add_argument("--runs", type=int, default=4, help="at once")
    parser.add_argument("--rate", type=float, default=5.0, help="uploads a second")
    parser.add_argument("--generation", type=float, help="median seconds of a generation (20)")
    parser.add_argument("--deadline", type=float, help="minutes for each night (25, and one for each 60 clips)")
    parser.add_argument("--quick", action="store_true", help="a trial: 120 clips, 4 s, growth 30 60, its own folder")
    parser.add_argument("--keep", action="store_true", help="keep the servers' folders and logs")
    parser.add_argument("--report", action="store_true", help="only write the report again, from the figures")
    given = parser.parse_args(words)
    quick = given.quick
    given.clips = given.clips if given.clips is not None else (120 if quick else 2000)
    given.growth = given.growth if given.growth is not None else ([30, 60] if quick else [250, 1000, 4000])
    given.generation = given.generation or (4.0 if quick else 20.0)
    return given


class Measurement:
    """Runs the nights one after the other, and writes their figures as they come."""

    def __init__(self, given: argparse.Namespace, places: Places) -> None:
        self.given, self.places = given, places
        self.figures: dict[str, Any] = {}
        if places.figures.exists():
            self.figures = json.loads(places.figures.read_text())  # what is not measured now stays
        self.figures |= {"complete": False, "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "machine": machine()}
        self.figures["not_measured"] = []
        if given.clips:
            self.figures.pop("night", None)
        if given.growth:
            self.figures["growth"] = []

    def run(self) -> None:
        """Run all nights."""
        folder = Path(tempfile.mkdtemp(prefix="i2v-night-"))
        folder.chmod(0o755)  # PostgreSQL runs as another user where this one is root
        try:
            if self.given.clips and (night := self._guarded(folder, self.given.clips, faults=True)):
                self.figures["night"] = night
                self.write()
            for clips in self.given.growth:
                if one := self._guarded(folder, clips, faults=False):
                    one.pop("samples")
                    self.figures["growth"].append(one)
                    self.write()
        finally:
            if self.given.keep:
                say(f"Kept: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
        self.figures.pop("now", None)
        self.figures["complete"] = True
        self.figures["cost_ratio"] = cost_ratio(self.figures.get("growth", ()))
        self.figures["complaints"] = judge(self.figures)
        self.write()

    def _guarded(self, folder: Path, clips: int, *, faults: bool) -> dict[str, Any] | None:
        """Run a night; if its servers fail, report it and leave the other nights alone."""
        try:
            return self._night(folder, clips, faults=faults)
        except (I2VError, psycopg.Error, httpx.HTTPError) as error:
            reason = f"{clips} clips {'with' if faults else 'without'} faults: {type(error).__name__}: {error}"
            say(f"Not measured: {reason}")
            self.figures["not_measured"].append(reason)
            return None

    def _night(self, folder: Path, clips: int, *, faults: bool) -> dict[str, Any]:
        given = self.given
        say(f"{clips} clips {'with' if faults else 'without'} faults: the fleet starts.")
        night = Night(
            clips=clips,
            rate=given.rate,
            runs=given.runs,
            generation_seconds=given.generation,
            faults=faults,
            quick=given.quick,
            sensor_seconds=5 if given.quick else 15,
            deadline_seconds=60 * (given.deadline or 25 + clips / 60),
        )
        place = make_folder(folder, f"{'night' if faults else 'growth'}-{clips}")
        with Fleet(
            place, runs=night.runs, generation_seconds=night.generation_seconds, settings=night.settings
        ) as fleet:
            figures = measure(fleet, night, self._so_far)
        if not given.keep:
            shutil.rmtree(place, ignore_errors=True)
        say(
            f"{clips} clips: {figures['delivered']} delivered, {figures['refused']} refused, {figures['failed']} failed, "
            f"{figures['waiting']} waiting in {figures['seconds']:.0f} s; CPU {figures['cpu_per_clip']['fleet']:.3f} s a clip."
        )
        return figures

    def _so_far(self, now: dict[str, Any]) -> None:
        self.figures["now"] = now
        self.write()

    def write(self) -> None:
        """Write the current figures atomically."""
        path = self.places.figures
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(self.figures, indent=1) + "\n")
        part.replace(path)


def _end(number: int, _: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, write the report, and return 1 if anything is wrong."""
    given = arguments(words)
    places = Places(given.quick)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where the shell made it ignore them
        signal.signal(number, _end)
    measurement = Measurement(given, places) if not given.report else None
    if measurement:
        try:
            measurement.run()
        except KeyboardInterrupt:
            say(f"Stopped. What was measured is in {places.figures}.")
            return 130
    figures = json.loads(places.figures.read_text())
    write_report(figures, places.report, places.images)
    say(f"{places.figures}, {places.report}")
    wrong = judge(figures)
    for each in wrong:
        print(f"Wrong: {each}.", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
