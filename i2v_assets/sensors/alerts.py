"""The alert sensor: every few minutes one message about what is new, or none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from i2v_assets.alert_words import message
from i2v_assets.alerts import (
    OVERLAP,
    FailedClip,
    LateClips,
    Memory,
    RefusedUpload,
    Situation,
    UnknownRequest,
    news,
)
from i2v_assets.answers import AnswerKind, read_answer
from i2v_assets.assets.waiting import measured
from i2v_assets.sensors.troubles import failed_runs, failing_ticks, with_words
from resources.alerts.webhook import AlertError, Webhook
from resources.generation.opening import caps_of
from resources.ledger import Ledger, State
from resources.ledger.registry import ClipRow, ClipState, Registry
from resources.ledger.resource import LedgerResource
from resources.ledger.waits import Waits
from resources.settings import Settings, load_settings
from resources.storage.bucket import Bucket
from resources.storage.errors import StorageError
from resources.storage.keys import FAILED_NOTE, clip_key
from resources.storage.resource import BucketResource

NAME = "alerts"
MOST_NOTES = 10
NOTE_BYTES = 20_000


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Every five minutes: tells the webhook of I2V_ALERT_WEBHOOK, in one message, which clips and jobs failed and why, "
        "which sensors and schedules cannot do their work, which requests a person has to resolve, what clips began to wait "
        "for, which wait too long, and which uploads were refused. Only what is new. Free."
    ),
)
def alerts_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """Its cursor is what was told. A message that was not taken is told with the next one."""
    settings = load_settings()
    if settings.alert_webhook is None or not settings.alert_webhook.get_secret_value():
        return dg.SkipReason("Nobody is told: I2V_ALERT_WEBHOOK is not set.")
    now = datetime.now(UTC)
    memory = Memory.read(context.cursor, now)
    with ledger.open() as (requests, registry):
        now_is = situation(requests, registry, settings, memory, now)
    origin = context.code_location_origin
    now_is = replace(
        now_is,
        runs=failed_runs(context.instance, memory.since - OVERLAP, now),
        ticks=failing_ticks(context.instance, origin.location_name if origin is not None else None),
    )
    fresh, told = news(now_is, memory)
    fresh = replace(_with_remedies(fresh, bucket.open()), runs=with_words(context.instance, fresh.runs))
    text = message(fresh, settings.ui_url, sandbox=settings.service == "sandbox")
    if text:
        try:
            Webhook(settings.alert_webhook).send(text)
        except AlertError as error:
            context.log.warning(f"{error.text} The message is sent with the next one.")
            return dg.SkipReason(error.message)
    return dg.SensorResult(skip_reason="Told." if text else "Nothing new.", cursor=told.text)


def situation(ledger: Ledger, registry: Registry, settings: Settings, memory: Memory, now: datetime) -> Situation:
    """What the ledger has to tell of, told before or not."""
    longest = timedelta(minutes=settings.warn_after_minutes)
    failed = [row for row in registry.list((ClipState.FAILED,)) if row.updated_at > memory.since - OVERLAP]
    waiting: dict[str, int] = {}
    for row in registry.list((ClipState.WAITING,)):
        kind = row.waiting_for or ""
        waiting[kind] = waiting.get(kind, 0) + 1
    unknown = ledger.list([State.UNKNOWN], service=settings.service, newest_first=False)
    return Situation(
        now,
        [_failed(row, settings) for row in sorted(failed, key=lambda row: row.updated_at)],
        [UnknownRequest(row.fingerprint, row.attempt, row.clip, row.price_microdollars) for row in unknown],
        waiting,
        ledger.spent_today(settings.service, settings.zone).microdollars,
        caps_of(settings).usd_per_day_microdollars,
        late=LateClips(Waits(ledger.database).late(longest, measured(settings)), settings.warn_after_minutes),
        refused=[
            *(RefusedUpload(row.source, row.version) for row in registry.refusals.now()),
            *(RefusedUpload(row.clip, f"{row.version} {row.reason}") for row in registry.list((ClipState.REFUSED,))),
        ],
    )


def _failed(row: ClipRow, settings: Settings) -> FailedClip:
    tried_again = row.waiting_for == "retry" and row.retries < settings.retries_per_clip
    remedy = "It is tried again tonight." if tried_again else f"See FAILED.txt, or run: i2v retry {row.clip}"
    return FailedClip(row.clip, row.updated_at, row.reason or "no reason was noted", remedy)


def _with_remedies(fresh: Situation, bucket: Bucket) -> Situation:
    """The remedies that the clips' own notes give, of those that the message names."""

    def one(found: FailedClip) -> FailedClip:
        try:
            text = bucket.read(clip_key(found.clip, FAILED_NOTE), NOTE_BYTES).decode("utf-8", "replace")
        except StorageError:
            return found  # the message is worth more than its remedies
        answer = read_answer(AnswerKind.FAILED, text)
        remedies = dict.fromkeys(problem.remedy for problem in answer.problems if problem.remedy)
        return FailedClip(found.clip, found.at, found.reason, " ".join(remedies) or found.remedy)

    shown = [one(found) for found in fresh.failed[:MOST_NOTES]]
    return replace(fresh, failed=[*shown, *fresh.failed[MOST_NOTES:]])
