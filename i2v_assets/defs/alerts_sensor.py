"""The alert sensor: every few minutes one message about what is new, or none."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.defs.dagster_internals import WILL_RETRY_TAG
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.overdue_check import measured
from i2v_assets.defs.runs import why_ended, words_of
from resources.dagster_resources import LedgerResource
from resources.ledger.records import State, caps_of
from resources.messages import plain
from resources.registry.rows import ClipRow, ClipState
from resources.settings import Settings, load_settings
from resources.wait_reason import WaitReason
from resources.webhook import AlertError, Webhook

if TYPE_CHECKING:
    from i2v_assets.defs.dagster_internals import InstigatorState, InstigatorTick
    from i2v_assets.reports.alerts import AlertCursor, AlertState, FailedClip, FailedRun, FailingTicks
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry

TOLD_OTHERWISE = frozenset({make_clips_job.name, "__ASSET_JOB"})
"""Runs over clips, whose failures are those of their clips and are reported as such; and those of a person's "Materialize",
who looks at them."""

SETTLED = timedelta(minutes=1)
"""Dagster notes that it will start a run again a moment after it noted its failure; a younger failure is reported next time."""

MOST_RUNS = 200
"""Failed runs of one look: a schedule every five minutes makes twelve an hour."""

IN_A_ROW = {"SENSOR": 3, "SCHEDULE": 1}
"""Failed evaluations that are reported. A sensor's next one is seconds away, and a restart of the bucket passes by itself; many
schedules come once a day."""


def failed_runs(instance: dg.DagsterInstance, since: datetime, now: datetime) -> "list[FailedRun]":
    """Runs of jobs that failed since then and are not started again by Dagster, oldest first."""
    from i2v_assets.reports.alerts import FailedRun

    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    found = []
    for record in instance.get_run_records(filters, limit=MOST_RUNS):
        run = record.dagster_run
        ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
        covered = run.job_name in TOLD_OTHERWISE or run.tags.get(WILL_RETRY_TAG) == "true"
        if not covered and since < ended < now - SETTLED:
            found.append(FailedRun(run.job_name, run.run_id, ended))
    return sorted(found, key=lambda run: run.at)


def with_words(instance: dg.DagsterInstance, runs: "Iterable[FailedRun]") -> "list[FailedRun]":
    """The same, with the words of each job's latest run: others are not quoted."""
    from i2v_assets.reports.alerts import FailedRun

    runs = list(runs)
    latest = {run.job: run for run in runs}
    whys = {}
    for run in latest.values():
        known = instance.get_run_by_id(run.run_id)
        whys[run.run_id] = why_ended(instance, known) if known is not None else ""
    return [FailedRun(run.job, run.run_id, run.at, whys.get(run.run_id, "")) for run in runs]


def failing_ticks(instance: dg.DagsterInstance, location: str | None) -> "list[FailingTicks]":
    """Sensors and schedules of a code location (None: of all) that are on and fail, by name."""
    return sorted(_failing(instance, location), key=lambda each: each.name)


def _failing(instance: dg.DagsterInstance, location: str | None) -> "Iterator[FailingTicks]":
    from i2v_assets.defs.dagster_internals import TickStatus
    from i2v_assets.reports.alerts import FailingTicks

    if TickStatus is None:
        return
    for state in instance.all_instigator_state():
        enough = IN_A_ROW.get(state.instigator_type.name)
        if enough is None or not state.is_running or not _is_of(state, location):
            continue
        # One more than are reported: the latest may still be at work.
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=enough + 1)
        ended = [tick for tick in ticks if tick.status is not TickStatus.STARTED][:enough]
        if len(ended) == enough and all(tick.status is TickStatus.FAILURE for tick in ended):
            yield FailingTicks(state.name, _why(ended[0]))


def _is_of(state: "InstigatorState", location: str | None) -> bool:
    return location is None or state.repository_selector.location_name == location


def _why(tick: "InstigatorTick") -> str:
    return words_of(tick.error)


