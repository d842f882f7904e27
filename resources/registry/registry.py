"""The uploads and the state of each clip: what the sensors remember.

It holds no money (the ledger does) and may be rebuilt from the bucket. Clips move like this:

new or changed upload -> due -> dispatched (a sensor requested a run) -> working (the run began)
    -> delivered | refused | failed | waiting; each of them -> due again when its upload changes or its gate opens

A sensor's tick commits its run requests after the evaluation, so a clip dispatched in a tick that never committed would
be lost. Each dispatch therefore carries the tick's number. The next evaluation knows the last committed number from its
cursor and makes later ones due again.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.clock import utc_now
from resources.ledger.database import Database, chunks
from resources.ledger.queries import Reading
from resources.ledger.records import State
from resources.ledger.tables import requests, submissions
from resources.registry.claims import UploadClaims
from resources.registry.guards import as_read, clip_row, lock_rows, with_open_requests
from resources.registry.read_cache import UploadMemory
from resources.registry.refusals import UploadRefusals
from resources.registry.rows import (
    FRESH,
    NO_TAKES,
    UNMADE,
    WITH_RUN,
    Admission,
    ClipRow,
    ClipState,
    Refusals,
    RefusedRow,
    Standing,
    Upload,
)
from resources.registry.run_beats import RunBeats
from resources.registry.stops import ClipStops
from resources.registry.tables import clips, refused_uploads
from resources.wait_reason import WaitReason

__all__ = ["Admission", "ClipRow", "ClipState", "Refusals", "RefusedRow", "Registry", "Upload"]

_MAY_STILL_DELIVER = sa.or_(
    requests.c.state.in_([State.SUBMITTING.value, State.SUBMITTED.value, State.UNKNOWN.value]),
    sa.and_(requests.c.state == State.SUCCEEDED.value, sa.or_(requests.c.delivered_at.is_(None), requests.c.lost)),
)
_OWED = (
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


class Registry:
    """The uploads and clips of one bucket, in the ledger's database. Each call is one transaction.

    Attributes:
        memory: the cache of what was read from uploaded files.
        refusals: the uploads that cannot become clips.
        ledger: the requests in the same database, to read.
        claims: the documents that the uploaded objects belong to.
        runs: when each run was last seen alive.
        stops: what people stop and take back.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock
        self.ledger = Reading(database, clock)
        self.memory = UploadMemory(database)
        self.refusals = UploadRefusals(database)
        self.claims = UploadClaims(database, clock)
        self.runs = RunBeats(database, clock)
        self.stops = ClipStops(database, clock)

    # Uploads

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
            if not self._database.is_sqlite:  # a sensor and the nightly sweep may scan at once
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMISSION_LOCK})
            known = {
                row.clip: (row.version, row.state, row.source)
                for row in connection.execute(sa.select(clips.c.clip, clips.c.version, clips.c.state, clips.c.source))
            }
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
            kept |= set(connection.execute(_OWED).scalars())
            withdrawn = tuple(clip for clip in withdrawn if clip not in kept)
        for part in chunks(withdrawn):
            values = {"state": ClipState.WITHDRAWN, "batch": None, "updated_at": now}
            connection.execute(clips.update().where(clips.c.clip.in_(part)).values(**values))
        return withdrawn

    def standing(self) -> dict[str, Standing]:
        """Return how far each clip is."""
        query = sa.select(clips.c.clip, clips.c.version, clips.c.source, clips.c.state, clips.c.delivered_version)
        with self._database.read() as connection:
            return {
                clip: Standing(version, source, ClipState(state), delivered)
                for clip, version, source, state, delivered in connection.execute(query)
            }

    def contents_without_video(self) -> dict[str, str]:
        """Return the content of each clip that no run has and that has no video of its version."""
        with self._database.read() as connection:
            return self._contents_without_video(connection)

    def holds(self) -> dict[str, tuple[str, str]]:
        """Return the reason and the file to blame of each clip that its upload holds, by the clip's source."""
        query = sa.select(clips.c.source, clips.c.content).where(
            clips.c.state.in_([state.value for state in UNMADE]), clips.c.content.like('%"hold": [%')
        )
        with self._database.read() as connection:
            found = {source: json.loads(content).get("hold") for source, content in connection.execute(query)}
        return {source: (hold[0], hold[3]) for source, hold in found.items() if hold}

    def sources(self) -> dict[str, str]:
        """Return the upload that each clip's name belongs to; the first admitted upload keeps the name."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(clips.c.clip, clips.c.source).where(clips.c.state != ClipState.WITHDRAWN)
            )
            return {row.clip: row.source for row in rows}

    def revision(self) -> str:
        """Return a text that changes when a clip or a refusal changes, to tell cheaply that none did."""
        by_state = sa.select(clips.c.state, sa.func.count(), sa.func.max(clips.c.updated_at)).group_by(clips.c.state)
        with self._database.read() as connection:
            states = sorted(str(tuple(row)) for row in connection.execute(by_state))
            refused = connection.execute(sa.select(sa.func.count()).select_from(refused_uploads)).scalar()
        return f"{states} {refused}"

    # Results

    def due(self, limit: int | None = None) -> tuple[ClipRow, ...]:
        """Return the clips to dispatch next, highest priority first, then in the order of admission."""
        query = sa.select(clips).where(clips.c.state == ClipState.DUE)
        query = query.order_by(clips.c.priority.desc(), clips.c.admitted_at, clips.c.clip).limit(limit)
        return self._rows(query)

    def dispatch(self, names: Sequence[str], *, batch: str, sensor: str, tick: int) -> tuple[str, ...]:
        """Record that a run is requested for these clips; ``batch`` is also the run's tag.

        Returns:
            The clips that were still due; another sensor may have dispatched the others.
        """
        taken: list[str] = []
        values = {"batch": batch, "sensor": sensor, "tick": tick, "run_id": None, "updated_at": self._clock()}
        values["archived_at"] = None  # its key is among the partitions again
        with self._database.write() as connection:
            for part in chunks(names):
                statement = clips.update().where(clips.c.clip.in_(part), clips.c.state == ClipState.DUE)
                found = connection.execute(
                    statement.values(state=ClipState.DISPATCHED, **values).returning(clips.c.clip)
                )
                taken += found.scalars()
        return tuple(taken)

    def requeue_uncommitted(self, sensor: str, committed_tick: int) -> int:
        """Make clips due again that were dispatched in a tick that never committed; return their number."""
        return self._update(
            clips.update()
            .where(clips.c.state == ClipState.DISPATCHED, clips.c.sensor == sensor, clips.c.tick > committed_tick)
            .values(state=ClipState.DUE, batch=None, updated_at=self._clock())
        )

    def mark_running(
        self, names: Sequence[str], run_id: str, *, batch: str | None = None, undo_stop: bool = False
    ) -> tuple[ClipRow, ...]:
        """Record that a run works on these clips, and return them as they were.

        Args:
            names: the clips.
            run_id: the run.
            batch: of a sensor's run; it gets only the clips that were dispatched to it and not taken away since. A run without
                one takes the clips over from any other.
            undo_stop: a person asks for the clips, so a stop of before ends.
        """
        values = {"state": ClipState.WORKING, "run_id": run_id, "updated_at": self._clock()}
        values["archived_at"] = None  # its key is among the partitions again
        if batch is None:
            values["batch"] = None
        if undo_stop:
            values["stopped_by"] = None
        with self._database.write() as connection:
            self.runs.beat_in(connection, run_id)
            before = {row["clip"]: clip_row(row) for row in lock_rows(connection, names)}
            taken = [clip for clip in names if clip in before and batch in (None, before[clip].batch)]
            for part in chunks(taken):
                connection.execute(clips.update().where(clips.c.clip.in_(part)).values(**values))
        return tuple(replace(before[clip], stopped_by=None) if undo_stop else before[clip] for clip in taken)

    def record_result(
        self,
        clip: str,
        *,
        version: str,
        state: ClipState,
        reason: str | None = None,
        remedy: str | None = None,
        waiting_for: WaitReason | None = None,
        fingerprint: str | None = None,
        price_microdollars: int | None = None,
        run_id: str | None = None,
        seen: ClipRow | None = None,
        stopped_by: str | None = None,
    ) -> bool:
        """Record the result of a clip's version.

        Args:
            clip: the clip.
            version: the version of its upload that the result is about.
            state: what became of it.
            reason: why it has no video.
            remedy: what to do.
            waiting_for: what it waits for, or what follows its failure.
            fingerprint: of the plan's first take. A delivered clip keeps it until the next delivery.
            price_microdollars: of that take.
            run_id: the run whose result it is; the clip has to be with it.
            seen: the clip as it was read; it has to be unchanged.
            stopped_by: who stopped it, so that nothing more is paid for it when it is fetched.

        Returns:
            False if the upload changed, or the clip was taken away meanwhile. Nothing is changed then, except that a video
            which is there now is remembered.
        """
        now = self._clock()
        values: dict[str, Any] = {
            "answered_version": version,
            "reason": reason,
            "remedy": remedy,
            "waiting_for": waiting_for,
            "updated_at": now,
            "lost_runs": 0,
        }
        if fingerprint is not None:
            values["planned_fingerprint"] = fingerprint
            if state is ClipState.DELIVERED:
                values["fingerprint"] = fingerprint
        if price_microdollars is not None:
            values["price_microdollars"] = price_microdollars
        if state is ClipState.DELIVERED:
            values |= {"delivered_at": now, "delivered_version": version}
        if stopped_by is not None:
            values["stopped_by"] = stopped_by
        expected = [clips.c.clip == clip, clips.c.version == version]
        if run_id is not None:
            expected += [clips.c.state == ClipState.WORKING, clips.c.run_id == run_id]
        if seen is not None:
            expected += as_read(seen)
        if self._update(clips.update().where(*expected).values(**values, state=state.value)):
            return True
        if state is ClipState.DELIVERED:
            names = ("answered_version", "delivered_at", "delivered_version", "fingerprint")
            kept = {name: values[name] for name in names if name in values}
            newer = sa.and_(clips.c.version != version, clips.c.delivered_version.is_not_distinct_from(clips.c.version))
            self._update(clips.update().where(clips.c.clip == clip, sa.not_(newer)).values(**kept))
        return False

    def enqueue(
        self,
        names: Sequence[str],
        *,
        seen: Mapping[str, ClipRow] | None = None,
        count_retry: bool = False,
        lost_run: bool = False,
        stopped_by: str | None = None,
        wanted: bool = False,
    ) -> int:
        """Make clips due again, and return how many.

        Args:
            names: the clips.
            seen: the clips as they were read; one that has changed since is left as it is.
            count_retry: count it against the retries of each clip.
            lost_run: the clips were in a run that ended without a result for them; counted until there is one.
            stopped_by: who stopped them: what was sent is fetched, and nothing more is paid.
            wanted: a person wants them after all, so a stop ends.
        """
        values: dict[str, Any] = {"state": ClipState.DUE, "batch": None, "updated_at": self._clock()}
        if count_retry:
            values["retries"] = clips.c.retries + 1
        if lost_run:
            values["lost_runs"] = clips.c.lost_runs + 1
        if stopped_by is not None or wanted:
            values["stopped_by"] = None if wanted else stopped_by
        if seen is None:
            return sum(
                self._update(clips.update().where(clips.c.clip.in_(part)).values(**values)) for part in chunks(names)
            )
        with self._database.write() as connection:
            return sum(
                connection.execute(clips.update().where(*as_read(seen[name])).values(**values)).rowcount
                for name in sorted(names)
            )

    def add_take(
        self,
        clip: str,
        *,
        take: int,
        seed: int | None = None,
        seen: ClipRow | None = None,
        most: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> int | None:
        """Request one more take of a clip than its brief asks for; the clip becomes due.

        Args:
            clip: the clip.
            take: its number, by what was read of the clip; the next free one if another take was requested meanwhile.
            seed: a seed that a person chose; None derives one.
            seen: the clip as it was read; it may have become due since only for another take.
            most: the highest number that a take may have.
            after: of a video of several pieces: the take whose first pieces are kept, and the first piece that is made anew.

        Returns:
            The number of the take; None if the clip has changed otherwise, or has ``most`` takes. Nothing is changed then.
        """
        with self._database.write() as connection:
            row = next(iter(lock_rows(connection, [clip])), None)
            if row is None:
                return None
            if seen is not None:
                further = row["extra_takes"] - seen.extra_takes
                same = row["state"] == seen.state and row["updated_at"] == seen.updated_at
                if row["version"] != seen.version or not (same or (row["state"] == ClipState.DUE and further > 0)):
                    return None
                take += further
            if most is not None and take > most:
                return None
            values: dict[str, Any] = {"extra_takes": clips.c.extra_takes + 1, "updated_at": self._clock()}
            order = seed if after is None else {"seed": seed, "base": after[0], "from_piece": after[1]}
            if order is not None:
                values["take_seeds"] = json.dumps(json.loads(row["take_seeds"] or "{}") | {str(take): order})
            values |= {"state": ClipState.DUE, "batch": None, "stopped_by": None}
            connection.execute(clips.update().where(clips.c.clip == clip).values(**values))
        return take

    def add_reroll(self, clip: str, *, version: str, take: int, extra_takes: int) -> bool:
        """Record a take that a low quality score asks for, before it is submitted, so that its number stays reserved.

        Args:
            clip: the clip.
            version: the version of the upload that it is a take of.
            take: its number.
            extra_takes: the number of extra takes without this one.

        Returns:
            False if the upload changed, or a person requested a take, since those were counted.
        """
        return self._reroll(clip, version, extra_takes, 1, lambda takes: [*takes, take])

    def take_back_reroll(self, clip: str, *, version: str, take: int, extra_takes: int) -> bool:
        """Drop a reroll that cost no money; ``extra_takes`` includes it. Returns False as `add_reroll` does."""
        return self._reroll(clip, version, extra_takes, -1, lambda takes: [each for each in takes if each != take])

    def _reroll(
        self, clip: str, version: str, extra_takes: int, more: int, change: Callable[[list[int]], list[int]]
    ) -> bool:
        with self._database.write() as connection:
            found = connection.execute(sa.select(clips.c.rerolls).where(clips.c.clip == clip)).scalar()
            values = {
                "rerolls": json.dumps(change(json.loads(found or "[]"))),
                "extra_takes": extra_takes + more,
                "updated_at": self._clock(),
            }
            counted = sa.and_(clips.c.clip == clip, clips.c.version == version, clips.c.extra_takes == extra_takes)
            return connection.execute(clips.update().where(counted).values(**values)).rowcount == 1

    def take_back(self, row: ClipRow, *, last: int, extra: int) -> bool:
        """Drop the takes above ``last`` that a person requested and no run has made; the clip is delivered as before.

        Args:
            row: the clip as it was read.
            last: the number of the last take to keep.
            extra: how many of the kept takes exceed what the brief asks for.

        Returns:
            False if the clip has changed meanwhile; nothing is changed then.
        """
        seeds = {number: seed for number, seed in json.loads(row.take_seeds or "{}").items() if int(number) <= last}
        values: dict[str, Any] = {
            "extra_takes": extra,
            "take_seeds": json.dumps(seeds) if seeds else None,
            "updated_at": self._clock(),
        }
        if row.state is not ClipState.WORKING:  # its run delivers it without them
            values |= {"state": ClipState.DELIVERED, "waiting_for": None, "reason": None, "remedy": None}
            values |= {"batch": None, "stopped_by": None}
        states = [ClipState.WORKING] if row.state is ClipState.WORKING else [ClipState.DUE, ClipState.WAITING]
        untouched = (
            clips.c.state.in_(states),
            clips.c.version == row.version,
            clips.c.extra_takes == row.extra_takes,
        )
        return bool(self._update(clips.update().where(clips.c.clip == row.clip, *untouched).values(**values)))

    def void_takes(self, row: ClipRow, *, last: int, extra: int) -> bool:
        """Take back the takes above ``last`` after a backup was restored, whatever the clip's state; False if it changed."""
        seeds = {number: seed for number, seed in json.loads(row.take_seeds or "{}").items() if int(number) <= last}
        values: dict[str, Any] = {"extra_takes": extra, "take_seeds": json.dumps(seeds) if seeds else None}
        if row.delivered_version == row.version and row.state is not ClipState.DELIVERED:
            values |= {"state": ClipState.DELIVERED, "waiting_for": None, "reason": None, "remedy": None, "batch": None}
        unchanged = (clips.c.state == row.state, clips.c.version == row.version, clips.c.extra_takes == row.extra_takes)
        return bool(self._update(clips.update().where(clips.c.clip == row.clip, *unchanged).values(**values)))

    def choose(self, clip: str, take: int) -> bool:
        """Choose which take is a delivered clip's video; the clip becomes due.

        Failures are not retried for it, so that it costs nothing if the takes exist.

        Returns:
            False if the clip is not (or no longer) delivered: a run that starts now could make other takes.
        """
        values = {"chosen_take": take, "state": ClipState.DUE, "batch": None, "retries": 0, "updated_at": self._clock()}
        delivered = clips.c.state == ClipState.DELIVERED
        return bool(self._update(clips.update().where(clips.c.clip == clip, delivered).values(**values)))

    # Queries

    def get(self, clip: str) -> ClipRow | None:
        """Return one clip, or None."""
        rows = self._rows(sa.select(clips).where(clips.c.clip == clip))
        return rows[0] if rows else None

    def many(self, names: Sequence[str]) -> dict[str, ClipRow]:
        """Return the known clips of these names."""
        found: dict[str, ClipRow] = {}
        for part in chunks(names):
            found |= {row.clip: row for row in self._rows(sa.select(clips).where(clips.c.clip.in_(part)))}
        return found

    def list(self, states: Collection[ClipState] = (), limit: int | None = None) -> tuple[ClipRow, ...]:
        """Return clips in the order of admission, in these states or in all."""
        query = sa.select(clips).order_by(clips.c.admitted_at, clips.c.clip).limit(limit)
        if states:
            query = query.where(clips.c.state.in_([state.value for state in states]))
        return self._rows(query)

    def arrived_since(self, since: datetime) -> tuple[ClipRow, ...]:
        """Return the clips whose present version was admitted at or after this time."""
        return self._rows(sa.select(clips).where(clips.c.arrived_at >= since))

    def counts(self) -> dict[str, int]:
        """Return the number of clips in each state."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(clips.c.state, sa.func.count()).group_by(clips.c.state))
            return {row[0]: row[1] for row in rows}

    def delivered_before(self, age: timedelta) -> tuple[str, ...]:
        """Return delivered clips that are older than this and still among the partitions."""
        query = sa.select(clips).where(
            clips.c.state == ClipState.DELIVERED,
            clips.c.archived_at.is_(None),
            clips.c.delivered_at < self._clock() - age,
        )
        return tuple(row.clip for row in self._rows(query))

    def archive(self, names: Sequence[str]) -> tuple[str, ...]:
        """Record that these clips leave the partitions.

        Return those that are still delivered and were not archived before.
        """
        now = self._clock()
        taken: list[str] = []
        with self._database.write() as connection:
            for part in chunks(names):
                statement = clips.update().where(
                    clips.c.clip.in_(part), clips.c.state == ClipState.DELIVERED, clips.c.archived_at.is_(None)
                )
                taken += connection.execute(statement.values(archived_at=now).returning(clips.c.clip)).scalars()
        return tuple(taken)

    def archived(self) -> tuple[str, ...]:
        """Return the clips that have left the partitions."""
        query = sa.select(clips.c.clip).where(clips.c.archived_at.is_not(None), clips.c.state == ClipState.DELIVERED)
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())

    def _update(self, statement: sa.Update) -> int:
        with self._database.write() as connection:
            return connection.execute(statement).rowcount

    def _rows(self, query: sa.Select[Any]) -> tuple[ClipRow, ...]:
        with self._database.read() as connection:
            return tuple(clip_row(found) for found in connection.execute(query).mappings())
