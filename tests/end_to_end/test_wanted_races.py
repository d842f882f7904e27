"""Real processes against each other: runs, cancels, retries, retakes, corrected briefs, `i2v run` of the same bytes.

The sandbox's charges are the judge: all of them are known to the ledger, none is for the same request twice, and none falls
between the end of a cancel that said that nothing is sent any more and the next wish for that clip.
"""

import io
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2v_assets.uploads.ingest import scan_uploads
from resources.ledger.ledger import Ledger
from resources.ledger.records import utc_now
from resources.registry.registry import ClipState, Registry
from resources.settings import load_settings

I2V = str(Path(sys.executable).with_name("i2v"))
SAME = '{"prompt": "Slow push in", "duration": 3, "resolution": "720p"}'
CLIPS = ("a", "b", "c", "twin")


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256 % 256, 33)).save(out, "PNG")
    return out.getvalue()


@dataclass
class Wishes:
    """What was asked for each clip, and when: the times at which nothing of it may be claimed."""

    quiet: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    stopped: dict[str, datetime] = field(default_factory=dict)

    def wish(self, clip: str) -> None:
        if clip in self.stopped:
            self.quiet.setdefault(clip, []).append((self.stopped.pop(clip), utc_now()))

    def stop(self, clip: str) -> None:
        self.stopped.setdefault(clip, utc_now())


class Players:
    """Starts processes and threads of one step, and waits for all of them."""

    def __init__(self, stage: Any, rng: random.Random, folder: Path) -> None:
        self.stage, self.rng, self.folder, self.wishes = stage, rng, folder, Wishes()
        self.brief = 0

    def step(self) -> None:
        actions = self.rng.sample(["run", "cancel", "retry", "retake", "correct", "shell", "cancel", "run"], 4)
        targets = [self.rng.choice(CLIPS[:3]) for _ in actions]
        taken: set[str] = set()
        running: list[tuple[str, str, Any]] = []
        threads = []
        for action, clip in zip(actions, targets, strict=True):
            if action == "run":
                threads.append(self._run())
            elif clip in taken:  # one wish for a clip in a step, so that it is known which came last
                continue
            elif action == "correct":
                taken.add(clip)
                self.correct(clip)
            elif action == "shell":
                running.append(
                    (
                        action,
                        clip,
                        self._process("run", "animate", "--image", self._copy("twin"), "--input", SAME, "--json"),
                    )
                )
            else:
                taken.add(clip)
                if action != "cancel":
                    self.wishes.wish(clip)
                running.append((action, clip, self._process(action, clip)))
        for action, clip, process in running:
            out, err = process.communicate(timeout=180)
            if action == "cancel" and process.returncode == 0:
                self.wishes.stop(clip)
            assert "Traceback" not in err, (action, clip, out, err)
        for thread in threads:
            thread.join(240)
            assert not thread.is_alive()

    def correct(self, clip: str) -> None:
        self.wishes.wish(clip)
        self.brief += 1
        self.stage.upload(f"{clip}/brief.yaml", f"prompt: Slow push in {self.brief}\n")
        self.scan()

    def scan(self) -> None:
        scan_uploads(self.stage.bucket, self.stage.registry, load_settings())

    def _copy(self, clip: str) -> str:
        path = self.folder / f"{clip}.png"
        path.write_bytes(picture(200))
        return str(path)

    def _process(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [I2V, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ.copy(),
        )

    def _run(self) -> threading.Thread:
        requests = [*self.stage.tick("dispatch"), *self.stage.tick()]

        def execute() -> None:
            for request in requests:
                self.stage.execute(request)

        thread = threading.Thread(target=execute)
        thread.start()
        return thread


def settle(stage: Any) -> None:
    """Let everything that is still wanted be made."""
    for _ in range(12):
        for clip in CLIPS:
            stage.later(clip, timedelta(minutes=10))
        if not [*stage.make("dispatch"), *stage.make()] and not stage.registry.list((ClipState.DUE, ClipState.WORKING)):
            return
    raise AssertionError(f"it never ends: {stage.states()}")


def check(ledger: Ledger, charges: list[dict[str, Any]], wishes: Wishes) -> None:
    rows = ledger.list()
    known = {event.reason for row in rows for event in ledger.events(row.fingerprint)}
    ids = {row.request_id for row in rows}
    for charge in charges:
        assert charge["request_id"] in ids or any(charge["request_id"] in (reason or "") for reason in known), charge
    claims = {row.fingerprint: [e for e in ledger.events(row.fingerprint) if e.what == "claimed"] for row in rows}
    for row in rows:
        attempts = [event.attempt for event in claims[row.fingerprint]]
        assert len(attempts) == len(set(attempts)), f"{row.clip}: one attempt was claimed twice"
    for clip, spans in wishes.quiet.items():
        times = [event.at for row in rows if row.clip == clip for event in claims[row.fingerprint]]
        for begin, end in spans:
            assert not [at for at in times if begin < at < end], f"{clip} was claimed after it was cancelled"


@pytest.mark.parametrize("seed", [1, 2])
def test_processes_against_each_other(stage: Any, tmp_path: Path, seed: int) -> None:
    stage.set_variable("I2V_MAX_IN_FLIGHT", "2")
    stage.set_variable("I2V_DEADLINE_SECONDS", "60")
    players = Players(stage, random.Random(seed), tmp_path)
    for number, clip in enumerate(CLIPS):
        shade = 200 if clip in ("a", "twin") else number + 10 * seed
        stage.upload(f"{clip}/still.png", picture(shade))
        stage.upload(f"{clip}/brief.yaml", "prompt: Slow push in\n")
    players.scan()
    for _ in range(4):
        players.step()
        check(stage.ledger, stage.charges(), players.wishes)
    for clip in list(players.wishes.stopped):
        players.wishes.wish(clip)
    settle(stage)
    check(stage.ledger, stage.charges(), players.wishes)
    charged = Counter(charge["input_sha256"] for charge in stage.charges() if not charge["refunded"])
    assert not [name for name, count in charged.items() if count > 1], "the same request was paid for twice"
    assert Registry(stage.ledger.database).list((ClipState.DISPATCHED, ClipState.WORKING)) == ()
