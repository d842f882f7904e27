"""Kill a child process repeatedly, act as the person between its lives, and give the verdict.

Each life is ended by SIGKILL from outside, at a moment that the ledger or the clock names. Between lives unknown outcomes
are resolved from the service's own records. The verdict comes from the sandbox's own list of charges.
"""

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from i2v_assets.operations.recovery import rebuild
from i2v_assets.session import open_client
from resources.devservers.start import RunningSandbox
from resources.generation.orphans import settle_late
from resources.ledger.ledger import Ledger
from resources.ledger.records import RequestRow, State
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.keys import video_key

LEASE = 2.0
"""Seconds; short, so that the next life need not wait long for the dead one's leases."""
GRACE = 0.5
"""Seconds beyond its lease after which a dead life's claim counts as dead; nothing here is ever frozen."""
SETTLED = 4.0
"""Seconds after which no POST of a dead process can still be on its way into a sandbox on this machine."""
LIFE = 40.0
"""Seconds that one life may take to come to its moment."""
FULL_SHARE = 0.6
"""Share of the lives whose disk fills before they are killed, until there were as many as were asked for."""
FULL_FOR = (0, 0.05, 0.3, 1.0, 3.0)
"""Seconds from a full disk to the kill: before an answer comes, while it cannot be recorded, and after the run gave up."""
IDLE = 30
"""Lives on end without a kill and without everything there, after which nothing will come any more."""
MOMENTS = ("planned", "submitting", "submitted", "started", "succeeded", "delivered", "downloading", "random")
DELIVERED = 0
NOT_ALL = 3


@dataclass
class Tally:
    """Counts of one crash test."""

    kills: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    may_be_unknown: set[str] = field(default_factory=set)
    resolved: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    losses: int = 0
    unknown_after_loss: int = 0
    full_disks: int = 0
    killed_while_full: int = 0


