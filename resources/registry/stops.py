"""Stop clips, and let them go on: a stop is either seen by every later claim, or sees the claim."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resources.ledger.database import Database
from resources.ledger.records import utc_now
from resources.registry.base import as_read, clip_row, lock_rows, retry_remedy, with_open_requests
from resources.registry.rows import ClipRow, ClipState
from resources.registry.tables import clips
from resources.wait_reason import WaitReason

STOPPABLE = (ClipState.DUE, ClipState.DISPATCHED, ClipState.WAITING)
"""States in which a stopped clip goes no further; a run that works on it meets the mark at its next claim."""


@dataclass(frozen=True)
class Stopped:
    """A clip as a stop found it.

    Attributes:
        before: the clip before the stop.
        marked: nothing is claimed for it any more, because of this stop.
        held: no run or sensor goes on with it.
    """

    before: ClipRow
    marked: bool
    held: bool


class ClipStops:
    """What people stop, and what goes on after all. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def stop(self, names: Collection[str], *, by: str, reason: str, failed: bool = False) -> dict[str, Stopped]:
        """Stop clips in whatever state they are: nothing is claimed for them after this returns.

        A clip that waits, or that no run has begun, waits for a person then. One that a run works on, or of which a request
        was sent, keeps its state, since what was sent is still fetched; only its mark is set.

        Args:
            names: the clips.
            by: who stops them.
            reason: why, as `i2v status` shows it.
            failed: also stop failed clips, which a retry may be making due at this moment.
        """
        now = self._clock()
        stopped: dict[str, Stopped] = {}
        with self._database.write() as connection:
            rows = [clip_row(found) for found in lock_rows(connection, names)]
            sent = with_open_requests(connection, [row.clip for row in rows])
            for row in rows:
                again = row.state is ClipState.FAILED and (failed or row.wait is WaitReason.RETRY)
                ends = (row.state in STOPPABLE or again) and row.clip not in sent
                done = row.state is ClipState.WAITING and row.wait is WaitReason.PERSON
                marks = (row.state in (*STOPPABLE, ClipState.WORKING) or again) and not done
                stopped[row.clip] = Stopped(row, marked=marks, held=ends and not done)
                if not marks:
                    continue
                values: dict[str, Any] = {"stopped_by": by, "updated_at": now}
                if ends:
                    values |= {"state": ClipState.WAITING, "waiting_for": WaitReason.PERSON, "batch": None}
                    values |= {"reason": reason, "remedy": retry_remedy(row.clip), "answered_version": row.version}
                connection.execute(clips.update().where(clips.c.clip == row.clip).values(**values))
        return stopped

    def unstop(self, row: ClipRow) -> bool:
        """Take back the stop of a clip that a run has or is due for; return False if it has changed since it was read."""
        values = {"stopped_by": None, "updated_at": self._clock()}
        with self._database.write() as connection:
            return connection.execute(clips.update().where(*as_read(row)).values(**values)).rowcount == 1

    def go_on(self, row: ClipRow, run_id: str) -> ClipRow | None:
        """Let a run go on with a clip that it left waiting; return it, or None if somebody else has it by now."""
        expected = (
            clips.c.clip == row.clip,
            clips.c.version == row.version,
            clips.c.state == ClipState.WAITING,
            clips.c.waiting_for == WaitReason.PAUSED,
            clips.c.run_id == run_id,
            clips.c.stopped_by.is_(None),
        )
        values = {"state": ClipState.WORKING, "updated_at": self._clock()}
        with self._database.write() as connection:
            found = connection.execute(clips.update().where(*expected).values(**values).returning(clips))
            taken = found.mappings().one_or_none()
        return clip_row(taken) if taken is not None else None

    def with_open_requests(self, names: Sequence[str], *, made: bool = False) -> set[str]:
        """Return those of the clips that have a request that was sent and whose video is not the clip's yet.

        With ``made`` only those whose video is made.
        """
        with self._database.read() as connection:
            return with_open_requests(connection, names, made=made)
