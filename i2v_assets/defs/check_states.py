"""How each check ended in each partition, worked out in time that grows with the partitions, for the webserver's pages.

Dagster asks its database once for each partition whether it exists, with SQLite over a new connection each time, and copies the set
that it builds for each partition that it adds. With 25,000 clips and four checks that took longer than ten minutes, and an open
page asks every ten seconds. Here the partitions are asked for once, each set is built once, and nothing is worked out again
while no event was written. What runs that have ended left behind is still Dagster's own code.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import dagster as dg

from i2v_assets.defs.dagster_internals import CheckStateTypes, check_state_types

Partitioned: TypeAlias = Mapping[dg.AssetCheckKey, dg.PartitionsDefinition[str]]
Names: TypeAlias = Mapping[dg.PartitionsDefinition[str], frozenset[str]]

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

FORGOTTEN_AFTER_SECONDS = 60
"""What was wiped by a person writes no event: it is gone from the page after a minute at the latest."""


def keep_check_states(instance: dg.DagsterInstance) -> None:
    """Let the instance's event log work out the states of partitioned checks as this module does.

    Does nothing with a release of Dagster that has other types.
    """
    types = check_state_types()
    if types is not None:
        storage: Any = instance.event_log_storage
        vars(storage)["get_asset_check_state"] = CheckStates(instance, types, storage.get_asset_check_state).of


@dataclass(frozen=True)
class _Known:
    """The states of some checks at a time."""

    newest_event: int | None
    partitions: Names
    at: float
    states: Mapping[dg.AssetCheckKey, Any]

    @property
    def is_settled(self) -> bool:
        """Return whether no run is still to evaluate any of them: its end would change a state."""
        return not any(state.in_progress_runs for state in self.states.values())


class CheckStates:
    """The states of checks, kept until an event is written or a partition comes or goes.

    Args:
        instance: whose checks.
        types: Dagster's own.
        own: Dagster's own way, for checks without partitions.
    """

    def __init__(self, instance: dg.DagsterInstance, types: CheckStateTypes, own: Any) -> None:
        self._instance, self._types, self._own = instance, types, own
        self._known: dict[frozenset[dg.AssetCheckKey], _Known] = {}
        self._one_at_a_time = threading.Lock()  # several open pages ask for the same

    def of(
        self, keys: Sequence[tuple[dg.AssetCheckKey, dg.PartitionsDefinition[str] | None]]
    ) -> Mapping[dg.AssetCheckKey, Any]:
        """Return each check's state. In the place of `EventLogStorage.get_asset_check_state`."""
        whole = [key for key in keys if key[1] is None]
        found: dict[dg.AssetCheckKey, Any] = dict(self._own(whole)) if whole else {}
        partitioned = {check: partitions for check, partitions in keys if partitions is not None}
        with self._one_at_a_time:
            found.update(self._partitioned(partitioned))
        return found

    def _partitioned(self, checks: Partitioned) -> Mapping[dg.AssetCheckKey, Any]:
        names = {partitions: frozenset(partitions.get_partition_keys()) for partitions in set(checks.values())}
        newest = self._instance.event_log_storage.get_maximum_record_id()
        now, asked = time.monotonic(), frozenset(checks)
        known = self._known.get(asked)
        if known is None or not (
            (known.newest_event, known.partitions) == (newest, names)
            and known.is_settled
            and now - known.at < FORGOTTEN_AFTER_SECONDS
        ):
            known = self._known[asked] = _Known(newest, names, now, self._worked_out(checks, names))
        return known.states

    def _worked_out(self, checks: Partitioned, names: Names) -> Mapping[dg.AssetCheckKey, Any]:
        records: dict[dg.AssetCheckKey, list[Any]] = defaultdict(list)
        for record in self._instance.event_log_storage.get_asset_check_partition_info(list(checks)):
            records[record.check_key].append(record)
        states = {
            check: state_of(self._types, check, partitions, names[partitions], records[check])
            for check, partitions in checks.items()
        }
        runs = {run for state in states.values() for run in state.in_progress_runs}
        ended = self._instance.get_runs(dg.RunsFilter(run_ids=list(runs), statuses=FINISHED)) if runs else []
        statuses = {run.run_id: run.status for run in ended}
        return {check: state.with_updates(check, checks[check], [], statuses) for check, state in states.items()}


def state_of(
    types: CheckStateTypes,
    check: dg.AssetCheckKey,
    partitions: dg.PartitionsDefinition[str],
    names: frozenset[str],
    records: Sequence[Any],
) -> Any:
    """Return a check's `AssetCheckState`, before it is known which runs have ended.

    Args:
        types: Dagster's own.
        check: which.
        partitions: its definition.
        names: the partitions that exist; others are left out.
        records: one `AssetCheckPartitionInfo` for each partition.
    """
    by_status: dict[Any, list[str]] = {status: [] for status in types.outcome}
    by_run: dict[str, list[str]] = defaultdict(list)
    for record in records:
        name, status = record.partition_key, record.latest_execution_status
        if name not in names or not (status == types.planned or record.is_current):
            continue
        by_status[status].append(name)
        if status == types.planned:
            by_run[record.latest_planned_run_id].append(name)

    def subset(of: list[str]) -> Any:
        return types.subset(key=check, value=partitions.subset_with_partition_keys(of))

    newest = (max(each.latest_check_event_storage_id, each.latest_materialization_storage_id or 0) for each in records)
    return types.state(
        latest_storage_id=max(newest, default=0),
        subsets={types.outcome[status]: subset(of) for status, of in by_status.items()},
        in_progress_runs={run: subset(of) for run, of in by_run.items()},
    )
