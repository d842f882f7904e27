"""The budget caps: what the settings allow, and how much a claim may still reserve."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from resources.ledger.records import CapName, Caps, OverBudget, Spend, State
from resources.ledger.tables import film_rooms, requests, submissions
from resources.messages import counted
from resources.money import dollars

OPEN = sa.case(
    (submissions.c.cost_microdollars.is_(None), submissions.c.reserved_microdollars),
    (submissions.c.told_microdollars > submissions.c.cost_microdollars,
     submissions.c.told_microdollars - submissions.c.cost_microdollars),
    else_=0,
)  # fmt: skip
"""What a submission may still be charged: its reservation while its cost is unknown, and what was reported beyond a cost that is
counted because the reported one is doubted."""

_SUMS = (
    sa.func.count(),
    sa.func.coalesce(sa.func.sum(submissions.c.cost_microdollars), 0),
    sa.func.coalesce(sa.func.sum(OPEN), 0),
)
_OF_DAY = sa.select(*_SUMS).where(
    submissions.c.service == sa.bindparam("the_service"),
    submissions.c.claimed_at >= sa.bindparam("the_start"),
    submissions.c.claimed_at < sa.bindparam("the_end"),
    submissions.c.returned.is_(False),
)
_OF_RUN = sa.select(*_SUMS).where(
    submissions.c.run_id == sa.bindparam("the_run"),
    submissions.c.service == sa.bindparam("the_service"),
    submissions.c.returned.is_(False),
)


def day_bounds(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the start and end, in UTC, of the day that contains ``now`` in a zone; a day may have 23 or 25 hours."""
    day = now.astimezone(zone).date()
    start = datetime.combine(day, time(), tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def spend_between(connection: sa.Connection, service: str, start: datetime, end: datetime) -> Spend:
    """Return the spend claimed between two moments and not returned. Postgres sums come as Decimal and are whole."""
    requests, settled, reserved = connection.execute(
        _OF_DAY, {"the_service": service, "the_start": start, "the_end": end}
    ).one()
    return Spend(int(requests), int(settled), int(reserved))


def spend_of_run(connection: sa.Connection, service: str, run_id: str) -> Spend:
    """Return the spend claimed for one run and not returned."""
    found = connection.execute(_OF_RUN, {"the_service": service, "the_run": run_id}).one()
    return Spend(*(int(value) for value in found))


_ROOMS = (
    sa.select(sa.func.max(film_rooms.c.reserved_microdollars).label("reserved"))
    .select_from(film_rooms.outerjoin(requests, requests.c.fingerprint == film_rooms.c.fingerprint))
    .where(
        film_rooms.c.service == sa.bindparam("the_service"),
        film_rooms.c.lease_until > sa.bindparam("the_time"),
        sa.or_(requests.c.state.is_(None), requests.c.state == State.PLANNED.value),
    )
    .group_by(film_rooms.c.fingerprint)
)
_BUT_MANY = film_rooms.c.fingerprint.not_in(sa.bindparam("the_others", expanding=True))
_BUT_ONE = film_rooms.c.fingerprint != sa.bindparam("the_other")
"""What each claim asks; a list of any length is written into the statement anew each time."""


@cache
def _room_statement(*, of_run: bool, but_one: bool) -> sa.Select[Any]:
    rooms = _ROOMS.where(_BUT_ONE if but_one else _BUT_MANY)
    if of_run:
        rooms = rooms.where(film_rooms.c.run_id == sa.bindparam("the_run"))
    return sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(rooms.subquery().c.reserved), 0))


class KeptRoom(NamedTuple):
    """Requests and micro-dollars that the budget keeps for films under way."""

    requests: int
    microdollars: int


def film_room(
    connection: sa.Connection, service: str, now: datetime, run_id: str | None, *, but: Collection[str]
) -> KeptRoom:
    """Return what is kept for films under way, of one run or of all; requests that are sent count by their submissions.

    A request that several films share counts once, since it is paid once.

    Args:
        connection: The transaction.
        service: The service.
        now: The time.
        run_id: The run; None for all.
        but: Fingerprints that are left out.
    """
    values: dict[str, Any] = {"the_service": service, "the_time": now}
    values |= {"the_other": next(iter(but))} if len(but) == 1 else {"the_others": list(but)}
    if run_id is not None:
        values["the_run"] = run_id
    query = _room_statement(of_run=run_id is not None, but_one=len(but) == 1)
    requests, reserved = connection.execute(query, values).one()
    return KeptRoom(int(requests), int(reserved))


