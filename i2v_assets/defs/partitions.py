"""The two sets of dynamic partitions, and cutting due keys into contiguous ranges of one run each."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

clips = dg.DynamicPartitionsDefinition(name="clips")
"""One key per clip; keys keep the order in which they were added."""

sequences = dg.DynamicPartitionsDefinition(name="sequences")
"""One key per film that joins clips."""

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


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


BATCH_TAG = "i2v/batch"
"""Run tag that links a run to its clips in the registry. Runs without it were started by a person."""

PRIORITY_TAG = "dagster/priority"
