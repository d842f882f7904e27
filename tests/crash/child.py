"""One engine run in a separate process, to be killed from outside.

Usage: python child.py SPEC.json; the environment holds the settings. Prints one JSON line per outcome, exits 0 when
every order was delivered, 3 when not, 130 when a signal ended it.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.generation.engine import open_engine, options_of
from resources.generation.run_sync import run_sync
from resources.generation.types import NO_CAPS, Delivered, GenerationRequest
from resources.ledger.ledger import Ledger
from resources.schemas.inputs import GenerationInputs, Route, fingerprint
from resources.settings import load_settings
from resources.storage.bucket import Bucket


def read_orders(spec: dict[str, Any]) -> list[GenerationRequest]:
    """The orders of a specification: the same inputs, told apart by their seeds, ``clips`` of them in each take."""
    orders = []
    clips = spec.get("clips", max(spec["seeds"]))
    for seed in spec["seeds"]:
        take, clip = (seed - 1) // clips + 1, (seed - 1) % clips + 1
        inputs = GenerationInputs.model_validate({**spec["inputs"], "seed": seed})
        name = fingerprint(spec["service"], inputs, take)
        orders.append(GenerationRequest(f"clip-{clip}", take, name, inputs, Route(spec["route"]), NO_CAPS))
    return orders


LARGEST = 2**30
"""Pages: more than any test writes."""
FILLER = 4_000_000
"""Bytes: more than the free pages that an earlier life left in the file."""


def fill_on_sign(ledger: Ledger, sign: Path) -> None:
    """Let every write of an SQLite ledger fail as on a full disk, with SQLite's own error, while a file stands there."""
    write = ledger.database.write

    @contextmanager
    def write_if_it_fits() -> Iterator[sa.Connection]:
        with write() as connection:
            if sign.exists():
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                try:
                    connection.exec_driver_sql("CREATE TABLE filler (data BLOB)")
                    connection.exec_driver_sql(f"INSERT INTO filler VALUES (zeroblob({FILLER}))")
                finally:
                    connection.exec_driver_sql(f"PRAGMA max_page_count = {LARGEST}")
            yield connection

    ledger.database.write = write_if_it_fits  # type: ignore[method-assign]


async def work(spec: dict[str, Any]) -> bool:
    settings = load_settings()
    options = replace(options_of(settings), **spec.get("options", {}))
    delivered = 0
    with Ledger.open(settings.ledger_address) as ledger:
        if spec.get("full_disk"):
            fill_on_sign(ledger, Path(spec["full_disk"]))
        async with (
            open_engine(
                settings,
                ledger,
                Bucket.from_settings(settings),
                scratch=Path(spec["scratch"]),
                run_id=spec["run_id"],
                stop_kind=lambda: spec.get("stop_kind", "other"),
                options=options,
            ) as engine,
            aclosing(engine.stream(read_orders(spec))) as outcomes,
        ):
            async for outcome in outcomes:
                delivered += isinstance(outcome, Delivered)
                line = {"clip": outcome.order.clip, "what": type(outcome).__name__}
                for name in ("kind", "reason", "confirmed", "paid", "adopted", "already", "request_id"):
                    if hasattr(outcome, name):
                        line[name] = getattr(outcome, name)
                print(json.dumps(line), flush=True)
                if isinstance(outcome, Delivered) and outcome.local_path is not None:
                    outcome.local_path.unlink(missing_ok=True)
    return delivered == len(spec["seeds"])


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text())
    try:
        done = run_sync(lambda: work(spec))
    except KeyboardInterrupt:
        return 130
    return 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
