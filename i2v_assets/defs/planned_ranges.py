"""Read what runs planned for whole ranges of partitions: one event for each run and asset, which names the keys."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy import Connection

EVENTS = sa.table("event_logs", *(sa.column(name) for name in
                  ("id", "run_id", "event", "dagster_event_type", "asset_key", "partition")))  # fmt: skip


@dataclass(frozen=True)
class PlannedRange:
    """The keys that a run planned for an asset, and the number of the event that says so."""

    event: int
    run: str
    keys: frozenset[str]


def planned_ranges(
    connection: "Connection", asset: dg.AssetKey, after: int, partition: str | None = None
) -> Iterator[PlannedRange]:
    """Return the ranges that were planned for an asset after an event; with a partition at least those that name it."""
    wanted = sa.select(EVENTS.c.id, EVENTS.c.run_id, EVENTS.c.event).where(
        EVENTS.c.asset_key == asset.to_string(),
        EVENTS.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
        EVENTS.c.partition.is_(None),
        EVENTS.c.id > after,
    )
    if partition is not None:
        wanted = wanted.where(sa.func.strpos(EVENTS.c.event, json.dumps(partition)) > 0)
    rows = connection.execute(wanted).all()
    return (PlannedRange(number, run, _keys(event)) for number, run, event in rows)


def latest_attempts(
    alone: Mapping[str, tuple[str, int]], ranges: Iterable[PlannedRange]
) -> Mapping[str, tuple[str, int]]:
    """Return the latest run and event that planned each partition: of those planned alone, and of the ranges."""
    attempts = dict(alone)
    for planned in sorted(ranges, key=lambda each: each.event):
        for key in planned.keys:
            if key not in attempts or attempts[key][1] < planned.event:
                attempts[key] = planned.run, planned.event
    return attempts


def _keys(event: str) -> frozenset[str]:
    entry = dg.deserialize_value(event, dg.EventLogEntry)
    subset = entry.get_dagster_event().partitions_subset
    return frozenset(subset.get_partition_keys()) if subset is not None else frozenset()
