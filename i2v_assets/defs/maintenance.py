"""Scheduled maintenance: scan all uploads, retry failed clips, archive, and report overdue clips."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.event_log import with_target
from i2v_assets.defs.overdue_check import WAITING_TOO_LONG, measured
from i2v_assets.defs.partitions import clips
from i2v_assets.defs.specs import CLIP_PLAN
from resources.dagster_resources import BucketResource, LedgerResource
from resources.ledger.records import utc_now
from resources.messages import counted, plain
from resources.registry.rows import ClipState
from resources.settings import Settings, load_settings
from resources.storage.keys import UPLOADS
from resources.wait_reason import WaitReason

if TYPE_CHECKING:
    from resources.ledger.database import Database
    from resources.registry.overdue import WatchResult
    from resources.registry.registry import Registry

UI_KEYS = 25_000
"""Dagster's recommended maximum of partitions per asset; above it the UI takes seconds to show their status."""


def archive(instance: dg.DagsterInstance, registry: "Registry", days: int) -> tuple[str, ...]:
    """Remove the partition keys of clips that were delivered at least `days` ago; a new upload adds its key again.

    The registry is updated first: if this stops halfway, extra keys stay and the next run removes them.

    Returns:
        The clips that were archived now.
    """
    name = str(clips.name)
    names = registry.archive(registry.delivered_before(timedelta(days=days)))
    archived = set(registry.archived())
    _delete(instance, name, [key for key in instance.get_dynamic_partitions(name) if key in archived])
    # A concurrent upload may have enqueued its clip before this removed its key. That run is requested again
    # (`due_after_lost_run`), which adds the key.
    return names


def _delete(instance: dg.DagsterInstance, name: str, keys: Sequence[str]) -> None:
    for key in keys:
        instance.delete_dynamic_partition(name, key)


def count_keys(instance: dg.DagsterInstance) -> int:
    """Return the number of keys in the UI."""
    return len(instance.get_dynamic_partitions(str(clips.name)))


WAITS_FOR_PERSON = "It is waiting for a person. Check `i2v plan`, then run `i2v approve HASH`; if it was stopped, run `i2v retry CLIP`."
MAX_WARNINGS = 200
"""Maximum warnings per run, because each is a permanent event. The next run reports the rest."""


@dg.op(description="Lists all uploads and registers those whose event was lost. The sensor's next tick starts them.")
def sweep_uploads(context: dg.OpExecutionContext, bucket: BucketResource, ledger: LedgerResource) -> None:
    """Scan the uploads like the listing sensor, but without its limit of 60 s."""
    from i2v_assets.uploads.ingest import scan_uploads
    from i2v_assets.uploads.misplaced import misplaced_media, misplaced_words

    opened = bucket.open()
    with ledger.open() as (_, registry):
        scan = scan_uploads(opened, registry, load_settings())
        registry.runs.forget()
        registry.claims.forget({each.key for each in opened.list(UPLOADS)})
    if misplaced := misplaced_media(opened):
        context.log.warning(plain(misplaced_words(misplaced)))
    for refused in scan.newly_refused:
        context.log.warning(plain(f"Refused: {refused.text}"))
    changes = scan.admission
    context.log.info(
        plain(
            f"{counted(scan.objects, 'upload')}: {counted(len(changes.new), 'new clip')}, {len(changes.changed)} changed, "
            f"{len(changes.withdrawn)} withdrawn, {len(scan.newly_refused)} newly refused."
        )
    )


@dg.job(
    description="Finds uploads whose event was lost. Scanning is free; clips that it finds are made within the budget."
)
def sweep_job() -> None:
    """Run its only op."""
    sweep_uploads()


def to_retry(registry: "Registry", settings: Settings) -> list[str]:
    """Return the failed clips to retry automatically; never a permanent failure."""
    rows = registry.list((ClipState.FAILED,))
    return [row.clip for row in rows if row.wait is WaitReason.RETRY and row.retries < settings.retries_per_clip]


