"""Turns due clips into runs: their keys are added, and cut into ranges of at most `clips_per_run`."""

from collections.abc import Sequence
from uuid import uuid4

import dagster as dg

from i2v_assets.defs.partitions import BATCH_TAG, PRIORITY_TAG, clips, cut_ranges
from resources.registry.registry import ClipRow, Registry


def add_keys(instance: dg.DagsterInstance, names: Sequence[str]) -> list[str]:
    """Add the keys that are not there yet, in this order. Returns all keys in the order in which they were added.

    The order is read again after adding: sensors are evaluated side by side, and what another one added meanwhile lies
    before or between these; a range in any other order than the database's holds no keys.

    Through the instance, since a sensor result's own way asks the database once per key (10 s for a thousand keys).
    """
    name = str(clips.name)
    present = instance.get_dynamic_partitions(name)
    known = set(present)
    new = [key for key in dict.fromkeys(names) if key not in known]
    if new:
        instance.add_dynamic_partitions(name, new)
        return list(instance.get_dynamic_partitions(name))
    return list(present)


def request_runs(
    instance: dg.DagsterInstance,
    registry: Registry,
    due: Sequence[ClipRow],
    *,
    sensor: str,
    tick: int,
    clips_per_run: int,
    job_name: str | None = None,
) -> list[dg.RunRequest]:
    """Run requests for due clips, those with the highest priority first; the registry notes which run each is in.

    Each request has a key of its own: what the same evaluation asked for is committed once by Dagster, and what was
    never committed is asked for again, with another key.
    """
    keys = add_keys(instance, [row.clip for row in due])
    requests = []
    for priority in sorted({row.priority for row in due}, reverse=True):
        names = [row.clip for row in due if row.priority == priority]
        for part in cut_ranges(keys, names, clips_per_run):
            batch = uuid4().hex
            if not registry.dispatch(part.due, batch=batch, sensor=sensor, tick=tick):
                continue
            tags = {**part.tags, BATCH_TAG: batch, PRIORITY_TAG: str(priority)}
            requests.append(dg.RunRequest(run_key=batch, tags=tags, job_name=job_name))
    return requests
