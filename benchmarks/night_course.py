"""Run one night from the first upload to the last result: the uploads, a person who resolves unknown outcomes, the end."""

import contextlib
import io
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from PIL import Image

from benchmarks.night_faults import FAULTS, met, queue
from benchmarks.night_fleet import Fleet
from benchmarks.night_verdict import (
    charged_again,
    flatness,
    most_at_once,
    paid_twice,
    reasons,
    spread,
    without_result,
)
from benchmarks.night_watch import FLEET, MEASURING, SERVERS, Sample, Watch
from resources.ledger.errors import LedgerError
from resources.ledger.records import State
from resources.registry.registry import ClipRow, ClipState
from resources.storage import keys
from resources.storage.errors import StorageError

SAMPLE = Path(__file__).parents[1] / "i2v_assets" / "samples" / "product.webp"
BAD_EVERY = 100
"""In the night with faults, one upload in this many is not an image, so that something is refused."""
ON_ITS_WAY = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WORKING)
STEP_SECONDS = 5.0
PROGRESS_SECONDS = 15.0
SETTLED_SECONDS = 10.0
"""Seconds after which no POST can still be on its way to a sandbox on this machine."""
RETRY_GAP = 60.0
"""Seconds between two starts of the retry job; a sensor's tick and a run's start need less."""
STILL_SECONDS = 600.0
"""Seconds without a change after which the remaining clips count as stuck; a failed download is retried after five minutes."""


@dataclass(frozen=True)
class Night:
    """Parameters of one night.

    Attributes:
        clips: Number of uploads.
        rate: Uploads per second.
        runs: Concurrent runs.
        generation_seconds: Median generation time.
        faults: True for a night with faults and bad uploads.
        quick: Leave out slow faults.
        sensor_seconds: Seconds between two evaluations of the uploads sensor.
        deadline_seconds: Seconds for the whole night.
    """

    clips: int
    rate: float
    runs: int
    generation_seconds: float
    faults: bool
    quick: bool
    sensor_seconds: int
    deadline_seconds: float

    @property
    def settings(self) -> dict[str, object]:
        """The fleet's extra settings. A request has three attempts (I2V_MAX_ATTEMPTS), which are two retries."""
        return {"sensor_seconds": self.sensor_seconds, "clips_per_run": 100, "retries_per_clip": 2}


def say(message: str) -> None:
    """Print a line of progress."""
    print(f"{datetime.now(UTC):%H:%M:%S} {message}", file=sys.stderr, flush=True)


class Uploader:
    """Uploads images at a steady rate in a separate thread; all images differ."""

    def __init__(self, fleet: Fleet, night: Night) -> None:
        self.fleet, self.night = fleet, night
        self.at: dict[str, float] = {}
        self.failure = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._upload, name="uploads", daemon=True)

    @property
    def done(self) -> bool:
        """True if all uploads are complete."""
        return len(self.at) == self.night.clips

    def start(self) -> None:
        """Start uploading."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, whether or not all uploads are complete."""
        self._over.set()
        self._thread.join(60)

    def _upload(self) -> None:
        image = Image.open(SAMPLE).convert("RGB")
        began = time.monotonic()
        for number in range(self.night.clips):
            if self._over.wait(max(began + number / self.night.rate - time.monotonic(), 0.0)):
                return
            name = f"n{number:05}"
            try:
                self.fleet.bucket.write(f"uploads/{name}.jpg", self._bytes(image, number), "image/jpeg")
            except StorageError as error:
                self.failure = f"upload {name}: {error.message}"
                return
            self.at[name] = time.time()

    def _bytes(self, image: Image.Image, number: int) -> bytes:
        if self.night.faults and number % BAD_EVERY == BAD_EVERY // 2:
            return f"no picture, number {number}".encode()
        for place in range(4):  # four grey squares that survive the encoder identify the image
            shade = (number >> 4 * place) % 16 * 16
            image.paste((shade, shade, shade), (place * 8, 0, place * 8 + 8, 8))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=85)
        return out.getvalue()


