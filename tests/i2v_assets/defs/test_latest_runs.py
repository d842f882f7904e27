"""The runs of all clips are looked up together, however many clips there are."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from i2v_assets.defs.partitions import BATCH_TAG
from i2v_assets.defs.runs import RUNS_AT_ONCE, LatestRuns
from i2v_assets.pipeline.dispatch_policy import RunState
from resources.registry.registry import ClipRow, ClipState

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOTHING: dict[str, Any] = dict.fromkeys(ClipRow.__dataclass_fields__)
ROW = ClipRow(**{**NOTHING, "clip": "clip", "state": ClipState.DISPATCHED, "admitted_at": NOW, "updated_at": NOW})

ALIVE, ENDED, CANCELED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    *,
    batch: str = "",
    number: int = 0,
    root: dg.DagsterRun | None = None,
) -> dg.DagsterRun:
    tags = {BATCH_TAG: batch} if batch else {}
    if root is not None:
        tags |= {"dagster/root_run_id": root.run_id, "dagster/parent_run_id": root.run_id}
        tags |= {"dagster/retry_number": str(number)}
    made = dg.DagsterRun(
        job_name="make_clips_job",
        status=status,
        tags=tags,
        root_run_id=root.run_id if root else None,
        parent_run_id=root.run_id if root else None,
    )
    return instance.add_run(made)


def state(instance: dg.DagsterInstance, **columns: str) -> RunState:
    row = replace(ROW, **columns)
    return LatestRuns(instance, [row]).state(row)


def test_a_batch_is_as_far_as_the_latest_of_its_tries(instance: dg.DagsterInstance) -> None:
    first = run(instance, ENDED, batch="b")
    assert state(instance, batch="b") is RunState.ENDED
    again = run(instance, ALIVE, batch="b", root=first, number=1)
    assert state(instance, batch="b") is state(instance, batch="b", run_id=first.run_id) is RunState.ALIVE
    row = replace(ROW, batch="b")
    found = LatestRuns(instance, [row]).of(row)
    assert found is not None
    assert found.run_id == again.run_id
    assert state(instance, batch="another") is state(instance) is RunState.GONE


def test_a_person_s_run_is_told_from_the_batch_that_the_row_still_names(instance: dg.DagsterInstance) -> None:
    run(instance, ALIVE, batch="b")
    theirs = run(instance, CANCELED)
    assert state(instance, batch="b", run_id=theirs.run_id) is RunState.CANCELED
    again = run(instance, ALIVE, root=theirs, number=1)
    for begun in (theirs, again):
        assert state(instance, run_id=begun.run_id) is RunState.ALIVE
    assert state(instance, run_id="deleted", batch="b") is RunState.ALIVE
    assert state(instance, run_id="deleted") is RunState.GONE


def test_more_clips_are_no_more_queries(instance: dg.DagsterInstance) -> None:
    runs = RUNS_AT_ONCE + 5
    rows = []
    for number in range(runs):
        begun = run(instance, ALIVE if number % 2 else ENDED, batch=f"b{number}")
        rows += [replace(ROW, clip=f"{number}-{clip}", batch=f"b{number}", run_id=begun.run_id) for clip in range(10)]
    asked: list[str] = []
    storage: Any = instance.run_storage
    sa.event.listen(storage._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    latest = LatestRuns(instance, rows)
    states = [latest.state(row) for row in rows]
    assert (
        sum(query.startswith("SELECT") for query in asked) == 4
    )  # the runs that began and the batches, in two pieces each
    assert states == [RunState.ALIVE if number % 2 else RunState.ENDED for number in range(runs) for _ in range(10)]
