"""Decisions of people, and the bounded rules that decide for them: retries and unknown outcomes."""

from typing import Any

import sqlalchemy as sa

from resources.ledger.base import LedgerBase, holder_of
from resources.ledger.errors import FinalOutcome, IllegalTransition, LedgerError, StaleClaim
from resources.ledger.records import RequestRow, State

_FRESH: dict[str, Any] = {
    "state": State.PLANNED,
    "owner": None,
    "lease_until": None,
    "run_id": None,
    "model_id": None,
    "request_id": None,
    "price_microdollars": None,
    "cost_microdollars": None,
    "claimed_at": None,
    "submitted_at": None,
    "started_at": None,
    "finished_at": None,
    "not_found_since": None,
    "not_found_at": None,
    "ask_after": None,
    "cost_doubted": None,
    "told_microdollars": None,
    "answered_model_id": None,
}
"""The columns of a new attempt. Values of the last attempt leave the row and stay in submissions and events."""


class Decisions(LedgerBase):
    """All changes that do not come from the service."""

    def retry(self, fingerprint: str, *, by: str, attempt: int) -> RequestRow:
        """Plan a failed or cancelled request again, as its next attempt.

        Args:
            fingerprint: the request.
            by: the person or rule that asks.
            attempt: the attempt that was seen to fail; if two callers see the same failure, one new attempt is made.

        Raises:
            StaleClaim: the request is at another attempt by now; read it again.
            FinalOutcome: the same inputs are never sent again.
            IllegalTransition: the request has neither failed nor been cancelled.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.attempt != attempt or row.state not in (State.FAILED, State.CANCELLED):
                raise self._refusal(row, "retry", attempt)
            if row.final:
                raise FinalOutcome(
                    f"Request {fingerprint[:12]} failed for good: {row.reason or 'no reason was given'}.",
                    remedy="Change the clip's media or brief, or request a new take.",
                )
            return self._again(connection, row, "retry", by, None)

    def cancel_planned(self, fingerprint: str, by: str) -> RequestRow:
        """Cancel a request that was not submitted yet."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            changes = {"state": State.CANCELLED, "reason": f"cancelled by {by}", "finished_at": self._now()}
            guards = {"state": State.PLANNED, "attempt": row.attempt}
            moved = self._move(connection, fingerprint, "withdrawn", guards, changes, owner=by)
            if moved is None:
                raise self._refusal(row, "cancel_planned", row.attempt)
            return moved

    def resolve(
        self,
        fingerprint: str,
        *,
        by: str,
        request_id: str | None = None,
        not_charged: bool = False,
        given_up: bool = False,
    ) -> RequestRow:
        """Record a person's decision about a request of unknown outcome. Exactly one of the three options is given.

        Args:
            fingerprint: the request.
            by: the person who decides.
            request_id: the service has the request under this id: it becomes `submitted`, and the next run adopts it.
            not_charged: the service does not have it and will not charge it: it becomes `planned` and its reservation
                is returned.
            given_up: its outcome stays unknown: it becomes `failed` for good, its reservation stays counted, and only a
                new take is sent.

        Raises:
            IllegalTransition: the outcome is not unknown, or the request id belongs to another request.
        """
        if (request_id is not None) + not_charged + given_up != 1:
            raise LedgerError(
                "Give exactly one of: the request id, --not-charged, --given-up.",
                remedy="The service's web console lists the requests and their costs.",
            )
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.state is not State.UNKNOWN:
                raise self._refusal(row, "resolve", row.attempt)
            if not_charged:
                self._change_submission(connection, fingerprint, row.attempt, returned=True)
                return self._again(connection, row, "resolved", by, "not charged")
            guards = {"state": State.UNKNOWN, "attempt": row.attempt}
            if given_up:
                reason = f"its outcome is unknown and was given up by {by}"
                changes = {"state": State.FAILED, "final": True, "reason": reason, "finished_at": self._now()}
            else:
                self._refuse_other(connection, row, request_id)
                self._change_submission(connection, fingerprint, row.attempt, request_id=request_id)
                reason = f"request {request_id}"
                changes = {
                    "state": State.SUBMITTED,
                    "request_id": request_id,
                    "owner": None,
                    "submitted_at": row.claimed_at,
                    "reason": None,
                }
            return self._move(connection, fingerprint, "resolved", guards, changes, owner=by, reason=reason) or row

    def resubmit_unknown(self, fingerprint: str, *, cap: int, attempt: int) -> RequestRow | None:
        """Plan a request of unknown outcome again if the settings allow it (`on_unknown: resubmit`).

        This may pay twice.

        Args:
            fingerprint: the request.
            cap: how many times at most.
            attempt: the attempt whose outcome was seen to be unknown.

        Returns:
            The row, or None if it was resubmitted ``cap`` times already and stays `unknown`.

        Raises:
            StaleClaim: its outcome is known by now, or it is at another attempt; read it again.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.attempt != attempt or row.state is not State.UNKNOWN:
                raise StaleClaim(
                    f"Request {fingerprint[:12]} is {row.state} at attempt {row.attempt}. It is no longer unknown at"
                    f" attempt {attempt}.",
                    remedy="Nothing was changed.",
                )
            if row.resubmissions >= cap:
                return None
            return self._again(
                connection, row, "resubmit", "on_unknown=resubmit", row.reason, resubmissions=row.resubmissions + 1
            )

    def _again(
        self, connection: sa.Connection, row: RequestRow, what: str, by: str, reason: str | None, **more: Any
    ) -> RequestRow:
        """Start the next attempt. Its number makes every late response to the last attempt stale."""
        changes = {**_FRESH, "attempt": row.attempt + 1, **more}
        guards = {"state": row.state, "attempt": row.attempt}
        moved = self._move(connection, row.fingerprint, what, guards, changes, owner=by, reason=reason or row.reason)
        if moved is None:
            raise self._refusal(row, what, row.attempt)
        return moved

    @staticmethod
    def _refuse_other(connection: sa.Connection, row: RequestRow, request_id: str | None) -> None:
        other = holder_of(connection, row.service, request_id, but=(row.fingerprint, row.attempt))
        if other is not None:
            raise IllegalTransition(
                f"Request id {request_id} belongs to request {other[:12]}.",
                remedy="Look up the id of this request. `i2v ledger show` says when it was sent.",
            )
