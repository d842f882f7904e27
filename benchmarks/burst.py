"""Measure how long thousands of uploads take from the last object in the bucket to the last queued run.

A fleet from deploy/dagster.yaml in separate processes (code server, daemon, Postgres, an S3 server) evaluates the uploads sensor
as in a deployment: it lists, registers, adds partitions and requests runs, and the daemon queues them. No run starts, so that
nothing else is measured. `I2V_SETTLE_SECONDS` is 0; its 30 s come on top in a deployment.

Usage: python -m benchmarks.burst [--uploads 5000] [--results FILE]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.admission import keys_of, upload
from benchmarks.night_fleet import Fleet, make_folder

RESULTS = Path(__file__).parent / "burst.json"
LIMIT_SECONDS = 60.0
"""Most seconds from the last of 5,000 uploads to the last queued run."""

GIVE_UP_SECONDS = 900.0
STEP_SECONDS = 1.0

QUEUED = """
SELECT coalesce(sum(t.value::int), 0), count(*), extract(epoch FROM min(r.create_timestamp)), extract(epoch FROM max(r.create_timestamp))
FROM runs r JOIN run_tags t ON t.run_id = r.run_id AND t.key = 'i2v/clip_count' WHERE r.status = 'QUEUED'
"""
PLANNED = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'"


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of all that it started."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            used = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


def measure(uploads: int) -> dict[str, Any]:
    """Upload, wait for the last queued run, and return the seconds of each part."""
    with tempfile.TemporaryDirectory(prefix="i2v-burst-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user where this one is root
        place = make_folder(Path(folder), "fleet")
        with Fleet(place, runs=0, generation_seconds=1.0, settings={"clips_per_run": 100}) as fleet:
            roles = {"daemon": fleet.daemon.pid, "code_server": fleet.code.pid, "postgres": fleet.postgres.pid}
            before = {role: cpu_seconds(pid) for role, pid in roles.items()}
            began = time.time()
            upload(fleet.bucket, keys_of("listing", uploads))
            uploaded = time.time()
            queued, runs, first, last = 0, 0, 0.0, 0.0
            while queued < uploads:
                if time.time() - uploaded > GIVE_UP_SECONDS:
                    raise SystemExit(f"{queued} of {uploads} clips are queued after {GIVE_UP_SECONDS:.0f} s.")
                time.sleep(STEP_SECONDS)
                queued, runs, first, last = fleet.ask_database(QUEUED)[0]
            used = {role: round(cpu_seconds(pid) - before[role], 1) for role, pid in roles.items()}
            ((planned,),) = fleet.ask_database(PLANNED)
    return {
        "uploads": uploads,
        "runs": runs,
        "planned_events": planned,
        "uploading_seconds": round(uploaded - began, 1),
        "to_the_first_queued_run_seconds": round(float(first) - uploaded, 1),
        "to_the_last_queued_run_seconds": round(float(last) - uploaded, 1),
        "cpu_seconds": used,
        "at_most": LIMIT_SECONDS,
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if it takes longer than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--uploads", type=int, default=5000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    found = measure(given.uploads)
    text = json.dumps(found, indent=2)
    given.results.write_text(text + "\n")
    print(text)
    return int(found["to_the_last_queued_run_seconds"] > LIMIT_SECONDS * given.uploads / 5000)


if __name__ == "__main__":
    sys.exit(main())
