"""One life of a real run process of `make_clips`, which executes what the daemon would request.

The sensors are evaluated first, as the daemon does it. A run that an earlier life left behind is reported as failed, as
run monitoring does it, and started again with its tags, as a run retry does it (without its limit of two, since this
kills far more often).

Usage: python run_child.py SPEC.json; the environment holds the settings and DAGSTER_HOME. Exits 0 when every clip has
its video, 3 when not.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from i2v_assets.definitions import defs
from i2v_assets.defs.partitions import BATCH_TAG
from resources.ledger.ledger import Ledger
from resources.registry.registry import ClipState, Registry
from resources.settings import load_settings

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def asked_for(instance: dg.DagsterInstance, name: str) -> Iterator[Mapping[str, str]]:
    """Return the tags of the runs that a sensor requests, as if nothing had been committed before."""
    repository = defs.get_repository_def()
    sensor, resources = repository.get_sensor_def(name), repository.get_top_level_resources()
    needed = {key: resources[key] for key in sensor.required_resource_keys}
    with dg.build_sensor_context(
        instance=instance, sensor_name=name, resources=needed, definitions=defs, cursor=None
    ) as context:
        for request in sensor.evaluate_tick(context).run_requests or []:
            yield dict(request.tags)


def left_behind(instance: dg.DagsterInstance, registry: Registry) -> list[Mapping[str, str]]:
    """Close the runs of dead processes, and return the tags of those whose clips have no result yet."""
    for run in instance.get_runs():
        if run.status not in ENDED:
            instance.report_run_failed(run, "Its process is gone.")
    again = []
    for batch in sorted({row.batch for row in registry.list([ClipState.WORKING]) if row.batch}):
        runs = instance.get_runs(dg.RunsFilter(tags={BATCH_TAG: batch}))
        if runs:
            parents = {"dagster/parent_run_id": runs[0].run_id, "dagster/root_run_id": runs[-1].run_id}
            again.append({**runs[-1].tags, **parents})
    return again


def execute(instance: dg.DagsterInstance, runs: Sequence[Mapping[str, str]]) -> None:
    """Execute the runs with these tags in this process, one after the other."""
    job = defs.resolve_job_def("make_clips_job")
    for tags in runs:
        job.execute_in_process(instance=instance, tags=dict(tags), raise_on_error=False)


def main() -> int:
    with dg.DagsterInstance.get() as instance, Ledger.open(load_settings().ledger_address) as ledger:
        registry = Registry(ledger.database)
        execute(instance, [*left_behind(instance, registry), *asked_for(instance, "uploads")])
        # Afterwards, since it would count the runs above as lost; a life that ended between its tick and its run left
        # clips dispatched.
        if registry.list([ClipState.WAITING, ClipState.DISPATCHED]):
            execute(instance, list(asked_for(instance, "dispatch")))
        return 0 if all(row.state is ClipState.DELIVERED for row in registry.list()) else 3


if __name__ == "__main__":
    sys.exit(main())
