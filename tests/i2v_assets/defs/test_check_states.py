"""The states of checks that the webserver works out at once are those that Dagster works out one by one."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus, AssetCheckPartitionInfo
from dagster._core.storage.asset_check_state import AssetCheckState
from hypothesis import given
from hypothesis import strategies as st

from i2v_assets.defs.check_states import keep_check_states, state_of
from i2v_assets.defs.dagster_internals import check_state_types

NAMES = [f"clip-{number}" for number in range(6)]
PARTITIONS = dg.StaticPartitionsDefinition(NAMES[:5])
"""One of the names no longer exists."""
CHECK = dg.AssetCheckKey(dg.AssetKey("clip_video"), "answered")
RUNS = ["first", "second"]
ENDS = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

TYPES = check_state_types()
assert TYPES is not None

records = st.builds(
    AssetCheckPartitionInfo,
    check_key=st.just(CHECK),
    partition_key=st.sampled_from([*NAMES, None]),
    latest_execution_status=st.sampled_from(AssetCheckExecutionRecordStatus),
    latest_planned_run_id=st.sampled_from(RUNS),
    latest_check_event_storage_id=st.integers(1, 9),
    latest_materialization_storage_id=st.none() | st.integers(1, 3),
    latest_target_materialization_storage_id=st.none() | st.integers(1, 3),
)


def in_lists(state: AssetCheckState) -> tuple[int, dict[Any, list[str]], dict[str, list[str]]]:
    def keys(subsets: Mapping[Any, Any]) -> dict[Any, list[str]]:
        found = {name: sorted(subset.subset_value.get_partition_keys()) for name, subset in subsets.items()}
        return {name: some for name, some in found.items() if some}

    return state.latest_storage_id, keys(state.subsets), keys(state.in_progress_runs)


@given(
    some=st.lists(records, max_size=7, unique_by=lambda record: record.partition_key),
    ends=st.dictionaries(st.sampled_from(RUNS), st.sampled_from(ENDS)),
)
def test_a_state_is_the_one_that_dagster_works_out(
    some: list[AssetCheckPartitionInfo], ends: dict[str, dg.DagsterRunStatus]
) -> None:
    assert TYPES is not None
    own = AssetCheckState.empty().with_updates(CHECK, PARTITIONS, some, ends)
    at_once = state_of(TYPES, CHECK, PARTITIONS, frozenset(PARTITIONS.get_partition_keys()), some)
    assert in_lists(at_once.with_updates(CHECK, PARTITIONS, [], ends)) == in_lists(own)


def evaluate(instance: dg.DagsterInstance, clip: str, *, passed: bool) -> None:
    evaluation = dg.AssetCheckEvaluation(
        asset_key=CHECK.asset_key, check_name=CHECK.name, passed=passed, partition=clip
    )
    instance.report_runless_asset_event(evaluation)


def test_what_is_kept_ends_with_the_next_event_and_the_next_partition() -> None:
    with dg.DagsterInstance.local_temp() as instance:
        keep_check_states(instance)
        asked = []
        ask = instance.event_log_storage.get_asset_check_partition_info

        def count(keys: list[dg.AssetCheckKey]) -> Any:
            asked.append(keys)
            return ask(keys)

        vars(instance.event_log_storage)["get_asset_check_partition_info"] = count

        def outcomes(*names: str) -> dict[str, list[str]]:
            partitions = dg.StaticPartitionsDefinition(list(names))
            state = instance.event_log_storage.get_asset_check_state([(CHECK, partitions)])[CHECK]
            return {status.value: found for status, found in in_lists(state)[1].items()}

        evaluate(instance, "cup", passed=True)
        assert outcomes("cup", "cat") == {"SUCCEEDED": ["cup"]}
        assert outcomes("cup", "cat") == {"SUCCEEDED": ["cup"]}
        assert len(asked) == 1, "nothing was written meanwhile"

        evaluate(instance, "cat", passed=False)
        assert outcomes("cup", "cat") == {"SUCCEEDED": ["cup"], "FAILED": ["cat"]}
        assert outcomes("cup") == {"SUCCEEDED": ["cup"]}, "a partition that was deleted is gone at once"


def test_a_run_that_ends_without_evaluating_is_not_kept_as_in_progress() -> None:
    @dg.asset_check(asset="pictured", name="seen", partitions_def=PARTITIONS)
    def seen() -> dg.AssetCheckResult:
        raise RuntimeError("the check itself fails")

    @dg.asset(partitions_def=PARTITIONS)
    def pictured() -> None: ...

    key = dg.AssetCheckKey(dg.AssetKey("pictured"), "seen")
    job = dg.Definitions([pictured], asset_checks=[seen]).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.local_temp() as instance:
        own = instance.event_log_storage.get_asset_check_state
        keep_check_states(instance)
        assert not job.execute_in_process(instance=instance, partition_key="clip-1", raise_on_error=False).success
        asked = [(key, PARTITIONS)]
        kept = instance.event_log_storage.get_asset_check_state(asked)
        assert in_lists(kept[key]) == in_lists(own(asked)[key])
        assert [name for names in in_lists(kept[key])[1].values() for name in names] == ["clip-1"]
