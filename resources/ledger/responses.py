"""Changes that the service's responses make: to a submit, a poll, a cost query."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import LedgerBase, holder_of, stored_reason
from resources.ledger.corrections import is_corrected
from resources.ledger.errors import IllegalTransition, LedgerError
from resources.ledger.holds import OF_MODEL, OF_PRICE, hold_family, surprise_words
from resources.ledger.records import RequestRow, State
from resources.ledger.tables import submissions
from resources.prices.quote import believe

_FREE: dict[str, Any] = {"owner": None, "lease_until": None, "run_id": None, "price_microdollars": None}


_CHARGEABLE = (
    sa.select(
        submissions.c.id,
        submissions.c.cost_microdollars,
        submissions.c.cost_doubted,
        submissions.c.reserved_microdollars,
        submissions.c.told_microdollars,
        submissions.c.billed,
        submissions.c.settled_at,
    )
    .where(
        submissions.c.fingerprint == sa.bindparam("the_fingerprint"),
        submissions.c.attempt == sa.bindparam("the_attempt"),
        submissions.c.request_id.is_not(None),
        submissions.c.returned.is_(False),
    )
    .order_by(submissions.c.id.desc())
    .limit(1)
)
"""The latest submission of an attempt that reached the service; built once, since building takes as long as running it."""

_SETTLED = ("cost_microdollars", "cost_doubted", "told_microdollars", "settled_at")
_SETTLE = (
    submissions.update()
    .where(submissions.c.id == sa.bindparam("the_id"))
    .values({name: sa.bindparam(f"to_{name}") for name in _SETTLED})
)

COST_QUERIED = "cost_asked"
"""The event of a cost that was asked for in vain."""


class Responses(LedgerBase):
    """From `submitting` to the delivered video. Recording the same thing twice changes nothing and is not an error."""

    def submitted(self, fingerprint: str, *, attempt: int, owner: str, request_id: str) -> RequestRow:
        """Record that the service accepted the request.

        A late response is accepted too (from `unknown`): a known request id is proof.

        Raises:
            StaleClaim: another owner or attempt holds the row. The request id is kept with the attempt it belongs to.
                If the row was only planned again, it becomes `submitted` for the run that adopts it.
            IllegalTransition: the attempt already has another request id; this one is kept as an event.

        If another request has this id, both cannot be right: the row becomes `unknown`, for a person to decide.
        """
        try:
            return self._submitted(fingerprint, attempt, owner, request_id)
        except sa.exc.IntegrityError:  # two processes were given one id at the same moment; the second sees it now
            return self._submitted(fingerprint, attempt, owner, request_id)

    def _submitted(self, fingerprint: str, attempt: int, owner: str, request_id: str) -> RequestRow:
        now = self._now()
        changes = {"state": State.SUBMITTED, "request_id": request_id, "submitted_at": now, "reason": None}
        with self.database.write() as connection:
            found = self._row(connection, fingerprint)
            other = holder_of(connection, found.service, request_id, but=(fingerprint, attempt))
            if other is not None:
                return self._given_twice(connection, found, other, attempt, owner=owner, request_id=request_id)
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

    def _given_twice(
        self, connection: sa.Connection, row: RequestRow, other: str, attempt: int, *, owner: str, request_id: str
    ) -> RequestRow:
        """Record that the service answered with an id that another request has: this one's outcome is unknown."""
        whose = "an earlier attempt of it" if other == row.fingerprint else f"request {other[:12]}"
        reason = f"the service answered with the id {request_id}, which belongs to {whose}"
        guards = {"state": State.SUBMITTING, "attempt": attempt, "owner": owner}
        changes = {"state": State.UNKNOWN, "reason": stored_reason(reason), "lease_until": None}
        moved = self._move(connection, row.fingerprint, "id_given_twice", guards, changes, owner=owner, reason=reason)
        if moved is None:
            self._remark(connection, row, "id_given_twice", owner=owner, reason=reason, attempt=attempt)
        return moved or row

    def _keep_stray(
        self, connection: sa.Connection, row: RequestRow, attempt: int, *, owner: str, request_id: str
    ) -> None:
        """Keep a request id that arrives after its row has moved on.

        It exists and costs, so the attempt's money counts again.

        If the next attempt is only planned, it must not be paid for as well. The row takes the existing request by the
        same two steps as any other, and waits to be adopted.
        """
        self._remark(
            connection,
            row,
            "stray_request",
            owner=owner,
            reason=f"request {request_id} of attempt {attempt}",
            attempt=attempt,
        )
        if holder_of(connection, row.service, request_id, but=(row.fingerprint, attempt)) is not None:
            return
        # An attempt that was proved unsent is claimed again under its number: the id belongs to the latest claim.
        latest = sa.select(sa.func.max(submissions.c.id)).where(
            submissions.c.fingerprint == row.fingerprint,
            submissions.c.attempt == attempt,
            submissions.c.owner == owner,
            submissions.c.request_id.is_(None),
        )
        stray = connection.execute(
            submissions.update()
            .where(submissions.c.id == latest.scalar_subquery())
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
        """Record that the POST never arrived: `planned` again, its reservation returned."""
        changes = {"state": State.PLANNED, "reason": stored_reason(reason), **_FREE}
        return self._answer(
            fingerprint, "never_delivered", attempt=attempt, owner=owner, changes=changes, reason=reason, returned=True
        )

    def refused_for_now(self, fingerprint: str, *, attempt: int, owner: str, reason: str) -> RequestRow:
        """Record that the service has no capacity now (429): `planned` again, its reservation returned."""
        changes = {"state": State.PLANNED, "reason": stored_reason(reason), **_FREE}
        return self._answer(
            fingerprint, "refused_for_now", attempt=attempt, owner=owner, changes=changes, reason=reason, returned=True
        )

    def refused(self, fingerprint: str, *, attempt: int, owner: str, reason: str, final: bool) -> RequestRow:
        """Record that the service rejected the submit (4xx with a body): `failed`, its reservation returned.

        ``final`` forbids a retry.
        """
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
        """Record that the POST was sent and no response came: `unknown`; its reservation stays."""
        changes = {"state": State.UNKNOWN, "reason": stored_reason(reason), "lease_until": None}
        return self._answer(
            fingerprint, "outcome_unknown", attempt=attempt, owner=owner, changes=changes, reason=reason
        )

    # Responses to polls; any process that polls may record them

    def started(self, fingerprint: str, at: datetime) -> RequestRow:
        """Record when the service was first seen working on the request."""
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
        self,
        fingerprint: str,
        *,
        attempt: int,
        cost_microdollars: int | None = None,
        at: datetime | None = None,
        answered_model_id: str | None = None,
        substituted: bool = False,
    ) -> RequestRow:
        """Record that the service finished the video.

        Args:
            fingerprint: the request.
            attempt: the attempt that was polled.
            cost_microdollars: the cost, if the service reports it already.
            at: when it ended, if the service says so; otherwise now. Expected waiting times are computed from it.
            answered_model_id: the model that answered, if the service names it.
            substituted: it is another model than was paid for, so its family waits for a person's agreement.
        """
        changes = {"reason": None, "answered_model_id": answered_model_id}
        return self._verdict(
            fingerprint,
            State.SUCCEEDED,
            attempt,
            cost=cost_microdollars,
            at=at,
            changes=changes,
            substituted=substituted,
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
        """Record that the service failed the request; ``final`` forbids a retry.

        The reservation stays until the cost is known.
        """
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
        """Record that the service confirmed the cancel. The reservation stays until the cost is known."""
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
        substituted: bool = False,
    ) -> RequestRow:
        known_again = {"not_found_since": None, "not_found_at": None, "ask_after": None}
        changes = {"state": state, "finished_at": at or self._now(), **known_again, **changes}
        with self.database.write() as connection:
            guards = {"state": State.SUBMITTED, "attempt": attempt}
            row = self._move(connection, fingerprint, state.value, guards, changes, reason=reason)
            if row is None:
                row = self._row(connection, fingerprint, lock=True)
                if row.attempt != attempt or row.state is not state:
                    raise self._refusal(row, state.value, attempt)
            elif substituted:
                self._hold_substituted(connection, row)
            return row if cost is None else self._settle(connection, row, cost, attempt)

    def _hold_substituted(self, connection: sa.Connection, row: RequestRow) -> None:
        words = f"The model {row.answered_model_id} answered a request for {row.model_id} (clip {row.clip})."
        now = self._time(connection)
        hold_family(connection, row, row.attempt, kind=OF_MODEL, billed=None, reason=words, now=now)

    # Delivery and cost

    def delivered(
        self, fingerprint: str, *, video_key: str, sha256: str, size_bytes: int, replaced_sha256: str | None = None
    ) -> RequestRow:
        """Record that the whole video is in the bucket, and that it was opened and is one.

        ``replaced_sha256`` is a stored file that was none, and whose place this one took.

        Raises:
            IllegalTransition: the request has not succeeded.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.state is not State.SUCCEEDED:
                raise self._refusal(row, "delivered", row.attempt)
            if row.delivered_at is not None and (row.video_key, row.video_sha256) == (video_key, sha256):
                if replaced_sha256 is None:
                    return row if row.video_checked else self._set(connection, row, video_checked=True)
                row = self._set(connection, row, video_checked=True, replaced_sha256=replaced_sha256)
                self._remark(
                    connection, row, "replaced", owner=row.owner, reason=f"it took the place of {replaced_sha256}"
                )
                return row
            changes = {
                "video_key": video_key,
                "video_sha256": sha256,
                "video_bytes": size_bytes,
                "delivered_at": self._now(),
                "lease_until": None,
                "lost": False,
                "not_found_since": None,
                "not_found_at": None,
                "ask_after": None,
                "video_checked": True,
                "replaced_sha256": replaced_sha256 or row.replaced_sha256,
            }
            guards = {"state": State.SUCCEEDED, "attempt": row.attempt}
            moved = self._move(connection, fingerprint, "delivered", guards, changes, owner=row.owner, reason=video_key)
            return moved or row

    def lost(self, fingerprint: str, reason: str) -> RequestRow:
        """Record that a succeeded request's video is neither in the bucket nor at the service.

        Only a new take replaces it.
        """
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
        """Record what an attempt really cost; the current attempt unless another is given.

        Raises:
            IllegalTransition: the attempt never reached the service.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            return self._settle(connection, row, cost_microdollars, row.attempt if attempt is None else attempt)

    def _settle(self, connection: sa.Connection, row: RequestRow, cost: int, attempt: int) -> RequestRow:
        if cost < 0:
            raise LedgerError(f"{cost} micro-dollars is not a valid cost.", remedy="Nothing was changed.")
        which = {"the_fingerprint": row.fingerprint, "the_attempt": attempt}
        known = connection.execute(_CHARGEABLE, which).one_or_none()
        if known is None:
            raise IllegalTransition(
                f"Request {row.fingerprint[:12]} has no chargeable submission of attempt {attempt}.",
                remedy="Nothing was changed.",
            )
        succeeded = attempt == row.attempt and row.state is State.SUCCEEDED
        belief = believe(cost, known.reserved_microdollars, succeeded=succeeded)
        if belief.microdollars is None:  # nothing to go by: it stays open, and is asked again
            self._remark(connection, row, COST_QUERIED, reason=belief.doubt, attempt=attempt)
            return row
        doubted = bool(belief.doubt)
        as_before = (known.cost_microdollars, bool(known.cost_doubted)) == (belief.microdollars, doubted)
        if known.told_microdollars == cost or (known.told_microdollars is None and as_before):
            return row  # it was reported before; perhaps a person has agreed to it since
        if known.settled_at is not None and is_corrected(connection, row.fingerprint, attempt):
            return row
        if known.reserved_microdollars and cost > max(known.reserved_microdollars, known.told_microdollars or 0):
            words = surprise_words(row, cost, known.reserved_microdollars)
            now = self._time(connection)
            hold_family(connection, row, attempt, kind=OF_PRICE, billed=known.billed, reason=words, now=now)
        connection.execute(
            _SETTLE,
            {
                "the_id": known.id,
                "to_cost_microdollars": belief.microdollars,
                "to_cost_doubted": doubted,
                "to_told_microdollars": cost,
                "to_settled_at": known.settled_at or self._time(connection),
            },
        )
        what = "cost_doubted" if doubted else "settled"
        reason = f"{belief.microdollars} micro-dollars{f' are counted: {belief.doubt}' if doubted else ''}"
        if attempt != row.attempt:
            self._remark(connection, row, what, reason=reason, attempt=attempt)
            return row
        moved = self._move(
            connection,
            row.fingerprint,
            what,
            {"state": row.state, "attempt": attempt},
            {"cost_microdollars": belief.microdollars, "cost_doubted": doubted, "told_microdollars": cost},
            reason=reason,
        )
        return moved or row

    def note(self, fingerprint: str, owner: str, reason: str) -> None:
        """Record an observation without a change of state (an unconfirmed cancel, a deadline)."""
        with self.database.write() as connection:
            self._remark(connection, self._row(connection, fingerprint), "note", owner=owner, reason=reason)
