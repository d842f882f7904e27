"""Folders and disks that cannot be used, reported in one sentence: before work is begun, or as its error."""

import errno
import os
import shutil
from pathlib import Path

from i2v_assets.cli.exit_codes import TryLater, UsageProblem
from resources.errors import I2VError

ROOM_BYTES = 500 * 1000**2
"""Free space to begin with. The demo takes 200 MB; beside the largest usual video (100 MB) the ledger and logs still fit."""


def require_room(folder: Path, remedy: str = "Free some space, or set I2V_DATA_DIR to another folder.") -> None:
    """Make the folder, and refuse it if it cannot be written or its disk is nearly full.

    Raises:
        UsageProblem: it cannot be made or written.
        TryLater: its disk has less than `ROOM_BYTES` free.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise as_problem(error, folder) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageProblem(f"{folder} cannot be written.", remedy="Make it writable, or name another folder.")
    if free < ROOM_BYTES:
        raise TryLater(
            f"The disk of {folder} has {free / 1e6:.0f} MB free; {ROOM_BYTES / 1e6:.0f} MB are needed.", remedy=remedy
        )


def as_problem(error: OSError, path: Path | None = None) -> I2VError:
    """Return an error of the operating system as one sentence with what to do."""
    what = str(path or error.filename or "A file or address")
    words = (error.strerror or type(error).__name__).rstrip(".")
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return TryLater(f"{what}: the disk is full.", remedy="Free some space, and run it again.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return UsageProblem(
                f"{what} cannot be used: {words}.",
                remedy="Make it readable and writable, or name another folder (I2V_DATA_DIR for the ledger and services).",
            )
        case errno.ENOTDIR | errno.EEXIST | errno.ENAMETOOLONG | errno.EISDIR | errno.ELOOP:
            return UsageProblem(f"{what} cannot be used: {words}.", remedy="Name another file or folder.")
        case errno.EADDRINUSE:
            return UsageProblem("The port is taken.", remedy="Name another one with --port.")
    return I2VError(f"{what}: {words}.", remedy="Run it again. If it happens again, report it with this message.")
