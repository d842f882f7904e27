"""Ownership of requests: claims with their reservations, leases, adoption."""

from datetime import datetime, timedelta
from functools import cached_property

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, SELECT_ROW, row_of
from resources.ledger.budget import budget_refusal
from resources.ledger.holds import IS_HELD, Holds
from resources.ledger.leases import GRACE_SECONDS, LONGEST_LEASE, LONGEST_PAUSE
from resources.ledger.lookouts import ASK_AGAIN, IS_MISSED
from resources.ledger.records import (
    AlreadyClaimed,
    AtCapacity,
    Caps,
    Claimed,
    ClaimOutcome,
    NewRequest,
    PauseState,
    QuotedPrice,
    RequestRow,
    State,
    WantedCheck,
)
from resources.ledger.tables import requests, services, submissions
from resources.redact import redact_inputs

_IN_FLIGHT = sa.select(sa.func.count()).where(
    requests.c.service == sa.bindparam("the_service"),
    requests.c.state.in_([State.SUBMITTING, State.SUBMITTED]),
    requests.c.lease_until > sa.bindparam("the_time"),
    requests.c.lease_until <= sa.bindparam("the_longest"),
)
_HEARTBEAT = (
    requests.update()
    .where(requests.c.owner == sa.bindparam("the_owner"), requests.c.lease_until.is_not(None))
    .values(lease_until=sa.bindparam("the_lease"))
)
_INSERT_SUBMISSION = submissions.insert()


def in_flight(connection: sa.Connection, service: str, now: datetime) -> int:
    """Return how many requests of a service have a live lease, over all processes; one beyond the longest is not a lease."""
    times = {"the_service": service, "the_time": now, "the_longest": now + LONGEST_LEASE}
    return int(connection.execute(_IN_FLIGHT, times).scalar_one())


