"""What the witness in the bucket costs: the same batch with and without it, in turn, each in a process of its own.

Both make the same clips in one Dagster run, with the same generation times, against a bucket, ledger and sandbox of their own.
Printed are the makespan and the CPU of each, and the median of the ratios; it ends with 1 above 1.1. On a busy machine give more
rounds.

Usage: python -m benchmarks.witness [--clips 60] [--rounds 3] [--median 4] [--p95 8] [--seed 1]
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.batch import DAGSTER, LEAN, Contestant, Measurement

AT_MOST = 1.1
FIGURES = ("makespan_s", "cpu_s_per_clip")
MODULES = {"with": DAGSTER, "without": "benchmarks.run_without_witness"}


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure a batch with and without the witness.")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--median", type=float, default=4.0, help="seconds of generation")
    parser.add_argument("--p95", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    ratios: dict[str, list[float]] = {figure: [] for figure in FIGURES}
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, ExitStack() as stack:
        measurement = Measurement(Path(folder), stack, given)
        for number in range(given.rounds):
            order = ("with", "without") if number % 2 == 0 else ("without", "with")
            found = {}
            for which in order:
                name = f"{which}_{number}"
                found[which] = measurement.run(
                    Contestant(name, MODULES[which], f"{which} the witness", name, settings=LEAN)
                )
                shown = ", ".join(f"{figure} {found[which][figure]:.4f}" for figure in FIGURES)
                print(f"round {number + 1}, {which:<8} {shown}", flush=True)
            for figure in FIGURES:
                ratios[figure].append(found["with"][figure] / found["without"][figure])
    medians = {figure: statistics.median(each) for figure, each in ratios.items()}
    print(", ".join(f"{figure}: {ratio:.2f} x" for figure, ratio in medians.items()), f"(at most {AT_MOST} x)")
    return 1 if max(medians.values()) > AT_MOST else 0


if __name__ == "__main__":
    sys.exit(main())
