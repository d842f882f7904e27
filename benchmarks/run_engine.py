"""Run one batch through the project's engine without Dagster."""

import asyncio
import sys
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from benchmarks.workload import Meter, inputs_of, read_spec
from resources.generation.engine import open_engine, options_of
from resources.generation.types import NO_CAPS, Delivered, GenerationRequest
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.schemas.inputs import Route, fingerprint
from resources.settings import load_settings
from resources.storage.bucket import Bucket


async def work() -> bool:
    spec = read_spec()
    settings = load_settings()
    requests = []
    take = spec["take"]  # another take of the same inputs is another request with the same time in the sandbox
    for number, inputs in enumerate(inputs_of(spec)):
        name = fingerprint("sandbox", inputs, take)
        requests.append(GenerationRequest(f"clip-{number}", take, name, inputs, Route.ANIMATE, NO_CAPS))
    outcomes_by_type: Counter[str] = Counter()
    with Ledger.open(settings.ledger_address) as ledger:
        async with open_engine(
            settings,
            ledger,
            Bucket.from_settings(settings),
            scratch=Path(spec["scratch"]),
            run_id=spec["run_id"],
            options=replace(options_of(settings), max_in_flight=len(requests)),
        ) as engine:
            meter = Meter()

            async def sample() -> None:
                while True:
                    await asyncio.sleep(1)
                    meter.waiting()

            sampling = asyncio.create_task(sample())
            async with aclosing(engine.stream(requests)) as outcomes:
                async for outcome in outcomes:
                    outcomes_by_type[type(outcome).__name__] += 1
                    if isinstance(outcome, Delivered):
                        meter.figures.polls += outcome.polls
                        if outcome.local_path is not None:
                            outcome.local_path.unlink(missing_ok=True)
            sampling.cancel()
            meter.end(len(requests))
        for row in ledger.list(states=[State.SUCCEEDED]):
            if row.take != take:
                continue
            for event in ledger.events(row.fingerprint):
                if event.what == "succeeded" and row.request_id is not None:
                    meter.figures.noticed[row.request_id] = event.at.timestamp()
    meter.print_figures()
    print(f"{time.strftime('%H:%M:%S')} {dict(outcomes_by_type)}", file=sys.stderr)
    return outcomes_by_type["Delivered"] == len(requests)


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(work()) else 1)
