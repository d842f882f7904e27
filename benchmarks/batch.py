"""Measure one batch of clips: its duration compared with the slowest clip, and the cost of waiting.

A real S3 server and a real sandbox (cached rendering, log-normal generation times) run in separate processes. Each contestant
gets a new sandbox with the same seed, and contestants run one after the other in separate processes. The engine and the plain
client make the clips that Dagster's first batch planned, so their requests take the same times in the sandbox.

Usage: python -m benchmarks.batch [--quick] [--clips 200] [--median 30] [--p95 90] [--only NAME ...] [--results FILE]
"""

import argparse
import hashlib
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.workload import Figures
from i2v_assets.cli.dev.services import dagster_home
from resources.devservers.start import RunningSandbox, environment, start_s3, start_sandbox
from resources.ledger.ledger import Ledger
from resources.storage.bucket import Bucket
from resources.storage.client import make_client

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "i2v_assets" / "samples" / "product.webp"
Z95 = 1.6449
"""The 95th percentile of a standard normal."""


@dataclass(frozen=True)
class Contestant:
    """One way of making the batch.

    Attributes:
        name: Its name in the results.
        module: The module that runs it.
        why: Its description.
        data: Its data folder; contestants that share one start with the times that the other learned.
        pictures: Its set of uploads; other images are other requests with other random times.
        clips: Maximum number of clips; slow contestants make fewer.
        take: The take number; another take of the same inputs is another request.
        settings: Its own settings.
        videos_of: The contestant whose videos it decodes, in whose bucket they are; it makes none.
    """

    name: str
    module: str
    why: str
    data: str
    pictures: str = "a"
    clips: int = 10**6
    take: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    videos_of: str = ""


LEAN = {"I2V_MEASURE": "false", "I2V_PREVIEWS": "false"}
FULL = {"I2V_MEASURE": "true", "I2V_PREVIEWS": "true"}
DAGSTER, ENGINE = "benchmarks.run_dagster", "benchmarks.run_engine"
PLAIN, BARE, DECODE = "plain_poll_2s", "bare_loop", "plain_decode"
COLD, MEASURED = "batch_cold", "batch_measured"
CONTESTANTS = (
    Contestant(COLD, DAGSTER, "one Dagster range run without learned times", "dagster", settings=LEAN),
    Contestant(
        "batch_learned", DAGSTER, "the same with the ledger of the previous batch", "dagster", "b", settings=LEAN
    ),
    Contestant(
        MEASURED, DAGSTER, "the same with measures and previews, on 50 clips", "dagster", "c", 50, settings=FULL
    ),
    Contestant(
        DECODE, "benchmarks.run_decode", "one PyAV decode of the videos of batch_measured", "decode", clips=50,
        videos_of=MEASURED,
    ),
    Contestant("engine_cold", ENGINE, "the engine without Dagster or learned times", "engine"),
    Contestant("engine_learned", ENGINE, "the engine with the ledger of the previous batch", "engine", take=2),
    Contestant(
        "run_per_clip", "benchmarks.run_each", "one Dagster run per clip, on 8 clips", "dagster", "d", 8,
        settings=LEAN,
    ),
    Contestant(PLAIN, "benchmarks.run_plain", "a plain client that polls every 2 s", "plain"),
    Contestant(BARE, "benchmarks.run_bare", "asyncio and aiohttp alone: the limit", "bare"),
    Contestant(
        "process_per_clip", "benchmarks.run_processes", "a process of the plain client per clip, on 8 clips", "processes",
        clips=8,
    ),
)  # fmt: skip

LIMITS = {
    "makespan_ratio": 1.25,
    "cpu_s_per_clip": 0.1,
    "mb_per_waiting_clip": 0.5,
    "polls_per_clip": 10.0,
    "notice_delay_ratio": 0.05,
}


