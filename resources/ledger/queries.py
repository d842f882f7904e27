"""Questions to the ledger; none of them changes anything."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, TextIO, TypeAlias

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, FINISHED, SELECT_ROW, LedgerBase, row_of
from resources.ledger.budget import day_bounds, spend_between
from resources.ledger.database import chunks
from resources.ledger.records import Event, Money, RequestRow, Spend, SpendLine, State
from resources.ledger.tables import approvals, events, identity, requests, submissions

_EVENT_COLUMNS = [events.c[field.name] for field in fields(Event)]
_BY_REQUEST_ID = (
    sa.select(*COLUMNS)
    .join(submissions, submissions.c.fingerprint == requests.c.fingerprint)
    .where(submissions.c.request_id == sa.bindparam("the_id"))
    .limit(1)
)
_GENERATION_TIMES = (
    sa.select(requests.c.submitted_at, requests.c.finished_at)
    .where(
        requests.c.service == sa.bindparam("the_service"),
        requests.c.model_id == sa.bindparam("the_model"),
        requests.c.duration == sa.bindparam("the_duration"),
        requests.c.state == State.SUCCEEDED,
    )
    .order_by(requests.c.finished_at.desc())
    .limit(sa.bindparam("the_limit"))
)
_SUBMISSIONS = (
    sa.select(
        submissions.c.id,
        submissions.c.fingerprint,
        submissions.c.request_id,
        submissions.c.reserved_microdollars,
        submissions.c.cost_microdollars,
        submissions.c.returned,
        requests.c.clip,
        requests.c.state,
        requests.c.delivered_at,
        requests.c.lost,
    )
    .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
    .order_by(submissions.c.id)
)
_OPEN = sa.case((submissions.c.cost_microdollars.is_(None), submissions.c.reserved_microdollars), else_=0)
_Key: TypeAlias = tuple[date, str, str, str, str]
EXPORTED = (requests, submissions, events, approvals)


class Reading(LedgerBase):
    """Rows, events, times and money."""

    def get(self, fingerprint: str) -> RequestRow | None:
        """The request, or None."""
        with self.database.read() as connection:
            found = connection.execute(SELECT_ROW, {"the_fingerprint": fingerprint}).one_or_none()
        return None if found is None else row_of(found)

    def find(self, request_id: str) -> RequestRow | None:
        """The request that the service knows under this id, in whichever attempt, or None."""
        with self.database.read() as connection:
            found = connection.execute(_BY_REQUEST_ID, {"the_id": request_id}).first()
        return None if found is None else row_of(found)

    def starting_with(self, prefix: str) -> tuple[RequestRow, ...]:
        """The requests whose fingerprint begins so; for people, who type the beginning."""
        query = sa.select(*COLUMNS).where(requests.c.fingerprint.startswith(prefix, autoescape=True)).limit(10)
        return self._rows(query)

    def list(
        self,
        states: Collection[State] | None = None,
        clip: str | None = None,
        service: str | None = None,
        limit: int | None = None,
        newest_first: bool = True,
    ) -> tuple[RequestRow, ...]:
        """Requests by state, clip and service, in the order in which they were planned."""
        query = sa.select(*COLUMNS).limit(limit)
        if states is not None:
            query = query.where(requests.c.state.in_(sorted(states)))
        if clip is not None:
            query = query.where(requests.c.clip == clip)
        if service is not None:
            query = query.where(requests.c.service == service)
        order = (requests.c.created_at, requests.c.fingerprint)
        return self._rows(query.order_by(*(column.desc() if newest_first else column for column in order)))

    def claimed_by(self, owner: str) -> tuple[RequestRow, ...]:
        """What this owner has claimed and not told the outcome of."""
        query = sa.select(*COLUMNS).where(requests.c.owner == owner, requests.c.state == State.SUBMITTING)
        return self._rows(query)

    def events(self, fingerprint: str) -> tuple[Event, ...]:
        """Everything that happened to a request, oldest first."""
        query = sa.select(*_EVENT_COLUMNS).where(events.c.fingerprint == fingerprint).order_by(events.c.id)
        with self.database.read() as connection:
            return tuple(_event_of(found) for found in connection.execute(query).mappings())

    def generation_times(self, service: str, model_id: str, duration: int, limit: int = 200) -> tuple[float, ...]:
        """Seconds from submit to end of the latest successes, newest first; clocks that disagree are left out."""
        with self.database.read() as connection:
            found = connection.execute(
                _GENERATION_TIMES,
                {"the_service": service, "the_model": model_id, "the_duration": duration, "the_limit": limit},
            ).all()
        seconds = ((end - start).total_seconds() for start, end in found if start is not None and end is not None)
        return tuple(value for value in seconds if value > 0)

    # Money

    def spend(self, day: date, *, service: str, zone: tzinfo = UTC) -> Spend:
        """What was spent and reserved on a day; it counts where it was claimed, also when settled later."""
        start, end = day_bounds(datetime.combine(day, time(12), tzinfo=zone), zone)
        with self.database.read() as connection:
            return spend_between(connection, service, start, end)

    def spent_today(self, service: str, zone: tzinfo = UTC) -> Spend:
        """What counts against today's caps."""
        return self.spend(self._now().astimezone(zone).date(), service=service, zone=zone)

    def spend_table(self, since: date, *, service: str | None = None, zone: tzinfo = UTC) -> tuple[SpendLine, ...]:
        """Spend by day, service, route, model and clip since a day, oldest first."""
        start, _ = day_bounds(datetime.combine(since, time(12), tzinfo=zone), zone)
        query = (
            sa.select(
                submissions.c.claimed_at,
                submissions.c.service,
                requests.c.route,
                submissions.c.model_id,
                requests.c.clip,
                submissions.c.cost_microdollars,
                submissions.c.reserved_microdollars,
            )
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(submissions.c.claimed_at >= start, submissions.c.returned.is_(False))
        )
        if service is not None:
            query = query.where(submissions.c.service == service)
        sums: defaultdict[_Key, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        with self.database.read() as connection:
            for claimed_at, its_service, route, model_id, clip, cost, reserved in connection.execute(query):
                key = (claimed_at.astimezone(zone).date(), its_service, route, model_id, clip)
                number, settled, open_ = sums[key]
                sums[key] = (number + 1, settled + (cost or 0), open_ + (0 if cost is not None else reserved or 0))
        return tuple(_line(key, sums[key]) for key in sorted(sums))

    def spend_of(self, clip: str) -> dict[str, Spend]:
        """What each of a clip's requests cost, all its attempts together, by fingerprint."""
        query = (
            sa.select(
                submissions.c.fingerprint,
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(submissions.c.cost_microdollars), 0),
                sa.func.coalesce(sa.func.sum(_OPEN), 0),
            )
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(requests.c.clip == clip, submissions.c.returned.is_(False))
            .group_by(submissions.c.fingerprint)
        )
        with self.database.read() as connection:
            # Postgres sums come as Decimal and are whole.
            return {
                name: Spend(number, int(settled), int(open_))
                for name, number, settled, open_ in connection.execute(query)
            }

    def money_of(self, clip: str, fingerprint: str | None) -> Money:
        """Return what the ledger proves about the money of a clip; ``fingerprint`` is that of its plan, if it has one."""
        return self.money_by_clip({clip: fingerprint})[clip]

    def money_by_clip(self, planned: Mapping[str, str | None]) -> dict[str, Money]:
        """Return the money of many clips, given the fingerprint that each is planned with.

        A planned request counts for each clip that it is planned for, whichever of them sent it.
        """
        found: dict[str, dict[int, Any]] = {clip: {} for clip in planned}
        wanted = {fingerprint for fingerprint in planned.values() if fingerprint is not None}
        by_fingerprint: dict[str, list[Any]] = defaultdict(list)
        with self.database.read() as connection:
            for column, names in ((requests.c.clip, planned), (requests.c.fingerprint, wanted)):
                for part in chunks(sorted(names)):
                    for row in connection.execute(_SUBMISSIONS.where(column.in_(part))):
                        by_fingerprint[row.fingerprint].append(row)
                        if row.clip in found:
                            found[row.clip][row.id] = row
        for clip, fingerprint in planned.items():
            found[clip] |= {row.id: row for row in by_fingerprint.get(fingerprint or "", ())}
        return {clip: _money(rows.values(), planned[clip]) for clip, rows in found.items()}

    # For programs

    def export(self, file: TextIO) -> int:
        """Write everything as JSON lines, the newest state of each request and every event; how many lines.

        Each line has ``table`` (identity, requests, submissions, events, approvals) beside the columns. One snapshot: it is read
        in one transaction.
        """
        lines = 0
        with self.database.read() as connection:
            if not self.database.is_sqlite:
                connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            for table in (identity, *EXPORTED):
                kind = table.name.removeprefix("ledger_")
                query = sa.select(table).order_by(*table.primary_key.columns)
                for found in connection.execution_options(yield_per=500).execute(query).mappings():
                    file.write(json.dumps({"table": kind, **found}, default=_plain, ensure_ascii=False) + "\n")
                    lines += 1
        return lines

    def _rows(self, query: sa.Select[Any]) -> tuple[RequestRow, ...]:
        with self.database.read() as connection:
            return tuple(row_of(found) for found in connection.execute(query))


