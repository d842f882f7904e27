"""What people decide, and the bounded rules that decide for them: retries, unknown outcomes, approvals."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from resources.ledger.base import LedgerBase
from resources.ledger.errors import FinalOutcome, IllegalTransition, LedgerError, StaleClaim
from resources.ledger.records import RequestRow, State
from resources.ledger.tables import approvals, submissions

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
}
"""A new attempt: nothing of the last one stays in the row; it stays in the submissions and events."""


class Decisions(LedgerBase):
    """Everything that is not the service's word."""

    def retry(self, fingerprint: str, *, by: str, attempt: int) -> RequestRow:
        """Plan a failed or cancelled request again, as its next attempt.

        Args:
            fingerprint: the request.
            by: who asks for it.
            attempt: the attempt that was seen to have failed: two who see the same failure make one new attempt of it.

        Raises:
            StaleClaim: it is at another attempt by now: look again.
            FinalOutcome: the same inputs are never sent again.
            IllegalTransition: it has neither failed nor been cancelled.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.attempt != attempt or row.state not in (State.FAILED, State.CANCELLED):
                raise self._refusal(row, "retry", attempt)
            if row.final:
                raise FinalOutcome(
                    f"Request {fingerprint[:12]} failed for good: {row.reason or 'no reason was given'}.",
                    remedy="Change the clip's media or brief, or ask for a new take.",
                )
            return self._again(connection, row, "retry", by, None)

    def cancel_planned(self, fingerprint: str, by: str) -> RequestRow:
        """Withdraw what was not submitted yet."""
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
        """A person says what became of a request whose outcome is unknown; exactly one of the three.

        Args:
            fingerprint: the request.
            by: who says so.
            request_id: it is at the service under this id: `submitted`, and adopted by the next run.
            not_charged: the service does not have it and will not charge it: `planned` again, its money returned.
            given_up: nobody knows: `failed` for good, its money stays counted; only a new take is sent.

        Raises:
            IllegalTransition: the outcome is not unknown, or the request id belongs to another request.
        """
        if (request_id is not None) + not_charged + given_up != 1:
            raise LedgerError(
                "Say one of: its request id, that it was not charged, or that it is given up.",
                remedy="The service's web console lists the requests and what they cost.",
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
                self._refuse_other(connection, fingerprint, request_id)
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
        """Plan a request of unknown outcome again, because the settings say so (`on_unknown: resubmit`); may pay twice.

        Args:
            fingerprint: the request.
            cap: how often at most.
            attempt: the attempt whose outcome was seen to be unknown.

        Returns:
            The row; None when it was resubmitted ``cap`` times already and stays `unknown`.

        Raises:
            StaleClaim: its outcome is known by now, or it is at another attempt: look again.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            if row.attempt != attempt or row.state is not State.UNKNOWN:
                raise StaleClaim(
                    f"Request {fingerprint[:12]} is {row.state} at attempt {row.attempt}, and no longer unknown at"
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
        """The next attempt. Its new number makes every answer that still comes for the last one stale."""
        changes = {**_FRESH, "attempt": row.attempt + 1, **more}
        guards = {"state": row.state, "attempt": row.attempt}
        moved = self._move(connection, row.fingerprint, what, guards, changes, owner=by, reason=reason or row.reason)
        if moved is None:
            raise self._refusal(row, what, row.attempt)
        return moved

    @staticmethod
    def _refuse_other(connection: sa.Connection, fingerprint: str, request_id: str | None) -> None:
        other = connection.execute(
            sa.select(submissions.c.fingerprint)
            .where(submissions.c.request_id == request_id, submissions.c.fingerprint != fingerprint)
            .limit(1)
        ).scalar()
        if other is not None:
            raise IllegalTransition(
                f"The service's request {request_id} is that of {other[:12]}.",
                remedy="Look up the id of this one; `i2v ledger show` says when it was sent.",
            )

    # Approvals

    def approve(self, plan_hash: str, fingerprints_with_prices: Mapping[str, int | None], by: str) -> None:
        """Note that a person agreed to pay these prices (micro-dollars; None: a price that is not known)."""
        at = self._now()
        rows = [
            {"fingerprint": name, "plan_hash": plan_hash, "price_microdollars": price, "approved_by": by, "at": at}
            for name, price in fingerprints_with_prices.items()
        ]
        if rows:
            with self.database.write() as connection:
                connection.execute(approvals.insert(), rows)

    def is_approved(self, fingerprint: str, price_microdollars: int | None) -> bool:
        """True when a person agreed to this price or a higher one; an unknown price only where that was agreed to."""
        standing = (approvals.c.fingerprint == fingerprint, approvals.c.voided_at.is_(None))
        query = sa.select(approvals.c.id).where(*standing).limit(1)
        if price_microdollars is None:
            query = query.where(approvals.c.price_microdollars.is_(None))
        else:
            query = query.where(approvals.c.price_microdollars >= price_microdollars)
        with self.database.read() as connection:
            return connection.execute(query).first() is not None
