"""What the ledger takes from the bucket: the nonces of its claims, and requests that it did not know."""

from collections import deque
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, LedgerBase, row_of
from resources.ledger.leases import GRACE_SECONDS
from resources.ledger.records import ALLOWED, NewRequest, OwnClaim, RequestRow, Sighting, State
from resources.ledger.tables import approvals, requests, submissions
from resources.redact import redact_inputs

WITNESSED = "witnessed"
"""The event of every step that a sighting makes, and the owner of a submission that came with one."""

_COSTS = (State.SUBMITTED, State.SUCCEEDED, State.UNKNOWN)
"""States of a sighting for which money may have moved."""

MADE = (State.SUBMITTING, State.SUBMITTED, State.SUCCEEDED, State.UNKNOWN)


class Witnessed(LedgerBase):
    """The ledger's side of the second witness."""

    def nonce(self, fingerprint: str, attempt: int) -> str | None:
        """Return the nonce of the standing claim of an attempt, None if there is none."""
        query = sa.select(submissions.c.nonce).where(
            submissions.c.fingerprint == fingerprint,
            submissions.c.attempt == attempt,
            submissions.c.returned.is_(False),
        )
        with self.database.read() as connection:
            nonce: str | None = connection.execute(query.order_by(submissions.c.id.desc()).limit(1)).scalar()
        return nonce

    def unsent_nonces(self, fingerprint: str, attempt: int) -> frozenset[str]:
        """Return the nonces of an attempt's claims of which it was proved that nothing was sent."""
        query = sa.select(submissions.c.nonce).where(
            submissions.c.fingerprint == fingerprint,
            submissions.c.attempt == attempt,
            submissions.c.returned.is_(True),
            submissions.c.nonce.is_not(None),
        )
        with self.database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def latest_paid(self, service: str, limit: int = 200) -> tuple[RequestRow, ...]:
        """Return the latest requests of a service for which money may have moved, newest first."""
        query = (
            sa.select(*COLUMNS)
            .where(requests.c.service == service, requests.c.state.in_(MADE))
            .order_by(requests.c.created_at.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            return tuple(row_of(found) for found in connection.execute(query))

    def has_requests(self, *, sent: bool = False) -> bool:
        """Return whether anything was ever planned here, or with ``sent`` claimed."""
        table = submissions if sent else requests
        with self.database.read() as connection:
            return connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None

    def sighted(self, seen: Sighting, *, own: OwnClaim | None = None) -> tuple[State | None, RequestRow]:
        """Take what the bucket knows of a request, if it is more than the ledger knows; nothing is ever sent by this.

        Args:
            seen: what the bucket knows.
            own: the caller's claim on the same request, which sent nothing: its money is returned.

        Returns:
            The state before (None if the request was not known) and the row as it is now.

        Raises:
            StaleClaim: ``own`` does not hold the row any more.
        """
        with self.database.write() as connection:
            known = self._find(connection, seen.new.fingerprint)
            row = known or self._insert_planned(connection, seen.new)
            if own is not None:
                held = (row.state, row.attempt, row.owner) == (State.SUBMITTING, own.attempt, own.owner)
                if not held:
                    raise self._refusal(row, WITNESSED, own.attempt, own.owner)
                connection.execute(
                    submissions.update()
                    .where(submissions.c.fingerprint == row.fingerprint, submissions.c.nonce == own.nonce)
                    .values(returned=True)
                )
            elif not self._is_news(row, seen):
                return None if known is None else row.state, row
            seen = self._with_own_id(connection, seen)
            self._submission(connection, row, seen)
            row = self._walk(connection, row, seen)
        return None if known is None else known.state, row

    def _find(self, connection: sa.Connection, fingerprint: str) -> RequestRow | None:
        query = sa.select(*COLUMNS).where(requests.c.fingerprint == fingerprint).with_for_update()
        found = connection.execute(query).one_or_none()
        return None if found is None else row_of(found)

    def _insert_planned(self, connection: sa.Connection, new: NewRequest) -> RequestRow:
        values = {name: getattr(new, name) for name in NewRequest.__dataclass_fields__}
        values |= {
            "inputs_json": redact_inputs(new.inputs_json), "state": State.PLANNED, "attempt": 1, "final": False,
            "lost": False, "resubmissions": 0, "created_at": self._now(),
        }  # fmt: skip
        connection.execute(requests.insert(), values)
        row = self._row(connection, new.fingerprint, lock=True)
        self._event(connection, row, "planned", from_state=None, owner=WITNESSED)
        return row

    def _is_news(self, row: RequestRow, seen: Sighting) -> bool:
        """Whether a sighting knows more than the row; what a living process holds is that process' own."""
        if row.state is State.SUCCEEDED or row.attempt > seen.attempt:
            return False
        if row.state is State.SUBMITTING:
            grace = timedelta(seconds=GRACE_SECONDS)
            return row.lease_until is None or row.lease_until < self._now() - grace
        if row.attempt < seen.attempt or seen.target is State.SUCCEEDED:
            return True
        if row.request_id is not None:
            return False
        if row.state is State.UNKNOWN:
            return seen.target is not State.UNKNOWN
        if row.state in (State.FAILED, State.CANCELLED):
            return seen.request_id is not None
        return seen.target is not State.PLANNED

    def _with_own_id(self, connection: sa.Connection, seen: Sighting) -> Sighting:
        """A record that names another request's id proves nothing: then the outcome is unknown."""
        from dataclasses import replace

        if seen.request_id is None:
            return seen
        other = connection.execute(
            sa.select(submissions.c.fingerprint)
            .where(
                submissions.c.request_id == seen.request_id,
                submissions.c.service == seen.new.service,
                submissions.c.fingerprint != seen.new.fingerprint,
            )
            .limit(1)
        ).scalar()
        if other is None:
            return seen
        reason = f"its record names request {seen.request_id}, which is that of {other[:12]}"
        return replace(seen, target=State.UNKNOWN, request_id=None, reason=reason)

    def _submission(self, connection: sa.Connection, row: RequestRow, seen: Sighting) -> None:
        """The money of a sighting: counted where it was claimed, once; returned if nothing was sent or charged."""
        if seen.target not in _COSTS:
            connection.execute(
                submissions.update()
                .where(
                    submissions.c.fingerprint == row.fingerprint,
                    submissions.c.nonce == (seen.nonce or ""),
                    submissions.c.request_id.is_(None),
                )
                .values(returned=True)
            )
            return
        same = [submissions.c.fingerprint == row.fingerprint, submissions.c.attempt == seen.attempt]
        if seen.nonce is not None:
            same.append(sa.or_(submissions.c.nonce == seen.nonce, submissions.c.request_id == (seen.request_id or "")))
        known = connection.execute(sa.select(submissions.c.id).where(*same).order_by(submissions.c.id.desc())).scalar()
        if known is not None:
            changes: dict[str, Any] = {"returned": False}
            if seen.request_id is not None:
                changes["request_id"] = seen.request_id
            if seen.cost_microdollars is not None:
                changes["cost_microdollars"] = seen.cost_microdollars
            connection.execute(submissions.update().where(submissions.c.id == known).values(**changes))
            return
        now = self._now()
        connection.execute(
            submissions.insert(),
            {
                "fingerprint": row.fingerprint,
                "attempt": seen.attempt,
                "service": row.service,
                "owner": WITNESSED,
                "run_id": None,
                "model_id": seen.model_id or row.model_id or "",
                "claimed_at": min(seen.claimed_at or now, now),
                "reserved_microdollars": seen.price_microdollars,
                "cost_microdollars": seen.cost_microdollars,
                "returned": False,
                "request_id": seen.request_id,
                "nonce": seen.nonce,
            },
        )

    def _walk(self, connection: sa.Connection, row: RequestRow, seen: Sighting) -> RequestRow:
        """Step by step along the transitions that are allowed, so that the trigger and every reader agree."""
        changes = self._changes(row, seen)
        steps = _path(row.state, seen.target)
        for number, state in enumerate(steps, 1):
            last = number == len(steps)
            guards = {"state": row.state, "attempt": row.attempt}
            step = {"state": state, **(changes if last else {})}
            moved = self._move(
                connection, row.fingerprint, WITNESSED, guards, step, owner=WITNESSED, reason=seen.reason
            )
            if moved is None:
                raise self._refusal(row, WITNESSED, row.attempt)
            row = moved
        return row

    def _changes(self, row: RequestRow, seen: Sighting) -> dict[str, Any]:
        now = self._now()
        over = seen.target in (State.SUCCEEDED, State.FAILED)
        claimed = min(seen.claimed_at, now) if seen.claimed_at is not None else None
        sent = min(seen.sent_at or seen.claimed_at or now, now)
        planned = seen.target is State.PLANNED
        changes: dict[str, Any] = {
            "attempt": seen.attempt,
            "owner": None,
            "lease_until": None,
            "run_id": None,
            "request_id": seen.request_id,
            "model_id": None if planned else seen.model_id or row.model_id,
            "price_microdollars": None if planned else seen.price_microdollars,
            "cost_microdollars": seen.cost_microdollars,
            "claimed_at": None if planned else claimed,
            "submitted_at": sent if seen.target in (State.SUBMITTED, State.SUCCEEDED) else None,
            "started_at": None,
            "finished_at": (seen.finished_at or now) if over else None,
            "final": seen.final and seen.target is State.FAILED,
            "reason": None if seen.target in (State.SUBMITTED, State.SUCCEEDED, State.PLANNED) else seen.reason,
        }
        if seen.target is State.SUCCEEDED and seen.video is not None:
            key, sha256, size = seen.video
            changes |= {"video_key": key, "video_sha256": sha256, "video_bytes": size, "delivered_at": now}
        return changes

    # After a backup was restored

    def void_approvals(self) -> int:
        """End every approval of what has not been made or sent, since a backup may hold it although it was used up."""
        made = sa.select(requests.c.fingerprint).where(requests.c.state.in_(MADE))
        with self.database.write() as connection:
            return connection.execute(
                approvals.update()
                .where(approvals.c.voided_at.is_(None), approvals.c.fingerprint.not_in(made))
                .values(voided_at=self._now(), void_reason="the ledger was restored")
            ).rowcount

    def highest_takes(self, clips: Collection[str]) -> dict[str, int]:
        """Return the highest take of each clip for which money may have moved."""
        query = (
            sa.select(requests.c.clip, sa.func.max(requests.c.take))
            .where(requests.c.state.in_(MADE), requests.c.clip.in_(sorted(clips)))
            .group_by(requests.c.clip)
        )
        with self.database.read() as connection:
            return {clip: int(take) for clip, take in connection.execute(query)}


def _path(start: State, end: State) -> tuple[State, ...]:
    """Return the shortest way along the allowed transitions; one step in place if the state stays."""
    if start is end:
        return (end,)
    ways: deque[tuple[State, ...]] = deque([(start,)])
    seen = {start}
    while ways:
        way = ways.popleft()
        for state in ALLOWED[way[-1]]:
            if state is end:
                return (*way[1:], state)
            if state not in seen:
                seen.add(state)
                ways.append((*way, state))
    raise AssertionError(f"no way from {start} to {end}")
