"""The dispatch sensor: the one place that decides which waiting clips are paid for next."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from i2v_assets.clip_folder import notes
from i2v_assets.defs.event_log import dagster_metadata, is_change, observation, with_target
from i2v_assets.defs.failures import as_dagster_failure, end_dead_runs
from i2v_assets.defs.jobs import make_clips_job
from i2v_assets.defs.run_requests import request_runs
from i2v_assets.defs.runs import LatestRuns, why_ended
from i2v_assets.defs.specs import AT_LOAD, CLIP_VIDEO
from i2v_assets.planning.time_window import parse_window
from resources.dagster_resources import BucketResource, LedgerResource
from resources.ledger.records import Money, State, caps_of
from resources.messages import counted, plain
from resources.problem import Problem
from resources.registry.rows import ClipRow, ClipState
from resources.settings import Settings, load_settings
from resources.wait_reason import WaitReason

if TYPE_CHECKING:
    from i2v_assets.pipeline.dispatch_policy import Decisions, DispatchInputs
    from i2v_assets.session import Session
    from resources.ledger.ledger import Ledger
    from resources.registry.registry import Registry
    from resources.storage.bucket import Bucket

NAME = "dispatch"

STOPPED_RUN = "a person, who stopped its run"
"""Who stopped a clip whose run was terminated."""

LATELY = timedelta(minutes=5)
"""A stop of a clip is shown by one of the next looks, 15 s apart; the daemon may be away for a restart."""

WATCHED = (ClipState.WAITING, ClipState.DISPATCHED, ClipState.WORKING)


@dg.sensor(
    name=NAME,
    job=make_clips_job,
    minimum_interval_seconds=max(AT_LOAD.sensor_seconds, 15),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Starts waiting clips once what they wait for has come (approval, budget, night window, the outcome of a request), "
        "and clips whose run ended without a result. A check is free; what it starts is paid for within the budget."
    ),
)
def dispatch_sensor(
    context: dg.SensorEvaluationContext, bucket: BucketResource, ledger: LedgerResource
) -> dg.SensorResult | dg.SkipReason:
    """One look at what waits; its cursor is the number of the last committed tick."""
    from i2v_assets.pipeline.dispatch_policy import decide
    from i2v_assets.session import Session

    settings = load_settings()
    committed = int(context.cursor or 0)
    with as_dagster_failure(), ledger.open() as (requests, registry):
        registry.requeue_uncommitted(NAME, committed)
        carry_out_commands(context, Session(settings, requests, registry))
        rows = registry.list(WATCHED)
        end_dead_runs(context.instance, registry, requests, rows)
        decisions = decide(rows, world_of(context.instance, rows, requests, registry, settings))
        apply(decisions, rows, context.instance, requests, registry, bucket.open(), settings)
        show_stopped(context.instance, rows, requests, settings)
        again = set(decisions.due) | set(decisions.due_after_lost_run) | set(decisions.to_fetch)
        hold = requests.held_service(settings.service)
        due = [row for row in registry.due() if row.clip in again]
        runs = request_runs(
            context.instance, registry, due, sensor=NAME, tick=committed + 1, clips_per_run=settings.clips_per_run
        )
    if not runs:
        waiting = sum(row.state is ClipState.WAITING for row in rows)
        busy = counted(len(rows) - waiting, "clip is", "clips are")
        if hold is not None:
            return dg.SkipReason(f"{hold.text} {counted(waiting, 'clip waits', 'clips wait')}, {busy} under way.")
        return dg.SkipReason(
            f"{counted(waiting, 'clip waits', 'clips wait')} and {busy} under way. Nothing that a clip waits for has changed."
        )
    context.log.info(plain(f"{counted(len(due), 'clip')} started in {counted(len(runs), 'run')}."))
    return dg.SensorResult(run_requests=runs, cursor=str(committed + 1))


def carry_out_commands(context: dg.SensorEvaluationContext, session: "Session") -> None:
    """Carry out the commands in the bucket; if it does not respond, the next evaluation does, and clips go on meanwhile."""
    from i2v_assets.operations.bucket_commands import run_bucket_commands
    from resources.storage.errors import StorageError

    try:
        answers = run_bucket_commands(session)
    except StorageError as error:
        context.log.warning(plain(f"Commands in the bucket were not read: {error.text}"))
        return
    for each in answers:
        done = "carried out" if each.done else "not carried out"
        context.log.info(plain(f"Command {each.command.file.key} {done}. {each.text}"))


def world_of(
    instance: dg.DagsterInstance, rows: Sequence[ClipRow], ledger: "Ledger", registry: "Registry", settings: Settings
) -> "DispatchInputs":
    """What the gates are asked of, now."""
    from i2v_assets.pipeline.dispatch_policy import DispatchInputs
    from i2v_assets.pipeline.film_budget import requests_to_come
    from i2v_assets.pipeline.film_watch import blocked_films, film_of

    latest = LatestRuns(instance, (row for row in rows if row.state is not ClipState.WAITING))
    now = datetime.now(UTC)
    window = parse_window(settings.generate_only, settings.zone)
    limits, spent = caps_of(settings), ledger.spent_today(settings.service, settings.zone)
    kept = ledger.kept_room(settings.service)

    with_run = [row.clip for row in rows if row.state is not ClipState.WAITING]
    paid_for = registry.stops.with_open_requests(with_run)
    made = registry.stops.with_open_requests(with_run, made=True)

    blocked = blocked_films(registry, (row for row in rows if row.wait is WaitReason.FILM), limits, now)

    def is_unknown(fingerprint: str) -> bool:
        found = ledger.get(fingerprint)
        return found is not None and found.state is State.UNKNOWN

    return DispatchInputs(
        now=now,
        window_open=window is None or window.holds(now),
        dollars_left=limits.usd_per_day_microdollars - spent.microdollars - kept.microdollars,
        requests_left=limits.requests_per_day - spent.requests - kept.requests,
        dollars_per_run=limits.usd_per_run_microdollars,
        requests_per_run=limits.requests_per_run,
        requests_of=lambda row: requests_to_come(registry.memory, row),
        approved=lambda row: _is_approved(ledger, row),
        is_unknown=is_unknown,
        run_state=latest.state,
        paid_for=paid_for.__contains__,
        made=made.__contains__,
        paused=ledger.held_service(settings.service) is not None,
        is_price_held=ledger.is_price_held,
        in_heap=_heap_members(rows, ledger, registry, settings).__contains__,
        is_film_blocked=lambda row: film_of(row) in blocked,
    )


def _is_approved(ledger: "Ledger", row: ClipRow) -> bool:
    """Return whether a record holds for the plan that a clip waits with; its run asks again with the model of then."""
    from i2v_assets.uploads.types import Candidate

    hold = Candidate.from_content(row.content).hold
    fingerprint, price = row.planned_fingerprint or "", row.price_microdollars
    return ledger.is_approved(fingerprint, price, clip=row.clip, doubt=hold.mark if hold else "")


def _heap_members(
    rows: Sequence[ClipRow], ledger: "Ledger", registry: "Registry", settings: Settings
) -> Collection[str]:
    """Return the names of the clips that are part of a heap; looked up only if a clip waits for that."""
    from i2v_assets.pipeline.heap_watch import find_registered_heaps

    waiting = [row.came_at for row in rows if row.state is ClipState.WAITING and row.wait is WaitReason.HEAP]
    limit = settings.heap_limit_microdollars
    return find_registered_heaps(registry, ledger, min(waiting), limit) if waiting and limit is not None else ()


def apply(
    decisions: "Decisions",
    rows: Sequence[ClipRow],
    instance: dg.DagsterInstance,
    ledger: "Ledger",
    registry: "Registry",
    bucket: "Bucket",
    settings: Settings,
) -> None:
    """Write the decisions down, and answer the clips that go no further."""
    from i2v_assets.clip_folder.writer import BucketAnswers

    seen = {row.clip: row for row in rows}
    registry.enqueue(decisions.due, seen=seen)
    registry.enqueue(decisions.due_after_lost_run, seen=seen, lost_run=True)
    registry.enqueue(decisions.to_fetch, seen=seen, stopped_by=STOPPED_RUN)
    ended: list[tuple[ClipRow, ClipState, WaitReason, Problem]] = []
    for clip in decisions.stopped_by_person:
        row, remedy = seen[clip], f"Materialize it again in the UI, or run: i2v retry {clip}"
        ended.append((row, ClipState.WAITING, WaitReason.PERSON, Problem("A person stopped its run.", remedy=remedy)))
    whys: dict[str, str] = {}  # the clips of a run share its end
    given_up_rows = {clip: seen[clip] for clip in decisions.given_up}
    latest = LatestRuns(instance, given_up_rows.values())
    for clip, row in given_up_rows.items():
        run = latest.of(row)
        if run is not None and run.run_id not in whys:
            whys[run.run_id] = why_ended(instance, run)
        problem = given_up(clip, whys[run.run_id] if run is not None else "", run)
        ended.append((row, ClipState.FAILED, WaitReason.NEVER, problem))
    money = ledger.money_by_clip(row for row, *_ in ended)
    for row, state, reason, problem in ended:
        recorded = registry.record_result(
            row.clip,
            version=row.version,
            state=state,
            reason=problem.what,
            remedy=problem.remedy,
            waiting_for=reason,
            seen=row,
            stopped_by=STOPPED_RUN if state is ClipState.WAITING else None,
        )
        if recorded:  # otherwise somebody changed it since this look, and the next one decides
            answer = _answer(row, state, reason, problem, money[row.clip], settings)
            BucketAnswers(bucket).note(row.clip, answer)
            _report_check(instance, row.clip, answer, reason)
            _report_state(instance, row, answer, money[row.clip], reason, settings)


def _answer(
    row: ClipRow, state: ClipState, reason: WaitReason, problem: Problem, money: Money, settings: Settings
) -> notes.Answer:
    if state is ClipState.FAILED:
        return notes.failed(row.clip, problem, money, reason=reason, service=settings.service)
    return notes.waiting(row.clip, problem, money, reason=reason, service=settings.service)


def _report_check(instance: dg.DagsterInstance, clip: str, answer: notes.Answer, reason: WaitReason) -> None:
    """Show the answer in the UI: no run is left that could."""
    from i2v_assets.pipeline.clip_state import answer_metadata

    failed = answer.kind is notes.AnswerKind.FAILED
    words = answer.problems[0].what
    first = {"failed": words} if failed else {"waiting_for": reason.value, "reason": words}
    evaluation = dg.AssetCheckEvaluation(
        asset_key=CLIP_VIDEO,
        check_name="answered",
        passed=False,
        partition=clip,
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        metadata=dagster_metadata(answer_metadata(answer, first)),
    )
    instance.report_runless_asset_event(with_target(instance, evaluation))


def show_stopped(instance: dg.DagsterInstance, rows: Sequence[ClipRow], ledger: "Ledger", settings: Settings) -> None:
    """Show the clips that a person stopped a moment ago outside of Dagster."""
    since = datetime.now(UTC) - LATELY
    stopped = [row for row in rows if row.wait is WaitReason.PERSON and row.updated_at > since]
    money = ledger.money_by_clip(stopped)
    for row in stopped:
        answer = notes.answer_of(row, money[row.clip], service=settings.service, retries_per_clip=0)
        if answer is not None:
            _report_state(instance, row, answer, money[row.clip], row.wait, settings)


def _report_state(
    instance: dg.DagsterInstance,
    row: ClipRow,
    answer: notes.Answer,
    money: Money,
    reason: WaitReason | None,
    settings: Settings,
) -> None:
    """Show a state that no run came to on the page of the clip's partition, once."""
    from i2v_assets.pipeline.clip_state import state_report

    shown = state_report(row, answer, money, settings, reason=reason)
    video = CLIP_VIDEO.to_user_string()
    if is_change(instance, video, row.clip, shown.change):
        instance.report_runless_asset_event(observation(video, row.clip, shown.metadata, shown.change))


def given_up(clip: str, why: str, run: dg.DagsterRun | None) -> Problem:
    """Return the problem of a clip whose runs ended again and again."""
    from i2v_assets.pipeline.dispatch_policy import MAX_RUNS_WITHOUT_ANSWER

    words = f"Its runs ended {MAX_RUNS_WITHOUT_ANSWER} times without an answer."
    where = f"the log of run {run.run_id} in the Dagster UI" if run is not None else "the runs' logs in the Dagster UI"
    if why:
        return Problem(
            f"{words} The last one said: {why}", remedy=f"Fix that (see {where}), then run: i2v retry {clip}"
        )
    return Problem(words, remedy=f"Look at {where}, then run: i2v retry {clip}")
