"""Run the same clips with one process of the plain client per clip: what a script per file in a shell loop costs.

Each process polls every 2 s. Its CPU seconds cover the whole process with its imports, because every clip pays for them; its
memory is that of all processes.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.workload import Figures, Meter, inputs_of, read_spec


def main() -> int:
    spec = read_spec()
    folder = Path(spec["scratch"])
    folder.mkdir(parents=True, exist_ok=True)
    meter, began = Meter(), time.monotonic()
    children = []
    for number, inputs in enumerate(inputs_of(spec)):
        path = folder / f"clip-{number}.json"
        own = {"clips": 1, "inputs": [inputs.model_dump_json(exclude_none=True)], "scratch": str(folder / str(number))}
        path.write_text(json.dumps({**spec, **own}))
        command = [sys.executable, "-m", "benchmarks.run_plain", str(path)]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    total = meter.figures
    total.mb_idle = 0.0
    for child in children:
        out, _ = child.communicate()
        if child.returncode:
            return 1
        one = Figures(**json.loads(out.splitlines()[-1]))
        total.mb_waiting += one.mb_waiting
        total.polls += one.polls
        total.noticed |= one.noticed
    meter.end(len(children))
    total.seconds = time.monotonic() - began
    meter.print_figures()
    return 0


if __name__ == "__main__":
    sys.exit(main())
