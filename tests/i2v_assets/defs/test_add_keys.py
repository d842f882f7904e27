"""Partition keys are returned in the database's order, even if another sensor adds some concurrently."""

import dagster as dg
import pytest

from i2v_assets.defs.run_requests import add_keys, cut_ranges


def test_keys_of_a_concurrent_sensor_keep_the_database_s_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("clips", ["old"])
        look = instance.get_dynamic_partitions

        def looked(name: str) -> list[str]:
            seen = list(look(name))
            monkeypatch.setattr(instance, "get_dynamic_partitions", look)
            instance.add_dynamic_partitions(name, ["c", "other", "a"])  # by the other sensor, right after this look
            return seen

        monkeypatch.setattr(instance, "get_dynamic_partitions", looked)
        keys = add_keys(instance, ["a", "b", "c"])
        assert keys == ["old", "c", "other", "a", "b"] == list(look("clips"))
        (part,) = cut_ranges(keys, ["a", "b", "c"], 100)
        assert (part.start, part.end, set(part.due)) == ("c", "b", {"a", "b", "c"})
