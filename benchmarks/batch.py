"""One batch of clips, measured: how near to the slowest clip it ends, and what waiting costs.

A real S3 server and a real sandbox (cached rendering, log-normal generation times) run in processes of their own; each
contestant runs in a process of its own, one after the other, over clips that nobody made before.

Usage: python -m benchmarks.batch [--clips 200] [--median 30] [--p95 90] [--only NAME ...] [--results FILE]
"""

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.workload import Figures
from resources.sandbox.starter import environment, start_s3, start_sandbox
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "i2v_assets" / "samples" / "product.webp"
Z95 = 1.6449
"""The 95th percentile of a standard normal."""


@dataclass(frozen=True)
class Contestant:
    """One way of making the batch."""

    name: str
    module: str
    why: str
    ledger: str = ""
    share: float = 1.0
    """Of the clips that it makes: the dear ones make fewer."""


CONTESTANTS = (
    Contestant("engine_cold", "benchmarks.run_engine", "the engine, knowing nothing of the times", "ledger"),
    Contestant("engine_learned", "benchmarks.run_engine", "the engine, with the ledger of the run before", "ledger"),
    Contestant("plain_poll_2s", "benchmarks.run_plain", "a plain client that polls every 2 s"),
)

LIMITS = {
    "makespan_ratio": 1.25,
    "cpu_s_per_clip": 0.1,
    "mb_per_waiting_clip": 0.5,
    "polls_per_clip": 10.0,
    "notice_delay_ratio": 0.05,
}


def measured(figures: Figures, records: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The figures of a batch beside what the sandbox says of the same requests."""
    spans = {name: records[name]["finished_at"] - records[name]["created_at"] for name in figures.noticed}
    delays = [max(at - records[name]["finished_at"], 0.0) / spans[name] for name, at in figures.noticed.items()]
    slowest = max(spans.values())
    return {
        "makespan_ratio": figures.seconds / slowest,
        "cpu_s_per_clip": figures.cpu_seconds / figures.clips,
        "mb_per_waiting_clip": max(figures.mb_waiting - figures.mb_idle, 0.0) / figures.clips,
        "polls_per_clip": figures.polls / figures.clips,
        "notice_delay_ratio": statistics.median(delays),
        "notice_delay_ratio_p95": sorted(delays)[int(len(delays) * 0.95)],
        "makespan_s": figures.seconds,
        "slowest_clip_s": slowest,
        "clips": figures.clips,
    }


class Measurement:
    """The servers, and the contestants one after the other."""

    def __init__(self, folder: Path, stack: ExitStack, given: argparse.Namespace) -> None:
        self.folder, self.given = folder, given
        spread = math.log(given.p95 / given.median) / Z95
        self.sandbox = stack.enter_context(
            start_sandbox(
                folder / "sandbox",
                generation_seconds=given.median,
                generation_spread=spread,
                render="cached",
                queue_share=0.05,
                balance=1_000_000,
                seed=given.seed,
            )
        )
        s3 = stack.enter_context(start_s3(folder / "s3"))
        self.env = environment(
            s3=s3,
            sandbox=self.sandbox,
            bucket="bench",
            sandbox_budget_usd_per_day=10**6,
            sandbox_budget_requests_per_day=10**6,
        )
        os.environ.update(self.env)
        bucket = Bucket("bench", make_client())
        bucket.ensure()
        data = SAMPLE.read_bytes()
        bucket.write("uploads/product.webp", data, "image/webp")
        self.medium = {
            "kind": "image", "sha256": hashlib.sha256(data).hexdigest(), "key": "uploads/product.webp",
            "size_bytes": len(data), "content_type": "image/webp",
        }  # fmt: skip
        self.next_seed = 1

    def run(self, contestant: Contestant) -> dict[str, float]:
        """One contestant's batch."""
        count = max(int(self.given.clips * contestant.share), 1)
        seeds = list(range(self.next_seed, self.next_seed + count))
        self.next_seed += count
        spec = self.folder / f"{contestant.name}.json"
        spec.write_text(
            json.dumps(
                {
                    "seeds": seeds,
                    "medium": self.medium,
                    "duration": 3,
                    "scratch": str(self.folder / "scratch" / contestant.name),
                    "run_id": contestant.name,
                }
            )
        )
        data = self.folder / (contestant.ledger or contestant.name)
        process = subprocess.run(
            [sys.executable, "-m", contestant.module, str(spec)],
            env={**os.environ, "I2V_DATA_DIR": str(data)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        figures = Figures(**json.loads(process.stdout.splitlines()[-1]))
        answer = httpx.get(f"{self.sandbox.url}/_sandbox/requests", timeout=60).raise_for_status().json()
        records = {item["request_id"]: item for item in answer["requests"] if item["body"]["seed"] in seeds}
        figures.noticed = {name: at for name, at in figures.noticed.items() if name in records}
        if len(records) != count or len(figures.noticed) != count:
            raise SystemExit(f"{contestant.name}: {len(records)} requests, {len(figures.noticed)} ends, {count} clips")
        return measured(figures, records)


def show(results: dict[str, dict[str, float]]) -> None:
    """The table."""
    table = Table(title="One batch", header_style="bold")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    table.add_column("at most", justify="right")
    for figure in next(iter(results.values())):
        cells = [
            f"{result[figure]:.3f}" if figure != "clips" else f"{result[figure]:.0f}" for result in results.values()
        ]
        table.add_row(figure, *cells, f"{LIMITS[figure]:g}" if figure in LIMITS else "")
    Console(width=120).print(table)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="One batch of clips, measured.")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--median", type=float, default=30.0, help="seconds of generation")
    parser.add_argument("--p95", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="contestants by name")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    given = parser.parse_args(words)
    chosen = [one for one in CONTESTANTS if not given.only or one.name in given.only]
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, ExitStack() as stack:
        measurement = Measurement(Path(folder), stack, given)
        for contestant in chosen:
            print(f"{time.strftime('%H:%M:%S')} {contestant.name}: {contestant.why}", file=sys.stderr)
            results[contestant.name] = measurement.run(contestant)
    show(results)
    main_name = next(iter(results))
    given.results.write_text(json.dumps({**results[main_name], **results}, indent=2) + "\n")
    over = {name: value for name, limit in LIMITS.items() for value in [results[main_name][name]] if value > limit}
    if over:
        print(f"{main_name} is over its limits: {over}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