class Claims(Holds):
    """From `planned` to `submitting`, and which process owns what."""

    def plan(self, new: NewRequest) -> RequestRow:
        """Plan a request; return the existing row if the fingerprint is already planned."""
        with self.database.read() as connection:
            known = connection.execute(SELECT_ROW, {"the_fingerprint": new.fingerprint}).one_or_none()
        if known is not None:
            return row_of(known)
        with self.database.write() as connection:
            values = {name: getattr(new, name) for name in NewRequest.__dataclass_fields__}
            values |= {
                "inputs_json": redact_inputs(new.inputs_json),
                "state": State.PLANNED,
                "attempt": 1,
                "final": False,
                "lost": False,
                "resubmissions": 0,
                "created_at": self._now(),
            }
            made = connection.execute(self._insert_new_request, values).first()
            if made is None:  # two processes may plan the same request at once
                return self._row(connection, new.fingerprint)
            row = row_of(made)
            self._event(connection, row, "planned", from_state=None)
        return row

    @cached_property
    def _insert_new_request(self) -> sa.Executable:
        return self.database.insert_new(requests).returning(*COLUMNS)

    def claim(
        self,
        fingerprint: str,
        *,
        owner: str,
        run_id: str | None,
        lease_seconds: float,
        price_microdollars: int | None,
        model_id: str,
        caps: Caps,
        max_in_flight: int,
        nonce: str | None = None,
        quoted: QuotedPrice | None = None,
        wanted: WantedCheck = lambda _connection: None,
    ) -> ClaimOutcome:
        """Claim a planned request and reserve its price, in one transaction that is on the disk when this returns.

        Claims of a service are serialised (SQLite: the write lock; Postgres: the service's row), so that two of them
        cannot exceed a cap or `max_in_flight` together.

        Args:
            fingerprint: the request.
            owner: the claiming process; unique to a process.
            run_id: the run whose cap counts.
            lease_seconds: how long the claim is valid without a heartbeat.
            price_microdollars: the amount to reserve; None (an unknown price) reserves nothing but counts as a request.
            model_id: the model id that will be sent.
            caps: the budget limits.
            max_in_flight: the most requests with a live lease, over all processes.
            nonce: what distinguishes this claim from every other in the bucket's record.
            quoted: what the price was quoted by; later quotes learn from it.
            wanted: asked in the same transaction, so that whoever stops the request either prevents the claim or sees it.

        Raises:
            UnknownRequest: the request was never planned.
            LedgerUnavailable: it is unknown whether the claim was made; send no POST.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint)
            service = row.service
            if not self.database.is_sqlite:  # there this transaction has the only write lock
                self._lock_service(connection, service)
                row = self._row(connection, fingerprint, lock=True)
            if row.state is not State.PLANNED:
                return AlreadyClaimed(row)
            unwanted = None
            if connection.execute(IS_HELD, {"the_service": service}).scalar():
                unwanted = self._unwanted(connection, service) or self._disagreed(connection, row, quoted)
            unwanted = unwanted or wanted(connection)
            if unwanted is not None:
                return unwanted
            now = self._time(connection)
            flying = in_flight(connection, service, now)
            if flying >= max_in_flight:
                return AtCapacity(flying)
            refusal = budget_refusal(
                connection,
                service,
                run_id=run_id,
                price=price_microdollars,
                caps=caps,
                now=now,
                fingerprint=fingerprint,
            )
            if refusal is not None:
                return refusal
            claimed = self._move(
                connection,
                fingerprint,
                "claimed",
                {"state": State.PLANNED, "attempt": row.attempt},
                {
                    "state": State.SUBMITTING,
                    "owner": owner,
                    "run_id": run_id,
                    "lease_until": now + timedelta(seconds=lease_seconds),
                    "price_microdollars": price_microdollars,
                    "model_id": model_id,
                    "claimed_at": now,
                    "reason": None,
                },
                owner=owner,
                reason=None if run_id is None else f"run {run_id}",
            )
            if claimed is None:  # only if a writer ignores the locks; the UPDATE's guard decides
                return AlreadyClaimed(self._row(connection, fingerprint))
            connection.execute(
                _INSERT_SUBMISSION,
                {
                    "fingerprint": fingerprint,
                    "attempt": row.attempt,
                    "service": service,
                    "owner": owner,
                    "run_id": run_id,
                    "model_id": model_id,
                    "claimed_at": now,
                    "reserved_microdollars": price_microdollars,
                    "returned": False,
                    "nonce": nonce,
                    **(_columns(quoted) if quoted is not None else {}),
                },
            )
        return Claimed(claimed)

    def renew(self, fingerprint: str, *, attempt: int, owner: str, lease_seconds: float) -> RequestRow | None:
        """Renew the lease of a claim that was delayed before its POST. Call it only if nothing was sent.

        Returns:
            The row, or None if the claim no longer belongs to the owner: then send nothing. If its outcome already
            counts as unknown, an event records that nothing was sent.
        """
        ours = (requests.c.state == State.SUBMITTING, requests.c.attempt == attempt, requests.c.owner == owner)
        with self.database.write() as connection:
            lease = self._time(connection) + timedelta(seconds=lease_seconds)
            renewed = connection.execute(
                requests.update()
                .where(requests.c.fingerprint == fingerprint, *ours)
                .values(lease_until=lease)
                .returning(*COLUMNS)
            ).one_or_none()
            if renewed is not None:
                return row_of(renewed)
            row = self._row(connection, fingerprint)
            if row.state is State.UNKNOWN and row.attempt == attempt and row.owner == owner:
                reason = "its owner was delayed beyond its lease and sent nothing"
                self._remark(connection, row, "late_answer", owner=owner, reason=reason)
        return None

    def adopt(self, fingerprint: str, *, owner: str, run_id: str | None, lease_seconds: float) -> RequestRow | None:
        """Take over a request that is at the service and that no process polls. It is polled, never submitted again.

        Returns:
            The row, `submitted` or `succeeded` without its video; None if another owner holds it or nothing is left to
            wait for. A row that the caller already owns is returned with a new lease.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            now = self._time(connection)
            if not _adoptable(row) or not (row.owner == owner or _dead(row, now)):
                return None
            lease = now + timedelta(seconds=lease_seconds)
            if row.owner == owner and not _dead(row, now):
                return self._set(connection, row, lease_until=lease)
            return self._move(
                connection,
                fingerprint,
                "adopted",
                {"state": row.state, "attempt": row.attempt},
                {"owner": owner, "run_id": run_id, "lease_until": lease},
                owner=owner,
                reason=f"before: {row.owner or 'no owner'}",
            )

    def heartbeat(self, owner: str, lease_seconds: float) -> int:
        """Renew the leases of all requests that this owner holds; return their number."""
        with self.database.write() as connection:
            lease = self._time(connection) + timedelta(seconds=lease_seconds)
            return connection.execute(_HEARTBEAT, {"the_owner": owner, "the_lease": lease}).rowcount

    def release(self, owner: str, *, fingerprint: str | None = None) -> int:
        """Release this owner's requests at the service, or one of them, for adoption; return their number.

        A row in `submitting` is not released: only its owner can say what became of it.
        """
        where = [
            requests.c.owner == owner,
            requests.c.state.in_([State.SUBMITTED, State.SUCCEEDED]),
            requests.c.lease_until.is_not(None),
        ]
        if fingerprint is not None:
            where.append(requests.c.fingerprint == fingerprint)
        with self.database.write() as connection:
            changed = connection.execute(requests.update().where(*where).values(lease_until=None).returning(*COLUMNS))
            rows = [row_of(found) for found in changed.all()]
            for row in rows:
                self._remark(connection, row, "released", owner=owner)
        return len(rows)

    def expire(self, *, grace_seconds: float = GRACE_SECONDS) -> tuple[RequestRow, ...]:
        """Change rows whose owner died between the claim and the recorded response to `unknown`; return those rows.

        Args:
            grace_seconds: seconds after the end of the lease until an owner counts as dead (see `leases`).
        """
        with self.database.read() as connection:
            now = self._time(connection)
            dead = (
                requests.c.state == State.SUBMITTING,
                sa.or_(
                    requests.c.lease_until.is_(None),
                    requests.c.lease_until < now - timedelta(seconds=grace_seconds),
                    requests.c.lease_until > now + LONGEST_LEASE + timedelta(seconds=grace_seconds),
                ),
            )
            due = sa.select(requests.c.fingerprint).where(*dead)
            if connection.execute(due.limit(1)).first() is None:
                return ()
        reason = "its owner stopped between the claim and the service's response"
        with self.database.write() as connection:
            changed = connection.execute(
                requests.update()
                .where(*dead)
                .values(state=State.UNKNOWN, lease_until=None, reason=reason)
                .returning(*COLUMNS)
            )
            rows = tuple(row_of(found) for found in changed.all())
            for row in rows:
                self._event(connection, row, "expired", from_state=State.SUBMITTING, owner=row.owner, reason=reason)
        return rows

    def orphans(self, service: str) -> tuple[RequestRow, ...]:
        """Return requests to adopt: without an owner, and at the service or succeeded without a delivered video.

        Those that the service did not know when it was last asked are left out until it is time to ask again.
        """
        waiting = requests.c.state == State.SUBMITTED
        undelivered = sa.and_(
            requests.c.state == State.SUCCEEDED, requests.c.delivered_at.is_(None), requests.c.lost.is_(False)
        )
        with self.database.read() as connection:
            now = self._time(connection)
            dead = sa.or_(
                requests.c.lease_until.is_(None),
                requests.c.lease_until < now,
                requests.c.lease_until > now + LONGEST_LEASE,
            )
            rested = sa.or_(
                requests.c.ask_after.is_(None), requests.c.ask_after <= now, requests.c.ask_after > now + ASK_AGAIN
            )
            query = sa.select(*COLUMNS).where(requests.c.service == service, sa.or_(waiting, undelivered), dead, rested)
            return tuple(row_of(found) for found in connection.execute(query.order_by(requests.c.created_at)))

    def prove_writable(self) -> None:
        """Write a small change and wait until it is on the disk; called before anything is paid for.

        Raises:
            LedgerUnavailable: the ledger cannot be written, so nothing may be submitted.
        """
        with self.database.write() as connection:
            self._lock_service(connection, "")
            connection.execute(services.update().where(services.c.service == "").values(probed_at=self._now()))

    def pause(self, service: str, until: datetime) -> None:
        """Pause all processes' calls to this service until then (a Retry-After that one of them received).

        A pause is never shortened, and never longer than `LONGEST_PAUSE`.
        """
        with self.database.write() as connection:
            self._lock_service(connection, service)
            now = self._time(connection)
            longest = now + LONGEST_PAUSE
            until = min(now + (until - self._now()), longest)  # given by this process's clock
            connection.execute(
                services.update()
                .where(
                    services.c.service == service,
                    sa.or_(
                        services.c.paused_until.is_(None),
                        services.c.paused_until < until,
                        services.c.paused_until > longest,
                    ),
                )
                .values(paused_until=until)
            )

    def pause_state(self, service: str) -> PauseState:
        """Return how long the service is to be left alone, and whether it may be out of order.

        A moment further away than `LONGEST_PAUSE` was never asked for by a clock that is right, so it counts as none.
        """
        missed = sa.exists().where(requests.c.service == service, IS_MISSED)
        query = sa.select(services.c.paused_until, services.c.resumes, missed).where(services.c.service == service)
        with self.database.read() as connection:
            found = connection.execute(query).one_or_none()
            if found is None:  # a ledger that was rebuilt has requests, and no row of their service yet
                return PauseState(0.0, 0, bool(connection.execute(sa.select(missed)).scalar_one()))
            now = self._time(connection)
        until = found.paused_until
        running = until is not None and now < until <= now + LONGEST_PAUSE
        return PauseState((until - now).total_seconds() if running else 0.0, found.resumes, bool(found[2]))

    def paused_until(self, service: str) -> datetime | None:
        """Return when the service may be called again, or None if it may be called now."""
        seconds = self.pause_state(service).seconds
        return self._now() + timedelta(seconds=seconds) if seconds > 0 else None

    def resume(self, service: str) -> float:
        """End the pause of all processes' calls to this service; return the seconds that were left of it."""
        left = self.pause_state(service).seconds
        with self.database.write() as connection:
            self._lock_service(connection, service)
            connection.execute(
                services.update()
                .where(services.c.service == service)
                .values(paused_until=None, resumes=services.c.resumes + 1)
            )
        return left


def _columns(quoted: QuotedPrice) -> dict[str, object]:
    return {
        "billed": quoted.billed,
        "base_microdollars": quoted.base_microdollars,
        "expected_microdollars": quoted.expected_microdollars,
        "terms": quoted.terms,
    }


def _adoptable(row: RequestRow) -> bool:
    if row.state is State.SUCCEEDED:
        return row.delivered_at is None and not row.lost
    return row.state is State.SUBMITTED


def _dead(row: RequestRow, now: datetime) -> bool:
    """Return True for a lease that ran out; one that no owner can have asked for now was written by a wrong clock."""
    return row.lease_until is None or not now <= row.lease_until <= now + LONGEST_LEASE
