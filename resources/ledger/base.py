"""What all parts of the ledger share: how it is opened, a guarded update with its event, and the error if it does not apply."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from resources.ledger.database import Database
from resources.ledger.errors import IllegalTransition, LedgerError, NotALedger, StaleClaim, UnknownRequest
from resources.ledger.records import RequestRow, State, utc_now
from resources.ledger.tables import events, identity, requests, services, submissions
from resources.redact import redact

COLUMNS = [requests.c[name] for name in RequestRow.__dataclass_fields__]
_STATE = list(RequestRow.__dataclass_fields__).index("state")

SELECT_ROW = sa.select(*COLUMNS).where(requests.c.fingerprint == sa.bindparam("the_fingerprint"))
LOCK_ROW = SELECT_ROW.with_for_update()
INSERT_EVENT = events.insert()

SERVER_TIME = sa.select(sa.func.clock_timestamp())

FINISHED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


MAX_REASON = 2000
"""Characters of a reason that are kept; an error page of the service may be long."""


def stored_reason(reason: str | None) -> str | None:
    """Return a reason as the ledger stores it: redacted, at most `MAX_REASON` characters."""
    return None if reason is None else redact(reason)[:MAX_REASON]


def row_of(found: Iterable[Any]) -> RequestRow:
    """Return the `RequestRow` of a database row whose columns are in the order of `COLUMNS`."""
    values = list(found)
    values[_STATE] = State(values[_STATE])
    return RequestRow(*values)


@cache
def move_statement(guards: tuple[str, ...], changes: tuple[str, ...]) -> sa.sql.dml.ReturningUpdate[Any]:
    """Return a guarded UPDATE that returns the changed row.

    Cached for each set of columns, because building it is slow.
    """
    conditions = [requests.c[name] == sa.bindparam(f"if_{name}") for name in guards]
    return (
        requests.update()
        .where(requests.c.fingerprint == sa.bindparam("the_fingerprint"), *conditions)
        .values({name: sa.bindparam(f"to_{name}") for name in changes})
        .returning(*COLUMNS)
    )


@cache
def submission_statement(changes: tuple[str, ...]) -> sa.Update:
    """Return an UPDATE of the submissions of one attempt whose reservation was not returned."""
    return (
        submissions.update()
        .where(
            submissions.c.fingerprint == sa.bindparam("the_fingerprint"),
            submissions.c.attempt == sa.bindparam("the_attempt"),
            submissions.c.returned.is_(False),
        )
        .values({name: sa.bindparam(f"to_{name}") for name in changes})
    )


_HOLDER = (
    sa.select(submissions.c.fingerprint)
    .where(
        submissions.c.service == sa.bindparam("the_service"),
        submissions.c.request_id == sa.bindparam("the_request"),
        sa.not_(
            sa.and_(
                submissions.c.fingerprint == sa.bindparam("but_fingerprint"),
                submissions.c.attempt == sa.bindparam("but_attempt"),
            )
        ),
    )
    .limit(1)
)


def holder_of(connection: sa.Connection, service: str, request_id: str | None, *, but: tuple[str, int]) -> str | None:
    """Return the fingerprint of the submission that has this request id, unless it is the given attempt; None if none."""
    which = {"the_service": service, "the_request": request_id, "but_fingerprint": but[0], "but_attempt": but[1]}
    found = connection.execute(_HOLDER, which).scalar()
    return None if found is None else str(found)


_LOCK_SERVICE = sa.select(services.c.service).where(services.c.service == sa.bindparam("the_service")).with_for_update()


class LedgerBase:
    """The database, the clock, and the steps that every change is made of. Each public call is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self.database = database
        self._now = clock

    @classmethod
    def open(cls, url: str, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open the ledger at a SQLAlchemy URL and migrate its tables to the newest version.

        Raises:
            LedgerUnavailable: the database cannot be reached or written.
            NotALedger: its SQLite file is empty, damaged or another program's.
            LedgerError: the URL is of another kind of database, or a newer program made the tables.
            SettingsError: the URL is malformed.
        """
        return cls(Database.open(url), clock)

    @cached_property
    def id(self) -> str:
        """The name under which buckets know this ledger: 32 hex digits that no other ledger has.

        Raises:
            NotALedger: it has none, so somebody emptied its tables.
        """
        with self.database.read() as connection:
            found: str | None = connection.execute(sa.select(identity.c.id).limit(1)).scalar()
        if found is None:
            raise NotALedger("The ledger has lost its name.", remedy="Restore its database from a backup.")
        return found

    @property
    def name(self) -> str:
        """Which ledger this is, for people: where it is, and the beginning of its id."""
        return f"{self.database.place} (id {self.id[:8]})"

    @property
    def engine(self) -> sa.Engine:
        """Return the engine, for other tables of this database.

        On SQLite its transactions take the write lock as they begin.
        """
        return self.database.engine

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The steps of a change

    def _time(self, connection: sa.Connection) -> datetime:
        """Return the time that leases and pauses are measured by.

        On Postgres it is the server's, so that a host whose clock is wrong takes and leaves no claim wrongly.
        """
        if self.database.is_sqlite or self._now is not utc_now:
            return self._now()
        at: datetime = connection.execute(SERVER_TIME).scalar_one()
        return at.astimezone(UTC)

    @staticmethod
    def _set(connection: sa.Connection, row: RequestRow, **values: object) -> RequestRow:
        """Change columns that are not a step of the request's life."""
        found = connection.execute(
            requests.update().where(requests.c.fingerprint == row.fingerprint).values(**values).returning(*COLUMNS)
        ).one()
        return row_of(found)

    def _row(self, connection: sa.Connection, fingerprint: str, *, lock: bool = False) -> RequestRow:
        """Return the row of a fingerprint, locked if ``lock`` is set (in a writing transaction).

        Raises:
            UnknownRequest: no row has this fingerprint.
        """
        found = connection.execute(LOCK_ROW if lock else SELECT_ROW, {"the_fingerprint": fingerprint}).one_or_none()
        if found is None:
            raise UnknownRequest(
                f"The ledger has no request {fingerprint[:12]}.", remedy="`i2v ledger list` shows all requests."
            )
        return row_of(found)

    def _move(
        self,
        connection: sa.Connection,
        fingerprint: str,
        what: str,
        guards: Mapping[str, Any],
        changes: Mapping[str, Any],
        *,
        owner: str | None = None,
        reason: str | None = None,
    ) -> RequestRow | None:
        """Run one guarded UPDATE and write its event; return None and change nothing if the guards do not match."""
        parameters = {"the_fingerprint": fingerprint}
        parameters |= {f"if_{name}": value for name, value in guards.items()}
        parameters |= {f"to_{name}": value for name, value in changes.items()}
        found = connection.execute(move_statement(tuple(guards), tuple(changes)), parameters).one_or_none()
        if found is None:
            return None
        row = row_of(found)
        self._event(connection, row, what, from_state=guards["state"], owner=owner, reason=reason)
        return row

    def _event(
        self,
        connection: sa.Connection,
        row: RequestRow,
        what: str,
        *,
        from_state: State | None,
        owner: str | None = None,
        reason: str | None = None,
        attempt: int | None = None,
    ) -> None:
        connection.execute(
            INSERT_EVENT,
            {
                "fingerprint": row.fingerprint,
                "at": self._now(),
                "what": what,
                "from_state": from_state,
                "to_state": row.state,
                "attempt": attempt or row.attempt,
                "owner": owner,
                "reason": stored_reason(reason),
            },
        )

    def _remark(
        self,
        connection: sa.Connection,
        row: RequestRow,
        what: str,
        *,
        owner: str | None = None,
        reason: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Write an event without a change of state."""
        self._event(connection, row, what, from_state=row.state, owner=owner, reason=reason, attempt=attempt)

    def _change_submission(self, connection: sa.Connection, fingerprint: str, attempt: int, **changes: Any) -> int:
        parameters = {"the_fingerprint": fingerprint, "the_attempt": attempt}
        parameters |= {f"to_{name}": value for name, value in changes.items()}
        return connection.execute(submission_statement(tuple(changes)), parameters).rowcount

    def _answer(
        self,
        fingerprint: str,
        what: str,
        *,
        attempt: int,
        owner: str,
        changes: Mapping[str, Any],
        reason: str | None,
        returned: bool = False,
    ) -> RequestRow:
        """Record the outcome of a submit, reported by the owner of the claim; only a request in `submitting` changes.

        An outcome that comes too late changes no row. It is kept as an event for the person who decides.
        """
        guards = {"state": State.SUBMITTING, "attempt": attempt, "owner": owner}
        with self.database.write() as connection:
            row = self._move(connection, fingerprint, what, guards, changes, owner=owner, reason=reason)
            if row is not None:
                if returned:
                    self._change_submission(connection, fingerprint, attempt, returned=True)
                return row
            row = self._row(connection, fingerprint)
            refusal = self._refusal(row, what, attempt, owner)
            if row.state is State.UNKNOWN and row.attempt == attempt and row.owner == owner:
                self._remark(connection, row, "late_answer", owner=owner, reason=f"{what}: {reason}")
        raise refusal

    @staticmethod
    def _refusal(row: RequestRow, what: str, attempt: int, owner: str | None = None) -> LedgerError:
        """Return the error that says why a change does not apply to this row."""
        name = row.fingerprint[:12]
        if row.attempt != attempt:
            return StaleClaim(
                f"Request {name} is at attempt {row.attempt}; `{what}` is about attempt {attempt}.",
                remedy="Nothing was changed.",
            )
        if owner is not None and row.owner != owner:
            return StaleClaim(
                f"Request {name} belongs to {row.owner or 'no owner'}; `{what}` came from {owner}.",
                remedy="Nothing was changed.",
            )
        if owner is not None and row.state is State.UNKNOWN:
            return StaleClaim(
                f"The lease on request {name} ran out before `{what}`. Its outcome is now unknown.",
                remedy="`i2v ledger resolve` settles it.",
            )
        return IllegalTransition(
            f"Request {name} is {row.state}; `{what}` does not apply.", remedy="Nothing was changed."
        )

    def _lock_service(self, connection: sa.Connection, service: str) -> None:
        if connection.execute(_LOCK_SERVICE, {"the_service": service}).first() is None:
            connection.execute(self.database.insert_new(services), {"service": service})
            connection.execute(_LOCK_SERVICE, {"the_service": service})
