"""Connections that are kept write what Dagster's own would, and leave the storage as it was."""

from pathlib import Path

import dagster as dg

from i2v_assets.assets.kept_connections import REPLACED, kept_connections

PARTS = dg.DynamicPartitionsDefinition(name="parts")
CLIPS = ("one", "two", "three")


@dg.asset(partitions_def=PARTS)
def thing(context: dg.AssetExecutionContext) -> None:
    with kept_connections(context.instance):
        assert vars(context.instance.event_log_storage).keys() >= set(REPLACED)
        for clip in CLIPS:
            context.log_event(dg.AssetMaterialization("other", partition=clip, tags={"dagster/data_version": clip}))
    assert not vars(context.instance.event_log_storage).keys() & set(REPLACED)


def test_events_are_there_for_every_reader(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("parts", ["x"])
        assert dg.materialize([thing], instance=instance, partition_key="x").success
    with dg.DagsterInstance.from_config(str(tmp_path)) as another:
        records = another.fetch_materializations(dg.AssetKey("other"), limit=10).records
        assert {record.partition_key for record in records} == set(CLIPS)
        assert another.get_materialized_partitions(dg.AssetKey("other")) == set(CLIPS)


def test_another_storage_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = dict(vars(instance.event_log_storage))
        with kept_connections(instance):
            assert vars(instance.event_log_storage).keys() == before.keys()