def _money(rows: Iterable[Any], planned: str | None) -> Money:
    """Return the money of a clip's submissions; a returned one was never accepted, so it cost nothing."""
    rows = sorted(rows, key=lambda row: row.id)
    current = [row for row in rows if row.fingerprint == planned or row.delivered_at is None or row.lost]
    paid = [row for row in current if not row.returned]
    still_open = [row for row in paid if row.cost_microdollars is None]
    return Money(
        charged_microdollars=sum(row.cost_microdollars or 0 for row in paid),
        open_microdollars=sum(row.reserved_microdollars or 0 for row in still_open),
        open_requests=len(still_open),
        unconfirmed=any(row.request_id is None for row in still_open),
        sent=bool(paid) or any(row.state == State.FAILED for row in current),
        request_ids=tuple(dict.fromkeys(row.request_id for row in paid if row.request_id)),
        fingerprints=frozenset(row.fingerprint for row in rows if not row.returned),
        earlier_requests=len({row.fingerprint for row in rows if row not in current and not row.returned}),
    )


def _line(key: _Key, sums: tuple[int, int, int]) -> SpendLine:
    day, service, route, model_id, clip = key
    requests, settled, reserved = sums
    return SpendLine(
        requests=requests,
        settled_microdollars=settled,
        reserved_microdollars=reserved,
        day=day,
        service=service,
        route=route,
        model_id=model_id,
        clip=clip,
    )


