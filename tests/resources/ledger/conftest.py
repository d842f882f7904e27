from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.ledger.ledger import Ledger
from resources.ledger.records import Caps, Claimed, ClaimOutcome, NewRequest, RequestRow, State

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
PRICE = 1_000_000


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Book:
    """A ledger with a clock that stands still, and short names for what the tests do with it."""

    ledger: Ledger
    clock: Clock
    made: int = 0
    caps: Caps = field(default_factory=lambda: Caps(10**12, 10**6, 10**12, 10**6, UTC))

    def plan(self, fingerprint: str | None = None, **changes: object) -> str:
        if fingerprint is None:
            self.made += 1
            fingerprint = f"{self.made:064x}"
        values: dict[str, object] = {
            "service": "sandbox",
            "clip": "hero",
            "take": 1,
            "family": "happyhorse-1.0/image-to-video",
            "route": "animate",
            "seed": 7,
            "duration": 5,
            "inputs_json": "{}",
        }
        self.ledger.plan(NewRequest(fingerprint=fingerprint, **(values | changes)))  # type: ignore[arg-type]
        return fingerprint

    def claim(self, fingerprint: str, owner: str = "a", **changes: object) -> ClaimOutcome:
        values: dict[str, object] = {
            "run_id": "run-1",
            "lease_seconds": 60,
            "price_microdollars": PRICE,
            "model_id": "happyhorse/happyhorse-1.0/image-to-video",
            "caps": self.caps,
            "max_in_flight": 1000,
        }
        return self.ledger.claim(fingerprint, owner=owner, **(values | changes))  # type: ignore[arg-type]

    def row(self, fingerprint: str) -> RequestRow:
        row = self.ledger.get(fingerprint)
        assert row is not None
        return row

    def at(self, state: State, fingerprint: str | None = None) -> str:
        """A request that has come to this state, held by `a` in its first attempt."""
        name = self.plan(fingerprint)
        if state is State.PLANNED:
            return name
        assert isinstance(self.claim(name), Claimed)
        if state is State.UNKNOWN:
            self.ledger.outcome_unknown(name, attempt=1, owner="a", reason="timeout after sending")
        elif state is not State.SUBMITTING:
            self.ledger.submitted(name, attempt=1, owner="a", request_id=f"r-{name}")
        ends: dict[State, Callable[[], object]] = {
            State.SUCCEEDED: lambda: self.ledger.succeeded(name, attempt=1),
            State.FAILED: lambda: self.ledger.failed(name, attempt=1, reason="no", final=False),
            State.CANCELLED: lambda: self.ledger.cancelled(name, attempt=1, reason="asked for"),
        }
        if state in ends:
            ends[state]()
        assert self.row(name).state is state
        return name


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(ledger_url: str, clock: Clock) -> Iterator[Book]:
    with Ledger.open(ledger_url, clock) as ledger:
        yield Book(ledger, clock)


@pytest.fixture
def sqlite_book(tmp_path: Path, clock: Clock) -> Iterator[Book]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock) as ledger:
        yield Book(ledger, clock)
