"""Records what became of a clip in Dagster's event log, the moment it is known.

A range run may not yield results per partition, so each is logged as an event with its partition. Such events carry no
versions by themselves: the tags do.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import dagster as dg

from i2v_assets.defs.dagster_internals import Target, targeting
from i2v_assets.defs.specs import CLIP_SPECS, CODE_VERSION
from resources.messages import lines, pasteable

if TYPE_CHECKING:
    from i2v_assets.defs.storage_connections import KeptLog
    from i2v_assets.pipeline.metadata import Metadata

# Dagster's own names for the versions of an event that was logged by hand (its constants are not public).
DATA_VERSION_TAG = "dagster/data_version"
DATA_VERSION_IS_USER_PROVIDED_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_DATA_VERSION_TAG = "dagster/input_data_version"
INPUT_EVENT_TAG = "dagster/input_event_pointer"
"""Each followed by a slash and the input's key. Without both Dagster shows an event as unsynced with its inputs at once."""

CHANGE_TAG = "i2v/change"
"""Distinguishes one state of a clip from the next, in the tags of its observation."""

INPUTS = {spec.key.to_user_string(): tuple(dep.asset_key.to_user_string() for dep in spec.deps) for spec in CLIP_SPECS}


class DagsterEvents:
    """Writes to the event log of a run; only assets that the run was asked for.

    An asset that another asset of the same run needs is handed on as a result, or Dagster would skip that other one without a
    word. Dagster takes results at the end of the step (`results`); all else is written at once.

    Args:
        context: the step's.
        handed_on: the assets that others of the run need. Results have no partition, so the run has one alone.
        kept: the event log, if its connections are kept.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, handed_on: Collection[str] = (), kept: "KeptLog | None" = None
    ) -> None:
        self._context = context
        self._kept = kept
        self._selected = {key.to_user_string() for key in context.selected_asset_keys}
        self._versions: dict[tuple[str, str], str] = {}
        self._handed_on = frozenset(handed_on)
        self._results: list[tuple[str, dg.MaterializeResult[Any]]] = []
        self._after: list[dg.AssetCheckEvaluation] = []
        self._latest: dict[tuple[str, str | None], Target | None] = {}

    def at_once(self) -> AbstractContextManager[None]:
        """See `GroupedEvents`."""
        return self._kept.at_once() if self._kept is not None else nullcontext()

    def materialized(self, asset: str, clip: str, metadata: "Metadata", data_version: str) -> None:
        """See `Events`."""
        self._versions[asset, clip] = data_version
        self._latest.pop((asset, clip), None)
        if asset not in self._selected:
            return
        shown = dagster_metadata(metadata)
        if asset in self._handed_on:
            result: dg.MaterializeResult[Any] = dg.MaterializeResult(
                asset_key=asset, metadata=shown, data_version=dg.DataVersion(data_version)
            )
            self._results.append((asset, result))
            return
        tags = {
            DATA_VERSION_TAG: data_version,
            DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
            CODE_VERSION_TAG: CODE_VERSION,
        }
        tags |= self._came_from(asset, clip)
        self._context.log_event(dg.AssetMaterialization(asset_key=asset, partition=clip, metadata=shown, tags=tags))

    def _came_from(self, asset: str, clip: str) -> dict[str, str]:
        """The inputs' versions. The pointer is to the latest event of all, which is at or after the inputs' own."""
        used = {name: self._versions.get((name, clip)) for name in INPUTS.get(asset, ())}
        if not used:
            return {}
        latest = self._context.instance.event_log_storage.get_maximum_record_id()
        tags: dict[str, str] = {}
        for name, version in used.items():
            if version is not None:
                tags |= {f"{INPUT_DATA_VERSION_TAG}/{name}": version, f"{INPUT_EVENT_TAG}/{name}": str(latest)}
        return tags

    def observed(self, asset: str, clip: str, metadata: "Metadata", change: str) -> None:
        """See `Events`."""
        if asset in self._selected and is_change(self._context.instance, asset, clip, change):
            self._context.log_event(observation(asset, clip, metadata, change))

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: "Metadata", warn: bool = False
    ) -> None:
        """See `Events`."""
        if asset not in self._selected:
            return
        made = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset),
            check_name=check,
            passed=passed,
            partition=clip,
            metadata=dagster_metadata(metadata),
            severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
        )
        if asset in self.handed:
            self._after.append(made)
        else:
            self._log_check(made)

    def _log_check(self, evaluation: dg.AssetCheckEvaluation) -> None:
        of_clip = evaluation.asset_key.to_user_string(), evaluation.partition
        if of_clip not in self._latest:  # the five checks of a video ask once
            stored_here = self._kept.latest(*of_clip) if self._kept is not None else None
            self._latest[of_clip] = stored_here or latest_of(
                self._context.instance, evaluation.asset_key, evaluation.partition
            )
        latest = self._latest[of_clip]
        self._context.log_event(targeting(evaluation, latest) if latest is not None else evaluation)

    @property
    def handed(self) -> frozenset[str]:
        """The assets that are handed on."""
        return frozenset(name for name, _ in self._results)

    def results(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Yield what is handed on; the checks of it are written after it, since each names what it is about."""
        for _, result in self._results:
            yield result
        for evaluation in self._after:
            self._log_check(evaluation)


def observation(asset: str, clip: str, metadata: "Metadata", change: str) -> dg.AssetObservation:
    """Return the event that shows a clip's state on the page of its partition."""
    return dg.AssetObservation(
        asset_key=asset, partition=clip, metadata=dagster_metadata(metadata), tags={CHANGE_TAG: change}
    )


def is_change(instance: dg.DagsterInstance, asset: str, clip: str, change: str) -> bool:
    """Return whether the latest state that the UI shows of a clip is another one."""
    of_clip = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[clip])
    for record in instance.fetch_observations(of_clip, limit=1).records:
        shown = record.event_log_entry.asset_observation
        return shown is None or (shown.tags or {}).get(CHANGE_TAG) != change
    return True


def with_target(instance: dg.DagsterInstance, evaluation: dg.AssetCheckEvaluation) -> dg.AssetCheckEvaluation:
    """Return an evaluation that names the materialization that it is about: the clip's latest.

    Without one the UI counts the partition as never checked.
    """
    latest = latest_of(instance, evaluation.asset_key, evaluation.partition)
    return targeting(evaluation, latest) if latest is not None else evaluation


def latest_of(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None) -> Target | None:
    """Return the latest materialization of a partition; None if there is none."""
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=None if partition is None else [partition])
    found = instance.fetch_materializations(wanted, limit=1).records
    return Target(found[0].storage_id, found[0].run_id, found[0].timestamp) if found else None


def dagster_metadata(metadata: "Metadata") -> dict[str, dg.MetadataValue[Any]]:
    """The report's values as Dagster shows them best."""
    return {name: _value(value) for name, value in metadata.items() if value is not None}


def _value(value: object) -> dg.MetadataValue[Any]:
    from i2v_assets.pipeline.metadata import Json, Link, Markdown

    match value:
        case Markdown(text):
            return dg.MetadataValue.md(pasteable(text))
        case Link(url):
            return dg.MetadataValue.url(url)
        case Json(data):
            return dg.MetadataValue.json(dict(data))
        case bool():
            return dg.MetadataValue.bool(value)
        case int():
            return dg.MetadataValue.int(value)
        case float():
            return dg.MetadataValue.float(value)
        case _:
            return dg.MetadataValue.text(lines(pasteable(str(value))))
