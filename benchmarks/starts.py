"""What a start costs: the import of the code location beside `import dagster`, and commands beside `i2v --version`.

Each is a process of its own, in turn with what it is compared with; the median of the CPU seconds counts. `i2v status` opens an
empty ledger and a bucket that is not there, so that its figure is what it needs before it knows anything.

Usage: python -m benchmarks.starts [--rounds 9] [--results FILE]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "starts.json"

IMPORT_RATIO = 1.5
"""Most CPU of the code location's import, in terms of `import dagster` alone."""

I2V = str(Path(sys.executable).with_name("i2v"))
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import dagster": [sys.executable, "-W", "ignore", "-c", "import dagster"],
    "code location": [sys.executable, "-W", "ignore", "-c", "import i2v_assets.definitions"],
    "i2v --version": [I2V, "--version"],
    "i2v --help": [I2V, "--help"],
    "i2v status": [I2V, "status"],
}


def cpu_of(command: Sequence[str], variables: Mapping[str, str]) -> float:
    """Return the CPU seconds of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=dict(variables), capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> dict[str, Any]:
    """Return the median of each command, and the ratios."""
    with tempfile.TemporaryDirectory(prefix="i2v-starts-") as folder:
        variables = {
            **os.environ,
            "I2V_DATA_DIR": folder,
            "I2V_SERVICE": "sandbox",
            "RUNCOMFY_MODEL_API_BASE": "http://127.0.0.1:9/v1",
            "I2V_BUCKET": "none",
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_MAX_ATTEMPTS": "1",
        }
        for command in COMMANDS.values():  # writes byte code and makes the ledger
            cpu_of(command, variables)
        found: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(rounds):
            for name, command in COMMANDS.items():
                found[name].append(cpu_of(command, variables))
    median = {name: statistics.median(seconds) for name, seconds in found.items()}
    return {
        "cpu_s": {name: round(seconds, 3) for name, seconds in median.items()},
        "code_location_to_import_dagster": round(median["code location"] / median["import dagster"], 2),
        "at_most": IMPORT_RATIO,
        "help_to_version": round(median["i2v --help"] / median["i2v --version"], 2),
        "status_to_version": round(median["i2v status"] / median["i2v --version"], 2),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if the import takes more than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    found = measure(given.rounds)
    text = json.dumps(found, indent=2)
    given.results.write_text(text + "\n")
    print(text)
    return int(found["code_location_to_import_dagster"] > IMPORT_RATIO)


if __name__ == "__main__":
    sys.exit(main())
