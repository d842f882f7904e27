"""Run the same clips with one process of the plain client per clip: what a script per file in a shell loop costs.

Each process polls every 2 s. Its CPU seconds cover the whole process with its imports, because every clip pays for them; its
memory is that of all processes.
"""

import sys
from pathlib import Path

from benchmarks.workload import inputs_of, read_spec, run_processes


def main() -> int:
    spec = read_spec()
    folder = Path(spec["scratch"])
    own = [
        {
            **spec,
            "clips": 1,
            "inputs": [inputs.model_dump_json(exclude_none=True)],
            "scratch": str(folder / str(number)),
        }
        for number, inputs in enumerate(inputs_of(spec))
    ]
    return run_processes("benchmarks.run_plain", own, folder)


if __name__ == "__main__":
    sys.exit(main())
