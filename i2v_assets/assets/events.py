"""Records what became of a clip in Dagster's event log, the moment it is known.

A range run may not yield results per partition, so each is logged as an event with its partition. Such events carry no
versions by themselves: the tags do.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import dagster as dg

from i2v_assets.assets.specs import CODE_VERSION

Metadata = Mapping[str, Any]

# Dagster's own names for the versions of an event that was logged by hand (its constants are not public).
DATA_VERSION_TAG = "dagster/data_version"
DATA_VERSION_IS_USER_PROVIDED_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"


class Events(Protocol):
    """Where the way of a clip reports to; it knows nothing of Dagster."""

    def materialized(self, asset: str, clip: str, metadata: Metadata, data_version: str) -> None:
        """An asset of a clip is there."""

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: Metadata, warn: bool = False
    ) -> None:
        """A check of a clip's asset was made; ``warn`` makes a failure a warning."""


class DagsterEvents:
    """Writes to the event log of a run; only assets that the run was asked for."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._selected = {key.to_user_string() for key in context.selected_asset_keys}

    def materialized(self, asset: str, clip: str, metadata: Metadata, data_version: str) -> None:
        """See Events."""
        if asset not in self._selected:
            return
        self._context.log_event(
            dg.AssetMaterialization(
                asset_key=asset,
                partition=clip,
                metadata=metadata,
                tags={
                    DATA_VERSION_TAG: data_version,
                    DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
                    CODE_VERSION_TAG: CODE_VERSION,
                },
            )
        )

    def checked(
        self, asset: str, check: str, clip: str, *, passed: bool, metadata: Metadata, warn: bool = False
    ) -> None:
        """See Events."""
        if asset not in self._selected:
            return
        self._context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset),
                check_name=check,
                passed=passed,
                partition=clip,
                metadata=metadata,
                severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
            )
        )
