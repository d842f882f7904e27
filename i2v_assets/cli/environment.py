"""Choose the environment of a command: the process' own, filled up from a `.env` file or a running `make dev`."""

import fcntl
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dotenv import dotenv_values, load_dotenv

from i2v_assets.cli.exit_codes import TryLater
from resources.errors import SettingsError

DEV_FOLDER = "dev"

_DECIDES = ("AWS_", "RUNCOMFY_", "I2V_")
"""Prefixes of variables that decide which bucket, account and ledger are used. The local services set their own."""

KEPT_IN_DEV = frozenset(
    f"I2V_{name}"
    for name in (
        # how clips are made
        *("WATERMARK", "KEEP_FACE", "PRESETS_FILE", "MEASURE", "QUALITY", "PREVIEWS"),
        # how fast
        *("SETTLE_SECONDS", "SENSOR_SECONDS", "CLIPS_PER_RUN", "MAX_IN_FLIGHT", "DEADLINE_SECONDS", "LEASE_SECONDS"),
        # what may be sent and spent there
        *("MAX_UPLOAD_BYTES", "INLINE_INPUT_BYTES", "SANDBOX_BUDGET_USD_PER_DAY", "SANDBOX_BUDGET_REQUESTS_PER_DAY"),
        # how it is shown
        *("TIMEZONE", "LOG_JSON"),
    )
)
"""All that `make dev` takes from the shell and from `.env`: variables that cannot lead it outside this machine and cannot
hold its clips back. Everything else is meant for production (ledger, bucket, queue, window, approval, webhook), or is set
by the services."""


def data_root() -> Path:
    """Return the data folder of this project (I2V_DATA_DIR, or `.i2v` here)."""
    return Path(os.environ.get("I2V_DATA_DIR") or ".i2v")


def dev_file() -> Path:
    """Return the file in which `make dev` keeps the environment of its services while it runs."""
    return data_root() / DEV_FOLDER / "environment"


def load_environment(*, dev: bool) -> None:
    """Add variables of `.env` that the process does not have; with ``dev`` use the environment of the running `make dev`.

    Raises:
        SettingsError: ``dev`` was asked for, but `make dev` does not run here.
    """
    load_dotenv(Path(".env"), override=False)  # for --dev too: it may set the data folder
    if dev:
        if not (dev_file().exists() and _is_held(dev_file().parent)):
            raise SettingsError("`make dev` is not running in this folder.", remedy="Start it, or leave out --dev.")
        enter({name: value for name, value in dotenv_values(dev_file()).items() if value is not None})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the lock goes with the process, however it ends.

    It lies beside the folder, since the demo empties its folder. It stays there: removing it could remove the next owner's.

    Raises:
        TryLater: another process holds the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock_file(folder).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise TryLater(
                f"{file.read().strip() or 'Another process'} works in {folder}.",
                remedy="Wait for it or end it, or set I2V_DATA_DIR to another folder.",
            ) from None
        file.truncate(0)
        file.write(f"Process {os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])})")
        file.flush()
        yield


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _is_held(folder: Path) -> bool:
    """Return whether a process works in the folder; one that was killed leaves its files, but not its lock."""
    try:
        with _lock_file(folder).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def without_production(variables: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """Return the variables that decide nothing about services, and those of ``keep``.

    A single one left over breaks the rest: with AWS_SESSION_TOKEN beside its keys the local server refuses every call.
    """
    return {name: value for name, value in variables.items() if name in keep or not name.startswith(_DECIDES)}


def enter(variables: Mapping[str, str]) -> None:
    """Make this process use the services of these variables alone."""
    for name in os.environ.keys() - without_production(os.environ).keys():
        del os.environ[name]
    os.environ.update(variables)


def write_dev_file(variables: dict[str, str]) -> Path:
    """Write the services' environment for other shells, and return the file; only its owner may read it, for its S3 keys."""
    path = dev_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in sorted(variables.items()))
    return path
