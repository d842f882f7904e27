"""Records what became of a clip in Dagster's event log, the moment it is known.

A range run may not yield results per partition, so each is logged as an event with its partition. Such events carry no
versions by themselves: the tags do.
"""

from typing import Any

import dagster as dg

from i2v_assets.defs.specs import CLIP_SPECS, CODE_VERSION
from i2v_assets.pipeline.metadata import Json, Link, Markdown, Metadata
from resources.outside_text import lines
from resources.own_commands import pasteable

# Dagster's own names for the versions of an event that was logged by hand (its constants are not public).
DATA_VERSION_TAG = "dagster/data_version"
DATA_VERSION_IS_USER_PROVIDED_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_DATA_VERSION_TAG = "dagster/input_data_version"
INPUT_EVENT_TAG = "dagster/input_event_pointer"
"""Each followed by a slash and the input's key. Without both Dagster shows an event as unsynced with its inputs at once."""

INPUTS = {spec.key.to_user_string(): tuple(dep.asset_key.to_user_string() for dep in spec.deps) for spec in CLIP_SPECS}


class DagsterEvents:
    """Writes to the event log of a run; only assets that the run was asked for."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._selected = {key.to_user_string() for key in context.selected_asset_keys}
        self._versions: dict[tuple[str, str], str] = {}

    def materialized(self, asset: str, clip: str, metadata: Metadata, data_version: str) -> None:
        """See `Events`."""
        self._versions[asset, clip] = data_version
        if asset in self._selected:
            tags = {
                DATA_VERSION_TAG: data_version,
                DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
                CODE_VERSION_TAG: CODE_VERSION,
            }
            tags |= self._came_from(asset, clip)
            self._context.log_event(
                dg.AssetMaterialization(asset_key=asset, partition=clip, metadata=dagster_metadata(metadata), tags=tags)
            )

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

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: Metadata, warn: bool = False
    ) -> None:
        """See `Events`."""
        if asset in self._selected:
            self._context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey(asset),
                    check_name=check,
                    passed=passed,
                    partition=clip,
                    metadata=dagster_metadata(metadata),
                    severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
                )
            )


def dagster_metadata(metadata: Metadata) -> dict[str, dg.MetadataValue[Any]]:
    """The report's values as Dagster shows them best."""
    return {name: _value(value) for name, value in metadata.items() if value is not None}


def _value(value: object) -> dg.MetadataValue[Any]:
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