def spend_today_and_of_run(
    connection: sa.Connection, service: str, run_id: str, zone: tzinfo, now: datetime
) -> tuple[Spend, Spend]:
    """Return what is spent or reserved today, and for one run."""
    return spend_between(connection, service, *day_bounds(now, zone)), spend_of_run(connection, service, run_id)


def budget_refusal(
    connection: sa.Connection,
    service: str,
    *,
    run_id: str | None,
    price: int | None,
    caps: Caps,
    now: datetime,
    fingerprint: str = "",
) -> OverBudget | None:
    """Return the first cap that one more request at this price would exceed, or None.

    Its text names the variable that raises the cap. What is kept for films under way counts as reserved; for the request
    itself, named by ``fingerprint``, its own price counts instead.
    """
    per_run = _Cap(
        service,
        "RUN",
        "in this run",
        "usd_per_run",
        "requests_per_run",
        caps.usd_per_run_microdollars,
        caps.requests_per_run,
    )
    # Check first what no later run and no other day would change: otherwise the message suggests waiting in vain.
    if run_id is not None and (never := _never(per_run, price or 0)) is not None:
        return never
    start, end = day_bounds(now, caps.zone)
    day = _with_room(
        spend_between(connection, service, start, end), film_room(connection, service, now, None, but=[fingerprint])
    )
    per_day = _Cap(
        service,
        "DAY",
        "today",
        "usd_per_day",
        "requests_per_day",
        caps.usd_per_day_microdollars,
        caps.requests_per_day,
    )
    refusal = _over(per_day, day, price or 0)
    if refusal is not None or run_id is None:
        return refusal
    in_run = film_room(connection, service, now, run_id, but=[fingerprint])
    return _over(per_run, _with_room(spend_of_run(connection, service, run_id), in_run), price or 0)


def _with_room(spent: Spend, kept: KeptRoom) -> Spend:
    reserved = spent.reserved_microdollars + kept.microdollars
    return replace(spent, requests=spent.requests + kept.requests, reserved_microdollars=reserved)


CapUnit = Literal["USD", "REQUESTS"]
CapSpan = Literal["DAY", "RUN"]


def cap_variables(service: str, unit: CapUnit, spans: Collection[CapSpan] = ("DAY", "RUN")) -> str:
    """Return the names of the variables that set caps, as a message names them.

    The sandbox has daily caps of its own, which also bound a run.
    """
    if service == "sandbox":
        return f"I2V_SANDBOX_BUDGET_{unit}_PER_DAY"
    return " and ".join(f"I2V_BUDGET_{unit}_PER_{span}" for span in spans)


class _Cap(NamedTuple):
    service: str
    span: CapSpan
    where: str
    usd: CapName
    requests: CapName
    most: int
    most_requests: int

    def variable(self, unit: CapUnit) -> str:
        return cap_variables(self.service, unit, [self.span])


def _never(cap: _Cap, price: int) -> OverBudget | None:
    """Return the cap that blocks this request in every run, however little was spent; else None."""
    if cap.most_requests < 1:
        return OverBudget(f"No run may send a request. {cap.variable('REQUESTS')} raises the limit.", cap.requests)
    if price > cap.most:
        return OverBudget(
            f"This clip costs {dollars(price)}, but one run may spend at most {dollars(cap.most)}."
            f" {cap.variable('USD')} raises the limit.",
            cap.usd,
        )
    return None


def _over(cap: _Cap, spent: Spend, price: int) -> OverBudget | None:
    if spent.requests + 1 > cap.most_requests:
        return OverBudget(
            f"{spent.requests} of at most {counted(cap.most_requests, 'request')} {cap.where} are used."
            f" {cap.variable('REQUESTS')} raises the limit.",
            cap.requests,
        )
    if price > cap.most:  # no other day would change that
        return OverBudget(
            f"This clip may cost {dollars(price)}, but at most {dollars(cap.most)} may be spent {cap.where}."
            f" {cap.variable('USD')} raises the limit.",
            cap.usd,
        )
    if spent.microdollars + price > cap.most:
        return OverBudget(
            f"{dollars(spent.microdollars)} of at most {dollars(cap.most)} {cap.where} are spent or reserved. This"
            f" clip costs {dollars(price)} at most. {cap.variable('USD')} raises the limit.",
            cap.usd,
        )
    return None
