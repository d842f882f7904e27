"""What every part of the registry works with: the database, the clock, reading clips, and what a write expects to find.

Also whether a clip is still wanted when it is about to be paid for.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import Database, chunks, rows_in
from resources.ledger.records import State, Unwanted, WantedCheck, utc_now
from resources.ledger.tables import requests
from resources.registry.rows import ClipRow, ClipState
from resources.registry.tables import clips
from resources.wait_reason import WaitReason


class RegistryBase:
    """The clips of one bucket, in the ledger's database. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def _update(self, statement: sa.Update) -> int:
        with self._database.write() as connection:
            return connection.execute(statement).rowcount

    def _rows(self, query: sa.Select[Any]) -> tuple[ClipRow, ...]:
        with self._database.read() as connection:
            return tuple(clip_row(found) for found in connection.execute(query).mappings())


AT_THE_SERVICE = (State.SUBMITTING, State.SUBMITTED, State.UNKNOWN)

_MADE = sa.and_(
    requests.c.state == State.SUCCEEDED.value,
    requests.c.lost.is_(False),
    requests.c.fingerprint != sa.func.coalesce(clips.c.fingerprint, ""),
    sa.or_(
        clips.c.delivered_at.is_(None),
        requests.c.delivered_at.is_(None),
        requests.c.delivered_at > clips.c.delivered_at,
    ),
)
"""A request of a clip that brought a video, which is not the clip's yet."""

_OPEN = sa.or_(requests.c.state.in_([state.value for state in AT_THE_SERVICE]), _MADE)
"""A request of a clip that was sent and whose video is not the clip's yet."""


def as_read(row: ClipRow) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that hold while the clip is as it was read."""
    return (
        clips.c.clip == row.clip,
        clips.c.state == row.state.value,
        clips.c.version == row.version,
        clips.c.updated_at == row.updated_at,
    )


_WANTED = (
    sa.select(clips.c.state, clips.c.version, clips.c.content, clips.c.run_id, clips.c.stopped_by)
    .where(clips.c.clip == sa.bindparam("the_clip"))
    .with_for_update(read=True)
)


def still_wanted(row: ClipRow, run_id: str) -> WantedCheck:
    """Return the question that a claim asks: is what this run planned still what is wanted?

    It is asked in the claim's own transaction and locks the row, so a stop is either seen, or sees the claim.
    """

    def ask(connection: sa.Connection) -> Unwanted | None:
        now = connection.execute(_WANTED, {"the_clip": row.clip}).one_or_none()
        if now is None or now.state == ClipState.WITHDRAWN:
            return Unwanted(WaitReason.REPLACED, "Its upload was deleted before it was sent.")
        if now.version != row.version or now.content != row.content:
            return Unwanted(
                WaitReason.REPLACED,
                "Its upload or brief was changed before it was sent.",
                "The new one is planned next.",
            )
        if now.stopped_by is not None:
            return Unwanted(WaitReason.PERSON, cancelled_words(now.stopped_by), retry_remedy(row.clip))
        if now.state != ClipState.WORKING or now.run_id != run_id:
            return Unwanted(WaitReason.STOPPED, "Another run has taken it over.", "Nothing has to be done.")
        return None

    return ask


def cancelled_words(by: str) -> str:
    """Return why a stopped clip is not made."""
    return f"It was cancelled by {by}."


def retry_remedy(clip: str) -> str:
    """Return what makes a stopped clip after all."""
    return f"To make it after all, run: i2v retry {clip}"


def with_open_requests(connection: sa.Connection, names: Sequence[str], *, made: bool = False) -> set[str]:
    """Return those of the clips that have a request that was sent and whose video is not the clip's yet.

    With ``made`` only those whose video is made.
    """
    query = sa.select(clips.c.clip).distinct().join(requests, requests.c.clip == clips.c.clip)
    return {row.clip for row in rows_in(connection, query.where(_MADE if made else _OPEN), clips.c.clip, names)}


def lock_rows(connection: sa.Connection, names: Collection[str]) -> Iterable[sa.RowMapping]:
    """Yield the clips' rows, locked until the transaction ends, so that no claim of theirs can cross it."""
    for part in chunks(sorted(names)):  # in one order, so that two of them cannot wait for each other
        query = sa.select(clips).where(clips.c.clip.in_(part)).order_by(clips.c.clip).with_for_update()
        yield from connection.execute(query).mappings().all()


def clip_row(found: sa.RowMapping) -> ClipRow:
    """Return the `ClipRow` of a database row."""
    values = {name: found[name] for name in ClipRow.__dataclass_fields__}
    values["state"] = ClipState(values["state"])
    return ClipRow(**values)