@dg.op(
    description="Enqueues failed clips again, each at most I2V_RETRIES_PER_CLIP times. Their new requests cost money."
)
def retry_failed_clips(context: dg.OpExecutionContext, ledger: LedgerResource) -> None:
    """Enqueue failed clips; the sensor's next tick starts them."""
    with ledger.open() as (_, registry):
        names = to_retry(registry, load_settings())
        seen = {clip: row for clip, row in registry.many(names).items() if row.state is ClipState.FAILED}
        registry.enqueue(list(seen), seen=seen, count_retry=True)
    context.log.info(plain(f"{len(names)} failed clips enqueued: {', '.join(names[:20])}"))


@dg.job(description="Retries failed clips. Each retry costs as much as before, within the budget.")
def retry_failed_job() -> None:
    """Run its only op."""
    retry_failed_clips()


@dg.op(description="Removes the keys of clips that were delivered I2V_ARCHIVE_AFTER_DAYS ago. Files and history stay.")
def archive_clips(context: dg.OpExecutionContext, ledger: LedgerResource) -> None:
    """Remove the keys of clips that were delivered long ago; a new upload adds its key again."""
    days = load_settings().archive_after_days
    if not days:
        context.log.info("Archiving is off: I2V_ARCHIVE_AFTER_DAYS is 0.")
        return
    with ledger.open() as (_, registry):
        archived = archive(context.instance, registry, days)
    left = counted(count_keys(context.instance), "key is left", "keys are left")
    context.log.info(plain(f"{counted(len(archived), 'clip')} archived, {left}."))


@dg.job(
    description="Removes clips that were delivered long ago from the UI's partitions. Free; files and history stay."
)
def archive_job() -> None:
    """Run its only op."""
    archive_clips()


def watch(database: "Database", settings: Settings, clock: Callable[[], datetime] = utc_now) -> "WatchResult":
    """Return the clips that wait longer than `warn_after_minutes`."""
    from resources.registry.overdue import Waits

    longest = timedelta(minutes=settings.warn_after_minutes)
    return Waits(database, clock).watch(longest, measured(settings))


@dg.op(name="tell_waiting_clips", description="Reports the warning check `waiting_too_long` of overdue clips. Free.")
def report_overdue_clips(context: dg.OpExecutionContext, ledger: LedgerResource) -> None:
    """Report each overdue clip once, and once more when it is no longer overdue."""
    from resources.registry.overdue import Waits

    settings = load_settings()
    with ledger.open() as (requests, _):
        watched = watch(requests.database, settings)
        late, over = watched.late[:MAX_WARNINGS], watched.over[:MAX_WARNINGS]
        for wait in late:
            details = {"state": wait.state.value, "waiting for": wait.waiting_for or "", "reason": wait.reason or ""}
            _check(context, wait.clip, False, {**details, "since": wait.since.isoformat(timespec="seconds")})
        for clip in over:
            _check(context, clip, True, {"waits for": WAITS_FOR_PERSON} if clip in watched.persons else {})
        Waits(requests.database).mark_reported([wait.clip for wait in late], over)
    context.log.info(
        plain(
            f"Waiting longer than {counted(settings.warn_after_minutes, 'minute')}: {counted(len(watched.late), 'clip')} newly, "
            f"of which {len(late)} get their warning now. No longer waiting: {len(over)}."
        )
    )


def _check(context: dg.OpExecutionContext, clip: str, passed: bool, metadata: dict[str, str]) -> None:
    evaluation = dg.AssetCheckEvaluation(
        asset_key=CLIP_PLAN,
        check_name=WAITING_TOO_LONG,
        passed=passed,
        partition=clip,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )
    # Dagster accepts this event from an op, although the type annotation does not list it.
    context.log_event(with_target(context.instance, evaluation))  # type: ignore[arg-type]


@dg.job(description="Warns about clips that wait longer than I2V_WARN_AFTER_MINUTES. Free.")
def waiting_job() -> None:
    """Run its only op."""
    report_overdue_clips()


UPKEEP_JOBS = (sweep_job, retry_failed_job, archive_job, waiting_job)
