"""Kept connections write the same as Dagster's own, and leave the storage unchanged."""

from contextlib import suppress
from pathlib import Path
from threading import Thread

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
    """Cut a kept connection like a restart of the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        kept = [pid for (pid,) in connection.execute(PIDS)]
        assert kept
        for pid in kept:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def all_is_there(home: Path, url: str = "") -> None:
    """Run the step, and read its events through a separate instance."""
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


def test_events_in_sqlite_are_visible_to_every_reader(tmp_path: Path) -> None:
    all_is_there(tmp_path)


def test_events_in_postgres_survive_cut_connections(tmp_path: Path, postgres_url: str) -> None:
    address = postgres_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": address}}}))
    all_is_there(tmp_path, postgres_url)


def test_another_storage_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = dict(vars(instance.event_log_storage))
        with kept_connections(instance):
            assert vars(instance.event_log_storage).keys() == before.keys()


@dg.asset
def together(context: dg.AssetExecutionContext) -> None:
    """Write a clip's events at once, and those of another one that ends with an error."""
    ours = context.instance

    def seen_by_another(clip: str) -> int:
        with dg.DagsterInstance.from_config(ours.root_directory) as another:
            of_clip = dg.AssetRecordsFilter(dg.AssetKey("other"), asset_partitions=[clip])
            return len(another.fetch_materializations(of_clip, limit=5).records)

    with kept_connections(ours) as kept:
        with kept.at_once(), kept.at_once():
            for _ in range(2):
                context.log_event(dg.AssetMaterialization("other", partition="whole"))
            assert seen_by_another("whole") == 0, "one transaction"
        assert seen_by_another("whole") == 2
        with suppress(ZeroDivisionError), kept.at_once():
            context.log_event(dg.AssetMaterialization("other", partition="half"))
            raise ZeroDivisionError
        assert seen_by_another("half") == 0, "all or none"
        context.log_event(dg.AssetMaterialization("other", partition="after"))
        assert seen_by_another("after") == 1


def test_events_in_sqlite_are_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert dg.materialize([together], instance=instance).success


@dg.asset
def beside(context: dg.AssetExecutionContext) -> None:
    """Log from another thread while events are written at once."""
    with kept_connections(context.instance) as kept, kept.at_once():
        context.log_event(dg.AssetMaterialization("other", partition="first"))
        thread = Thread(target=dg.get_dagster_logger().info, args=("from another thread",), daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive(), "it holds the lock of Dagster's log handler, which the next event takes"
        context.log_event(dg.AssetMaterialization("other", partition="second"))


def test_a_thread_that_logs_meanwhile_holds_up_no_event(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        ran = dg.materialize([beside], instance=instance)
        assert ran.success
        messages = [record.event_log_entry.user_message for record in instance.get_records_for_run(ran.run_id).records]
        assert "from another thread" in messages
        assert len(instance.fetch_materializations(dg.AssetKey("other"), limit=5).records) == 2
