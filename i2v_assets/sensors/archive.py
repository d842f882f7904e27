"""Old partitions: delivered clips leave the keys of the UI, while history and files stay."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from i2v_assets.partitions import clips
from resources.ledger.registry import Registry

UI_KEYS = 25_000
"""Dagster's own advice for one asset (the status of more takes the UI seconds)."""


def archive(instance: dg.DagsterInstance, registry: Registry, days: int) -> tuple[str, ...]:
    """Remove the keys of clips that were delivered so many days ago; a new upload of one adds its key again.

    The registry is told first: should this stop half way, a key too many stays, and the next run removes it.

    Returns:
        The clips that were archived now.
    """
    name = str(clips.name)
    names = registry.archive(registry.delivered_before(timedelta(days=days)))
    archived = set(registry.archived())
    _delete(instance, name, [key for key in instance.get_dynamic_partitions(name) if key in archived])
    # An upload that came meanwhile has made its clip due and its key may be gone again: that run is started anew
    # (`due_after_lost_run`), and adds the key.
    return names


def _delete(instance: dg.DagsterInstance, name: str, keys: Sequence[str]) -> None:
    for key in keys:
        instance.delete_dynamic_partition(name, key)


def keys_left(instance: dg.DagsterInstance) -> int:
    """How many keys the UI shows."""
    return len(instance.get_dynamic_partitions(str(clips.name)))
