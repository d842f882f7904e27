"""What the UI's Materialize does with many keys: a backfill, asked for by the web server and cut into runs by the daemon.

The web server's own mutation, a real code server and the daemon's own iteration; the runs that it queues are executed in
this process, one after the other.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.client.query import LAUNCH_PARTITION_BACKFILL_MUTATION
from dagster_graphql.test.utils import execute_dagster_graphql
from PIL import Image

ROOT = Path(__file__).parents[2]
CLIPS_PER_RUN = 3
NAMES = [f"clip-{number}" for number in range(7)]
ASSETS = ("source_images", "source_audio", "source_videos", "clip_plan", "clip_video")
"""All of a clip but its preview, which these tests switch off: Dagster takes what is never made for a failure."""
MOST_LOOKS = 20
"""The daemon's looks at a backfill; three do: it submits, it sees the ends, it closes."""


@pytest.fixture
def workspace(stage) -> Iterator[WorkspaceProcessContext]:
    """Seven clips with keys, and a code server that reads how many clips a run may have, as it comes up."""
    stage.set_variable("I2V_CLIPS_PER_RUN", str(CLIPS_PER_RUN))
    for number, name in enumerate(NAMES):
        out = io.BytesIO()
        Image.new("RGB", (400, 300), (number, 7, 99)).save(out, "PNG")
        stage.upload(f"{name}.png", out.getvalue())
    stage.evaluate()
    target = ModuleTarget("i2v_assets.definitions", None, str(ROOT), None)
    with create_test_daemon_workspace_context(target, stage.instance) as context:
        yield context


def ended(stage, workspace: WorkspaceProcessContext, **asked_for: object) -> PartitionBackfill:
    """Ask for a backfill as the UI does, and take it to its end."""
    asked = execute_dagster_graphql(
        workspace.create_request_context(), LAUNCH_PARTITION_BACKFILL_MUTATION, {"backfillParams": asked_for}
    ).data["launchPartitionBackfill"]
    assert asked["__typename"] == "LaunchBackfillSuccess", asked
    for _ in range(MOST_LOOKS):
        errors = [found for found in execute_backfill_iteration(workspace, logging.getLogger("daemon")) if found]
        assert errors == []
        for run in stage.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), ascending=True):
            stage.instance.launch_run(run.run_id, workspace.create_request_context())
        state = stage.instance.get_backfill(asked["backfillId"])
        assert state is not None
        if state.status is not BulkActionStatus.REQUESTED:
            break
    return state


def runs_of(stage, state: PartitionBackfill) -> list[dg.DagsterRun]:
    """Return a backfill's runs, the first one first."""
    return list(stage.instance.get_runs(dg.RunsFilter(tags={BACKFILL_ID_TAG: state.backfill_id}), ascending=True))


def from_assets(names: Sequence[str]) -> dict[str, object]:
    """Return what the UI asks for from the page of the assets."""
    return {"assetSelection": [{"path": [name]} for name in ASSETS], "partitionNames": list(names)}


def from_job(names: Sequence[str]) -> dict[str, object]:
    """Return what it asks for from the page of the job."""
    repository = {"repositoryLocationName": "i2v_assets.definitions", "repositoryName": "__repository__"}
    selector = {"partitionSetName": "make_clips_job_partition_set", "repositorySelector": repository}
    return {**from_assets(names), "selector": selector, "fromFailure": False}


def backfill(stage, workspace: WorkspaceProcessContext, names: Sequence[str]) -> list[dg.DagsterRun]:
    """Run one from the page of the assets, which succeeds. Returns its runs, the first one first."""
    state = ended(stage, workspace, **from_assets(names))
    assert state.status is BulkActionStatus.COMPLETED_SUCCESS
    return runs_of(stage, state)


def keys_of(stage, run: dg.DagsterRun) -> list[str]:
    keys = list(stage.instance.get_dynamic_partitions("clips"))
    first, last = (run.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    return keys[keys.index(first) : keys.index(last) + 1]


def test_a_backfill_of_neighbours_is_cut_into_full_runs_and_pays_once_for_each_clip(
    stage, workspace: WorkspaceProcessContext
) -> None:
    runs = backfill(stage, workspace, NAMES)

    assert [keys_of(stage, run) for run in runs] == [NAMES[:3], NAMES[3:6], NAMES[6:]]
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert stage.delivered() == set(NAMES)
    assert len(stage.charges()) == len(NAMES)

    again = backfill(stage, workspace, NAMES)
    assert len(again) == len(runs)
    assert len(stage.charges()) == len(NAMES)


def test_a_scattered_backfill_is_a_run_for_each_group_of_neighbours(stage, workspace: WorkspaceProcessContext) -> None:
    runs = backfill(stage, workspace, [NAMES[0], NAMES[2], NAMES[3], NAMES[6]])

    assert [keys_of(stage, run) for run in runs] == [[NAMES[0]], NAMES[2:4], [NAMES[6]]]
    assert stage.delivered() == {NAMES[0], *NAMES[2:4], NAMES[6]}
    assert len(stage.charges()) == 4


def test_a_waiting_clip_does_not_fail_a_backfill_of_the_job(stage, workspace: WorkspaceProcessContext) -> None:
    stage.set_variable("I2V_SANDBOX_BUDGET_USD_PER_DAY", "0.70")  # for one clip of three
    names = NAMES[:3]
    state = ended(stage, workspace, **from_job(names))

    assert len(stage.delivered()) == 1
    assert {run.status for run in runs_of(stage, state)} == {dg.DagsterRunStatus.SUCCESS}
    assert state.status is BulkActionStatus.COMPLETED_SUCCESS, "Dagster counts the runs"

    state = ended(stage, workspace, **from_assets(names))
    assert {run.status for run in runs_of(stage, state)} == {dg.DagsterRunStatus.SUCCESS}
    assert state.status is BulkActionStatus.COMPLETED_FAILED, (
        "counts what was made; once it does not, docs/tour.md is wrong"
    )
