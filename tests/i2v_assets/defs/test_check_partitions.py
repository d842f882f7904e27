"""A thousand partitions, as the UI reads them: what the checks' overview and their partitions say agrees with the clips."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import in_process_test_workspace
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_graphql.test.utils import execute_dagster_graphql

from i2v_assets.defs.check_states import keep_check_states
from i2v_assets.defs.dagster_internals import partition_loading_context
from i2v_assets.defs.event_log import DagsterEvents
from i2v_assets.defs.partitions import clips
from i2v_assets.defs.specs import CLIP_SPECS
from i2v_assets.defs.storage_connections import kept_connections

DELIVERED = [f"delivered-{number:04d}" for number in range(900)]
WAITING = [f"waiting-{number:02d}" for number in range(60)]
PLANNED = DELIVERED[:100]
"""Those whose plans are written too: two events less for each of the others."""
REFUSED = [f"refused-{number:02d}" for number in range(40)]

CHECKS = """
query Checks($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            executionForLatestMaterialization { status evaluation { partition success } }
            partitionStatuses {
              ... on AssetCheckDefaultPartitionStatuses {
                succeededPartitions failedPartitions inProgressPartitions skippedPartitions executionFailedPartitions
              }
            }
          }
        }
      }
      assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions unmaterializedPartitions } }
    }
  }
}
"""


def write_events(context: dg.AssetExecutionContext) -> None:
    """Write what the pipeline writes of a thousand clips; some are made twice, and one wait is over."""
    events = DagsterEvents(context)

    def plan(clip: str) -> None:
        events.materialized("clip_plan", clip, {}, "plan")
        events.checked("clip_plan", "accepted", clip, passed=True, metadata={})

    def wait(clip: str) -> None:
        plan(clip)
        events.observed("clip_video", clip, {"state": "waiting"}, "a-wait")
        events.checked("clip_video", "answered", clip, passed=False, metadata={}, warn=True)

    for clip in (*WAITING, *DELIVERED[:20]):
        wait(clip)
    for clip in REFUSED:
        events.observed("clip_plan", clip, {"decision": "refused"}, "a-refusal")
        events.checked("clip_plan", "accepted", clip, passed=False, metadata={})
    for clip in PLANNED:
        plan(clip)
    for clip in (*DELIVERED, *DELIVERED[-20:]):
        events.materialized("clip_video", clip, {}, "video")
        events.checked("clip_video", "answered", clip, passed=True, metadata={})


@dg.multi_asset(specs=CLIP_SPECS, can_subset=True)
def written(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    """An asset that only writes events, in the place of `make_clips`."""
    with kept_connections(context.instance):
        write_events(context)
    yield from ()


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    names = [*DELIVERED, *WAITING, *REFUSED]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk has to be synced for each of the events
    with TemporaryDirectory(dir=memory) as home, dg.DagsterInstance.local_temp(home) as made:
        made.add_dynamic_partitions(str(clips.name), names)
        job = dg.Definitions(assets=[written]).resolve_implicit_global_asset_job_def()
        tags = {"dagster/asset_partition_range_start": names[0], "dagster/asset_partition_range_end": names[0]}
        assert job.execute_in_process(instance=made, tags=tags).success
        yield made


@pytest.fixture(
    scope="module", params=[keep_check_states, lambda instance: None], ids=["the webserver's way", "Dagster's way"]
)
def shown(instance: dg.DagsterInstance, request: pytest.FixtureRequest) -> Iterator[dict[str, dict[str, Any]]]:
    """What the UI's queries return for the two assets with checks."""
    request.param(instance)
    origin = LoadableTargetOrigin(executable_path=sys.executable, module_name="i2v_assets.definitions")
    found = {}
    with (
        in_process_test_workspace(instance, origin) as workspace,
        partition_loading_context(dynamic_partitions_store=instance),
    ):
        for asset in ("clip_plan", "clip_video"):
            answer = execute_dagster_graphql(workspace, CHECKS, {"asset": {"path": [asset]}})
            found[asset] = answer.data["assetNodeOrError"]
    yield found
    vars(instance.event_log_storage).pop("get_asset_check_state", None)


def statuses(shown: dict[str, dict[str, Any]], asset: str, check: str) -> dict[str, list[str]]:
    checks = shown[asset]["assetChecksOrError"]["checks"]
    (found,) = [each for each in checks if each["name"] == check]
    return {name: sorted(keys) for name, keys in found["partitionStatuses"].items() if keys}


def test_every_clip_has_its_own_result_and_none_is_missing(shown: dict[str, dict[str, Any]]) -> None:
    assert statuses(shown, "clip_plan", "accepted") == {
        "succeededPartitions": sorted([*PLANNED, *WAITING]),
        "failedPartitions": REFUSED,
    }
    assert statuses(shown, "clip_video", "answered") == {
        "succeededPartitions": DELIVERED,
        "failedPartitions": WAITING,
    }


def test_the_overview_agrees(shown: dict[str, dict[str, Any]]) -> None:
    for asset, check in (("clip_plan", "accepted"), ("clip_video", "answered")):
        (found,) = [each for each in shown[asset]["assetChecksOrError"]["checks"] if each["name"] == check]
        latest = found["executionForLatestMaterialization"]
        assert latest is not None, check
        kind = "succeededPartitions" if latest["evaluation"]["success"] else "failedPartitions"
        assert latest["evaluation"]["partition"] in statuses(shown, asset, check)[kind]


def test_a_refused_clip_has_no_green_plan(shown: dict[str, dict[str, Any]]) -> None:
    plans = shown["clip_plan"]["assetPartitionStatuses"]
    assert set(plans["materializedPartitions"]) == {*PLANNED, *WAITING}
    assert set(REFUSED) <= set(plans["unmaterializedPartitions"])
    assert set(shown["clip_video"]["assetPartitionStatuses"]["materializedPartitions"]) == set(DELIVERED)
