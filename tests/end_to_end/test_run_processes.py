"""Real run processes, as a run launcher starts them: stopped by a person, by a deploy, by the time limit, and killed."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG, ROOT_RUN_ID_TAG
from dagster._grpc.types import ExecuteRunArgs
from PIL import Image

from i2v_assets.defs.runs import why_ended
from resources.devservers.start import RunningSandbox
from resources.ledger.records import State, caps_of, utc_now
from resources.registry.registry import ClipState
from resources.registry.tables import runs as signs_of_life
from resources.settings import load_settings

Executor = Literal["in_process", "multiprocess"]
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
START_SECONDS = 120
"""A run process takes 3 s to come up on two idle cores; tests may have many neighbours."""


def picture(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade % 256, shade // 256, 99)).save(out, "PNG")
    return out.getvalue()


def until(holds: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


@dataclass
class RunProcess:
    """One run in a process of its own."""

    run_id: str
    process: "subprocess.Popen[bytes]"
    log: Path
    instance: dg.DagsterInstance = field(repr=False)

    @property
    def status(self) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(self.run_id)
        assert run is not None
        return run.status

    def end(self) -> None:
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the run did not end: {self.log.read_text()[-2000:]}")


Launch = Callable[..., RunProcess]


@pytest.fixture
def launch(stage, tmp_path: Path) -> Iterator[Launch]:
    """Start a run as a launcher does, with `dagster api execute_run`."""
    with ExitStack() as stack:

        def start(tags: Mapping[str, str], executor: Executor = "in_process") -> RunProcess:
            repository = (
                ReconstructableRepository.for_module("i2v_assets.definitions", "defs", str(ROOT))
                if executor == "in_process"
                else ReconstructableRepository.for_file(str(HERE / "multiprocess_job.py"), "defs", str(ROOT))
            )
            job = repository.get_reconstructable_job("make_clips_job")
            run = stage.instance.create_run_for_job(
                job.get_definition(), tags=dict(tags), job_code_origin=job.get_python_origin()
            )
            arguments = ExecuteRunArgs(job.get_python_origin(), run.run_id, stage.instance.get_ref())
            log = tmp_path / f"run-{run.run_id[:8]}.log"
            with log.open("wb") as sink:
                process = subprocess.Popen(
                    [sys.executable, "-m", *list(arguments.get_command_args())[-4:]],
                    cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip

            def stop() -> None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

            stack.callback(stop)
            return RunProcess(run.run_id, process, log, stage.instance)

        yield start


def by_hand(*clips: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": clips[0], "dagster/asset_partition_range_end": clips[-1]}


def ledger_states(stage) -> dict[str, State]:
    return {row.clip: row.state for row in stage.ledger.list()}


def two_on_their_way(stage, launch: Launch, executor: Executor) -> tuple[RunProcess, str, str]:
    """A sensor's run with one request in the service's queue and one in progress; neither ends by itself."""
    stage.upload("a.png", picture(1))
    stage.upload("b.png", picture(2))
    stage.fault(where="submit", kind="stuck_in_queue", times=1)
    stage.fault(where="submit", kind="stuck", times=1)
    (request,) = stage.tick()
    run = launch(request.tags, executor)
    until(lambda: list(ledger_states(stage).values()) == [State.SUBMITTED] * 2, f"both submits ({run.log})")
    until(lambda: {each["state"] for each in stage.requests()} == {"in_queue", "in_progress"}, "one begun, one queued")
    by_state = {each["state"]: each["request_id"] for each in stage.requests()}
    queued, begun = (stage.ledger.find(by_state[state]).clip for state in ("in_queue", "in_progress"))
    return run, queued, begun


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_a_person_s_stop_cancels_queued_requests_and_reports_the_others_correctly(
    stage, launch: Launch, executor: Executor
) -> None:
    run, queued, begun = two_on_their_way(stage, launch, executor)

    stage.instance.report_run_canceling(stage.instance.get_run_by_id(run.run_id))  # as Terminate in the UI does
    run.process.send_signal(signal.SIGTERM)
    until(lambda: ledger_states(stage)[queued] is State.CANCELLED, "the cancellation", 120)
    run.end()

    assert run.status is dg.DagsterRunStatus.CANCELED
    assert ledger_states(stage)[begun] is State.SUBMITTED
    service = {stage.ledger.find(each["request_id"]).clip: each["state"] for each in stage.requests()}
    assert service == {queued: "cancelled", begun: "in_progress"}
    last = stage.ledger.events(stage.request(begun).fingerprint)[-3:]
    assert any("begun and cannot be cancelled" in (event.reason or "") for event in last), last

    stage.make("dispatch")
    for clip in (queued, begun):
        assert stage.clip(clip).waiting_for in ("person", "stopped"), stage.clip(clip)
        assert stage.note(clip, "WAITING.txt")
    assert len(stage.charges()) == 2, "a stopped clip does not start again by itself"


@pytest.mark.parametrize(
    ("ending", "executor"), [("deploy", "in_process"), ("deploy", "multiprocess"), ("time limit", "in_process")]
)
def test_other_stops_cancel_nothing_at_the_service(stage, launch: Launch, executor: Executor, ending: str) -> None:
    run, queued, begun = two_on_their_way(stage, launch, executor)

    if ending == "time limit":  # the words of Dagster's run monitoring
        stage.instance.report_run_canceling(
            stage.instance.get_run_by_id(run.run_id), "Canceling due to exceeding maximum runtime of 7200 seconds."
        )
    run.process.send_signal(signal.SIGTERM)
    run.end()

    assert ledger_states(stage) == {queued: State.SUBMITTED, begun: State.SUBMITTED}
    assert {each["state"] for each in stage.requests()} == {"in_queue", "in_progress"}


def dagsters_retry_of(stage, crashed: RunProcess) -> None:
    """What Dagster's daemon makes of a run that crashed, in this process."""
    before = stage.instance.get_run_by_id(crashed.run_id)
    job = ReconstructableRepository.for_module("i2v_assets.definitions", "defs", str(ROOT)).get_reconstructable_job(
        "make_clips_job"
    )
    lineage = {ROOT_RUN_ID_TAG: before.run_id, PARENT_RUN_ID_TAG: before.run_id, RETRY_NUMBER_TAG: "1"}
    run = stage.instance.create_run_for_job(
        job.get_definition(), tags={**before.tags, **lineage}, root_run_id=before.run_id, parent_run_id=before.run_id
    )
    execute_run(job, run, stage.instance)


