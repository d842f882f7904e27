"""Run one batch by Dagster without the witness in the bucket: no look for a video, no record of a claim."""

import sys
from typing import Any

from benchmarks import run_dagster
from resources.generation import witness


async def _admitted(*_: Any) -> None:
    return None


async def _no_video(*_: Any) -> bool:
    return False


async def _recorded(*_: Any) -> bool:
    return True


if __name__ == "__main__":
    witness.refuse_foreign, witness.find_video, witness.record_claim = _admitted, _no_video, _recorded
    sys.exit(run_dagster.main())
