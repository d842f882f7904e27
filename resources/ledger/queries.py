"""Queries of the ledger: rows, spend, costs for later quotes, and money of clips."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any, TextIO, TypeAlias

import sqlalchemy as sa

from resources.ledger.base import COLUMNS, SELECT_ROW, LedgerBase, row_of
from resources.ledger.budget import OPEN, day_bounds, spend_between, spend_of_run
from resources.ledger.database import rows_in
from resources.ledger.late_costs import COST_QUERY_PERIOD
from resources.ledger.records import Event, Money, PaidClip, RequestRow, Spend, SpendLine, State, Surprise
from resources.ledger.tables import approvals, events, identity, price_holds, requests, submissions
from resources.prices.billed import Billed
from resources.prices.quote import WINDOW, PastCost

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


NEAREST_OF = 500
"""Latest costs of a family among which the nearest parameters are looked for; enough for 10 kinds of 50."""

_COSTS = (
    sa.select(
        submissions.c.billed,
        submissions.c.base_microdollars,
        submissions.c.terms,
        sa.func.coalesce(submissions.c.told_microdollars, submissions.c.cost_microdollars),
        sa.select(sa.func.max(submissions.c.id)).scalar_subquery() - submissions.c.id,
    )
    .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
    .where(
        submissions.c.service == sa.bindparam("the_service"),
        submissions.c.settled_at.is_not(None),
        submissions.c.billed.is_not(None),
        # A doubted cost says nothing about the price until a person agrees to it or corrects it; one of nothing never does.
        sa.func.coalesce(submissions.c.cost_doubted, sa.false()).is_(sa.false()),
        sa.func.coalesce(submissions.c.told_microdollars, submissions.c.cost_microdollars) > 0,
    )
    .order_by(submissions.c.settled_at.desc(), submissions.c.id.desc())
)
_EXACT = _COSTS.where(submissions.c.billed == sa.bindparam("the_key")).limit(WINDOW)
_OF_FAMILY = _COSTS.where(requests.c.family == sa.bindparam("the_family")).limit(NEAREST_OF)


def _past_costs(found: Iterable[Any]) -> tuple[PastCost, ...]:
    return tuple(PastCost(key, base or 0, terms or "", int(cost), age) for key, base, terms, cost, age in found)


class Reading(LedgerBase):
    """Queries for rows, events, generation times and spend."""

    def past_costs(self, service: str, billed: Billed) -> tuple[PastCost, ...]:
        """Return the latest settled costs of exactly these parameters, the last settled first; of the family if none has them."""
        with self.database.read() as connection:
            found = connection.execute(_EXACT, {"the_service": service, "the_key": billed.key}).all()
        return _past_costs(found) if found else self.family_costs(service, billed.family)

    def family_costs(self, service: str, family: str) -> tuple[PastCost, ...]:
        """Return the latest settled costs of a family, whatever its parameters, the last settled first."""
        with self.database.read() as connection:
            return _past_costs(connection.execute(_OF_FAMILY, {"the_service": service, "the_family": family}))

    def surprises(self, service: str) -> tuple[Surprise, ...]:
        """Return the submissions of the last days whose reported cost is more than was reserved, oldest first."""
        told = sa.func.coalesce(submissions.c.told_microdollars, submissions.c.cost_microdollars)
        query = (
            sa.select(
                submissions.c.fingerprint,
                submissions.c.attempt,
                requests.c.clip,
                requests.c.family,
                submissions.c.reserved_microdollars,
                told.label("told"),
            )
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(
                submissions.c.service == service,
                submissions.c.settled_at > self._now() - COST_QUERY_PERIOD,
                told > submissions.c.reserved_microdollars,
            )
            .order_by(submissions.c.settled_at, submissions.c.id)
        )
        with self.database.read() as connection:
            return tuple(Surprise(*row[:4], int(row[4]), int(row[5])) for row in connection.execute(query))

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
        """Return up to 10 requests whose fingerprint starts with the prefix; people type only the beginning, in either case."""
        query = sa.select(*COLUMNS).where(requests.c.fingerprint.startswith(prefix.lower(), autoescape=True)).limit(10)
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
        query = (
            sa.select(
                requests.c.clip,
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(submissions.c.cost_microdollars), 0),
                sa.func.coalesce(sa.func.sum(OPEN), 0),
            )
            .join(requests, requests.c.fingerprint == submissions.c.fingerprint)
            .where(submissions.c.returned.is_(False))
            .group_by(requests.c.clip)
        )
        with self.database.read() as connection:
            # Postgres sums come as Decimal and are whole.
            return {
                clip: Spend(number, int(settled), int(open_))
                for clip, number, settled, open_ in rows_in(connection, query, requests.c.clip, clips)
            }

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
                for row in rows_in(connection, _SUBMISSIONS, column, names):
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
