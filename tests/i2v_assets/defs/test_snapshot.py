"""The whole asset graph as people see it, against a committed snapshot.

After a wanted change write the snapshot again and look at its diff:

    .venv/bin/python tests/i2v_assets/defs/test_snapshot.py
"""

import json
from pathlib import Path
from typing import Any

import dagster as dg

SNAPSHOT = Path(__file__).parent / "graph.json"
UPDATE = f".venv/bin/python {'/'.join(Path(__file__).parts[-4:])}"


def graph() -> dict[str, Any]:
    """Return assets, checks, jobs, sensors and schedules with everything that users of the UI or the API depend on."""
    from i2v_assets.definitions import defs

    repository = defs.get_repository_def()
    nodes = repository.asset_graph
    return {
        "assets": {
            key.to_user_string(): {
                "deps": sorted(parent.to_user_string() for parent in nodes.get(key).parent_keys),
                "group": nodes.get(key).group_name,
                "kinds": sorted(nodes.get(key).kinds),
                "owners": sorted(nodes.get(key).owners),
                "partitions": getattr(nodes.get(key).partitions_def, "name", None),
                "described": bool(nodes.get(key).description),
                "code_version": bool(nodes.get(key).code_version),
            }
            for key in sorted(nodes.get_all_asset_keys())
        },
        "checks": sorted(key.to_user_string() for key in nodes.asset_check_keys),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "sensors": {
            sensor.name: {
                "jobs": sorted(target.job_name for target in sensor.targets),
                "on": sensor.default_status is dg.DefaultSensorStatus.RUNNING,
            }
            for sensor in sorted(repository.sensor_defs, key=lambda each: each.name)
        },
        "schedules": {
            schedule.name: {
                "cron": schedule.cron_schedule,
                "job": schedule.job_name,
                "on": schedule.default_status is dg.DefaultScheduleStatus.RUNNING,
            }
            for schedule in sorted(repository.schedule_defs, key=lambda each: each.name)
        },
    }


def test_the_graph_is_as_it_was_agreed_to() -> None:
    assert graph() == json.loads(SNAPSHOT.read_text()), f"if this is wanted: {UPDATE}"


def test_everything_in_the_graph_is_described_owned_and_versioned() -> None:
    for name, asset in graph()["assets"].items():
        assert asset["described"], name
        assert asset["owners"], name
        assert asset["kinds"], name


def test_dagster_itself_finds_nothing_wrong() -> None:
    """What `dagster definitions validate` checks of the code location, without its second process."""
    from i2v_assets.definitions import defs

    dg.Definitions.validate_loadable(defs)


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph(), indent=1, sort_keys=True) + "\n")
