"""Write the events of assets and checks to Dagster's SQLite log: the same rows as Dagster's own, for half of the CPU.

Dagster builds each statement anew, inserts the row of an asset in vain before it updates it, writes the text of a check three
times, and has no answer to which record a new event got. Here statements are built once, a row is updated first, a text is
written once, also where a record holds its event, and the latest record of each partition is remembered. `tests/i2v_assets/defs/test_event_rows.py` compares
the rows with Dagster's own.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import sqlalchemy as sa

from i2v_assets.defs.dagster_internals import EventTables, SqliteMembers, Target

Connect = Callable[[str], AbstractContextManager[sa.Connection]]


class EventRows:
    """Stores events in place of a storage's own `store_event`; those that are not of an asset go to that one."""

    def __init__(self, own: SqliteMembers, tables: EventTables, connect: Connect) -> None:
        self._own, self._tables, self._connect = own, tables, connect
        self._insert = tables.events.insert()
        self._latest: dict[tuple[str, str | None], Target] = {}
        self._composes: bool | None = None

    def latest(self, asset: str, partition: str | None) -> Target | None:
        """Return the latest materialization of a partition that was stored here; None if there was none."""
        return self._latest.get((asset, partition))

    def forget(self) -> None:
        """Forget what was stored: a transaction of some of it was undone."""
        self._latest.clear()

    def store(self, event: dg.EventLogEntry) -> None:
        """Store an event."""
        kind = event.dagster_event_type
        if kind is dg.DagsterEventType.ASSET_MATERIALIZATION:
            row = self._stored_in_run(event)
            with self._connect(self._tables.index) as connection:
                self._materialization(connection, event, self._number(connection, row), row["event"])
        elif kind is dg.DagsterEventType.ASSET_CHECK_EVALUATION and _evaluation(event).partition is not None:
            row = self._stored_in_run(event)
            with self._connect(self._tables.index) as connection:
                self._check(connection, event, self._number(connection, row), row)
        elif event.is_dagster_event:
            self._own.store_event(event)
        else:
            self._stored_in_run(event)  # a log line is a row of its run alone

    def _stored_in_run(self, event: dg.EventLogEntry) -> dict[str, Any]:
        row = self._own.row_of(event)
        with self._connect(event.run_id) as connection:
            connection.execute(self._insert, row)
        return row

    def _number(self, connection: sa.Connection, row: dict[str, Any]) -> int:
        return int(connection.execute(self._insert, row).lastrowid)

    def _materialization(self, connection: sa.Connection, event: dg.EventLogEntry, number: int, text: str) -> None:
        self._own.store_tags(connection, [event], [number])
        entry = self._entry(event, number, text)
        asset = event.get_dagster_event().asset_key
        if asset is None:
            return
        statement = _update_of(self._tables.assets, tuple(entry))
        parameters = {f"to_{name}": value for name, value in entry.items()}
        if not connection.execute(statement, {"the_asset": asset.to_string(), **parameters}).rowcount:
            connection.execute(self._tables.assets.insert(), {"asset_key": asset.to_string(), **entry})
        where = asset.to_user_string(), event.get_dagster_event().partition
        self._latest[where] = Target(number, event.run_id, event.timestamp)

    def _entry(self, event: dg.EventLogEntry, number: int, text: str) -> dict[str, Any]:
        """Return the asset's columns, with the event's text put into its record's; Dagster would write the event once more.

        They are compared with Dagster's own once. If they differ, all are Dagster's own.
        """
        if self._composes is None:
            own = self._own.entry_of(event, number, True)
            self._composes = own == _composed(event, number, text)
            return own
        return _composed(event, number, text) if self._composes else self._own.entry_of(event, number, True)

    def _check(self, connection: sa.Connection, event: dg.EventLogEntry, number: int, row: dict[str, Any]) -> None:
        evaluation = _evaluation(event)
        target = evaluation.target_materialization_data
        which = {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "run_id": event.run_id,
            "partition": evaluation.partition,
        }
        changes = {
            "execution_status": self._tables.passed if evaluation.passed else self._tables.failed,
            "evaluation_event": row["event"],
            "evaluation_event_timestamp": row["timestamp"],
            "evaluation_event_storage_id": number,
            "materialization_event_storage_id": target.storage_id if target else None,
        }
        statement = _planned_check(self._tables.checks, tuple(which), tuple(changes))
        parameters = {f"if_{name}": value for name, value in which.items()}
        parameters |= {f"to_{name}": value for name, value in changes.items()}
        if not connection.execute(statement, parameters).rowcount:
            connection.execute(self._tables.checks.insert(), {**which, **changes})


def _composed(event: dg.EventLogEntry, number: int, text: str) -> dict[str, Any]:
    return {
        "last_materialization": f'{{"__class__": "EventLogRecord", "event_log_entry": {text}, "storage_id": {number}}}',
        "last_run_id": event.run_id,
        "last_materialization_timestamp": datetime.fromtimestamp(event.timestamp, UTC),
    }


def _evaluation(event: dg.EventLogEntry) -> Any:
    """Return what a check found; the event itself has no partition in Dagster."""
    return event.get_dagster_event().event_specific_data


@functools.cache
def _update_of(assets: sa.Table, changes: tuple[str, ...]) -> sa.Update:
    where = assets.c.asset_key == sa.bindparam("the_asset")
    return assets.update().where(where).values({name: sa.bindparam(f"to_{name}") for name in changes})


@functools.cache
def _planned_check(checks: sa.Table, which: tuple[str, ...], changes: tuple[str, ...]) -> sa.Update:
    where = [checks.c[name] == sa.bindparam(f"if_{name}") for name in which]
    return checks.update().where(*where).values({name: sa.bindparam(f"to_{name}") for name in changes})