def ratios(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return each contestant's CPU a clip as a multiple of the plain client's and of the bare loop's, if they ran.

    `batch_measured` is compared with the plain decode of its videos too: all of it, and what it takes beyond `batch_cold`.
    """
    cpu = {name: result["cpu_s_per_clip"] for name, result in results.items()}
    bases = {f"cpu_over_{base}": cpu[base] for base in (PLAIN, BARE) if cpu.get(base)}
    found = {name: {figure: used / base for figure, base in bases.items()} for name, used in cpu.items()}
    if MEASURED in cpu and DECODE in cpu:
        found[MEASURED][f"cpu_over_{DECODE}"] = cpu[MEASURED] / cpu[DECODE]
        if COLD in cpu:
            found[MEASURED][f"measures_over_{DECODE}"] = (cpu[MEASURED] - cpu[COLD]) / cpu[DECODE]
    return found


def measured(figures: Figures, records: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the figures of a batch, compared with the sandbox's records of the same requests."""
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
    """Runs the S3 server, and the contestants one after the other."""

    def __init__(self, folder: Path, stack: ExitStack, given: argparse.Namespace) -> None:
        self.folder, self.given = folder, given
        self.s3 = stack.enter_context(start_s3(folder / "s3"))
        self.inputs: list[str] = []

    def run(self, contestant: Contestant) -> dict[str, float]:
        """Run one contestant's batch with its own bucket and sandbox, or its decode of another's videos."""
        given, name = self.given, contestant.name
        if contestant.videos_of:
            return self._decode(contestant, min(given.clips, contestant.clips))
        with start_sandbox(
            self.folder / f"sandbox-{name}",
            generation_seconds=given.median,
            generation_spread=math.log(given.p95 / given.median) / Z95,
            render="cached",
            queue_share=0.05,
            balance=1_000_000,
            seed=given.seed,
        ) as sandbox:
            return self._batch(contestant, sandbox, min(given.clips, contestant.clips))

    def _decode(self, contestant: Contestant, count: int) -> dict[str, float]:
        bucket = contestant.videos_of.replace("_", "-")
        env = {**os.environ, **environment(s3=self.s3, bucket=bucket, data_dir=self.folder / contestant.data)}
        found = self._run(contestant, env, {"clips": count, "scratch": str(self.folder / "scratch" / contestant.name)})
        return {"cpu_s_per_clip": found["cpu_seconds"] / found["clips"], "clips": found["clips"]}

    def _run(self, contestant: Contestant, env: Mapping[str, str], spec: Mapping[str, object]) -> dict[str, Any]:
        """Run a contestant's module in a process and return the figures that it prints last."""
        path = self.folder / f"{contestant.name}.json"
        path.write_text(json.dumps(spec))
        with (self.folder / f"{contestant.name}.log").open("wb") as log:
            process = subprocess.run(
                [sys.executable, "-m", contestant.module, str(path)],
                env=env, stdout=subprocess.PIPE, stderr=log, text=True, check=False,
            )  # fmt: skip
        if process.returncode:
            tail = (self.folder / f"{contestant.name}.log").read_text()[-3000:]
            raise SystemExit(f"{contestant.name} ended with {process.returncode}: {tail}")
        return dict(json.loads(process.stdout.splitlines()[-1]))

    def _batch(self, contestant: Contestant, sandbox: RunningSandbox, count: int) -> dict[str, float]:
        data = self.folder / contestant.data
        env = {
            **os.environ,
            **environment(
                s3=self.s3,
                sandbox=sandbox,
                bucket=contestant.name.replace("_", "-"),
                data_dir=data,
                settle_seconds=0,
                clips_per_run=1000,
                sandbox_budget_usd_per_day=10**6,
                sandbox_budget_requests_per_day=10**6,
            ),
            **contestant.settings,
            "DAGSTER_HOME": str(dagster_home(data)),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        planned = bool(self.inputs) and contestant.pictures == "a"  # their requests name pictures of the whole batch
        medium = self._upload(env, contestant, self.given.clips if planned else count)
        spec = {
            "clips": count,
            "inputs": self.inputs[:count],
            "take": contestant.take,
            "medium": medium,
            "duration": 3,
            "scratch": str(self.folder / "scratch" / contestant.name),
            "run_id": contestant.name,
        }
        figures = Figures(**self._run(contestant, env, spec))
        response = httpx.get(f"{sandbox.url}/_sandbox/requests", timeout=60).raise_for_status().json()
        records = {item["request_id"]: item for item in response["requests"]}
        figures.noticed = {name: at for name, at in figures.noticed.items() if name in records}
        if not len(records) == len(figures.noticed) == figures.clips == count:
            raise SystemExit(f"{contestant.name}: {len(records)} requests, {len(figures.noticed)} ends, {count} clips")
        if not self.inputs and contestant.pictures == "a":  # those that the others have
            self._keep_inputs(env)
        return measured(figures, records)

    def _upload(self, env: Mapping[str, str], contestant: Contestant, count: int) -> dict[str, object]:
        """Upload the images of this contestant, each with different bytes; return the first one's medium."""
        os.environ.update(env)
        bucket = Bucket(env["I2V_BUCKET"], make_client())
        bucket.ensure()
        bucket.write("uploads/_defaults.yaml", b"duration: 3\nresolution: 720p\n", "application/yaml")
        image = Image.open(SAMPLE).convert("RGB")
        first = b""
        for number in range(count):
            for place, shade in enumerate((ord(contestant.pictures) - ord("a"), number % 16, number // 16)):
                image.paste((shade * 16,) * 3, (place * 8, 0, place * 8 + 8, 8))  # survives a lossy encoder
            out = io.BytesIO()
            image.save(out, "WEBP", quality=85, method=0)
            first = first or out.getvalue()
            bucket.write(f"uploads/{contestant.pictures}{number:04}.webp", out.getvalue(), "image/webp")
        return {
            "kind": "image", "sha256": hashlib.sha256(first).hexdigest(), "key": f"uploads/{contestant.pictures}0000.webp",
            "size_bytes": len(first), "content_type": "image/webp",
        }  # fmt: skip

    def _keep_inputs(self, env: Mapping[str, str]) -> None:
        """Keep the inputs that Dagster's first batch planned, for the contestants without a planner."""
        with Ledger.open(f"sqlite:///{Path(env['I2V_DATA_DIR']) / 'ledger.sqlite'}") as ledger:
            self.inputs = [row.inputs_json for row in ledger.list() if row.take == 1]


def show(results: dict[str, dict[str, float]]) -> None:
    """Print the results as a table."""
    table = Table(title="One batch", header_style="bold")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    table.add_column("at most", justify="right")
    for figure in dict.fromkeys(figure for result in results.values() for figure in result):
        cells = [f"{result[figure]:.3f}" if figure in result else "" for result in results.values()]
        table.add_row(figure, *cells, f"{LIMITS[figure]:g}" if figure in LIMITS else "")
    Console(width=150).print(table)


def write(path: Path | None, results: dict[str, dict[str, float]]) -> None:
    """Write the figures of the first contestant, those of each under its name, and which plain client ran, if to a file."""
    if path is None:
        return
    client = hashlib.sha256((HERE / "run_plain.py").read_bytes()).hexdigest()
    named = {"plain_client_sha256": client, **next(iter(results.values())), **results}
    path.write_text(json.dumps(named, indent=2) + "\n")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure one batch of clips.")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--median", type=float, default=30.0, help="seconds of generation")
    parser.add_argument("--p95", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="contestants by name")
    parser.add_argument("--results", type=Path, help="only a run without options is kept in results.json by itself")
    parser.add_argument("--quick", action="store_true", help="a trial: 30 clips, median 4 s, p95 8 s")
    given, usual = parser.parse_args(words), parser.parse_args([])
    kept = given.results or (HERE / "results.json" if given == usual else None)
    if given.quick:
        given.clips, given.median, given.p95 = min(given.clips, 30), 4.0, 8.0
    chosen = [one for one in CONTESTANTS if not given.only or one.name in given.only]
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="i2v-bench-") as folder, ExitStack() as stack:
        measurement = Measurement(Path(folder), stack, given)
        for contestant in chosen:
            print(f"{time.strftime('%H:%M:%S')} {contestant.name}: {contestant.why}", file=sys.stderr)
            results[contestant.name] = measurement.run(contestant)
            write(kept, results)
    for name, found in ratios(results).items():
        results[name] |= found
    write(kept, results)
    show(results)
    main_name = next(iter(results))
    reached = results[main_name]
    over = {name: reached[name] for name, limit in LIMITS.items() if reached.get(name, 0) > limit}
    if over:
        print(f"{main_name} is over its limits: {over}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