class Crash:
    """The harness around one child command."""

    level = "engine"
    fuse: tuple[float, float] = (0.8, 4.0)
    """Seconds after its start at which a life ends when its moment is a random one."""
    look_seconds = 0.005
    parts = ".*.part"
    """Where downloads on their way lie below the scratch folder."""

    def __init__(self, folder: Path, ledger_url: str, bucket: Bucket, sandbox: RunningSandbox, **how: Any) -> None:
        self.folder, self.bucket, self.sandbox = folder, bucket, sandbox
        self.ledger = Ledger.open(ledger_url)
        self.command: list[str] = how["command"]
        self.clips: int = how["clips"]
        self.dice = random.Random(how["seed"])
        self.env = {**os.environ, **how["env"], "I2V_LEDGER_URL": ledger_url}
        self.medium: dict[str, Any] = how["medium"]
        self.losses: int = how.get("losses", 0)
        self.full_disks: int = how.get("full_disks", 0)
        self.full = folder / "disk-is-full"
        self.ledger_url = ledger_url
        self.tally = Tally()
        self.seeds: list[int] = []
        self.began = datetime.now(UTC).date()
        self.web = httpx.Client(base_url=f"{sandbox.url}/_sandbox", timeout=30)

    # One life

    def spec(self, whole: bool) -> Path:
        """Return the child's specification: the takes of this round, or all takes."""
        path = self.folder / "spec.json"
        path.write_text(
            json.dumps(
                {
                    "service": "sandbox",
                    "route": "animate",
                    "inputs": {
                        "family": "happyhorse-1.0/image-to-video",
                        "prompt": "drift slowly to the left",
                        "images": [self.medium],
                        "duration": 3,
                        "resolution": "720p",
                        "watermark": False,
                    },
                    "seeds": self.seeds if whole else self.seeds[-self.clips :],
                    "clips": self.clips,
                    "scratch": str(self.folder / "scratch"),
                    "run_id": f"life-{self.tally.lives}",
                    "full_disk": str(self.full) if self.full_disks else None,
                    "options": {
                        "lease_seconds": LEASE, "grace_seconds": GRACE, "max_in_flight": 2, "prior_seconds": 0.5,
                        "deadline_seconds": 60,
                    },
                }
            )
        )  # fmt: skip
        return path

    def start(self, whole: bool = False) -> "subprocess.Popen[bytes]":
        self.tally.lives += 1
        path = self.spec(whole)
        words = [word.replace("{spec}", str(path)) for word in self.command]
        with (self.folder / "child.log").open("ab") as log:
            return subprocess.Popen(words, env=self.env, stdout=log, stderr=log, start_new_session=True)

    def rows(self) -> dict[str, RequestRow]:
        return {row.fingerprint: row for row in self.ledger.list()}

    def life(self, moment: str) -> bool:
        """Start a child and kill it at the moment; return False if it ended before."""
        before = self.rows()
        process = self.start()
        ends = time.monotonic() + LIFE
        fuse = time.monotonic() + self.dice.uniform(*self.fuse)
        while time.monotonic() < ends:
            if process.poll() is not None:
                return False
            if (time.monotonic() >= fuse) if moment == "random" else self.reached(moment, before):
                break
            time.sleep(self.look_seconds)
        full = self.tally.full_disks < self.full_disks and self.dice.random() < FULL_SHARE
        if full:
            self.full.touch()
            self.tally.full_disks += 1
            self.tally.may_be_unknown |= self.under_way()
        time.sleep(self.dice.choice(FULL_FOR if full else [0, 0, 0.003, 0.01, 0.03]))
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.tally.killed_while_full += full
        self.full.unlink(missing_ok=True)
        if ended:
            self.tally.may_be_unknown |= self.under_way() if full else set()
            return False
        self.tally.kills[moment if time.monotonic() < ends else f"{moment} (not reached)"] += 1
        self.tally.may_be_unknown |= self.under_way()
        return True

    def under_way(self) -> set[str]:
        """Return the requests that may have been sent, and whose answer the ledger does not have."""
        return {name for name, row in self.rows().items() if row.state in (State.SUBMITTING, State.UNKNOWN)}

    def reached(self, moment: str, before: dict[str, RequestRow]) -> bool:
        """Return whether a row reached the moment within this life."""
        if moment == "downloading":
            return any((self.folder / "scratch").glob(self.parts))
        for name, row in self.rows().items():
            was = before.get(name)
            if moment == "planned":
                hit = was is None
            elif moment == "started":
                hit = row.started_at is not None and (was is None or was.started_at is None)
            elif moment == "delivered":
                hit = row.delivered_at is not None and (was is None or was.delivered_at is None)
            else:
                hit = row.state == moment and (was is None or was.state != moment)
            if hit:
                return True
        return False

    # The person

    def resolve(self) -> None:
        """Resolve unknown outcomes from the service's own records, like a person with its console."""
        known = {int(item["body"]["seed"]): item["request_id"] for item in self.get("requests")["requests"]}
        self.ledger.expire(grace_seconds=GRACE)
        for row in self.ledger.list(states=[State.UNKNOWN]):
            if row.claimed_at is None or (datetime.now(UTC) - row.claimed_at).total_seconds() < SETTLED:
                continue
            request_id = known.get(row.seed)
            self.ledger.resolve(row.fingerprint, by="crash", request_id=request_id, not_charged=request_id is None)
            self.tally.resolved["charged" if request_id else "not charged"] += 1

    def get(self, path: str) -> Any:
        return self.web.get(path).raise_for_status().json()

    # The loss

    def lose_ledger(self) -> None:
        """Destroy the ledger with its registry, and make another out of the bucket, as `i2v ledger rebuild` does."""
        self.ledger.close()
        file = Path(self.ledger_url.removeprefix("sqlite:///"))
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()
        if self.dice.random() < 0.5:
            file.touch()  # a disk that was full, or a copy that broke off
        os.environ["I2V_LEDGER_URL"] = self.ledger_url
        done = rebuild(load_settings(), self.bucket)
        self.ledger = Ledger.open(self.ledger_url)
        unknown = {row.fingerprint for row in self.ledger.list(states=[State.UNKNOWN])}
        assert done.unknown == len(unknown)
        self.tally.losses += 1
        self.tally.unknown_after_loss += len(unknown)
        self.tally.may_be_unknown |= unknown

    async def ask_costs(self) -> None:
        """What the schedule does: a ledger that was built anew does not know what its requests cost."""
        async with open_client(load_settings()) as client:
            await settle_late(self.ledger, client, "sandbox")

    # All lives

    def run(self, kills: int) -> None:
        """Start and kill the child until the number of kills is reached, then let it finish."""
        moments: list[str] = []
        idle = 0
        lose_at = sorted(self.dice.sample(range(1, kills + 1), self.losses))
        self.next_round()
        while sum(self.tally.kills.values()) < kills or self.tally.full_disks < self.full_disks:
            if not moments:
                moments = list(MOMENTS)
                self.dice.shuffle(moments)
            moment = moments.pop()
            if not self.possible(moment):
                continue
            if self.life(moment):
                idle = 0
                if self.tally.losses < len(lose_at) and sum(self.tally.kills.values()) >= lose_at[self.tally.losses]:
                    self.lose_ledger()
            elif self.done():
                self.next_round()
            else:
                idle += 1
                assert idle < IDLE, f"{IDLE} lives ended by themselves and brought nothing: something is held for ever"
            if self.dice.random() < 0.3:
                self.resolve()
            self.check_charges()
        self.finish()

    def possible(self, moment: str) -> bool:
        """Return whether a life can reach this moment; planned rows appear only in a round's first lives."""
        return moment != "planned" or len(self.rows()) < len(self.seeds)

    def done(self) -> bool:
        rows = self.rows().values()
        return len(rows) == len(self.seeds) and all(row.delivered_at is not None for row in rows)

    def next_round(self) -> None:
        """Another take of every clip when the last one is through."""
        self.tally.rounds += 1
        self.seeds += range(len(self.seeds) + 1, len(self.seeds) + self.clips + 1)

    def finish(self) -> None:
        """Run lives without kills until everything is delivered."""
        ends = time.monotonic() + 300
        while True:
            process = self.start(whole=True)
            code = process.wait(timeout=300)
            assert code in (DELIVERED, NOT_ALL), f"the child ended with {code}"
            if self.done():
                break
            assert time.monotonic() < ends, "not everything arrived"
            time.sleep(1)
            self.resolve()
        if self.losses:
            asyncio.run(self.ask_costs())
        self.check_charges()
        self.check_end()

    # The verdict

    def check_charges(self) -> None:
        """At most one charge per input, at any time."""
        charges = Counter(charge["input_sha256"] for charge in self.get("charges")["charges"])
        twice = {name: count for name, count in charges.items() if count > 1}
        assert not twice, f"paid more than once: {twice}"

    def check_end(self) -> None:
        charges = self.get("charges")
        assert charges["count"] == len(self.seeds), f"{charges['count']} charges for {len(self.seeds)} takes"
        charged = {charge["request_id"]: charge["price_microdollars"] for charge in charges["charges"]}
        for name, row in self.rows().items():
            assert row.state is State.SUCCEEDED, f"{name[:12]} is {row.state}"
            info = self.bucket.head(video_key(name))
            assert info is not None, f"{name[:12]}: no video"
            assert info.size_bytes == row.video_bytes, f"{name[:12]}: {info.size_bytes} bytes"
            data = hashlib.sha256(self.bucket.read(video_key(name))).hexdigest()
            assert data == row.video_sha256, f"{name[:12]}: another video"
            forgotten = self.losses > 0 and row.request_id is None  # its video was there, its id died with the ledger
            assert forgotten or row.cost_microdollars == charged[row.request_id], f"{name[:12]}: another cost"
            for event in self.ledger.events(name):
                if event.to_state is State.UNKNOWN and event.from_state is not State.UNKNOWN:
                    assert name in self.tally.may_be_unknown, f"{name[:12]} was unknown without a kill at its submit"
        if self.losses:
            return  # the ledger counts at its most what it could not ask; the charges were compared above
        paid = sum(row.cost_microdollars or 0 for row in self.rows().values())
        assert paid == charges["total_microdollars"], f"{paid} in the ledger, {charges['total_microdollars']} charged"
        spent = self.ledger.spent_today("sandbox")
        assert spent.reserved_microdollars == 0, f"{spent.reserved_microdollars} are still reserved"
        if datetime.now(UTC).date() == self.began:  # a day's sum says nothing of what was paid before midnight
            assert spent.settled_microdollars == paid, f"{spent.settled_microdollars} settled today, {paid} paid"
