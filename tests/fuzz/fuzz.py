"""Run the random tests for some minutes, each round with a new seed; `make fuzz` runs this.

Usage: python tests/fuzz/fuzz.py [--minutes 10] [pytest's own arguments]
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROUND = 2000
"""Examples of each test in a round, ten times those of `make test`."""


def main() -> int:
    """Run rounds until the time is over or one fails; return pytest's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    given, more = parser.parse_known_args()
    end, rounds = time.monotonic() + given.minutes * 60, 0
    while time.monotonic() < end:
        seed, rounds = secrets.randbelow(2**32), rounds + 1
        print(f"Round {rounds}, seed {seed}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "--timeout=1800", f"--hypothesis-seed={seed}", *more]
        here = Path(__file__).parent
        command += [str(here), str(here.parent / "i2v_assets" / "uploads" / "test_intake_machine.py")]
        done = subprocess.run(command, env={**os.environ, "I2V_TEST_FUZZ_EXAMPLES": str(ROUND)}, check=False)
        if done.returncode:
            return done.returncode
    print(f"{rounds} rounds of {ROUND} examples found nothing.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
