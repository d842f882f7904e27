"""Kill runs at every state of the ledger and at random moments, restart them, and count what was paid.

Starts a real S3 server and a real sandbox, then runs a child process over and over. At run level the child is a run of
`make_clips` with a real Dagster instance and its sensors; at engine level it is the engine alone, which lives faster.

Usage: python tests/crash/crash.py [--level run|engine] [--kills 200] [--clips 30] [--seed 1]
       [--database sqlite|postgres] [--lose-ledger [20]] [--full-disk [20]] [--folder DIR] [-- CHILD COMMAND ...]
       with --lose-ledger the ledger's file is destroyed so many times, right after a kill, and rebuilt from the bucket
       with --full-disk the ledger's disk is full that many times at the moment, and the kill comes while it is
       each word {spec} of a child command is replaced by the path of the specification
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from harness import Crash
from run_level import RUN_CHILD, RunCrash

from resources.devservers.start import environment, start_postgres, start_s3, start_sandbox
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "i2v_assets" / "samples" / "product.webp"
ENGINE_CHILD = (sys.executable, str(HERE / "child.py"), "{spec}")


def main() -> int:
    words = sys.argv[1:]
    own, child = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(description="Kill runs and count what was paid.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--level", choices=["run", "engine"], default="run")
    parser.add_argument("--lose-ledger", type=int, nargs="?", const=20, default=0, metavar="LOSSES")
    parser.add_argument("--full-disk", type=int, nargs="?", const=20, default=0, metavar="TIMES")
    given = parser.parse_args(own)
    if given.full_disk and (given.level != "engine" or given.database != "sqlite"):
        parser.error("--full-disk fills SQLite's disk below the engine: give --level engine")
    if given.lose_ledger > given.kills or (given.lose_ledger and given.database != "sqlite"):
        parser.error("--lose-ledger destroys the SQLite file after a kill: at most once for each")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="i2v-crash-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as another user where this one is root
    began = time.monotonic()
    with ExitStack() as stack:
        s3 = stack.enter_context(start_s3(folder / "s3"))
        sandbox = stack.enter_context(
            start_sandbox(folder / "sandbox", generation_seconds=1.0, generation_spread=0.4, render="cached", scale=0.5)
        )
        url = f"sqlite:///{folder / 'ledger.sqlite'}"
        if given.database == "postgres":
            url = stack.enter_context(start_postgres(folder / "postgres")).create_database("ledger")
        env = environment(s3=s3, sandbox=sandbox, bucket="crash", data_dir=folder / "data")
        os.environ.update(env)
        bucket = Bucket("crash", make_client())
        bucket.ensure()
        data = SAMPLE.read_bytes()
        bucket.write("uploads/product.webp", data, "image/webp")
        medium = {
            "kind": "image", "sha256": hashlib.sha256(data).hexdigest(), "key": "uploads/product.webp",
            "size_bytes": len(data), "content_type": "image/webp",
        }  # fmt: skip
        kind, command = (RunCrash, RUN_CHILD) if given.level == "run" else (Crash, ENGINE_CHILD)
        crash = kind(
            folder, url, bucket, sandbox,
            command=child or list(command), clips=given.clips, seed=given.seed, env=env, medium=medium,
            losses=given.lose_ledger, full_disks=given.full_disk,
        )  # fmt: skip
        try:
            crash.run(given.kills)
        except AssertionError as error:
            print(f"FAILED: {error}\nEverything is in {folder}.")
            return 1
        tally = crash.tally
        print(f"{sum(tally.kills.values())} kills in {tally.lives} lives over {given.clips} clips "
              f"({tally.rounds} takes of each), {time.monotonic() - began:.0f} s, {crash.level} level, ledger on {given.database}")  # fmt: skip
        for moment, count in sorted(tally.kills.items()):
            print(f"  killed at {moment:<28}{count:>5}")
        if given.lose_ledger:
            print(f"  losses of the ledger                  {tally.losses:>5}")
            print(f"  unknown right after a loss            {tally.unknown_after_loss:>5}")
        if given.full_disk:
            print(f"  full disks, and killed meanwhile      {tally.full_disks:>5}{tally.killed_while_full:>5}")
        print(f"  submits cut off by a kill             {len(tally.may_be_unknown):>5}")
        print(f"  unknown, resolved as charged          {tally.resolved['charged']:>5}")
        print(f"  unknown, resolved as not charged      {tally.resolved['not charged']:>5}")
        print(f"  charges: {len(crash.seeds)} for {len(crash.seeds)} takes, none twice; all videos are there")
        crash.ledger.close()
    if given.folder is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
