"""Turn due clips into runs: add their partition keys and cut them into ranges of at most `clips_per_run`.

A run is found among hundreds by tags with its clips and with what became of them, and by a log line per clip.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg

from i2v_assets.defs.partitions import BATCH_TAG, PRIORITY_TAG, RANGE_END, RANGE_START, clips
from resources.ledger.records import Spend
from resources.registry.rows import ClipRow, ClipState

if TYPE_CHECKING:
    from i2v_assets.pipeline.context import Result
    from resources.registry.registry import Registry


@dataclass(frozen=True)
class KeyRange:
    """A contiguous range of partition keys, both ends included; ``due`` are the keys in it that the run makes."""

    start: str
    end: str
    due: tuple[str, ...]

    @property
    def tags(self) -> dict[str, str]:
        """The run tags that make Dagster run this range as one run."""
        return {RANGE_START: self.start, RANGE_END: self.end}


def cut_ranges(keys: Sequence[str], due: Collection[str], at_most: int) -> Iterator[KeyRange]:
    """Cover the due keys with as few ranges as possible, none longer than ``at_most`` keys.

    Args:
        keys: All partition keys in the order in which they were added. A reversed range succeeds without any keys, and an
            unknown key fails the whole sensor tick.
        due: The due keys; those not in ``keys`` are left out.
        at_most: Maximum keys in a range, including keys that are not due (Dagster writes an event per key before the run).
    """
    wanted = set(due)
    start = 0
    taken: list[str] = []
    for index, key in enumerate(keys):
        if key not in wanted:
            continue
        if taken and index - start >= at_most:
            yield KeyRange(taken[0], taken[-1], tuple(taken))
            taken = []
        if not taken:
            start = index
        taken.append(key)
    if taken:
        yield KeyRange(taken[0], taken[-1], tuple(taken))


def add_keys(instance: dg.DagsterInstance, names: Sequence[str]) -> list[str]:
    """Add the missing keys in this order, and return all keys in the order in which they were added.

    The keys are read again after adding, because sensors are evaluated concurrently and another one may have added keys in
    between. A range in any other order than the database's holds no keys.

    Keys are added through the instance, because a sensor result queries the database once per key (10 s for 1,000 keys).
    """
    name = str(clips.name)
    present = instance.get_dynamic_partitions(name)
    present_keys = set(present)
    new = [key for key in dict.fromkeys(names) if key not in present_keys]
    if new:
        instance.add_dynamic_partitions(name, new)
        return list(instance.get_dynamic_partitions(name))
    return list(present)


def request_runs(
    instance: dg.DagsterInstance,
    registry: "Registry",
    due: Sequence[ClipRow],
    *,
    sensor: str,
    tick: int,
    clips_per_run: int,
    job_name: str | None = None,
) -> list[dg.RunRequest]:
    """Return run requests for due clips, highest priority first, and record each clip's run in the registry.

    Each request has a unique run key, so Dagster commits the requests of one evaluation once. An evaluation that was never
    committed is requested again with new run keys.
    """
    keys = add_keys(instance, [row.clip for row in due])
    requests = []
    for priority in sorted({row.priority for row in due}, reverse=True):
        names = [row.clip for row in due if row.priority == priority]
        for part in cut_ranges(keys, names, clips_per_run):
            batch = uuid4().hex
            if not registry.dispatch(part.due, batch=batch, sensor=sensor, tick=tick):
                continue
            tags = {**part.tags, **clip_tags(part.due), BATCH_TAG: batch, PRIORITY_TAG: str(priority)}
            requests.append(dg.RunRequest(run_key=batch, tags=tags, job_name=job_name))
    return requests


NAMED = 5
"""Clips that a run's tag names. The list of runs shows a tag of about 100 characters in one line."""

CLIPS_TAG = "i2v/clips"
COUNT_TAG = "i2v/clip_count"

COUNTED = (ClipState.DELIVERED, ClipState.WAITING, ClipState.REFUSED, ClipState.FAILED)


def clip_tags(names: Sequence[str]) -> dict[str, str]:
    """Return the tags that name a run's clips: the first ones, and how many there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return {CLIPS_TAG: ", ".join(names[:NAMED]) + more, COUNT_TAG: str(len(names))}


def result_tags(results: "Sequence[Result]", spent: Spend, *, calls: int, polls: int) -> dict[str, str]:
    """Return the tags that say what became of a run's clips, and what it asked of the service.

    Args:
        results: what became of each clip.
        spent: what the run claimed, with its automatic retries.
        calls: requests to the service, polls too.
        polls: those that asked for the state of a request.
    """
    counts = {state: sum(result.state is state for result in results) for state in COUNTED}
    return {
        **{f"i2v/{state}": str(count) for state, count in counts.items()},
        "i2v/usd": f"{spent.microdollars / 1e6:.2f}",
        "i2v/requests": str(spent.requests),
        "i2v/calls": str(calls),
        "i2v/polls": str(polls),
    }


def ended_line(result: "Result") -> str:
    """Return the log line of a clip that has ended."""
    words = f"{result.clip}: {result.state}. {result.reason} {result.remedy}"
    return " ".join(words.split())
