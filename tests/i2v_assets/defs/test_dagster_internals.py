"""What the project uses beyond Dagster's public interface is there; a failure names what an upgrade breaks."""

import ast
import importlib
import inspect
from pathlib import Path

import dagster as dg
import pytest
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage

from i2v_assets.defs import dagster_internals
from i2v_assets.defs.dagster_internals import LOST
from i2v_assets.partition_page import dagster_scripts, page_scripts

ROOT = Path(__file__).parents[3]
HOME = "i2v_assets/defs/dagster_internals.py"

SQLITE = LOST["dagster._core.storage.event_log.sqlite.sqlite_event_log", "SqliteEventLogStorage"]

TAGS = {
    "GRPC_INFO_TAG": ".dagster/grpc_info",
    "RETRY_NUMBER_TAG": "dagster/retry_number",
    "WILL_RETRY_TAG": "dagster/will_retry",
}
"""Runs of earlier releases carry them: another text means that those are not understood any more."""

POOLED = "deploy: every access to Postgres connects anew (i2v_assets/pooled_storage.py)"


def private_imports(path: Path) -> set[tuple[str, str]]:
    """Every import of a module of Dagster's own, anywhere in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return {each for each in found if is_private(each[0])}


def is_private(module: str) -> bool:
    package, *inner = module.split(".")
    return package == "dagster_shared" or (
        package.startswith("dagster") and any(part.startswith("_") for part in inner)
    )


@pytest.mark.parametrize(("module", "name"), LOST)
def test_every_private_name_is_there(module: str, name: str) -> None:
    try:
        getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{error}. Lost: {LOST[module, name]}")


def test_one_module_imports_them_and_the_table_has_them_all() -> None:
    files = {path.relative_to(ROOT).as_posix(): path for room in ("i2v_assets", "resources", "benchmarks")
             for path in (ROOT / room).rglob("*.py")}  # fmt: skip
    users = {name: found for name, path in files.items() if (found := private_imports(path))}
    assert users == {HOME: set(LOST)}


def test_the_search_sees_every_kind_of_import(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import dagster\nimport dagster._core.x\ndef f():\n from dagster_k8s._y import z\n import dagster_shared.a\n"
    )
    assert private_imports(file) == {("dagster._core.x", ""), ("dagster_k8s._y", "z"), ("dagster_shared.a", "")}


@pytest.mark.parametrize(("name", "text"), TAGS.items())
def test_tags_are_called_as_in_earlier_releases(name: str, text: str) -> None:
    assert getattr(dagster_internals, name) == text


def test_the_members_of_the_sqlite_event_log_are_there(tmp_path: Path) -> None:
    from i2v_assets.defs.dagster_internals import SQLITE_MEMBERS, sqlite_members

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        storage = instance.event_log_storage
        assert sqlite_members(storage) is not None, f"{type(storage).__name__}. Without it: {SQLITE}"
        assert [name for name in SQLITE_MEMBERS if not callable(getattr(storage, name, None))] == [], SQLITE


def test_the_members_of_the_postgres_storages_are_there() -> None:
    for made in (PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage):
        source = inspect.getsource(made)
        for member in ("self._engine", "self.postgres_url", "self._token_provider"):
            assert member in source, f"{made.__name__}.{member}: {POOLED}"
        assert {"should_autocreate_tables", "token_provider"} <= set(inspect.signature(made).parameters), POOLED
    assert callable(PostgresEventLogStorage.has_table), POOLED
    source = inspect.getsource(DagsterPostgresStorage)
    for member in ("_run_storage", "_event_log_storage", "_schedule_storage"):
        assert f"self.{member}" in source, f"DagsterPostgresStorage.{member}: {POOLED}"


@pytest.mark.parametrize(("module", "name"), LOST)
def test_without_a_name_the_code_location_loads_and_the_log_says_what_is_lost(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(importlib.import_module(module), name)
    try:
        importlib.reload(dagster_internals)
        assert dagster_internals.private(module, name, "instead") == "instead"
    finally:
        monkeypatch.undo()
        importlib.reload(dagster_internals)
    assert LOST[module, name] in caplog.text


def test_the_page_of_a_partition_is_the_one_that_is_changed() -> None:
    found = page_scripts(dagster_scripts())
    assert len(found) == 1, "Lost: a clip without a video says why behind a click (i2v_assets/partition_page.py)"
