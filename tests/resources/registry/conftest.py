"""A registry on SQLite and on Postgres, with a clock of its own."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC

import pytest

from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry, Upload


class Clock:
    def __init__(self, start) -> None:
        self.now = start

    def __call__(self):
        return self.now


@dataclasses.dataclass
class Desk:
    registry: Registry
    clock: Clock

    def admit(self, *names: str, version: str = "1", present: tuple[str, ...] | None = None, **changes: object):
        uploads = [upload(name, version, **changes) for name in names]
        return self.registry.admit(uploads, present=names if present is None else present)

    def state(self, clip: str) -> ClipState:
        row = self.registry.get(clip)
        assert row is not None
        return row.state

    def answer(self, clip: str, state: ClipState, *, version: str = "1", **changes: object) -> None:
        self.registry.record_result(clip, version=version, state=state, **changes)  # type: ignore[arg-type]


def upload(name: str, version: str = "1", **changes: object) -> Upload:
    return dataclasses.replace(Upload(name, f"uploads/{name}.jpg", version, "{}"), **changes)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path) -> Iterator[Desk]:
    from datetime import datetime

    url = f"sqlite:///{tmp_path}/l.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    clock = Clock(datetime(2026, 3, 10, 12, tzinfo=UTC))
    with Ledger.open(url) as ledger:
        yield Desk(Registry(ledger.database, clock), clock)
