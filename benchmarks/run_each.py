"""Run the same clips with one Dagster run and process per clip: the cost of `make_clips` without ranges.

Its CPU seconds cover the whole processes including imports, because every clip pays for them; its memory is that of the
processes.
"""

import os
import sys
from pathlib import Path

import dagster as dg

from benchmarks.run_dagster import requested
from benchmarks.workload import read_spec, run_processes


def main() -> int:
    spec = read_spec()
    os.environ["I2V_CLIPS_PER_RUN"] = "1"
    with dg.DagsterInstance.get() as instance:
        runs = list(requested(instance))
    return run_processes("benchmarks.run_dagster", [{**spec, "tags": tags} for tags in runs], Path(spec["scratch"]))


if __name__ == "__main__":
    sys.exit(main())
