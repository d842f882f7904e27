"""The run tags of the project."""

BATCH_TAG = "i2v/batch"
"""By it a clip's run is found again; the registry keeps the same value. Runs without it were started by a person."""

PRIORITY_TAG = "dagster/priority"
