"""What an overview of the clips shows: the newest, and of all others their number and their money."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.budget import OPEN
from resources.ledger.database import Database
from resources.ledger.records import Spend
from resources.ledger.tables import requests, submissions
from resources.registry.base import clip_row
from resources.registry.rows import ClipRow, ClipState
from resources.registry.tables import clips

_COUNTS = sa.select(clips.c.state, sa.func.count()).group_by(clips.c.state)


@dataclass(frozen=True)
class ClipOverview:
    """The newest of some clips.

    Attributes:
        rows: The newest, oldest first.
        counts: The number of all clips by state, whichever states were asked for.
        listed: How many were asked for, with those that are not among ``rows``.
        older: How many refused clips were left out because they were refused before the given time.
        spent: What all of these clips cost, also those that are not among ``rows``.
    """

    rows: tuple[ClipRow, ...]
    counts: Mapping[str, int]
    listed: int
    older: int
    spent: Spend


def read_overview_of_clips(
    database: Database, states: Collection[ClipState], limit: int, refused_since: datetime | None
) -> ClipOverview:
    """Return the newest clips in these states, or in all; the database counts and adds up the others.

    Args:
        database: The registry's, with the ledger in it.
        states: Only clips in these states; empty for all.
        limit: At most so many rows.
        refused_since: Leave out clips that were refused before; None keeps them.
    """
    wanted: list[sa.ColumnElement[bool]] = []
    old: sa.ColumnElement[bool] = sa.false()
    if states:
        wanted.append(clips.c.state.in_([state.value for state in states]))
    if refused_since is not None:
        old = sa.and_(clips.c.state == ClipState.REFUSED.value, clips.c.updated_at < refused_since)
        wanted.append(sa.not_(old))
    newest = sa.select(clips).where(*wanted).order_by(clips.c.admitted_at.desc(), clips.c.clip.desc()).limit(limit)
    with database.read() as connection:
        rows = [clip_row(found) for found in connection.execute(newest).mappings()]
        counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(_COUNTS)}
        older = connection.execute(sa.select(sa.func.count()).select_from(clips).where(old)).scalar_one()
        spent = _spent(connection, wanted)
    listed = sum(count for state, count in counts.items() if not states or state in states) - older
    return ClipOverview(tuple(reversed(rows)), counts, listed, older, spent)


def _spent(connection: sa.Connection, wanted: list[sa.ColumnElement[bool]]) -> Spend:
    query: sa.Select[Any] = (
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(submissions.c.cost_microdollars), 0),
            sa.func.coalesce(sa.func.sum(OPEN), 0),
        )
        .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
        .join(clips, clips.c.clip == requests.c.clip)
        .where(submissions.c.returned.is_(False), *wanted)
    )
    number, settled, still_open = connection.execute(query).one()
    return Spend(number, int(settled), int(still_open))  # Postgres sums come as Decimal and are whole
