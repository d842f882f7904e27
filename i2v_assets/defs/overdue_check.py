"""The check that a clip does not wait too long for its video."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.partitions import clips
from i2v_assets.defs.specs import CLIP_PLAN
from i2v_assets.planning.time_window import parse_window
from resources.dagster_resources import LedgerResource
from resources.ledger.records import utc_now
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from resources.ledger.database import Database
    from resources.registry.overdue import WaitMeasure

WAITING_TOO_LONG = "waiting_too_long"


def measured(settings: Settings) -> "WaitMeasure":
    """Return how to measure waiting: with a time window for paid work, only time inside the window counts."""
    window = parse_window(settings.generate_only, settings.zone)
    return window.open_between if window is not None else lambda begin, end: end - begin


def late_since(
    database: "Database", settings: Settings, clip: str, clock: Callable[[], datetime] = utc_now
) -> datetime | None:
    """Return when an overdue clip started to wait; None if it is not overdue or waits for a person."""
    from resources.registry.overdue import Waits

    longest = timedelta(minutes=settings.warn_after_minutes)
    return Waits(database, clock).since(clip, longer_than=longest, measured=measured(settings))


@dg.asset_check(
    asset=CLIP_PLAN,
    name=WAITING_TOO_LONG,
    partitions_def=clips,
    description=(
        "Warns if a clip has had no result for longer than I2V_WARN_AFTER_MINUTES. Time outside the window of "
        "I2V_GENERATE_ONLY and waits for a person (an approval) do not count. A schedule reports it; running it alone "
        "checks again. Free."
    ),
)
def waiting_too_long(context: dg.AssetCheckExecutionContext, ledger: LedgerResource) -> dg.AssetCheckResult:
    """Check again since when a clip waits."""
    with ledger.open() as (requests, _):
        since = late_since(requests.database, load_settings(), context.partition_key)
    return dg.AssetCheckResult(
        passed=since is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"since": since.isoformat(timespec="seconds") if since else ""},
    )
