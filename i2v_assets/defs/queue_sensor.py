"""The queue sensor: S3 event notifications become partitions and runs, however many objects the bucket holds.

A message is deleted once its clips are committed to the registry, independently of the tick. If the evaluation dies earlier,
its messages are delivered again; if it dies later, its runs are requested again (`Registry`). Uploads that are not complete
yet are stored in the registry too, because no further event may come for them.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.failures import as_dagster_failure
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.run_requests import request_runs
from i2v_assets.defs.specs import AT_LOAD
from resources.dagster_resources import BucketResource, LedgerResource
from resources.messages import counted, plain
from resources.registry.rows import ClipState
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from i2v_assets.uploads.ingest import UploadScan
    from i2v_assets.uploads.scope import UploadScope
    from resources.ledger.database import Database
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket
    from resources.storage.upload_queue import UploadMessage, UploadQueue

NAME = "upload_queue"

MAX_MESSAGES = 5_000
RECEIVE_SECONDS = 15.0
"""An evaluation has 60 s: 15 for receiving, 15 for scanning, and the rest for deleting and for the run requests."""

KEYS_PER_BATCH = 1_000
SCAN_SECONDS = 30.0
"""Keys are scanned in batches; once the evaluation has run this long, the remaining keys are left for the next one."""

DELETE_SECONDS = 10.0

RESCAN_SECONDS = 15.0
GIVE_UP = timedelta(hours=1)
"""Time after a folder's last change during which its missing files are waited for; later its next event, or the nightly
scan, picks them up."""


@dataclass(frozen=True)
class QueueScan:
    """The result of one evaluation: the messages, the number of keys, and the scans of those keys."""

    messages: int
    poison: "tuple[UploadMessage, ...]"
    keys: int
    scans: "tuple[UploadScan, ...]"
    cut: tuple[str, ...]
    left: int


@dg.sensor(
    name=NAME,
    job=make_clips_job,
    minimum_interval_seconds=AT_LOAD.sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "If I2V_UPLOADS_FROM=queue: reads the bucket's event notifications from SQS, adds a partition per complete "
        "upload and requests runs. Scanning costs only a few SQS and S3 requests; each clip that it finds is made, which "
        "costs money within the budget."
    ),
)
def queue_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """Receive and ingest messages; the cursor is only the number of the last committed tick."""
    from resources.registry.pending_uploads import PendingUploads
    from resources.storage.upload_queue import UploadQueue

    settings = load_settings()
    if settings.uploads_from != "queue":
        return dg.SkipReason("Uploads come from a listing of the bucket (I2V_UPLOADS_FROM=listing).")
    committed = int(context.cursor or 0)
    with as_dagster_failure(), ledger.open() as (requests, registry):
        registry.requeue_uncommitted(NAME, committed)
        scan = ingest_messages(
            bucket.open(), registry, requests.database, UploadQueue.from_settings(settings), settings
        )
        _log_problems(context, scan)
        due = registry.due()
        runs = request_runs(
            context.instance,
            registry,
            due,
            sensor=NAME,
            tick=committed + 1,
            clips_per_run=settings.clips_per_run,
        )
        line = summary(scan, registry.counts(), PendingUploads(requests.database).count())
    if not runs:
        return dg.SkipReason(line)
    context.log.info(plain(f"{counted(len(due), 'clip')} in {counted(len(runs), 'run')}. {line}"))
    return dg.SensorResult(run_requests=runs, cursor=str(committed + 1))


def ingest_messages(
    bucket: "Bucket", registry: "Registry", database: "Database", queue: "UploadQueue", settings: Settings
) -> QueueScan:
    """Receive messages, scan and register the affected uploads, and only then delete the messages.

    Raises:
        StorageError: the bucket or the queue does not respond.
        LedgerError: the registry does not respond. In both cases messages whose clips are not committed stay in the queue.
    """
    from i2v_assets.uploads.incremental import ScopeScanner
    from i2v_assets.uploads.ingest import admit
    from i2v_assets.uploads.types import HoldReason
    from resources.registry.pending_uploads import PendingUploads

    began = time.monotonic()
    bucket.check()  # before receiving, because each delivery of a message counts towards the dead-letter queue
    messages = queue.receive(at_most=MAX_MESSAGES, seconds=RECEIVE_SECONDS)
    pending = PendingUploads(database)
    notified = dict.fromkeys(key for message in messages for key in message.keys)
    # Holds of many clips that the approval of one ends, without an event of the others.
    released_together = (HoldReason.HOT_FOLDER, HoldReason.PROMPT_FILE)
    released = [source for source, (reason, _) in registry.holds().items() if reason in released_together]
    keys = list(dict.fromkeys([*notified, *pending.due(MAX_MESSAGES), *released[:KEYS_PER_BATCH]]))
    scans: list[UploadScan] = []
    cut: list[str] = []
    start = 0
    while start < len(keys) and (start == 0 or time.monotonic() - began < SCAN_SECONDS):
        part = keys[start : start + KEYS_PER_BATCH]
        start += len(part)
        scope = ScopeScanner(bucket, registry).gather(part)
        scanned = admit(
            bucket,
            registry,
            settings,
            list(scope.objects.values()),
            whole=False,
            covers=scope.covers,
            asked=scope.asked,
            patience=0,
        )
        rescan = rescan_times(part, scope, scanned, bucket.now(), settings.settle_seconds)
        if unread := scope.unread | scanned.unread:
            rescan |= dict.fromkeys([*part, *unread], bucket.now())
        pending.replace(part, rescan)
        scans.append(scanned)
        cut += scope.cut
    left = keys[start:]
    now = bucket.now()
    pending.replace((), dict.fromkeys(left, now))
    poison = tuple(message for message in messages if message.problem)
    queue.delete((message.receipt for message in messages if not message.problem), seconds=DELETE_SECONDS)
    return QueueScan(len(messages), poison, len(keys), tuple(scans), tuple(cut), len(left))


def rescan_times(
    keys: list[str], scope: "UploadScope", scanned: "UploadScan", now: datetime, settle_seconds: float
) -> dict[str, datetime]:
    """Return the keys to scan again and when, because a settling upload sends no further event."""
    from i2v_assets.uploads.marks import ENDS_AFTER
    from i2v_assets.uploads.roles import role_of
    from i2v_assets.uploads.scope import groups_of

    settle = timedelta(seconds=settle_seconds)
    settling = {group for each in scanned.grouping.settling for group in groups_of(each.source)}
    due_at: dict[str, datetime] = {}
    for key in keys:
        groups = scope.groups.get(key, set())
        if role_of(key.rpartition("/")[2]) == "mark" and key in scope.objects:
            due_at[key] = scope.objects[key].modified_at + ENDS_AFTER  # no event says that a mark has ended
            continue
        newest = scope.newest(group for group in groups if group.kind == "name")
        if newest is not None and newest + settle > now:
            due_at[key] = newest + settle
        elif not settling.isdisjoint(groups):
            changed = scope.newest(groups)
            if changed is not None and changed + GIVE_UP + settle > now:
                due_at[key] = now + max(settle, timedelta(seconds=RESCAN_SECONDS))
    return due_at


def _log_problems(context: dg.SensorEvaluationContext, scan: QueueScan) -> None:
    for uploads in scan.scans:
        for refused in uploads.newly_refused:
            context.log.warning(plain(f"Refused: {refused.text}"))
    for message in scan.poison:
        context.log.warning(plain(f"Message {message.message_id} left for the dead-letter queue: {message.problem}"))
    for folder in scan.cut:
        context.log.warning(plain(f"uploads/{folder} holds too many objects for one scan; the nightly scan covers it."))


def summary(scan: QueueScan, states: dict[str, int], waiting: int) -> str:
    """Return one line on the received messages and the clips' states."""
    parts = [f"{states[state]} {state}" for state in ClipState if states.get(state)]
    parts += [counted(waiting, "upload settles", "uploads settle")] if waiting else []
    parts += (
        [counted(scan.left, "key is left for the next tick", "keys are left for the next tick")] if scan.left else []
    )
    parts += [f"{counted(len(scan.poison), 'message')} cannot be read"] if scan.poison else []
    held = sum(len(each.held) for each in scan.scans)
    ignored = sum(each.grouping.ignored for each in scan.scans)
    parts += [f"{counted(held, 'upload')} held"] if held else []
    parts += [f"{counted(ignored, 'system file')} ignored"] if ignored else []
    return (
        f"{counted(scan.messages, 'message')}, {counted(scan.keys, 'key')} scanned: {', '.join(parts) or 'no clips'}."
    )
