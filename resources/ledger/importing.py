"""Fill an empty ledger from the lines of an export. They are data: each is checked against its table before it counts."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger.database import Database, UtcDateTime
from resources.ledger.errors import IllegalTransition, LedgerError
from resources.ledger.queries import EXPORTED
from resources.ledger.records import State, utc_now
from resources.ledger.tables import identity, requests

TABLES = {table.name.removeprefix("ledger_"): table for table in EXPORTED}
NUMBERED = ("submissions", "events", "approvals", "price_holds")
"""Tables whose rows are numbered anew, so that the database goes on counting behind them."""
BATCH = 500
MAX_LINE = 1024 * 1024
"""Longest line that is read: a request's inputs have some ten thousand characters."""

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")


def import_lines(database: Database, lines: Iterable[str]) -> Counter[str]:
    """Write an export into an empty ledger, all of it or nothing; rows per table.

    Raises:
        IllegalTransition: the ledger is not empty.
        LedgerError: a line is not one of an export; names its number.
    """
    counts: Counter[str] = Counter()
    waiting: list[dict[str, Any]] = []
    table: sa.Table | None = None
    with database.write() as connection:
        if connection.execute(sa.select(sa.literal(1)).select_from(requests).limit(1)).first() is not None:
            raise IllegalTransition(
                f"The ledger {database.place} holds requests already.",
                remedy="An export goes into an empty ledger only: set I2V_DATA_DIR or I2V_LEDGER_URL to another place.",
            )
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            kind, row = _parsed(line, number)
            if kind not in TABLES:
                raise _wrong(number, f"it is of a table {kind!r} that this program does not know")
            if kind == "requests" and (name := row.pop("ledger", None)) is not None and not counts[kind]:
                _take_name(connection, name, number)
            if table is not TABLES[kind] or len(waiting) >= BATCH:
                _flush(connection, table, waiting)
            table = TABLES[kind]
            waiting.append(_row(table, kind, row, number))
            counts[kind] += 1
        _flush(connection, table, waiting)
    return counts


def _flush(connection: sa.Connection, table: sa.Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        try:
            connection.execute(table.insert(), rows)
        except sa.exc.IntegrityError:
            raise LedgerError(
                f"The export does not fit together: a row of {table.name} is there twice, or its request is not.",
                remedy="Export the ledger again; nothing was imported.",
            ) from None
        rows.clear()


def _parsed(line: str, number: int) -> tuple[str, dict[str, Any]]:
    if len(line) > MAX_LINE:
        raise _wrong(number, f"it has more than {MAX_LINE:,} characters")
    try:
        row = json.loads(line)
    except ValueError:
        raise _wrong(number, "it is not JSON") from None
    if not isinstance(row, dict) or not isinstance(row.get("table"), str):
        raise _wrong(number, "it does not name its table")
    return row.pop("table"), row


def _take_name(connection: sa.Connection, name: object, number: int) -> None:
    """The imported ledger is the exported one: the bucket knows it under its id."""
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise _wrong(number, "it names a ledger that cannot be one")
    connection.execute(identity.delete())
    connection.execute(identity.insert(), {"id": name, "created_at": utc_now()})


def _row(table: sa.Table, kind: str, row: dict[str, Any], number: int) -> dict[str, Any]:
    if unknown := set(row) - {column.name for column in table.c}:
        raise _wrong(number, f"{kind} have no column {sorted(unknown)[0]!r}; a newer program may have written it")
    if not isinstance(row.get("fingerprint"), str) or not _FINGERPRINT.fullmatch(row["fingerprint"]):
        raise _wrong(number, "its fingerprint is not one")
    if kind == "requests" and row.get("state") not in set(State):
        raise _wrong(number, f"{row.get('state')!r} is not a state")
    columns = [column for column in table.c if not (kind in NUMBERED and column.name == "id")]
    return {column.name: _value(column, row.get(column.name), number) for column in columns}


def _value(column: sa.Column[Any], value: Any, number: int) -> Any:
    wrong = _wrong(number, f"{column.name} cannot be {value!r:.40}")
    if value is None:
        if not column.nullable:
            raise wrong
        return None
    if isinstance(column.type, UtcDateTime):
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise wrong
        return moment
    if isinstance(column.type, sa.Boolean):
        fits = isinstance(value, bool)
    elif isinstance(column.type, sa.Integer):
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    else:
        length = getattr(column.type, "length", None)
        fits = isinstance(value, str) and (length is None or len(value) <= length)
    if not fits:
        raise wrong
    return value


def _wrong(number: int, what: str) -> LedgerError:
    return LedgerError(
        f"Line {number} is not one of an export: {what}.",
        remedy="Give a file that `i2v ledger export` wrote; nothing was imported.",
    )
