"""One owner for a folder of local services: whoever comes second is told who has it, and touches nothing."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from i2v_assets.cli.exits import TryLater


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the lock goes with the process, however it ends.

    It lies beside the folder, since the demo empties its folder. It stays there: removing it could remove the next owner's.

    Raises:
        TryLater: another process holds the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a+", encoding="utf-8") as file:
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
