"""deploy/dagster.yaml's storage over a real Postgres: connections stay, are shared, survive a restart, cross no fork."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from i2v_assets.defs.dagster_internals import partition_loading_context
from i2v_assets.pooled_storage import POOL_SIZE, engine_of

DEPLOY = Path(__file__).parents[2] / "deploy"
US = "the test"
PIDS = f"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name <> '{US}'"


class Home:
    """A deployment's instance file over a database of the test's own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def open(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.folder))

    def pids(self) -> set[int]:
        """The server's processes for this database's connections."""
        with psycopg.connect(self.url, autocommit=True, application_name=US) as connection:
            return {pid for (pid,) in connection.execute(PIDS)}

    def cut_off(self) -> None:
        """What a restart of the server does to connections that are kept."""
        with psycopg.connect(self.url, autocommit=True, application_name=US) as connection:
            for pid in self.pids():
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.fixture
def home(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    shutil.copyfile(DEPLOY / "dagster.yaml", tmp_path / "dagster.yaml")
    address = sa.make_url(postgres_url)
    variables = {
        "PGHOST": address.host,
        "PGPORT": str(address.port),
        "PGUSER": address.username,
        "PGPASSWORD": "any",
        "PGDATABASE": address.database,
        "I2V_BUCKET": "clips",
        "AWS_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    yield Home(tmp_path, postgres_url)
    engine_of(_address(postgres_url)).dispose()  # the database is dropped next


def _address(url: str) -> str:
    address = sa.make_url(url).set(drivername="postgresql+psycopg2", password="any")
    return address.render_as_string(hide_password=False)


def tell(instance: dg.DagsterInstance, *names: str) -> None:
    for name in names:
        instance.report_runless_asset_event(dg.AssetMaterialization("thing", partition=name))


def told(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey("thing")))


def backend(storage: Any) -> int:
    with storage.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())


def test_the_three_storages_and_every_instance_share_connections_that_stay(home: Home) -> None:
    with home.open() as instance:
        tell(instance, "one")
        kept = home.pids()
        assert 1 <= len(kept) <= POOL_SIZE
        tell(instance, "two", "three")
        instance.add_dynamic_partitions("clips", ["x"])
        instance.get_runs(limit=1)
        instance.all_instigator_state()
    with home.open() as another:  # the code server opens one for each tick
        assert told(another) == {"one", "two", "three"}
        assert another.get_dynamic_partitions("clips") == ["x"]
        assert home.pids() == kept


def test_events_are_written_though_the_server_was_restarted(home: Home) -> None:
    with home.open() as instance:
        tell(instance, "before")
        home.cut_off()
        tell(instance, "after")
        assert told(instance) == {"before", "after"}


def test_more_threads_than_connections_do_not_wait_for_each_other(home: Home) -> None:
    """Each holds one while it asks for a second, as Dagster's transactions do."""
    threads = POOL_SIZE + 4
    with home.open() as instance:
        storage: Any = instance.run_storage
        all_hold_one = Barrier(threads)

        def two(_: int) -> int:
            with storage.connect():
                all_hold_one.wait(60)
                return backend(storage)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(two, range(threads)))
        assert storage._engine.pool.checkedin() <= POOL_SIZE


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_connects_for_itself(home: Home) -> None:
    with home.open() as instance:
        storage: Any = instance.run_storage
        own = backend(storage)
        before = home.pids()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            try:
                os.write(writer, str(backend(storage)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        assert os.waitpid(child, 0)[1] == 0
        with os.fdopen(reader) as said:
            theirs = int(said.read())
        assert theirs not in (own, *before)  # the server may list it still: it ends a moment after its client
        assert own in home.pids(), "the child has closed its parent's connection"


def test_the_webserver_keeps_its_time_limit(home: Home) -> None:
    with home.open() as instance:
        instance.optimize_for_webserver(statement_timeout=4321, pool_recycle=3600, max_overflow=5)
        storage: Any = instance.run_storage
        with storage.connect() as connection:
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "4321ms"
        storage._engine.dispose()


def test_the_planned_events_of_a_range_are_one_statement_and_all_are_there(home: Home) -> None:
    keys = dg.DynamicPartitionsDefinition(name="some")

    @dg.multi_asset(specs=[dg.AssetSpec(name, partitions_def=keys) for name in ("first", "second")], can_subset=True)
    def both():  # type: ignore[no-untyped-def]
        """Never run."""

    job = dg.Definitions(assets=[both], jobs=[dg.define_asset_job("both_job")]).resolve_job_def("both_job")
    names = [f"key-{number}" for number in range(5)]
    inserts: list[str] = []
    with home.open() as instance:
        instance.add_dynamic_partitions("some", names)
        sa.event.listen(
            engine_of(_address(home.url)),
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: (
                inserts.append(statement) if "INTO event_logs" in statement else None
            ),
        )
        tags = {"dagster/asset_partition_range_start": names[1], "dagster/asset_partition_range_end": names[3]}
        with partition_loading_context(dynamic_partitions_store=instance):
            run = instance.create_run_for_job(
                job, tags=tags, asset_selection=frozenset(job.asset_layer.executable_asset_keys)
            )
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        events = [
            record.event_log_entry for record in instance.get_records_for_run(run.run_id, of_type=planned).records
        ]
        found = sorted(
            (str(event.dagster_event.asset_key.to_user_string()), event.dagster_event.partition) for event in events
        )
        latest = {
            record.asset_entry.asset_key.to_user_string(): record.asset_entry.last_run_id
            for record in instance.get_asset_records()
        }
    assert found == [(asset, name) for asset in ("first", "second") for name in names[1:4]]
    assert latest == {"first": run.run_id, "second": run.run_id}
    assert len(inserts) == 1, inserts
