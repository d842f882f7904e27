"""Admission: which uploads become due clips, and which clips are withdrawn because their upload is gone."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import chunks
from resources.ledger.records import State
from resources.ledger.tables import requests, submissions
from resources.registry.base import RegistryBase, lock_rows, with_open_requests
from resources.registry.rows import FRESH, NO_TAKES, UNMADE, WITH_RUN, Admission, ClipState, Upload
from resources.registry.tables import clips

_MAY_STILL_DELIVER = sa.or_(
    requests.c.state.in_([State.SUBMITTING.value, State.SUBMITTED.value, State.UNKNOWN.value]),
    sa.and_(requests.c.state == State.SUCCEEDED.value, sa.or_(requests.c.delivered_at.is_(None), requests.c.lost)),
)
OWED = (
    sa.select(clips.c.clip)
    .distinct()
    .join(requests, requests.c.clip == clips.c.clip)
    .join(submissions, submissions.c.fingerprint == requests.c.fingerprint)
    .where(
        clips.c.state.in_([state.value for state in (*UNMADE, *WITH_RUN)]),
        submissions.c.returned.is_(False),
        sa.func.coalesce(submissions.c.cost_microdollars, 1) > 0,
        sa.or_(clips.c.delivered_at.is_(None), _MAY_STILL_DELIVER),
    )
)
"""Clips without an answer that the ledger says money may have moved for: they stay when their upload is deleted."""

ADMISSION_LOCK = 0x693276_61646D
"""The Postgres lock of an admission ("i2v adm"), so that two scans at once do not both add a clip."""


class Admissions(RegistryBase):
    """Uploads that become clips."""

    def admit(
        self, uploads: Iterable[Upload], *, present: Collection[str] | None = None, below: str = "uploads/"
    ) -> Admission:
        """Record complete uploads; new ones and those with another version become due.

        Args:
            uploads: the complete uploads that a scan of the bucket found.
            present: all clips whose files still exist, complete or settling. Known clips that are not among them and that
                nothing was paid for are withdrawn. None if the scan covered only part of the bucket.
            below: the scanned folder; clips whose source lies elsewhere are not withdrawn.
        """
        now = self._clock()
        new: list[str] = []
        changed: list[str] = []
        uploads = list(uploads)
        wanted = {upload.clip: upload.content for upload in uploads}
        with self._database.write() as connection:
            known = self._known(connection)
            said = self._contents_without_video(connection)
            said = {clip: content for clip, content in said.items() if content != wanted.get(clip, content)}
            said = self._unpaid(connection, said)
            additions: list[dict[str, Any]] = []
            for upload in uploads:
                values: dict[str, Any] = {
                    "source": upload.source,
                    "version": upload.version,
                    "content": upload.content,
                    "priority": upload.priority,
                    "updated_at": now,
                }
                before = known.get(upload.clip)
                if before is None:
                    new.append(upload.clip)
                    additions.append(
                        values
                        | {"clip": upload.clip, "state": ClipState.DUE, "admitted_at": now, "arrived_at": now}
                        | FRESH
                    )
                elif before[0] != upload.version or before[1] == ClipState.WITHDRAWN or upload.clip in said:
                    changed.append(upload.clip)
                    again = values | {"state": ClipState.DUE, "batch": None, "archived_at": None}
                    again |= {"retries": 0, "lost_runs": 0, "stopped_by": None}
                    if before[0] != upload.version:
                        again |= NO_TAKES
                    if before[0] != upload.version or before[1] == ClipState.WITHDRAWN:
                        again["arrived_at"] = now
                    connection.execute(clips.update().where(clips.c.clip == upload.clip).values(**again))
                elif upload.held and before[1] == ClipState.WORKING:
                    # Its run began before the doubt came, and asks once more before it pays.
                    latest = clips.update().where(clips.c.clip == upload.clip)
                    connection.execute(latest.values(content=upload.content))
            if additions:
                connection.execute(clips.insert(), additions)
            withdrawn = self._withdraw(connection, known, present, below, now)
        return Admission(tuple(new), tuple(changed), withdrawn)

    def withdraw(self, names: Collection[str]) -> tuple[str, ...]:
        """Withdraw those of these clips that have no answer and that nothing was paid for; return which."""
        now = self._clock()
        with self._database.write() as connection:
            known = {clip: row for clip, row in self._known(connection).items() if clip in names}
            return self._withdraw(connection, known, (), "", now)

    def contents_without_video(self) -> dict[str, str]:
        """Return the content of each clip without a video of its version, also while a run makes one."""
        with self._database.read() as connection:
            return self._contents_without_video(connection)

    def _known(self, connection: sa.Connection) -> dict[str, tuple[str, str, str]]:
        """Return the version, the state and the source of each clip, which no other scan changes before this one ends."""
        if not self._database.is_sqlite:  # a sensor and the nightly sweep may scan at once
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMISSION_LOCK})
        query = sa.select(clips.c.clip, clips.c.version, clips.c.state, clips.c.source)
        return {row.clip: (row.version, row.state, row.source) for row in connection.execute(query)}

    def _contents_without_video(self, connection: sa.Connection) -> dict[str, str]:
        """Return the content of each clip without a video; only those become due when a default is corrected."""
        unanswered = sa.and_(
            clips.c.state.in_([state.value for state in WITH_RUN]),
            sa.func.coalesce(clips.c.delivered_version, "") != clips.c.version,
        )
        unmade = clips.c.state.in_([state.value for state in UNMADE])
        query = sa.select(clips.c.clip, clips.c.content).where(sa.or_(unmade, unanswered))
        return {row.clip: row.content for row in connection.execute(query)}

    @staticmethod
    def _unpaid(connection: sa.Connection, contents: Mapping[str, str]) -> dict[str, str]:
        """Leave out the clips with a run that has sent something: their video is answered as it was asked for."""
        rows = {row["clip"]: row["state"] for row in lock_rows(connection, contents)}
        with_run = [clip for clip, state in rows.items() if state in {each.value for each in WITH_RUN}]
        sent = with_open_requests(connection, with_run)
        return {clip: content for clip, content in contents.items() if clip not in sent}

    def _withdraw(
        self,
        connection: sa.Connection,
        known: Mapping[str, tuple[str, str, str]],
        present: Collection[str] | None,
        below: str,
        now: datetime,
    ) -> tuple[str, ...]:
        if present is None:
            return ()
        withdrawn = tuple(
            clip
            for clip, (_, state, source) in known.items()
            if state in (*UNMADE, *WITH_RUN) and clip not in present and source.startswith(below)
        )
        if withdrawn:
            unmade = {state.value for state in (*UNMADE, *WITH_RUN)}
            kept = {row["clip"] for row in lock_rows(connection, withdrawn) if row["state"] not in unmade}
            kept |= set(connection.execute(OWED).scalars())
            withdrawn = tuple(clip for clip in withdrawn if clip not in kept)
        for part in chunks(withdrawn):
            values = {"state": ClipState.WITHDRAWN, "batch": None, "updated_at": now}
            connection.execute(clips.update().where(clips.c.clip.in_(part)).values(**values))
        return withdrawn
