"""The queue sensor: what S3 says of each upload becomes partitions and runs, however many objects the bucket holds.

A message is deleted once its clips are recorded in the registry, in a transaction of its own that does not depend on the
tick: a tick that dies earlier gets its messages again, a tick that dies later makes its runs again (`Registry`). Uploads that
are not complete yet are kept in the registry too, since no further event may come for them.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from i2v_assets.defs.failures import as_dagster_failure
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.run_requests import request_runs
from i2v_assets.uploads.incremental import ScopeScanner, UploadScope, groups_of
from i2v_assets.uploads.ingest import UploadScan, admit
from resources.ledger.database import Database
from resources.outside_text import plain
from resources.plurals import counted
from resources.registry.pending_uploads import PendingUploads
from resources.registry.registry import ClipState, Registry
from resources.registry.resource import LedgerResource
from resources.settings import Settings, load_settings
from resources.storage.bucket import Bucket
from resources.storage.resource import BucketResource
from resources.storage.upload_queue import UploadMessage, UploadQueue

NAME = "upload_queue"

MOST_MESSAGES = 5_000
RECEIVE_SECONDS = 15.0
"""An evaluation has 60 s in all: these for receiving, as many for looking, some for deleting and for the run requests."""

KEYS_AT_ONCE = 1_000
LOOK_SECONDS = 30.0
"""Keys are looked at by so many; once the evaluation is this old, the rest is kept for the next one."""

DELETE_SECONDS = 10.0

LOOK_AGAIN_SECONDS = 15.0
GIVE_UP = timedelta(hours=1)
"""A folder whose files do not come is looked at for so long after its last change; then its next event, or the sweep, does."""


@dataclass(frozen=True)
class Seen:
    """What one evaluation saw: how many messages and keys, and what looking at them changed."""

    messages: int
    poison: tuple[UploadMessage, ...]
    keys: int
    looks: tuple[UploadScan, ...]
    cut: tuple[str, ...]
    left: int


@dg.sensor(
    name=NAME,
    job=make_clips_job,
    minimum_interval_seconds=load_settings().sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Where I2V_UPLOADS_FROM=queue: reads the bucket's event notifications from SQS, adds a partition per complete "
        "upload and asks for runs. A check costs almost nothing; each clip that it finds is made, which costs money within the "
        "budget."
    ),
)
def queue_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """One look at the queue; its cursor is only the number of the last committed tick."""
    settings = load_settings()
    if settings.uploads_from != "queue":
        return dg.SkipReason("Uploads are found by listing the bucket (I2V_UPLOADS_FROM=listing).")
    committed = int(context.cursor or 0)
    with as_dagster_failure(), ledger.open() as (requests, registry):
        registry.requeue_uncommitted(NAME, committed)
        seen = ingest_messages(
            bucket.open(), registry, requests.database, UploadQueue.from_settings(settings), settings
        )
        _tell(context, seen)
        due = registry.due()
        runs = request_runs(
            context.instance,
            registry,
            due,
            sensor=NAME,
            tick=committed + 1,
            clips_per_run=settings.clips_per_run,
        )
        words = summary(seen, registry.counts(), PendingUploads(requests.database).count())
    if not runs:
        return dg.SkipReason(words)
    context.log.info(plain(f"{counted(len(due), 'clip')} in {counted(len(runs), 'run')}. {words}"))
    return dg.SensorResult(run_requests=runs, cursor=str(committed + 1))


def ingest_messages(
    bucket: Bucket, registry: Registry, database: Database, queue: UploadQueue, settings: Settings
) -> Seen:
    """Receive, look at what is affected, record it, and only then delete the messages.

    Raises:
        StorageError, LedgerError: no message was deleted whose clips are not recorded; all others come again.
    """
    began = time.monotonic()
    bucket.check()  # while the bucket cannot be looked at no message is taken: each delivery counts towards dead letters
    messages = queue.receive(at_most=MOST_MESSAGES, seconds=RECEIVE_SECONDS)
    pending = PendingUploads(database)
    heard = dict.fromkeys(key for message in messages for key in message.keys)
    keys = list(dict.fromkeys([*heard, *pending.due(MOST_MESSAGES)]))
    looks: list[UploadScan] = []
    cut: list[str] = []
    start = 0
    while start < len(keys) and (start == 0 or time.monotonic() - began < LOOK_SECONDS):
        part = keys[start : start + KEYS_AT_ONCE]
        start += len(part)
        gathered = ScopeScanner(bucket, registry).gather(part)
        found = admit(bucket, registry, settings, list(gathered.objects.values()), whole=False, covers=gathered.covers)
        pending.replace(part, look_again(part, gathered, found, bucket.now(), settings.settle_seconds))
        looks.append(found)
        cut += gathered.cut
    left = keys[start:]
    now = bucket.now()
    pending.replace((), dict.fromkeys(left, now))
    poison = tuple(message for message in messages if message.problem)
    queue.delete((message.receipt for message in messages if not message.problem), seconds=DELETE_SECONDS)
    return Seen(len(messages), poison, len(keys), tuple(looks), tuple(cut), len(left))


def look_again(
    keys: list[str], gathered: UploadScope, found: UploadScan, now: datetime, settle_seconds: float
) -> dict[str, datetime]:
    """Which of these keys are not done with, and when to look again: an upload that settles sends no further event."""
    settle = timedelta(seconds=settle_seconds)
    waiting = {group for each in found.grouping.settling for group in groups_of(each.source)}
    again: dict[str, datetime] = {}
    for key in keys:
        groups = gathered.groups.get(key, set())
        newest = gathered.newest(group for group in groups if group.kind == "name")
        if newest is not None and newest + settle > now:
            again[key] = newest + settle
        elif not waiting.isdisjoint(groups):
            changed = gathered.newest(groups)
            if changed is not None and changed + GIVE_UP + settle > now:
                again[key] = now + max(settle, timedelta(seconds=LOOK_AGAIN_SECONDS))
    return again


def _tell(context: dg.SensorEvaluationContext, seen: Seen) -> None:
    for found in seen.looks:
        for refused in found.newly_refused:
            context.log.warning(plain(f"Refused: {refused.text}"))
    for message in seen.poison:
        context.log.warning(plain(f"Message {message.message_id} is left to the dead-letter queue: {message.problem}"))
    for folder in seen.cut:
        context.log.warning(plain(f"uploads/{folder} holds too much for one look: the nightly sweep looks at it."))


def summary(seen: Seen, states: dict[str, int], waiting: int) -> str:
    """One line on what came in and how far the clips are."""
    parts = [f"{states[state]} {state}" for state in ClipState if states.get(state)]
    parts += [counted(waiting, "upload settles", "uploads settle")] if waiting else []
    parts += (
        [counted(seen.left, "key is left for the next tick", "keys are left for the next tick")] if seen.left else []
    )
    parts += [f"{counted(len(seen.poison), 'message')} cannot be read"] if seen.poison else []
    return (
        f"{counted(seen.messages, 'message')}, {counted(seen.keys, 'key')} scanned: {', '.join(parts) or 'no clips'}."
    )
