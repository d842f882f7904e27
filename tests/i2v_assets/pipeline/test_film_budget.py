"""Films of two runs at once: one is made whole, and nothing of the other is paid. Real processes on one ledger."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.ledger.ledger import Ledger

RUN = """
import asyncio, sys
from types import SimpleNamespace
from i2v_assets.pipeline.film_budget import FilmBudget
from resources.ledger.records import caps_of
from resources.ledger.ledger import Ledger
from resources.ledger.records import NewRequest
from resources.settings import load_settings

url, run = sys.argv[1:]
settings, ledger = load_settings(), Ledger.open(url)
pieces = tuple(
    SimpleNamespace(fingerprint=f"{ord(run)}{number}".ljust(64, "0"), at_most_microdollars=1_000_000) for number in (1, 2)
)
plan = SimpleNamespace(pieces=pieces, requests=pieces)

async def make():
    async with FilmBudget(ledger, settings, run).room_for(plan, SimpleNamespace(adopt_only=False)) as held:
        print("held: " + held.reason if held else "room", flush=True)
        for piece in () if held else pieces:
            sys.stdin.readline()
            ledger.plan(NewRequest(piece.fingerprint, "sandbox", run, 1, "f", "lip_sync", 1, 5, "{}"))
            outcome = ledger.claim(
                piece.fingerprint, owner=run, run_id=run, lease_seconds=600, model_id="m",
                price_microdollars=piece.at_most_microdollars, caps=caps_of(settings), max_in_flight=9,
            )
            print(type(outcome).__name__, flush=True)

asyncio.run(make())
"""


class Run:
    """One run of the film, which claims its next piece on demand."""

    def __init__(self, url: str, name: str, **caps: str) -> None:
        env = {**os.environ, "I2V_SERVICE": "sandbox", "I2V_SANDBOX_BUDGET_USD_PER_DAY": "3.20", **caps}
        env["RUNCOMFY_MODEL_API_BASE"] = "http://127.0.0.1:9/v1"  # nothing is sent
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, url, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def claim(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.said()

    def ended(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    Ledger.open(url).close()

    def start(name: str, **caps: str) -> Run:
        started.append(Run(url, name, **caps))
        return started[-1]

    yield start
    for run in started:
        run.process.kill()
        run.process.communicate()


def test_two_runs_do_not_share_a_days_cap_with_half_made_films(runs: Callable[..., Run], tmp_path: Path) -> None:
    first = runs("a")
    assert first.said() == "room"
    assert first.claim() == "Claimed"
    second = runs("b")
    assert second.said() == (
        "held: Its 2 pieces cost at most $2.00 together, and the budget has $1.20 left beside the other videos under way."
    )
    assert second.ended() == 0
    assert first.claim() == "Claimed", "the room for its second piece was kept"
    assert first.ended() == 0
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        assert {row.clip for row in ledger.list() if row.claimed_at} == {"a"}
        assert ledger.kept_room("sandbox").microdollars == 0


def test_the_cap_on_requests_has_room_for_a_whole_film_too(runs: Callable[..., Run]) -> None:
    caps = {"I2V_SANDBOX_BUDGET_USD_PER_DAY": "300", "I2V_SANDBOX_BUDGET_REQUESTS_PER_DAY": "3"}
    first = runs("a", **caps)
    assert first.said() == "room"
    second = runs("b", **caps)
    assert second.said() == (
        "held: Its 2 pieces need 2 requests, and the budget has 1 request left beside the other videos under way."
    )
    assert second.ended() == 0
    assert [first.claim(), first.claim()] == ["Claimed", "Claimed"]
    assert first.ended() == 0
