"""Run the same clips with one Dagster run and process per clip: the cost of `make_clips` without ranges.

Its CPU seconds cover the whole processes including imports, because every clip pays for them; its memory is that of the
processes.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from benchmarks.run_dagster import requested
from benchmarks.workload import Figures, Meter, read_spec


def main() -> int:
    spec = read_spec()
    folder = Path(spec["scratch"])
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["I2V_CLIPS_PER_RUN"] = "1"
    with dg.DagsterInstance.get() as instance:
        runs = list(requested(instance))
    began = time.monotonic()
    children = []
    for number, tags in enumerate(runs):
        path = folder / f"run-{number}.json"
        path.write_text(json.dumps({**spec, "tags": tags}))
        command = [sys.executable, "-m", "benchmarks.run_dagster", str(path)]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    meter = Meter()
    total = meter.figures
    total.mb_idle = 0.0
    for child in children:
        out, _ = child.communicate()
        if child.returncode:
            return 1
        one = Figures(**json.loads(out.splitlines()[-1]))
        total.clips += one.clips
        total.cpu_seconds += one.cpu_seconds
        total.mb_waiting += one.mb_waiting
        total.polls += one.polls
        total.noticed |= one.noticed
    total.seconds = time.monotonic() - began
    meter.print_figures()
    return 0


if __name__ == "__main__":
    sys.exit(main())
