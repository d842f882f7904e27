"""The two sets of dynamic partitions, and the run tags that name their keys."""

import dagster as dg

clips = dg.DynamicPartitionsDefinition(name="clips")
"""One key per clip; keys keep the order in which they were added."""

sequences = dg.DynamicPartitionsDefinition(name="sequences")
"""One key per film that joins clips."""

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

BATCH_TAG = "i2v/batch"
"""Run tag that links a run to its clips in the registry. Runs without it were started by a person."""

PRIORITY_TAG = "dagster/priority"