NAME = "alerts"


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Every five minutes: sends one message to the webhook of I2V_ALERT_WEBHOOK: which clips and jobs failed and why, "
        "which sensors and schedules cannot do their work, which requests a person has to resolve, what clips began to wait "
        "for, which wait too long, and which uploads were refused. Only what is new. Free."
    ),
)
def alerts_sensor(context: dg.SensorEvaluationContext, ledger: LedgerResource) -> dg.SensorResult | dg.SkipReason:
    """Send what is new; the cursor is what was sent. A message that was not accepted is sent with the next one."""
    from i2v_assets.reports.alert_message import message
    from i2v_assets.reports.alerts import OVERLAP, AlertCursor, news

    settings = load_settings()
    if settings.alert_webhook is None or not settings.alert_webhook.get_secret_value():
        return dg.SkipReason("Alerts are off: I2V_ALERT_WEBHOOK is not set.")
    now = datetime.now(UTC)
    memory = AlertCursor.read(context.cursor, now)
    with ledger.open() as (requests, registry):
        state = situation(requests, registry, settings, memory, now)
    origin = context.code_location_origin
    state = replace(
        state,
        runs=failed_runs(context.instance, memory.since - OVERLAP, now),
        ticks=failing_ticks(context.instance, origin.location_name if origin is not None else None),
    )
    fresh, cursor = news(state, memory)
    fresh = replace(fresh, runs=with_words(context.instance, fresh.runs))
    text = message(fresh, settings.ui_url, sandbox=settings.is_sandbox)
    if text:
        try:
            Webhook(settings.alert_webhook).send(text)
        except AlertError as error:
            context.log.warning(plain(f"{error.text} The message is sent with the next one."))
            return dg.SkipReason(error.message)
    return dg.SensorResult(skip_reason="Sent." if text else "Nothing new.", cursor=cursor.text)


def situation(
    ledger: "Ledger", registry: "Registry", settings: Settings, memory: "AlertCursor", now: datetime
) -> "AlertState":
    """Return what the ledger and the registry have to report, whether it was sent before or not."""
    from i2v_assets.reports.alerts import (
        OVERLAP,
        AlertState,
        DoubtedCost,
        FamilyHold,
        LateClips,
        PriceSurprise,
        RefusedUpload,
        UnknownRequest,
    )
    from resources.ledger.holds import OF_MODEL
    from resources.registry.overdue import Waits

    longest = timedelta(minutes=settings.warn_after_minutes)
    failed = [row for row in registry.list((ClipState.FAILED,)) if row.updated_at > memory.since - OVERLAP]
    waiting: dict[str, int] = {}
    for row in registry.list((ClipState.WAITING,)):
        kind = row.waiting_for or ""
        waiting[kind] = waiting.get(kind, 0) + 1
    unknown = ledger.list([State.UNKNOWN], service=settings.service, newest_first=False)
    return AlertState(
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
        doubted=[
            DoubtedCost(row.fingerprint, row.attempt, row.clip, row.cost_microdollars)
            for row in ledger.doubted_costs(settings.service)
        ],
        surprises=[
            PriceSurprise(found.fingerprint, found.attempt, found.clip, found.family, found.reserved, found.told)
            for found in ledger.surprises(settings.service)
        ],
        substituted=[
            FamilyHold(hold.family, hold.clip, hold.reason, hold.since)
            for hold in ledger.price_holds(settings.service)
            if hold.kind == OF_MODEL
        ],
    )


def _failed(row: ClipRow, settings: Settings) -> "FailedClip":
    from i2v_assets.reports.alerts import FailedClip

    if row.wait is WaitReason.RETRY and row.retries < settings.retries_per_clip:
        remedy = "It is tried again tonight."
    else:
        remedy = row.remedy or f"See FAILED.txt, or run: i2v retry {row.clip}"
    return FailedClip(row.clip, row.updated_at, row.reason or "No reason was noted.", remedy)
