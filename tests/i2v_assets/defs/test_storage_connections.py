"""Connections that are kept write what Dagster's own would, and leave the storage as it was."""

from pathlib import Path

import dagster as dg
import psycopg
import yaml

from i2v_assets.defs.dagster_internals import POSTGRES_MEMBERS, SQLITE_MEMBERS
from i2v_assets.defs.storage_connections import kept_connections

PARTS = dg.DynamicPartitionsDefinition(name="parts")
CLIPS = ("one", "two", "three")
PIDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class Ours(dg.Config):
    """What the step has to look at."""

    url: str = ""


@dg.asset(partitions_def=PARTS)
def thing(context: dg.AssetExecutionContext, config: Ours) -> None:
    storage = context.instance.event_log_storage
    before = dict(vars(storage))
    with kept_connections(context.instance):
        changed = {name for name, value in vars(storage).items() if before.get(name) is not value}
        assert changed >= set(POSTGRES_MEMBERS if config.url else SQLITE_MEMBERS)
        for clip in CLIPS:
            context.log_event(dg.AssetMaterialization("other", partition=clip, tags={"dagster/data_version": clip}))
            if config.url and clip != CLIPS[-1]:
                cut_off(config.url)
    assert {name for name, value in vars(storage).items() if before.get(name) is not value} == set()


def cut_off(url: str) -> None:
    """What a restart of the server does to a connection that is kept."""
    with psycopg.connect(url, autocommit=True) as connection:
        kept = [pid for (pid,) in connection.execute(PIDS)]
        assert kept
        for pid in kept:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def all_is_there(home: Path, url: str = "") -> None:
    """Run the step, and read what it wrote through an instance of its own."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("parts", ["x"])
        ran = dg.materialize(
            [thing], instance=instance, partition_key="x", run_config={"ops": {"thing": {"config": {"url": url}}}}
        )
        assert ran.success
    with dg.DagsterInstance.from_config(str(home)) as another:
        records = another.fetch_materializations(dg.AssetKey("other"), limit=10).records
        assert sorted(str(record.partition_key) for record in records) == sorted(CLIPS)
        assert another.get_materialized_partitions(dg.AssetKey("other")) == set(CLIPS)


def test_events_in_sqlite_are_there_for_every_reader(tmp_path: Path) -> None:
    all_is_there(tmp_path)


def test_events_in_postgres_are_there_though_its_connections_were_cut(tmp_path: Path, postgres_url: str) -> None:
    address = postgres_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": address}}}))
    all_is_there(tmp_path, postgres_url)


def test_another_storage_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = dict(vars(instance.event_log_storage))
        with kept_connections(instance):
            assert vars(instance.event_log_storage).keys() == before.keys()
