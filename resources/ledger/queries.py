"""Queries of the ledger: rows, spend and open costs."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, TextIO, TypeAlias

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, FINISHED, SELECT_ROW, LedgerBase, row_of
from resources.ledger.budget import OPEN, day_bounds, spend_between, spend_of_run
from resources.ledger.database import chunks
from resources.ledger.records import Event, Money, PaidClip, RequestRow, Spend, SpendLine, State
from resources.ledger.responses import COST_QUERIED
from resources.ledger.tables import approvals, events, identity, price_holds, requests, submissions

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
_Key: TypeAlias = tuple[date, str, str, str, str]
EXPORTED = (requests, submissions, events, approvals, price_holds)


class Reading(LedgerBase):
    """Queries for rows, events, generation times and spend."""

    def get(self, fingerprint: str) -> RequestRow | None:
        """Return the request with this fingerprint, or None."""
        with self.database.read() as connection:
            found = connection.execute(SELECT_ROW, {"the_fingerprint": fingerprint}).one_or_none()
        return None if found is None else row_of(found)

    def was_sent(self, fingerprint: str) -> bool:
        """Return True if a request with this fingerprint was ever sent, or may have been."""
        row = self.get(fingerprint)
        return row is not None and (row.submitted_at is not None or row.state is not State.PLANNED)

    def find(self, request_id: str) -> RequestRow | None:
        """Return the request that the service knows under this id, in any of its attempts, or None."""
        with self.database.read() as connection:
            found = connection.execute(_BY_REQUEST_ID, {"the_id": request_id}).first()
        return None if found is None else row_of(found)

    def starting_with(self, prefix: str) -> tuple[RequestRow, ...]:
        """Return up to 10 requests whose fingerprint starts with the prefix; people type only the beginning."""
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
        """Return requests by state, clip and service, in the order in which they were planned."""
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
        """Return the requests that this owner has claimed and whose outcome is not recorded."""
        query = sa.select(*COLUMNS).where(requests.c.owner == owner, requests.c.state == State.SUBMITTING)
        return self._rows(query)

    def events(self, fingerprint: str) -> tuple[Event, ...]:
        """Return all events of a request, oldest first."""
        query = sa.select(*_EVENT_COLUMNS).where(events.c.fingerprint == fingerprint).order_by(events.c.id)
        with self.database.read() as connection:
            return tuple(_event_of(found) for found in connection.execute(query).mappings())

    def generation_times(self, service: str, model_id: str, duration: int, limit: int = 200) -> tuple[float, ...]:
        """Return the seconds from submit to end of the latest successes, newest first.

        Values that are not positive, from clocks that disagree, are left out.
        """
        with self.database.read() as connection:
            found = connection.execute(
                _GENERATION_TIMES,
                {"the_service": service, "the_model": model_id, "the_duration": duration, "the_limit": limit},
            ).all()
        seconds = ((end - start).total_seconds() for start, end in found if start is not None and end is not None)
        return tuple(value for value in seconds if value > 0)

    # Money

    def spend(self, day: date, *, service: str, zone: tzinfo = UTC) -> Spend:
        """Return the spend of a day: settled and reserved.

        A submission counts on the day of its claim, also if settled later.
        """
        start, end = day_bounds(datetime.combine(day, time(12), tzinfo=zone), zone)
        with self.database.read() as connection:
            return spend_between(connection, service, start, end)

    def spent_today(self, service: str, zone: tzinfo = UTC) -> Spend:
        """Return the spend that counts against today's caps."""
        return self.spend(self._now().astimezone(zone).date(), service=service, zone=zone)

    def spend_of_run(self, run_id: str, service: str) -> Spend:
        """Return what a run and its automatic retries claimed and did not give back; ``run_id`` is the first of them."""
        with self.database.read() as connection:
            return spend_of_run(connection, service, run_id)

    def spend_table(self, since: date, *, service: str | None = None, zone: tzinfo = UTC) -> tuple[SpendLine, ...]:
        """Return spend by day, service, route, model and clip since a day, oldest first."""
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
        """Return the spend of each of a clip's requests by fingerprint, all attempts together."""
        query = (
            sa.select(
                submissions.c.fingerprint,
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(submissions.c.cost_microdollars), 0),
                sa.func.coalesce(sa.func.sum(OPEN), 0),
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

    def spend_by_clip(self, clips: Collection[str]) -> dict[str, Spend]:
        """Return what each of these clips cost so far, over all its requests; a clip that cost nothing is left out."""
        found: dict[str, Spend] = {}
        with self.database.read() as connection:
            for part in chunks(sorted(clips)):
                query = (
                    sa.select(
                        requests.c.clip,
                        sa.func.count(),
                        sa.func.coalesce(sa.func.sum(submissions.c.cost_microdollars), 0),
                        sa.func.coalesce(sa.func.sum(OPEN), 0),
                    )
                    .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
                    .where(requests.c.clip.in_(part), submissions.c.returned.is_(False))
                    .group_by(requests.c.clip)
                )
                for clip, number, settled, open_ in connection.execute(query):
                    found[clip] = Spend(number, int(settled), int(open_))  # Postgres sums come as Decimal and are whole
        return found

    def money_of(self, clip: PaidClip, *planned: str) -> Money:
        """Return what the ledger proves about the money of a clip, given the fingerprints of its plan's requests, if any."""
        names = frozenset(planned or filter(None, [clip.planned_fingerprint]))
        return self._money_by_clip({clip.clip: names}, {clip.clip: clip.delivered_at})[clip.clip]

    def money_by_clip(self, clips: Iterable[PaidClip]) -> dict[str, Money]:
        """Return the money of many clips.

        A planned request counts for each clip that it is planned for, whichever of them sent it.
        """
        rows = tuple(clips)
        planned = {row.clip: frozenset(filter(None, [row.planned_fingerprint])) for row in rows}
        return self._money_by_clip(planned, {row.clip: row.delivered_at for row in rows})

    def _money_by_clip(
        self, planned: Mapping[str, frozenset[str]], delivered: Mapping[str, datetime | None]
    ) -> dict[str, Money]:
        found: dict[str, dict[int, Any]] = {clip: {} for clip in planned}
        wanted = frozenset[str]().union(*planned.values())
        by_fingerprint: dict[str, list[Any]] = defaultdict(list)
        with self.database.read() as connection:
            for column, names in ((requests.c.clip, planned), (requests.c.fingerprint, wanted)):
                for part in chunks(sorted(names)):
                    for row in connection.execute(_SUBMISSIONS.where(column.in_(part))):
                        by_fingerprint[row.fingerprint].append(row)
                        if row.clip in found:
                            found[row.clip][row.id] = row
        for clip, names_of_clip in planned.items():
            found[clip] |= {row.id: row for name in names_of_clip for row in by_fingerprint.get(name, ())}
        return {clip: _money(rows.values(), planned[clip], delivered[clip]) for clip, rows in found.items()}

    # Export

    def export(self, file: TextIO) -> int:
        """Write the newest state of each request and every event as JSON lines; return the number of lines.

        Each line has ``table`` (requests, submissions, events, approvals, price_holds) beside the columns, and those of requests
        ``ledger``, this ledger's id. All lines are read in one transaction, so they are one snapshot.
        """
        lines = 0
        with self.database.read() as connection:
            if not self.database.is_sqlite:
                connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            name = connection.execute(sa.select(identity.c.id)).scalar()
            for table in EXPORTED:
                kind = table.name.removeprefix("ledger_")
                about = {"table": kind, "ledger": name} if table is requests else {"table": kind}
                query = sa.select(table).order_by(*table.primary_key.columns)
                for found in connection.execution_options(yield_per=500).execute(query).mappings():
                    file.write(json.dumps({**about, **found}, default=_plain, ensure_ascii=False) + "\n")
                    lines += 1
        return lines

    def _rows(self, query: sa.Select[Any]) -> tuple[RequestRow, ...]:
        with self.database.read() as connection:
            return tuple(row_of(found) for found in connection.execute(query))


def _money(rows: Iterable[Any], planned: frozenset[str], delivered: datetime | None) -> Money:
    """Return the money of a clip's submissions; a returned one was never accepted, so it cost nothing.

    ``delivered`` is when the clip got its video: what brought its own later, or while there was none, is not the clip's yet.
    """
    rows = sorted(rows, key=lambda row: row.id)
    current = [
        row
        for row in rows
        if row.fingerprint in planned
        or row.delivered_at is None
        or row.lost
        or delivered is None
        or row.delivered_at > delivered
    ]
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
    raise TypeError(f"{type(value).__name__} cannot be exported")


REUSED = "reused"
"""The event of a delivery that reused an earlier paid video."""


@dataclass(frozen=True, slots=True)
class SpentLine:
    """One submission. ``state`` is its own end, not that of its request if a later attempt followed.

    ``reserved`` and ``settled`` are micro-dollars. ``settled`` is 0 if the reservation was returned, and None while the
    service has not reported a cost. ``told`` is the cost as the service reported it, also if it is doubted.
    """

    day: date
    route: str
    model_id: str | None
    clip: str
    reserved: int | None
    settled: int | None
    state: str
    told: int | None = None


@dataclass(frozen=True, slots=True)
class ReusedLine:
    """One delivery without a payment of its own; ``price`` is what the reused video cost, in micro-dollars."""

    day: date
    route: str
    model_id: str | None
    clip: str
    price: int


class Spending(LedgerBase):
    """Queries for the spend report."""

    def spent(self, service: str, *, zone: tzinfo = UTC) -> tuple[SpentLine, ...]:
        """Return every submission of a service, oldest first, on the day of its claim."""
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
        """Record once that a version of a clip's upload was delivered from a video paid for earlier.

        Raises:
            UnknownRequest: no row has this fingerprint.
        """
        with self.database.write() as connection:
            row = self._row(connection, fingerprint, lock=True)
            here = (events.c.fingerprint == fingerprint, events.c.what == REUSED, events.c.owner == clip)
            known = connection.execute(sa.select(events.c.id).where(*here, events.c.reason == version)).first()
            if known is None:
                self._remark(connection, row, REUSED, owner=clip, reason=version)

    def reuses(self, service: str, *, zone: tzinfo = UTC) -> tuple[ReusedLine, ...]:
        """Return every delivery that reused an earlier paid video, oldest first."""
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
        state = State.FAILED.value  # another attempt follows only after this one delivered no video
    if settled is None and state in (State.FAILED, State.CANCELLED):
        state = State.SUBMITTED.value  # it delivered nothing and may still be charged: its reservation stays open
    return SpentLine(
        day=row["claimed_at"].astimezone(zone).date(),
        route=row["route"],
        model_id=row["model_id"],
        clip=row["clip"],
        reserved=row["reserved_microdollars"],
        settled=settled,
        state=state,
        told=None if row["returned"] else row["told_microdollars"],
    )


FIRST_COST_QUERY_GAP = timedelta(minutes=5)
"""Time from the first query for a cost to the second, and the pace of the schedule. Each further gap is twice as long:
a cost that never comes is queried 12 times, and a usual one is known soon."""
COST_QUERY_PERIOD = timedelta(days=7)
"""Time after the end of a request in which its cost is queried. A delayed cost comes within days, weekend included. One
that is missing after a week never comes, and each query costs a run."""
NOT_FOUND_RESPONSES = 3
""""Not found" responses after which a cost is no longer queried; the gaps spread them over 15 minutes."""

COST_NOT_FOUND = "cost_gone"

_THIS = (events.c.fingerprint == submissions.c.fingerprint, events.c.attempt == submissions.c.attempt)
_END = sa.case(
    (submissions.c.attempt == requests.c.attempt, sa.func.coalesce(requests.c.finished_at, submissions.c.claimed_at)),
    else_=submissions.c.claimed_at,  # the row no longer has the end of an earlier attempt
)


def _from_events(what: sa.ColumnElement[Any], *kinds: str) -> sa.ScalarSelect[Any]:
    return sa.select(what).where(*_THIS, events.c.what.in_(kinds)).correlate(submissions).scalar_subquery()


class LateCosts(LedgerBase):
    """Open costs. A reservation stays counted until its cost is known, also after the last query."""

    def unsettled(self, service: str) -> tuple[RequestRow, ...]:
        """Return ended submissions whose cost is unknown and is due to be queried.

        There is one row per submission; ``attempt`` and ``request_id`` are its own. Pass both on:
        ``settle(row.fingerprint, cost, attempt=row.attempt)``, or `cost_unavailable` if the service reports no cost.
        """
        now = self._now()
        query = (
            sa.select(
                *COLUMNS,
                submissions.c.attempt.label("its_attempt"),
                submissions.c.request_id.label("its_id"),
                _from_events(sa.func.count(), COST_QUERIED, COST_NOT_FOUND).label("queries"),
                _from_events(sa.func.max(events.c.at), COST_QUERIED, COST_NOT_FOUND).label("last_query"),
            )
            .join(submissions, submissions.c.fingerprint == requests.c.fingerprint)
            .where(
                submissions.c.service == service,
                submissions.c.cost_microdollars.is_(None),
                submissions.c.returned.is_(False),
                submissions.c.request_id.is_not(None),
                sa.or_(requests.c.state.in_(FINISHED), submissions.c.attempt < requests.c.attempt),
                sa.type_coerce(_END, requests.c.finished_at.type) > now - COST_QUERY_PERIOD,
                _from_events(sa.func.count(), COST_NOT_FOUND) < NOT_FOUND_RESPONSES,
            )
            .order_by(submissions.c.id)
        )
        with self.database.read() as connection:
            found = connection.execute(query).all()
        return tuple(
            replace(row_of(values[:-4]), attempt=values.its_attempt, request_id=values.its_id)
            for values in found
            if _due(values.queries, values.last_query, now)
        )

    def doubted_costs(self, service: str) -> tuple[RequestRow, ...]:
        """Return the requests that ended within `COST_QUERY_PERIOD` and whose reported cost cannot be right."""
        query = sa.select(*COLUMNS).where(
            requests.c.service == service,
            requests.c.cost_doubted.is_(True),
            requests.c.finished_at > self._now() - COST_QUERY_PERIOD,
        )
        with self.database.read() as connection:
            return tuple(row_of(found) for found in connection.execute(query.order_by(requests.c.finished_at)))

    def cost_unavailable(self, fingerprint: str, *, attempt: int, reason: str, not_found: bool = False) -> None:
        """Record that a query returned no cost; ``not_found`` if the service no longer knows the request."""
        with self.database.write() as connection:
            row = self._row(connection, fingerprint)
            self._remark(connection, row, COST_NOT_FOUND if not_found else COST_QUERIED, reason=reason, attempt=attempt)


def _due(queries: int, last_query: datetime | None, now: datetime) -> bool:
    """Return True if the gap since the last query is over."""
    return last_query is None or now >= last_query + FIRST_COST_QUERY_GAP * 2 ** (queries - 1)
