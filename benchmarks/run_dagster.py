"""Run one batch as a Dagster range run of `make_clips`, requested by the real sensor on a real instance.

The clocks start when the run sets up its resources, just before its step, and include all of Dagster from there. Media libraries
are imported before, because their memory does not grow with the clips. If the specification has `tags`, only the run with
these tags is executed (for `run_each`).
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.workload import Meter, memory, read_spec
from i2v_assets.definitions import defs
from i2v_assets.defs.clips import make_clips
from i2v_assets.defs.jobs import make_clips_job
from resources.dagster_resources import BucketResource, LedgerResource
from resources.ledger.ledger import Ledger
from resources.ledger.records import State
from resources.media import stills  # noqa: F401 - imported early, see the module's docstring
from resources.registry.registry import ClipState, Registry
from resources.runcomfy.resource import RunComfyResource
from resources.settings import load_settings

SAMPLE_SECONDS = 1.0
_meters: list[Meter] = []


class MeteredBucket(BucketResource):
    """The bucket's resource, which also starts the clocks of a run."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Start the clocks."""
        _meters.append(Meter())


def requested(instance: dg.DagsterInstance) -> Iterator[Mapping[str, str]]:
    """Yield the tags of the runs that the uploads sensor requests."""
    repository = defs.get_repository_def()
    sensor, resources = repository.get_sensor_def("uploads"), repository.get_top_level_resources()
    needed = {key: resources[key] for key in sensor.required_resource_keys}
    with dg.build_sensor_context(
        instance=instance, sensor_name="uploads", resources=needed, definitions=defs, cursor=None
    ) as context:
        for request in sensor.evaluate_tick(context).run_requests or []:
            yield dict(request.tags)


def work(spec: Mapping[str, Any], instance: dg.DagsterInstance) -> Meter:
    """Execute the run and return its measurements."""
    (tags,) = [spec["tags"]] if "tags" in spec else list(requested(instance))
    metered = dg.Definitions(
        assets=[make_clips],
        jobs=[make_clips_job],
        resources={
            "runcomfy": RunComfyResource(),
            "bucket": MeteredBucket(),
            "ledger": LedgerResource(),
        },
        executor=dg.in_process_executor,
    )
    job = metered.resolve_job_def("make_clips_job")
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            if _meters:
                _meters[0].waiting()

    sampling = threading.Thread(target=sample, daemon=True)
    sampling.start()
    result = job.execute_in_process(instance=instance, tags=dict(tags), raise_on_error=False)
    meter = _meters[0]
    over.set()
    sampling.join()
    clips = [event.partition for event in result.asset_materializations_for_node("make_clips") if _is_video(event)]
    meter.end(len(clips))
    for event in result.asset_materializations_for_node("make_clips"):
        if _is_video(event) and "polls" in event.metadata:
            meter.figures.polls += int(str(event.metadata["polls"].value))
    return meter


def _is_video(event: dg.AssetMaterialization) -> bool:
    return event.asset_key == dg.AssetKey("clip_video")


def noticed(ledger: Ledger, run_id_clips: set[str]) -> dict[str, float]:
    """Return the Unix time at which the end of each request was noticed, by request id."""
    times = {}
    for row in ledger.list(states=[State.SUCCEEDED]):
        if row.clip in run_id_clips and row.request_id is not None:
            for event in ledger.events(row.fingerprint):
                if event.what == "succeeded":
                    times[row.request_id] = event.at.timestamp()
    return times


def main() -> int:
    spec = read_spec()
    settings = load_settings()
    Path(spec["scratch"]).mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.get() as instance, Ledger.open(settings.ledger_address) as ledger:
        meter = work(spec, instance)
        rows = Registry(ledger.database).list([ClipState.DELIVERED])
        if "tags" in spec:
            names = {spec["tags"]["dagster/asset_partition_range_start"]}
            meter.figures.cpu_seconds, meter.figures.mb_waiting = Meter.whole_process(), memory()
            meter.figures.mb_idle = 0.0
        else:
            names = {row.clip for row in rows}
        meter.figures.noticed = noticed(ledger, names)
    meter.print_figures()
    return 0 if meter.figures.clips else 1


if __name__ == "__main__":
    sys.exit(main())