class Person:
    """Acts like a person with the service's console in the morning, and like the nightly retry schedule."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.resolved: Counter[str] = Counter()
        self.retries = 0
        self._retried_at = 0.0

    def resolve(self) -> None:
        """Resolve unknown outcomes from the service's own records.

        The only request with the row's seed after the row's last claim is the one whose response was lost.
        """
        now = datetime.now(UTC)
        unknown = self.fleet.ledger.list(states=[State.UNKNOWN])
        rows = [row for row in unknown if row.claimed_at and (now - row.claimed_at).total_seconds() > SETTLED_SECONDS]
        if not rows:
            return
        records = self.fleet.ask_sandbox("requests")["requests"]
        for row in rows:
            assert row.claimed_at is not None
            claimed = row.claimed_at.timestamp()
            ids = [
                item["request_id"]
                for item in records
                if item["body"].get("seed") == row.seed and item["created_at"] >= claimed
            ]
            if len(ids) > 1:
                continue  # it stays unknown, so the night's verdict reports it
            self.fleet.ledger.resolve(
                row.fingerprint, by="make night", request_id=ids[0] if ids else None, not_charged=not ids
            )
            self.resolved["charged" if ids else "not charged"] += 1

    def retry(self) -> bool:
        """Start the nightly retry job if a failed clip has a retry left; return whether there is one."""
        left = int(self.fleet.env["I2V_RETRIES_PER_CLIP"])
        failed = self.fleet.registry.list((ClipState.FAILED,))
        again = [row for row in failed if row.waiting_for == "retry" and row.retries < left]
        if again and time.monotonic() - self._retried_at > RETRY_GAP:
            self.fleet.launch("retry_failed_job")
            self.retries += 1
            self._retried_at = time.monotonic()
        return bool(again)


class Course:
    """Runs and measures one night on a running fleet."""

    def __init__(self, fleet: Fleet, night: Night, write: Callable[[dict[str, Any]], None]) -> None:
        self.fleet, self.night, self._write = fleet, night, write
        self.broken = ""
        self.person = Person(fleet)
        self.tables_before, self.connections_before = self.tables(), self.connections()
        self.uploader = Uploader(fleet, night)
        if night.faults:
            queue(fleet.sandbox.url, [fault for fault in FAULTS if not (night.quick and fault.slow)])
        self.began_at = time.time()
        self.watch = Watch(fleet, 2.0 if night.clips < 500 else 5.0, lambda: len(self.uploader.at))

    def run(self) -> dict[str, Any]:
        """Run until the end or the deadline, and return the figures."""
        self.uploader.start()
        try:
            self._until_the_end()
        finally:
            self.uploader.stop()
            self.watch.stop()
        self.watch.samples.append(self.watch.take())
        return self.figures()

    def _until_the_end(self) -> None:
        reported, changed, last = 0.0, self.watch.elapsed, ""
        while True:
            now = self.watch.elapsed
            with contextlib.suppress(LedgerError, httpx.HTTPError):
                states = self.fleet.registry.counts()
                if self._step(states):
                    return
                state = json.dumps([states, len(self.uploader.at)], sort_keys=True)
                changed, last = (now, state) if state != last else (changed, last)
            if now - reported >= PROGRESS_SECONDS:
                reported = now
                self._report_progress()
            dead = self.fleet.alive()
            self.broken = self.uploader.failure or "; ".join(dead)
            if not self.broken and now > self.night.deadline_seconds:
                self.broken = f"not finished after {now / 60:.0f} minutes"
            if self.broken:
                say(f"Stopped: {self.broken}")
                return
            if self.uploader.done and now - changed > STILL_SECONDS:
                say(f"No change for {STILL_SECONDS / 60:.0f} minutes; the remaining clips wait.")
                return
            time.sleep(STEP_SECONDS)

    def _step(self, states: dict[str, int]) -> bool:
        """Do what a person and the schedules do; return True at the end."""
        if not self.uploader.done or sum(states.values()) < self.night.clips:
            return False
        if states.get(ClipState.DUE, 0) + states.get(ClipState.DISPATCHED, 0) == 0:
            self.person.resolve()
        if any(states.get(state) for state in ON_ITS_WAY):
            return False
        again = self.person.retry()
        return not again and not states.get(ClipState.WAITING) and not self.watch.busy

    def _report_progress(self) -> None:
        if not self.watch.samples:
            return
        now = self.watch.samples[-1]
        states = ", ".join(f"{count} {state}" for state, count in sorted(now.states.items()) if count)
        load = os.getloadavg()[0]
        say(
            f"{now.at:5.0f} s: {now.uploaded}/{self.night.clips} uploaded, {now.accepted} at the service; {states}; "
            f"{now.runs} runs, {now.fleet_mb:.0f} MB, load {load:.1f}"
        )
        self._write(self._so_far())

    def _so_far(self) -> dict[str, Any]:
        sample = self.watch.samples[-1]
        return {"clips": self.night.clips, "faults": self.night.faults, "so_far": sample.plain()}

    # Figures

    def tables(self) -> dict[str, int]:
        """Return the bytes of each table with its indexes, and of the whole database."""
        query = (
            "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r'"
        )
        sizes = {str(name): int(size) for name, size in self.fleet.ask_database(query)}
        return sizes | {"all": int(self.fleet.ask_database("SELECT pg_database_size(current_database())")[0][0])}

    def connections(self) -> int:
        """Return the total number of connections to the database; each starts a server process."""
        query = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
        return int(self.fleet.ask_database(query)[0][0])

    def database(self) -> dict[str, Any]:
        """Return the growth of the database."""
        grown = {name: size - self.tables_before.get(name, 0) for name, size in self.tables().items()}
        per = 1000 / self.night.clips / 1e6
        groups: Counter[str] = Counter()
        for name, size in grown.items():
            if name != "all":
                first = name.partition("_")[0]
                groups[first if first in ("ledger", "registry") else "dagster"] += size
        named = sorted(((size, name) for name, size in grown.items() if name != "all"), reverse=True)
        return {
            "mb_per_1000_clips": round(grown["all"] * per, 1),
            "connections_per_clip": round((self.connections() - self.connections_before) / self.night.clips, 1),
            "groups_mb_per_1000_clips": {name: round(size * per, 1) for name, size in sorted(groups.items())},
            "tables_mb_per_1000_clips": {name: round(size * per, 1) for size, name in named[:6]},
        }

    def launches(self) -> dict[str, Any]:
        """Return how long runs waited in the queue, and how long they took to start from there."""
        queued, launched, whole = [], [], []
        taken = dg.DagsterEventType.PIPELINE_STARTING
        with dg.DagsterInstance.get() as instance:
            for record in instance.get_run_records(dg.RunsFilter(job_name="make_clips_job")):
                if record.start_time is None:
                    continue
                created = record.create_timestamp.timestamp()
                whole.append(record.start_time - created)
                logs = instance.get_records_for_run(record.dagster_run.run_id, of_type=taken).records
                if logs:
                    queued.append(logs[0].timestamp - created)
                    launched.append(record.start_time - logs[0].timestamp)
        return {
            "count": len(whole),
            "clips_each": round(self.night.clips / len(whole), 1) if whole else 0,
            "creation_to_start_s": spread(whole),
            "in_the_queue_s": spread(queued),
            "launch_s": spread(launched),
        }

    def videos(self) -> dict[str, int]:
        """Return the sizes of the clips' videos in the bucket."""
        found = {}
        for info in self.fleet.bucket.list("clips/"):
            clip, _, name = info.key.removeprefix("clips/").partition("/")
            if name == keys.VIDEO:
                found[clip] = info.size_bytes
        return found

    def figures(self) -> dict[str, Any]:
        """All that was measured."""
        night, uploaded = self.night, dict(self.uploader.at)
        charges, records = self.fleet.ask_sandbox("charges"), self.fleet.ask_sandbox("requests")["requests"]
        rows = {row.clip: row for row in self.fleet.registry.list()}
        final = self.watch.samples[-1]
        states = Counter(str(row.state) for row in rows.values())
        names = [f"n{number:05}" for number in range(night.clips)]
        lags = [rows[name].admitted_at.timestamp() - at for name, at in uploaded.items() if name in rows]
        samples = [sample.plain() for sample in self.watch.samples]
        dollars = self.fleet.ask_database(
            "SELECT coalesce(sum(coalesce(cost_microdollars, reserved_microdollars)), 0) FROM ledger_submissions "
            "WHERE NOT returned"
        )[0][0]
        return {
            "clips": night.clips,
            "uploads_per_second": night.rate,
            "runs_at_once": night.runs,
            "generation_s": night.generation_seconds,
            "sensor_s": night.sensor_seconds,
            "seconds": round(final.at, 1),
            **{state: states.get(state, 0) for state in ("delivered", "refused", "failed", "waiting")},
            "reasons": reasons(rows.values()),
            "missing": without_result(names, rows, self.videos()),
            "broken": self.broken,
            "charges": charges["count"],
            "made": sum(record["state"] == "succeeded" for record in records),
            "paid_twice": paid_twice(charges["charges"], records),
            "charged_again_after_failure": charged_again(charges["charges"]),
            "dollars_charged": round(charges["total_microdollars"] / 1e6, 2),
            "dollars_in_ledger": round(float(dollars) / 1e6, 2),
            "most_at_once": most_at_once(records),
            "resolved": dict(self.person.resolved),
            "retry_runs": self.person.retries,
            "clips_per_hour": self._pace(rows),
            **self._cpu(final),
            "memory": {
                "fleet": flatness(samples, night.runs, FLEET),
                **{role: flatness(samples, night.runs, (role,)) for role in (*FLEET, *SERVERS)},
            },
            "one_run_mb": self._one_run(),
            "database": self.database(),
            "sensor_lag_s": spread(lags),
            "runs": self.launches(),
            "faults": met(self.fleet.ask_sandbox("faults")["faults"], charges["count"]),
            "samples": samples,
        }

    def _pace(self, rows: dict[str, ClipRow]) -> dict[str, float]:
        """Return delivered clips per hour: until the last delivery, and until nine tenths were delivered."""
        delivered = sorted(row.delivered_at.timestamp() for row in rows.values() if row.delivered_at)
        if not delivered:
            return {}
        paces: dict[str, float] = {"all": round(len(delivered) / (delivered[-1] - self.began_at) * 3600)}
        nine = delivered[: int(len(delivered) * 0.9)]
        if nine:
            paces["first_nine_tenths"] = round(len(nine) / (nine[-1] - self.began_at) * 3600)
        return paces

    def _cpu(self, final: Sample) -> dict[str, Any]:
        used = {**final.cpu, "fleet": sum(final.cpu[role] for role in FLEET)}
        used["all"] = used["fleet"] + sum(final.cpu[role] for role in SERVERS)
        order = ("fleet", *FLEET, *SERVERS, "all", MEASURING)
        return {
            "cpu_s": {role: round(used[role], 1) for role in order},
            "cpu_per_clip": {role: round(used[role] / self.night.clips, 4) for role in order},
        }

    def _one_run(self) -> float:
        """Return the largest mean memory of a run process, in MiB."""
        busy = [sample.mb["runs"] / sample.runs for sample in self.watch.samples if sample.runs]
        return round(max(busy, default=0.0), 1)


def measure(fleet: Fleet, night: Night, write: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run one night on a running fleet and return its figures.

    Raises:
        psycopg.Error, httpx.HTTPError: a server did not respond when the figures were collected.
    """
    return Course(fleet, night, write).run()