@pytest.mark.parametrize("asked_by", ["a person", "the retry schedule"])
def test_a_run_that_dagster_tries_again_has_no_second_budget_and_pays_for_no_failure_anew(
    stage, launch: Launch, monkeypatch: pytest.MonkeyPatch, asked_by: str
) -> None:
    monkeypatch.setenv("I2V_LEASE_SECONDS", "2")
    monkeypatch.setenv("I2V_SANDBOX_BUDGET_USD_PER_DAY", "1.30")  # two clips of 0.60
    names = ("a", "b", "c")
    for number, name in enumerate(names):
        stage.upload(f"{name}.png", picture(number))
    stage.evaluate()
    stage.fault(where="submit", kind="failed_result", times=1, message="The worker ran out of memory.")
    stage.fault(where="submit", kind="stuck", times=1)
    if asked_by == "a person":
        tags = by_hand("a", "c")
    else:
        stage.registry.enqueue(names, count_retry=True)
        (request,) = stage.tick()
        tags = dict(request.tags)
    crashed = launch(tags)
    reasons = {"retry": State.FAILED, "budget": State.PLANNED, None: State.SUBMITTED}
    until(lambda: {stage.clip(clip).waiting_for: state for clip, state in ledger_states(stage).items()} == reasons,
          f"one failure, one that waits for the budget, one on its way ({crashed.log})")  # fmt: skip
    crashed.process.kill()
    crashed.process.wait()
    stage.instance.report_run_failed(stage.instance.get_run_by_id(crashed.run_id))

    caps = replace(caps_of(load_settings()), usd_per_day_microdollars=10**9)  # another day, say
    monkeypatch.setattr("resources.generation.engine.caps_of", lambda settings: caps)
    monkeypatch.setenv("I2V_DEADLINE_SECONDS", "5")
    dagsters_retry_of(stage, crashed)

    assert len(stage.charges()) == 2
    assert {stage.clip(clip).waiting_for: state for clip, state in ledger_states(stage).items()} == {
        "retry": State.FAILED, "budget": State.PLANNED, "deadline": State.SUBMITTED,
    }  # fmt: skip
    assert [row.attempt for row in stage.ledger.list()] == [1, 1, 1]

    (over,) = [clip for clip in names if stage.clip(clip).waiting_for == "budget"]
    stage.materialize(over)
    assert over in stage.delivered(), "a run that somebody asks for has its own"


