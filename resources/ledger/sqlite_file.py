"""The ledger's SQLite file: begun whole or not at all, and never begun over something else."""

import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from resources.ledger.errors import LedgerUnavailable, NotALedger

_TABLES = {"ledger_version", "ledger_requests"}
"""Without these a file is not a ledger."""

_REMEDY = (
    "Put the ledger back from a backup. If it is lost, run `i2v ledger rebuild`, which moves this file aside and makes a"
    " ledger out of the bucket. If nothing was ever paid with it, delete the file."
)


def check_file(path: Path) -> None:
    """Make sure that an existing file is a ledger.

    Raises:
        NotALedger: it is empty, damaged or another program's: a ledger that was begun over it would pay again.
    """
    if not path.is_file():
        raise NotALedger(f"{path} is not a file.", remedy="Name a file in I2V_LEDGER_URL, or a folder in I2V_DATA_DIR.")
    if path.stat().st_size == 0:
        raise NotALedger(f"{path} is empty: it is not a ledger, or is one that was destroyed.", remedy=_REMEDY)
    try:
        tables = set(_rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'"))
    except sqlite3.OperationalError:
        return  # locked, or unreadable for now: opening it says so
    except sqlite3.DatabaseError:
        raise NotALedger(f"{path} is not a SQLite database, or is damaged.", remedy=_REMEDY) from None
    if not tables >= _TABLES:
        what = "holds another program's tables" if tables else "is an empty database"
        raise NotALedger(f"{path} {what}: it is not a ledger.", remedy=_REMEDY)


def is_whole(path: Path) -> bool:
    """Return whether SQLite finds every page of a ledger's file in order; also True if it cannot be asked now."""
    try:
        return _rows(path, "PRAGMA quick_check(1)") == ["ok"]
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False


def begin_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a ledger beside its place and move it there whole, so that no process ever sees half a file.

    Args:
        path: where it belongs; of several processes that begin at once, one wins and the others find its file.
        fill: makes the tables in the file that it is given, and closes it.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        fill(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not path.exists():
                draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise LedgerUnavailable(
            f"The ledger {path} cannot be made: {error.strerror}.",
            remedy="Check the disk and the rights of the folder.",
        ) from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def move_aside(path: Path) -> Path | None:
    """Move a file that is not a ledger out of the way, with its companions; where it is now, None if there was none."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.aside")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside


def holds_requests(path: Path, service: str) -> bool:
    """Return whether a file is, or may have been, a ledger with requests to a service."""
    if not path.is_file():
        return False
    try:
        if not _rows(path, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", "ledger_requests"):
            return path.stat().st_size == 0
        return bool(_rows(path, "SELECT 1 FROM ledger_requests WHERE service = ? LIMIT 1", service))
    except sqlite3.DatabaseError:
        return True


def _rows(path: Path, query: str, *values: str) -> list[object]:
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=5)
    try:
        return [row[0] for row in connection.execute(query, values)]
    finally:
        connection.close()


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
