"""Files on their way lie in the data folder, in one folder for each use, and what dead processes left is removed.

A folder's name tells the process that owns it, and a lock on a file in it tells whether that process lives: it ends with
the process, however that ends.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from resources.settings import load_settings

FOLDER = "scratch"
_LOCK = ".in-use"
_YOUNG_SECONDS = 60.0
"""A folder that was touched so recently is left alone: between making and locking one lie milliseconds."""


def scratch_root(data_dir: Path | None = None) -> Path:
    """Return the folder below which all scratch lies; it may not exist yet."""
    return (data_dir if data_dir is not None else load_settings().data_dir).absolute() / FOLDER


@contextmanager
def scratch_folder(data_dir: Path | None = None) -> Iterator[Path]:
    """Make a folder for the length of the block, after removing what dead processes left.

    Raises:
        OSError: the data folder cannot be written.
    """
    root = scratch_root(data_dir)
    root.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root)
    folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=root))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_leftovers(root: Path) -> int:
    """Remove the folders whose processes have ended, and return how many there were."""
    removed = 0
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue  # its owner may be about to lock it
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:
            continue  # it was made this moment, or is not one of ours
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # in use
        else:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
        finally:
            with contextlib.suppress(OSError):
                os.close(lock)
    return removed
