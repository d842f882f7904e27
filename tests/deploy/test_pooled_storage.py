"""deploy/dagster.yaml's storage over a real Postgres: connections stay, are shared, survive a restart, cross no fork."""

import json
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
import yaml
from dagster_postgres.event_log import PostgresEventLogStorage

from i2v_assets.defs import lean_events
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


KEYS = dg.DynamicPartitionsDefinition(name="some")
NAMES = [f"key-{number}" for number in range(5)]
RANGE = {"dagster/asset_partition_range_start": NAMES[1], "dagster/asset_partition_range_end": NAMES[3]}


@dg.multi_asset(specs=[dg.AssetSpec(name, partitions_def=KEYS) for name in ("first", "second")], can_subset=True)
def both():  # type: ignore[no-untyped-def]
    """Never run."""


def planned_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run of both assets over the keys 1 to 3."""
    job = dg.Definitions(assets=[both], jobs=[dg.define_asset_job("both_job")]).resolve_job_def("both_job")
    with partition_loading_context(dynamic_partitions_store=instance):
        selected = frozenset(job.asset_layer.executable_asset_keys)
        return instance.create_run_for_job(job, tags=RANGE, asset_selection=selected)


def planned_of(event: dg.EventLogEntry) -> list[tuple[str, str]]:
    assert event.dagster_event is not None
    assert event.dagster_event.asset_key is not None
    subset = event.dagster_event.partitions_subset
    keys = [event.dagster_event.partition] if subset is None else subset.get_partition_keys()
    return [(event.dagster_event.asset_key.to_user_string(), str(key)) for key in keys]


def test_the_planned_events_of_a_range_are_one_statement_and_all_are_there(home: Home) -> None:
    inserts: list[str] = []
    with home.open() as instance:
        instance.add_dynamic_partitions("some", NAMES)
        sa.event.listen(
            engine_of(_address(home.url)),
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: (
                inserts.append(statement) if "INTO event_logs" in statement else None
            ),
        )
        run = planned_run(instance)
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        events = [
            record.event_log_entry for record in instance.get_records_for_run(run.run_id, of_type=planned).records
        ]
        found = sorted(each for event in events for each in planned_of(event))
        latest = {
            record.asset_entry.asset_key.to_user_string(): record.asset_entry.last_run_id
            for record in instance.get_asset_records()
        }
    assert found == [(asset, name) for asset in ("first", "second") for name in NAMES[1:4]]
    assert latest == {"first": run.run_id, "second": run.run_id}
    assert len(inserts) == 1, inserts
    assert len(events) == 2, "one for each asset, not for each key"


def tried(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """The run of each partition that Dagster shows as in progress or, once the run has failed, as failed."""
    storage = instance.event_log_storage
    found = storage.get_latest_asset_partition_materialization_attempts_without_materializations(dg.AssetKey(asset))
    return {key: run for key, (run, _) in found.items()}


def last_run(instance: dg.DagsterInstance, asset: str, partition: str | None) -> str | None:
    found = instance.event_log_storage.get_latest_planned_materialization_info(dg.AssetKey(asset), partition)
    return found.run_id if found else None


def test_a_partition_of_a_planned_range_is_in_progress_until_it_is_made(home: Home) -> None:
    with home.open() as instance:
        instance.add_dynamic_partitions("some", NAMES)
        instance.report_runless_asset_event(dg.AssetMaterialization("first", partition=NAMES[1]))
        run = planned_run(instance).run_id
        assert tried(instance, "first") == dict.fromkeys(NAMES[1:4], run), "made before it was planned"
        instance.report_runless_asset_event(dg.AssetMaterialization("first", partition=NAMES[2]))
        assert tried(instance, "first") == {NAMES[1]: run, NAMES[3]: run}
        assert tried(instance, "second") == dict.fromkeys(NAMES[1:4], run)
        again = planned_run(instance).run_id
        assert tried(instance, "first") == dict.fromkeys(NAMES[1:4], again)
        asked = (NAMES[0], NAMES[1], "key", None)
        assert [last_run(instance, "first", each) for each in asked] == [None, again, None, again]


def test_what_was_planned_alone_by_an_earlier_release_counts_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with home.open() as instance:
        instance.add_dynamic_partitions("some", NAMES)
        with monkeypatch.context() as earlier:
            name = "supports_partition_subset_in_asset_materialization_planned_events"
            earlier.setattr(type(instance.event_log_storage), name, False)
            alone = planned_run(instance).run_id
        assert tried(instance, "first") == dict.fromkeys(NAMES[1:4], alone)
        assert last_run(instance, "first", NAMES[1]) == alone
        instance.report_runless_asset_event(dg.AssetMaterialization("first", partition=NAMES[2]))
        assert tried(instance, "first") == {NAMES[1]: alone, NAMES[3]: alone}
        ranged = planned_run(instance).run_id
        assert tried(instance, "first") == dict.fromkeys(NAMES[1:4], ranged)
        assert last_run(instance, "first", NAMES[1]) == ranged


def test_events_are_shorter_and_any_storage_of_dagster_reads_them(home: Home) -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("seen", asset="made")])
    def made(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]
        context.log.info("a line")
        metadata: Any = {
            "document": {"empty": None, "tags": {}},
            "words": "one",
            "nothing": 0,
            "what": dg.MetadataValue.md("*b*"),
        }
        yield dg.MaterializeResult(
            metadata=metadata,
            data_version=dg.DataVersion("7"),
            check_results=[
                dg.AssetCheckResult(passed=False, check_name="seen", metadata=metadata, description="words")
            ],
        )

    given = yaml.safe_load((home.folder / "dagster.yaml").read_text())
    (home.folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": given["storage"]}))  # the logs need no bucket
    with home.open() as instance:
        run = dg.materialize([made], instance=instance)
        shown = [record.event_log_entry for record in instance.get_records_for_run(run.run_id).records]
    plain = PostgresEventLogStorage(_address(home.url), should_autocreate_tables=False)
    read = [record.event_log_entry for record in plain.get_records_for_run(run.run_id).records]
    assert read == shown
    assert [entry.message for entry in read if entry.dagster_event is None] == ["a line"]
    by_event = {event.event_type_value: event for event in run.all_events}
    assert {"ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "STEP_SUCCESS", "PIPELINE_SUCCESS"} <= {*by_event}
    with psycopg.connect(home.url) as connection:
        lengths: dict[Any, Any] = dict(
            connection.execute(
                "SELECT dagster_event_type, max(pg_column_size(event)) FROM event_logs GROUP BY 1"
            ).fetchall()
        )
        copies = [
            json.loads(text) for (text,) in connection.execute("SELECT evaluation_event FROM asset_check_executions")
        ]
    stored = {entry.dagster_event.event_type_value: entry for entry in read if entry.dagster_event is not None}
    for kind in ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "STEP_SUCCESS"):
        assert stored[kind].dagster_event == by_event[kind]._replace(logging_tags={})
        assert stored[kind].message == by_event[kind].message
        full: Any = stored[kind]._replace(dagster_event=by_event[kind], user_message=str(by_event[kind].message))
        assert lengths[kind] < 0.6 * len(full.to_json()), kind
    assert [copy["dagster_event"].keys() & {"logging_tags", "step_handle", "solid_handle"} for copy in copies] == [
        set()
    ]


def test_a_field_that_dagster_misses_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = dg.EventLogEntry
    entry = made(None, 10, "words", "run", 1.0, "step", "job", None)
    monkeypatch.setattr(lean_events, "_safe", set())
    whole = entry.to_json()
    short = lean_events.shorten(whole)
    assert dg.deserialize_value(short, dg.EventLogEntry) == entry
    for required in ("error_info", "dagster_event"):
        assert (required in short) == (required == "error_info"), short
    monkeypatch.setattr(lean_events, "NEEDED", set())
    assert lean_events.shorten(whole) == whole, "read back without it, the event is another"
