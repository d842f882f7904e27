"""The asset graph at work: real servers, real sensors, real runs in this process."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from i2v_assets.clip_folder.manifest import Manifest

if TYPE_CHECKING:
    import dagster as dg

    from resources.devservers.start import RunningSandbox
    from resources.storage.bucket import Bucket


@pytest.fixture
def sandbox(fresh_sandbox: "RunningSandbox") -> "RunningSandbox":
    """The sandbox that many tests share."""
    return fresh_sandbox


class World:
    """A bucket, a sandbox and a Dagster instance; ``tick`` does what the daemon does."""

    def __init__(self, bucket: "Bucket", instance: "dg.DagsterInstance") -> None:
        from i2v_assets.definitions import defs

        self.bucket, self.instance, self.defs = bucket, instance, defs
        self._cursors: dict[str, str | None] = {}

    def put(self, key: str, content: Path | str | bytes) -> None:
        if isinstance(content, Path):
            self.bucket.upload(content, key, "application/octet-stream")
        else:
            data = content.encode() if isinstance(content, str) else content
            self.bucket.write(key, data, "text/plain")

    def tick(self, sensor: str) -> list["dg.ExecuteInProcessResult"]:
        """One evaluation of a sensor, and the runs that it asks for."""
        import dagster as dg

        from i2v_assets.defs.dagster_internals import partition_loading_context

        repository = self.defs.get_repository_def()
        definition = repository.get_sensor_def(sensor)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self._cursors.get(sensor),
            repository_def=repository,
            sensor_name=sensor,
            resources=dict(self.defs.resources or {}),
        )
        with partition_loading_context(dynamic_partitions_store=self.instance):  # as the code server does
            data = definition.evaluate_tick(context)
        if data.cursor is not None:
            self._cursors[sensor] = data.cursor
        results = []
        for request in data.run_requests or ():
            job = self.defs.resolve_job_def(request.job_name or definition.job_name)
            results.append(
                job.execute_in_process(
                    instance=self.instance,
                    tags=dict(request.tags),
                    partition_key=request.partition_key,
                    raise_on_error=False,
                )
            )
        return results

    def run(self, job: str, **arguments: Any) -> "dg.ExecuteInProcessResult":
        return self.defs.resolve_job_def(job).execute_in_process(instance=self.instance, **arguments)

    def materialized(self, asset: str, partition: str | None = None) -> Sequence["dg.EventLogEntry"]:
        import dagster as dg

        filters = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(asset), asset_partitions=None if partition is None else [partition]
        )
        found = self.instance.fetch_materializations(filters, limit=100).records
        return [record.event_log_entry for record in found]

    def metadata(self, asset: str, partition: str | None = None) -> dict[str, Any]:
        event = self.materialized(asset, partition)[0].asset_materialization
        assert event is not None
        return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def world(service_env: dict[str, str], bucket: "Bucket", one_client: None) -> Iterator[World]:
    """Everything from uploads to assets, over a bucket of the test's own."""
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        yield World(bucket, instance)


@pytest.fixture
def fields() -> dict[str, object]:
    """A complete manifest's fields; a test changes one."""
    return {
        "clip": "shoes--0001",
        "take": 1,
        "service": "runcomfy",
        "route": "multi_modal",
        "reasons": ("two images",),
        "family": "seedance-2.0/pro",
        "model_id": "bytedance/seedance-2.0/pro",
        "prompt": "Die Kamera fährt langsam heran ✨",
        "seed": 7,
        "duration": 5,
        "resolution": "1080p",
        "media": (
            {"kind": "image", "name": "0001.jpg", "key": "uploads/shoes/0001.jpg", "sha256": "a" * 64, "size_bytes": 9},
        ),
        "fingerprint": "f" * 64,
        "request_id": "6b1d6a36-3a50-4b7e-8a5f-52e9ce6ad0c1",
        "price_microdollars": 1_200_000,
        "cost_microdollars": 1_150_000,
        "times": {
            "created": datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
            "delivered": datetime(2026, 3, 1, 10, 4, 30, tzinfo=UTC),
        },
        "video": {
            "key": "videos/" + "f" * 64 + ".mp4",
            "sha256": "b" * 64,
            "size_bytes": 4_000_000,
            "width": 1920,
            "height": 1080,
            "seconds": 5.04,
        },
        "quality": 0.93,
        "other_takes": ({"take": 2, "fingerprint": "e" * 64, "seed": 8, "video_key": "videos/" + "e" * 64 + ".mp4"},),
        "versions": {"i2v-assets": "0.1.0"},
    }


@pytest.fixture
def manifest(fields: dict[str, object]) -> Manifest:
    return Manifest.model_validate(fields)
