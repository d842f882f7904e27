"""The uploads, the state of each clip, and the runs that make them: what the sensors remember."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import Database, chunks, rows_in
from resources.ledger.queries import Reading
from resources.ledger.records import utc_now
from resources.registry.admission import OWED, Admissions
from resources.registry.base import as_read, clip_row, lock_rows
from resources.registry.rows import (
    UNMADE,
    Admission,
    ClipRow,
    ClipState,
    Refusals,
    RefusedRow,
    Standing,
    Upload,
)
from resources.registry.stops import ClipStops
from resources.registry.tables import clips, refused_uploads, runs
from resources.registry.takes import Takes
from resources.registry.uploads import UploadClaims, UploadMemory, UploadRefusals
from resources.wait_reason import WaitReason

BEAT_SECONDS = 15.0
"""Seconds between two signs of life."""

DEAD_AFTER = timedelta(minutes=3)
"""A run without a sign of life for longer counts as dead: twelve beats, more than any pause of the database that it survives
(`patience_seconds`). With the sensor's interval and the start of a run, its clips are taken up within six minutes."""

KEPT = timedelta(days=7)
"""Signs of life are kept for longer than any run lasts."""


_ONE = sa.select(clips).where(clips.c.clip == sa.bindparam("the_clip"))


class RunBeats:
    """The signs of life of runs. Each call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def beat(self, run_id: str) -> None:
        """Record that a run is alive."""
        with self._database.write() as connection:
            self.beat_in(connection, run_id)

    def beat_in(self, connection: sa.Connection, run_id: str) -> None:
        """Record it within the caller's transaction."""
        connection.execute(self._database.upsert(runs), {"run_id": run_id, "seen_at": self._clock()})

    def seen(self, run_ids: Collection[str]) -> dict[str, datetime]:
        """Return when each of these runs was last seen alive; runs of older versions are not among them."""
        query = sa.select(runs.c.run_id, runs.c.seen_at)
        with self._database.read() as connection:
            return {row.run_id: row.seen_at for row in rows_in(connection, query, runs.c.run_id, run_ids)}

    def alive(self, run_ids: Collection[str]) -> set[str]:
        """Return those of the runs that gave their latest sign of life on time."""
        latest = self._clock() - timedelta(seconds=2 * BEAT_SECONDS)
        return {run_id for run_id, seen_at in self.seen(run_ids).items() if seen_at > latest}

    def forget(self) -> None:
        """Delete the signs of life that are older than `KEPT`."""
        with self._database.write() as connection:
            connection.execute(runs.delete().where(runs.c.seen_at < self._clock() - KEPT))


__all__ = ["Admission", "ClipRow", "ClipState", "Refusals", "RefusedRow", "Registry", "Upload"]


class Registry(Admissions, Takes):
    """The uploads and clips of one bucket, in the ledger's database. Each call is one transaction.

    Attributes:
        memory: the cache of what was read from uploaded files.
        refusals: the uploads that cannot become clips.
        ledger: the requests in the same database, to read.
        claims: the documents that the uploaded objects belong to.
        runs: when each run was last seen alive.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(database, clock)
        self.ledger = Reading(database, clock)
        self.memory = UploadMemory(database)
        self.refusals = UploadRefusals(database)
        self.claims = UploadClaims(database, clock)
        self.runs = RunBeats(database, clock)

    @cached_property
    def stops(self) -> ClipStops:
        """What people stop and take back."""
        return ClipStops(self._database, self._clock)

    # Uploads

    def standing(self) -> dict[str, Standing]:
        """Return how far each clip is."""
        query = sa.select(clips.c.clip, clips.c.version, clips.c.source, clips.c.state, clips.c.delivered_version)
        with self._database.read() as connection:
            owed = set(connection.execute(OWED).scalars())
            return {
                clip: Standing(version, source, ClipState(state), delivered, clip in owed)
                for clip, version, source, state, delivered in connection.execute(query)
            }

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
        of_refusals = sa.select(refused_uploads.c.key, refused_uploads.c.version).order_by(refused_uploads.c.key)
        with self._database.read() as connection:
            states = sorted(str(tuple(row)) for row in connection.execute(by_state))
            refused = sha256(repr(connection.execute(of_refusals).all()).encode("utf-8", "surrogatepass")).hexdigest()
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

    # Queries

    def get(self, clip: str) -> ClipRow | None:
        """Return one clip, or None."""
        with self._database.read() as connection:
            found = connection.execute(_ONE, {"the_clip": clip}).mappings().one_or_none()
        return clip_row(found) if found is not None else None

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

    def ordered_by(self, document: str) -> tuple[ClipRow, ...]:
        """Return the clips that a list or a film's file orders, by the key of that file."""
        return self._rows(sa.select(clips).where(clips.c.source.startswith(f"{document}#", autoescape=True)))

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