def _event_of(found: sa.RowMapping) -> Event:
    before = found["from_state"]
    values = {**found, "from_state": None if before is None else State(before), "to_state": State(found["to_state"])}
    return Event(**values)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the export")


REUSED = "reused"
"""The event of a delivery that an earlier payment answered."""


@dataclass(frozen=True, slots=True)
class SpentLine:
    """One submission. ``state`` is its own end, which is not that of its request when a later attempt followed.

    ``reserved`` and ``settled`` are micro-dollars; ``settled`` is 0 where the money was given back, None while the
    service has not said what it charged.
    """

    day: date
    route: str
    model_id: str | None
    clip: str
    reserved: int | None
    settled: int | None
    state: str


@dataclass(frozen=True, slots=True)
class ReusedLine:
    """One delivery without a payment of its own; ``price`` is what the first one cost, in micro-dollars."""

    day: date
    route: str
    model_id: str | None
    clip: str
    price: int


class Spending(LedgerBase):
    """For the spend report."""

    def spent(self, service: str, *, zone: tzinfo = UTC) -> tuple[SpentLine, ...]:
        """Every submission of a service, oldest first, on the day on which it was claimed."""
        query = (
            sa.select(submissions, requests.c.route, requests.c.clip, requests.c.state, requests.c.attempt.label("now"))
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(submissions.c.service == service)
            .order_by(submissions.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(_spent(row, zone) for row in rows)

    def reused(self, fingerprint: str, *, clip: str, version: str) -> None:
        """Note that a version of a clip's upload was answered by a video that was paid for before; noted once.

        Raises:
            UnknownRequest: the ledger has no such request.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            here = (events.c.fingerprint == fingerprint, events.c.what == REUSED, events.c.owner == clip)
            known = connection.execute(sa.select(events.c.id).where(*here, events.c.reason == version)).first()
            if known is None:
                self._remark(connection, row, REUSED, owner=clip, reason=version)

    def reuses(self, service: str, *, zone: tzinfo = UTC) -> tuple[ReusedLine, ...]:
        """Every delivery that was answered by an earlier payment, oldest first."""
        price = sa.func.coalesce(requests.c.cost_microdollars, requests.c.price_microdollars, 0)
        query = (
            sa.select(events.c.at, events.c.owner, requests.c.route, requests.c.model_id, price.label("price"))
            .join(requests, requests.c.fingerprint == events.c.fingerprint)
            .where(events.c.what == REUSED, requests.c.service == service)
            .order_by(events.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            ReusedLine(at.astimezone(zone).date(), route, model_id, clip, int(money))
            for at, clip, route, model_id, money in rows
        )


def _spent(row: sa.RowMapping, zone: tzinfo) -> SpentLine:
    state, settled = State(row["state"]).value, row["cost_microdollars"]
    if row["returned"]:
        state, settled = State.FAILED.value, 0
    elif row["attempt"] < row["now"]:
        state = State.FAILED.value  # another attempt follows only after this one brought no video
    if settled is None and state in (State.FAILED, State.CANCELLED):
        state = State.SUBMITTED.value  # it brought nothing, and may still be charged: its reservation stays open
    return SpentLine(
        day=row["claimed_at"].astimezone(zone).date(),
        route=row["route"],
        model_id=row["model_id"],
        clip=row["clip"],
        reserved=row["reserved_microdollars"],
        settled=settled,
        state=state,
    )


FIRST_GAP = timedelta(minutes=5)
"""From the first time that a cost was asked for to the second, and the schedule's own pace; each further gap is twice as
long, so that a cost that never comes is asked for 12 times, and a common one is known soon."""
ASKED_FOR = timedelta(days=7)
"""So long after the end a cost is asked for. One that is worked out with a delay comes within days, weekend included;
one that has not come after a week never will, and each time it is asked for costs a run."""
GONE_ANSWERS = 3
"""So many answers that the service does not know the request end the asking; the gaps spread them over 15 minutes."""

ASKED, GONE = "cost_asked", "cost_gone"

_THIS = (events.c.fingerprint == submissions.c.fingerprint, events.c.attempt == submissions.c.attempt)
_END = sa.case(
    (submissions.c.attempt == requests.c.attempt, sa.func.coalesce(requests.c.finished_at, submissions.c.claimed_at)),
    else_=submissions.c.claimed_at,  # the end of an earlier attempt is not in the row any more
)


def _asked(what: sa.ColumnElement[Any], *kinds: str) -> sa.ScalarSelect[Any]:
    return sa.select(what).where(*_THIS, events.c.what.in_(kinds)).correlate(submissions).scalar_subquery()


class LateCosts(LedgerBase):
    """What was reserved stays counted until its cost is known, also when nobody asks for it any more."""

    def unsettled(self, service: str) -> tuple[RequestRow, ...]:
        """What ended, whose cost is not known, and for whose cost it is time to ask (again).

        One row per submission, ``attempt`` and ``request_id`` being its own. Pass both on:
        ``settle(row.fingerprint, cost, attempt=row.attempt)``, or `cost_not_named` where no cost was told.
        """
        now = self._now()
        query = (
            sa.select(
                *COLUMNS,
                submissions.c.attempt.label("its_attempt"),
                submissions.c.request_id.label("its_id"),
                _asked(sa.func.count(), ASKED, GONE).label("asked"),
                _asked(sa.func.max(events.c.at), ASKED, GONE).label("asked_at"),
            )
            .join(submissions, submissions.c.fingerprint == requests.c.fingerprint)
            .where(
                submissions.c.service == service,
                submissions.c.cost_microdollars.is_(None),
                submissions.c.returned.is_(False),
                submissions.c.request_id.is_not(None),
                sa.or_(requests.c.state.in_(FINISHED), submissions.c.attempt < requests.c.attempt),
                sa.type_coerce(_END, requests.c.finished_at.type) > now - ASKED_FOR,
                _asked(sa.func.count(), GONE) < GONE_ANSWERS,
            )
            .order_by(submissions.c.id)
        )
        with self.database.read() as connection:
            found = connection.execute(query).all()
        return tuple(
            replace(row_of(values[:-4]), attempt=values.its_attempt, request_id=values.its_id)
            for values in found
            if _due(values.asked, values.asked_at, now)
        )

    def cost_not_named(self, fingerprint: str, *, attempt: int, reason: str, gone: bool = False) -> None:
        """It was asked for a cost and named none; ``gone``: since the service does not know the request any more."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint)
            self._remark(connection, row, GONE if gone else ASKED, reason=reason, attempt=attempt)


def _due(asked: int, asked_at: datetime | None, now: datetime) -> bool:
    """True when the gap since the last asking is over."""
    return asked_at is None or now >= asked_at + FIRST_GAP * 2 ** (asked - 1)