def test_a_process_that_cannot_even_import_the_project_leaves_its_reason(
    stage, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.upload("a.png", picture(1))
    (request,) = stage.tick()
    with monkeypatch.context() as broken:
        broken.setenv("I2V_CLIPS_PER_RUN", "many")
        run = launch(request.tags)
        run.end()

    assert run.status is dg.DagsterRunStatus.FAILURE, run.log.read_text()
    assert "I2V_CLIPS_PER_RUN" in why_ended(stage.instance, stage.instance.get_run_by_id(run.run_id))


def test_the_words_of_the_time_limit_are_still_those_of_run_monitoring() -> None:
    """A pin: were they to change with Dagster, a time limit would be taken for a person's stop."""
    from dagster._daemon.monitoring import run_monitoring

    from resources.runcomfy.resource import TIME_LIMIT

    assert f"Canceling due to exceeding {TIME_LIMIT} of" in Path(run_monitoring.__file__).read_text()


def test_a_price_that_rises_after_the_plan_is_not_paid_before_it_is_agreed_to(
    stage, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_MAX_IN_FLIGHT", "1")
    monkeypatch.setenv("I2V_PRICE_MAX_AGE_SECONDS", "0")
    stage.fault(where="result", kind="http_503", times=100_000)  # the first keeps the only slot
    stage.upload("a.png", picture(1))
    stage.upload("b.png", picture(2))
    (request,) = stage.tick()
    run = launch(request.tags)
    until(lambda: sorted(ledger_states(stage).values()) == [State.PLANNED, State.SUBMITTED], f"one submit ({run.log})")
    stage.entry("happyhorse/happyhorse-1-0/image-to-video", base_price_usd=10.0)
    stage.web.delete(f"{stage.sandbox.url}/_sandbox/faults").raise_for_status()
    run.end()

    (held,) = [clip for clip, state in ledger_states(stage).items() if state is State.PLANNED]
    assert stage.clip(held).waiting_for == "price_changed"
    note = stage.note(held, "WAITING.txt") or ""
    assert "It costs $30.00 now, and cost $0.60 when this was planned." in note
    assert "Nothing was paid yet." in note
    assert "It will cost about" not in note
    assert len(stage.charges()) == 1

    stage.later(held, timedelta(minutes=2))
    stage.make("dispatch")
    assert stage.clip(held).waiting_for == "catalogue", "planned again, it meets the gate of the agreed price"
    assert "i2v models --accept" in (stage.note(held, "WAITING.txt") or "")
    assert len(stage.charges()) == 1


class TestWithASlowService:
    """A generation of its own length, so that a run can be killed in the middle of it."""

    @pytest.fixture
    def sandbox(self, make_sandbox: Callable[..., RunningSandbox]) -> RunningSandbox:
        return make_sandbox(generation_seconds=5)

    def test_what_a_killed_run_had_paid_for_is_adopted_by_the_next(
        self, stage, launch: Launch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("I2V_LEASE_SECONDS", "2")
        stage.upload("a.png", picture(1))
        stage.upload("b.png", picture(2))
        (request,) = stage.tick()
        run = launch(request.tags)
        until(lambda: list(ledger_states(stage).values()) == [State.SUBMITTED] * 2, "both submits")
        run.process.kill()
        run.process.wait()
        assert {stage.clip(clip).state for clip in "ab"} == {ClipState.WORKING}
        assert stage.tick("dispatch") == [], "nobody knows yet that it is dead"

        stage.instance.report_run_failed(stage.instance.get_run_by_id(run.run_id))  # as run monitoring does
        assert stage.tick("dispatch") == [], "Dagster may start its own retry first"
        for clip in "ab":
            stage.later(clip, timedelta(minutes=4))
        until(lambda: all(row.lease_until < row.created_at.now(row.created_at.tzinfo) for row in stage.ledger.list()),
              "the end of the dead run's lease")  # fmt: skip
        (again,) = stage.make("dispatch")

        assert again.success
        assert stage.delivered() == {"a", "b"}
        assert len(stage.charges()) == 2
        assert [(stage.clip(clip).lost_runs, stage.clip(clip).retries) for clip in "ab"] == [(0, 0), (0, 0)]
        assert stage.metadata("clip_video", "a")["paid_in_this_run"] is False

    def test_after_a_kill_of_everything_dagster_is_told_and_the_clips_are_delivered(
        self, stage, launch: Launch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("I2V_LEASE_SECONDS", "2")
        stage.upload("a.png", picture(3))
        stage.upload("b.png", picture(4))
        (request,) = stage.tick()
        run = launch(request.tags)
        until(lambda: list(ledger_states(stage).values()) == [State.SUBMITTED] * 2, "both submits")
        run.process.kill()
        run.process.wait()
        assert stage.tick("dispatch") == []
        assert run.status is dg.DagsterRunStatus.STARTED, "Dagster believes it alive"

        with stage.ledger.database.write() as connection:  # four minutes later
            connection.execute(signs_of_life.update().values(seen_at=utc_now() - timedelta(minutes=4)))
        for clip in "ab":
            stage.later(clip, timedelta(minutes=4))
        until(lambda: all(row.lease_until < utc_now() for row in stage.ledger.list()), "the end of the leases")
        stage.make("dispatch")

        assert run.status is dg.DagsterRunStatus.FAILURE
        assert stage.delivered() == {"a", "b"}
        assert len(stage.charges()) == 2

    def test_a_run_of_an_older_version_counts_as_dead_once_no_lease_of_its_clips_is_left(
        self, stage, launch: Launch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("I2V_LEASE_SECONDS", "2")
        stage.upload("a.png", picture(5))
        (request,) = stage.tick()
        run = launch(request.tags)
        until(lambda: list(ledger_states(stage).values()) == [State.SUBMITTED], "the submit")
        with stage.ledger.database.write() as connection:
            connection.execute(signs_of_life.delete())
        stage.later("a", timedelta(hours=1))
        assert stage.tick("dispatch") == [], "its request is leased"
        run.process.kill()
        run.process.wait()
        with stage.ledger.database.write() as connection:
            connection.execute(signs_of_life.delete())
        until(lambda: all(row.lease_until < utc_now() for row in stage.ledger.list()), "the end of the lease")
        stage.make("dispatch")
        assert stage.delivered() == {"a"}
        assert len(stage.charges()) == 1

    def test_two_runs_over_the_same_clips_pay_once_for_each(self, stage, launch: Launch) -> None:
        names = ("a", "b", "c")
        for number, name in enumerate(names):
            stage.upload(f"{name}.png", picture(number))
        stage.evaluate()

        runs = [launch(by_hand("a", "c")) for _ in range(2)]
        for run in runs:
            run.end()

        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}, [run.log.read_text() for run in runs]
        assert stage.delivered() == set(names)
        assert len(stage.charges()) == 3
        paid = [
            sum(event.what == "claimed" for event in stage.ledger.events(row.fingerprint))
            for row in stage.ledger.list()
        ]
        assert paid == [1, 1, 1]


def test_a_run_by_hand_is_not_taken_for_lost_because_an_earlier_run_has_ended(stage) -> None:
    stage.upload("hero.png", picture())
    stage.make()
    run = stage.instance.create_run_for_job(
        stage.definitions.resolve_job_def("make_clips_job"), tags={"dagster/partition": "hero"}
    )
    stage.registry.mark_running(["hero"], run.run_id)
    stage.later("hero", timedelta(hours=1))

    assert stage.tick("dispatch") == []
    assert stage.clip("hero").state is ClipState.WORKING
