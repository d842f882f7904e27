"""What keeps the house in order by the clock: sweep, retry, archive, and the watch over clips that wait."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import dagster as dg

from i2v_assets.defs.overdue_check import WAITING_TOO_LONG, measured
from i2v_assets.defs.partitions import clips
from i2v_assets.defs.specs import CLIP_PLAN
from i2v_assets.uploads.ingest import scan_uploads
from resources.ledger.base import utc_now
from resources.ledger.database import Database
from resources.outside_text import plain
from resources.plurals import counted
from resources.registry.overdue import Waits, Watched
from resources.registry.registry import ClipState, Registry
from resources.registry.resource import LedgerResource
from resources.settings import Settings, load_settings
from resources.storage.resource import BucketResource

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


PERSONS_TURN = (
    "It is a person's turn: look at `i2v plan`, then `i2v approve HASH`; or `i2v retry CLIP` where it was stopped."
)
MOST_WARNINGS = 200
"""Warnings of one run: each is an event that is kept for ever. The rest is told by the next run."""


@dg.op(description="Lists all uploads and takes note of what events lost. The upload sensor's next tick starts it.")
def sweep_uploads(context: dg.OpExecutionContext, bucket: BucketResource, ledger: LedgerResource) -> None:
    """The same look as the listing sensor's, without its 60 s."""
    with ledger.open() as (_, registry):
        found = scan_uploads(bucket.open(), registry, load_settings())
    for refused in found.newly_refused:
        context.log.warning(plain(f"Refused: {refused.text}"))
    changes = found.admission
    context.log.info(
        plain(
            f"{counted(found.objects, 'upload')}: {counted(len(changes.new), 'new clip')}, {len(changes.changed)} changed, "
            f"{len(changes.withdrawn)} gone, {len(found.newly_refused)} newly refused."
        )
    )


@dg.job(description="Finds uploads whose event was lost. Looking is free; what it finds is made within the budget.")
def sweep_job() -> None:
    """One op."""
    sweep_uploads()


def to_retry(registry: Registry, settings: Settings) -> list[str]:
    """The failed clips that are tried again by themselves; never one that failed for good."""
    rows = registry.list((ClipState.FAILED,))
    return [row.clip for row in rows if row.waiting_for == "retry" and row.retries < settings.retries_per_clip]


@dg.op(
    description="Makes failed clips due again, each at most I2V_RETRIES_PER_CLIP times. Their new requests are paid for."
)
def retry_failed_clips(context: dg.OpExecutionContext, ledger: LedgerResource) -> None:
    """The upload sensor's next tick starts them."""
    with ledger.open() as (_, registry):
        names = to_retry(registry, load_settings())
        registry.enqueue(names, count_retry=True)
    context.log.info(plain(f"{len(names)} failed clips are tried again: {', '.join(names[:20])}"))


@dg.job(description="Tries failed clips again. Each costs what it cost before, within the budget.")
def retry_failed_job() -> None:
    """One op."""
    retry_failed_clips()


@dg.op(description="Removes the keys of clips that were delivered I2V_ARCHIVE_AFTER_DAYS ago. Files and history stay.")
def archive_clips(context: dg.OpExecutionContext, ledger: LedgerResource) -> None:
    """A new upload of an archived clip adds its key again."""
    days = load_settings().archive_after_days
    if not days:
        context.log.info("Nothing is archived: I2V_ARCHIVE_AFTER_DAYS is 0.")
        return
    with ledger.open() as (_, registry):
        gone = archive(context.instance, registry, days)
    left = counted(keys_left(context.instance), "key is left", "keys are left")
    context.log.info(plain(f"{counted(len(gone), 'clip')} archived, {left}."))


@dg.job(description="Takes long delivered clips out of the UI's partitions. Free; files and history stay.")
def archive_job() -> None:
    """One op."""
    archive_clips()


def watch(database: Database, settings: Settings, clock: Callable[[], datetime] = utc_now) -> Watched:
    """Who waits longer than `warn_after_minutes`."""
    longest = timedelta(minutes=settings.warn_after_minutes)
    return Waits(database, clock).watch(longest, measured(settings))


@dg.op(description="Logs the warning check `waiting_too_long` of clips that wait too long. Free.")
def tell_waiting_clips(context: dg.OpExecutionContext, ledger: LedgerResource) -> None:
    """Each clip once, and once more when it is over."""
    settings = load_settings()
    with ledger.open() as (requests, _):
        found = watch(requests.database, settings)
        late, over = found.late[:MOST_WARNINGS], found.over[:MOST_WARNINGS]
        for wait in late:
            words = {"state": wait.state.value, "waiting for": wait.waiting_for or "", "reason": wait.reason or ""}
            _check(context, wait.clip, False, {**words, "since": wait.since.isoformat(timespec="seconds")})
        for clip in over:
            _check(context, clip, True, {"waits for": PERSONS_TURN} if clip in found.persons else {})
        Waits(requests.database).told([wait.clip for wait in late], over)
    context.log.info(
        plain(
            f"Waiting longer than {counted(settings.warn_after_minutes, 'minute')}: {counted(len(found.late), 'clip')} newly, "
            f"of which {len(late)} get their warning now. No longer waiting: {len(over)}."
        )
    )


def _check(context: dg.OpExecutionContext, clip: str, passed: bool, metadata: dict[str, str]) -> None:
    # Dagster takes it from an op too; only its annotation leaves it out.
    context.log_event(
        dg.AssetCheckEvaluation(  # type: ignore[arg-type]
            asset_key=CLIP_PLAN,
            check_name=WAITING_TOO_LONG,
            passed=passed,
            partition=clip,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
        )
    )


@dg.job(description="Warns of clips that wait longer than I2V_WARN_AFTER_MINUTES. Free.")
def waiting_job() -> None:
    """One op."""
    tell_waiting_clips()


UPKEEP_JOBS = (sweep_job, retry_failed_job, archive_job, waiting_job)
