"""What the service said: to a submit, about a request, about its cost."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import LedgerBase, stored_reason
from resources.ledger.errors import IllegalTransition, LedgerError
from resources.ledger.records import RequestRow, State
from resources.ledger.tables import submissions

_FREE: dict[str, Any] = {"owner": None, "lease_until": None, "run_id": None, "price_microdollars": None}


class Answers(LedgerBase):
    """From `submitting` to the delivered video. Calls for what is recorded already change nothing and are no error."""

    def submitted(self, fingerprint: str, *, attempt: int, owner: str, request_id: str) -> RequestRow:
        """The service took it. Accepted late as well (from `unknown`), since a known request id is the truth.

        Raises:
            StaleClaim: another owner or attempt holds the row. The request id is not lost: it is kept with the attempt
                it belongs to, and when the row was only planned again, the row becomes `submitted` for whoever adopts it.
            IllegalTransition: the attempt has another request id already; this one is kept as an event.
        """
        now = self._now()
        changes = {"state": State.SUBMITTED, "request_id": request_id, "submitted_at": now, "reason": None}
        with self.database.write() as connection:
            for state in (State.SUBMITTING, State.UNKNOWN):
                guards = {"state": state, "attempt": attempt, "owner": owner}
                row = self._move(
                    connection, fingerprint, "submitted", guards, changes, owner=owner, reason=f"request {request_id}"
                )
                if row is not None:
                    self._change_submission(connection, fingerprint, attempt, request_id=request_id)
                    return row
            row = self._row(connection, fingerprint, lock=True)
            if row.attempt == attempt and row.request_id == request_id:
                return row
            refusal = self._refusal(row, "submitted", attempt, owner)
            self._keep_stray(connection, row, attempt, owner=owner, request_id=request_id)
        raise refusal

    def _keep_stray(
        self, connection: sa.Connection, row: RequestRow, attempt: int, *, owner: str, request_id: str
    ) -> None:
        """A request id that comes when its row has moved on: it exists and costs, so the attempt's money counts again.

        When the next attempt is only planned, it must not be paid for as well: the row takes the request that exists,
        by the same two steps as any other, and waits to be adopted.
        """
        self._remark(
            connection,
            row,
            "stray_request",
            owner=owner,
            reason=f"request {request_id} of attempt {attempt}",
            attempt=attempt,
        )
        stray = connection.execute(
            submissions.update()
            .where(
                submissions.c.fingerprint == row.fingerprint,
                submissions.c.attempt == attempt,
                submissions.c.owner == owner,
                submissions.c.request_id.is_(None),
            )
            .values(request_id=request_id, returned=False)
            .returning(*submissions.c)
        ).first()
        if stray is None or row.state is not State.PLANNED:
            return
        connection.execute(submissions.update().where(submissions.c.id == stray.id).values(attempt=row.attempt))
        claim = {
            "state": State.SUBMITTING,
            "model_id": stray.model_id,
            "price_microdollars": stray.reserved_microdollars,
            "claimed_at": stray.claimed_at,
        }
        answer = {"state": State.SUBMITTED, "request_id": request_id, "submitted_at": stray.claimed_at, "reason": None}
        why = f"request {request_id} was made by attempt {attempt}"
        for what, before, changes in (("claimed", State.PLANNED, claim), ("submitted", State.SUBMITTING, answer)):
            guards = {"state": before, "attempt": row.attempt}
            self._move(connection, row.fingerprint, what, guards, changes, owner=owner, reason=why)

    def never_delivered(self, fingerprint: str, *, attempt: int, owner: str, reason: str) -> RequestRow:
        """The POST never arrived: `planned` again, its money returned."""
        changes = {"state": State.PLANNED, "reason": stored_reason(reason), **_FREE}
        return self._answer(
            fingerprint, "never_delivered", attempt=attempt, owner=owner, changes=changes, reason=reason, returned=True
        )

    def refused_for_now(self, fingerprint: str, *, attempt: int, owner: str, reason: str) -> RequestRow:
        """The service has no room now (429): `planned` again, its money returned."""
        changes = {"state": State.PLANNED, "reason": stored_reason(reason), **_FREE}
        return self._answer(
            fingerprint, "refused_for_now", attempt=attempt, owner=owner, changes=changes, reason=reason, returned=True
        )

    def refused(self, fingerprint: str, *, attempt: int, owner: str, reason: str, final: bool) -> RequestRow:
        """The service refused the submit (4xx with a body): `failed`, its money returned; ``final`` forbids a retry."""
        changes = {
            "state": State.FAILED,
            "reason": stored_reason(reason),
            "final": final,
            "lease_until": None,
            "finished_at": self._now(),
        }
        return self._answer(
            fingerprint, "refused", attempt=attempt, owner=owner, changes=changes, reason=reason, returned=True
        )

    def outcome_unknown(self, fingerprint: str, *, attempt: int, owner: str, reason: str) -> RequestRow:
        """It was sent and no answer came: `unknown`; the money stays reserved."""
        changes = {"state": State.UNKNOWN, "reason": stored_reason(reason), "lease_until": None}
        return self._answer(
            fingerprint, "outcome_unknown", attempt=attempt, owner=owner, changes=changes, reason=reason
        )

    # What polling tells; anybody who polls may record it

    def started(self, fingerprint: str, at: datetime) -> RequestRow:
        """The service was first seen working on it."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.state is not State.SUBMITTED or row.started_at is not None:
                return row
            moved = self._move(
                connection,
                fingerprint,
                "started",
                {"state": State.SUBMITTED, "attempt": row.attempt},
                {"started_at": at},
            )
            return moved or row

    def succeeded(
        self, fingerprint: str, *, attempt: int, cost_microdollars: int | None = None, at: datetime | None = None
    ) -> RequestRow:
        """The video is made.

        Args:
            fingerprint: the request.
            attempt: the attempt that was polled.
            cost_microdollars: what the service says that it cost, where it says so already.
            at: when it was done, where the service says so; otherwise now. Expected waiting times rest on it.
        """
        return self._verdict(
            fingerprint, State.SUCCEEDED, attempt, cost=cost_microdollars, at=at, changes={"reason": None}
        )

    def failed(
        self,
        fingerprint: str,
        *,
        attempt: int,
        reason: str,
        final: bool,
        cost_microdollars: int | None = None,
        at: datetime | None = None,
    ) -> RequestRow:
        """The service gave up on it; ``final`` forbids a retry. The reservation stays until the cost is known."""
        changes = {"reason": stored_reason(reason), "final": final, "lease_until": None}
        return self._verdict(
            fingerprint, State.FAILED, attempt, cost=cost_microdollars, at=at, changes=changes, reason=reason
        )

    def cancelled(
        self,
        fingerprint: str,
        *,
        attempt: int,
        reason: str,
        cost_microdollars: int | None = None,
        at: datetime | None = None,
    ) -> RequestRow:
        """The service confirmed that it was cancelled. The reservation stays until the cost is known."""
        changes = {"reason": stored_reason(reason), "lease_until": None}
        return self._verdict(
            fingerprint, State.CANCELLED, attempt, cost=cost_microdollars, at=at, changes=changes, reason=reason
        )

    def _verdict(
        self,
        fingerprint: str,
        state: State,
        attempt: int,
        *,
        cost: int | None,
        at: datetime | None,
        changes: dict[str, Any],
        reason: str | None = None,
    ) -> RequestRow:
        changes = {"state": state, "finished_at": at or self._now(), **changes}
        with self.database.write() as connection:
            guards = {"state": State.SUBMITTED, "attempt": attempt}
            row = self._move(connection, fingerprint, state.value, guards, changes, reason=reason)
            if row is None:
                row = self._row(connection, fingerprint, lock=True)
                if row.attempt != attempt or row.state is not state:
                    raise self._refusal(row, state.value, attempt)
            return row if cost is None else self._settle(connection, row, cost, attempt)

    # The video and the money

    def delivered(self, fingerprint: str, *, video_key: str, sha256: str, size_bytes: int) -> RequestRow:
        """The video is in the bucket, whole.

        Raises:
            IllegalTransition: the request has not succeeded.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.state is not State.SUCCEEDED:
                raise self._refusal(row, "delivered", row.attempt)
            if row.delivered_at is not None and (row.video_key, row.video_sha256) == (video_key, sha256):
                return row
            changes = {
                "video_key": video_key,
                "video_sha256": sha256,
                "video_bytes": size_bytes,
                "delivered_at": self._now(),
                "lease_until": None,
                "lost": False,
            }
            guards = {"state": State.SUCCEEDED, "attempt": row.attempt}
            moved = self._move(connection, fingerprint, "delivered", guards, changes, owner=row.owner, reason=video_key)
            return moved or row

    def lost(self, fingerprint: str, reason: str) -> RequestRow:
        """A succeeded request's video is neither in the bucket nor at the service: only a new take brings one."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.state is not State.SUCCEEDED:
                raise self._refusal(row, "lost", row.attempt)
            if row.lost:
                return row
            changes = {
                "lost": True,
                "reason": stored_reason(reason),
                "lease_until": None,
                "video_key": None,
                "video_sha256": None,
                "video_bytes": None,
                "delivered_at": None,
            }
            guards = {"state": State.SUCCEEDED, "attempt": row.attempt}
            return self._move(connection, fingerprint, "lost", guards, changes, reason=reason) or row

    def settle(self, fingerprint: str, cost_microdollars: int, *, attempt: int | None = None) -> RequestRow:
        """Record what an attempt really cost, now or when the service says so later; the current attempt unless given.

        Raises:
            IllegalTransition: the attempt was never at the service.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            return self._settle(connection, row, cost_microdollars, row.attempt if attempt is None else attempt)

    def _settle(self, connection: sa.Connection, row: RequestRow, cost: int, attempt: int) -> RequestRow:
        if cost < 0:
            raise LedgerError(f"A cost of {cost} micro-dollars is no cost.", remedy="Nothing was changed.")
        known = connection.execute(
            sa.select(submissions.c.id, submissions.c.cost_microdollars)
            .where(
                submissions.c.fingerprint == row.fingerprint,
                submissions.c.attempt == attempt,
                submissions.c.request_id.is_not(None),
                submissions.c.returned.is_(False),
            )
            .order_by(submissions.c.id.desc())
            .limit(1)
        ).one_or_none()
        if known is None:
            raise IllegalTransition(
                f"Request {row.fingerprint[:12]} has no submission of attempt {attempt} that could cost.",
                remedy="Nothing was changed.",
            )
        if known.cost_microdollars == cost:
            return row
        connection.execute(submissions.update().where(submissions.c.id == known.id).values(cost_microdollars=cost))
        if attempt != row.attempt:
            self._remark(connection, row, "settled", reason=f"{cost} micro-dollars", attempt=attempt)
            return row
        moved = self._move(
            connection,
            row.fingerprint,
            "settled",
            {"state": row.state, "attempt": attempt},
            {"cost_microdollars": cost},
            reason=f"{cost} micro-dollars",
        )
        return moved or row

    def note(self, fingerprint: str, owner: str, reason: str) -> None:
        """Keep something that was seen without a change of state (a cancel that was not confirmed, a deadline)."""
        with self.database.write() as connection:
            self._remark(connection, self._row(connection, fingerprint), "note", owner=owner, reason=reason)
