import os
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from resources.devservers import postgres as module
from resources.devservers.start import ServerNotStarted, start_postgres


@pytest.fixture
def folder():
    """Outside pytest's folders, which root keeps closed to the user that runs the server."""
    with tempfile.TemporaryDirectory(prefix="i2v-postgres-") as place:
        Path(place).chmod(0o755)
        yield Path(place) / "data"


def test_fresh_database(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE only_here (number int)")
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_each_test_has_its_own(postgres_server):
    url = postgres_server.create_database("one")
    with closing(psycopg.connect(url)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'").fetchone() == (0,)
        connection.rollback()
        postgres_server.drop_database("one")  # although somebody is connected
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_the_wheels_programs_work_too(folder, monkeypatch):
    """On a machine without a system-wide PostgreSQL; data stay over a restart; programs in a closed folder are copied."""
    monkeypatch.setattr(module, "_system_programs", list)
    closed = module.postgres_programs() / "postgres"
    monkeypatch.setattr(module, "_open_to_all", lambda path: path != closed)
    for start in ("first", "second"):
        with start_postgres(folder, durable=False) as server:
            if start == "first":
                server.create_database("kept")
            with psycopg.connect(server.url_of("kept")) as connection:
                connection.execute("SELECT 1")
            if os.geteuid() == 0:
                assert psutil.Process(server.pid).exe().startswith(str(folder))
        assert not server.process.running


def test_never_outlives_a_killed_parent(folder):
    code = f"""
        from pathlib import Path
        from resources.devservers.start import start_postgres
        server = start_postgres(Path({str(folder)!r}), durable=False)
        print(server.pid, flush=True)
        server.process.wait(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.Process(pid).name() == "postgres"
        parent.kill()
    deadline = time.monotonic() + 120
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_port_is_used_if_the_first_is_taken_meanwhile(folder, postgres_server, monkeypatch):
    ports = iter([postgres_server.port, module.free_port()])
    monkeypatch.setattr(module, "free_port", lambda: next(ports))
    with start_postgres(folder, durable=False) as server:
        assert server.port != postgres_server.port


def test_stops_with_a_client_connected(folder):
    with start_postgres(folder, durable=False) as server, closing(psycopg.connect(server.url)):
        server.stop()
        assert server.process.process.returncode == 0


def test_missing_programs(monkeypatch):
    monkeypatch.setattr(module, "_system_programs", list)
    monkeypatch.setattr(module, "_wheel_programs", list)
    with pytest.raises(ServerNotStarted, match="not installed"):
        module.postgres_programs()


def test_a_damaged_folder_is_reported(folder):
    (folder / "cluster").mkdir(parents=True)
    (folder / "cluster" / "stranger").write_text("x")
    with pytest.raises(ServerNotStarted, match=r"not created.*(not empty|Permission denied)"):
        start_postgres(folder)


def test_an_inaccessible_folder_is_reported(tmp_path, monkeypatch):
    """Root's own folders are closed to the user as whom the server runs."""
    monkeypatch.setattr(module, "_other_user", lambda: "nobody")
    monkeypatch.setattr(module.os, "chown", lambda *_: None)
    tmp_path.chmod(0o700)
    with pytest.raises(ServerNotStarted, match="user nobody, who cannot enter"):
        start_postgres(tmp_path / "data")
