"""Choose the environment of a command: the process' own, filled up from a `.env` file or a running `make dev`."""

import fcntl
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dotenv import load_dotenv

from i2v_assets.cli.exit_codes import TryLater

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


def load_environment(*, dev: bool) -> None:
    """Add variables of `.env` that the process does not have; with ``dev`` use the environment of the running `make dev`.

    Raises:
        SettingsError: ``dev`` was asked for, but no `make dev` runs, or several do.
    """
    load_dotenv(Path(".env"), override=False)  # for --dev too: it may set the data folder
    if dev:
        from i2v_assets.cli.running_dev import enter_running_dev

        enter_running_dev()


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


def is_held(folder: Path) -> bool:
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
