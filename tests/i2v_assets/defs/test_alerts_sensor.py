"""The alert sensor against a real webhook on this machine."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import serializable_error_info_from_exc_info

from i2v_assets.defs import alerts_sensor as module
from i2v_assets.defs.alerts_sensor import alerts_sensor
from i2v_assets.defs.failures import as_dagster_failure
from resources.dagster_resources import BucketResource, LedgerResource
from resources.errors import Verdict
from resources.ledger.ledger import Ledger
from resources.ledger.records import utc_now
from resources.registry.overdue import Waits
from resources.registry.registry import ClipState, RefusedRow, Registry, Upload
from resources.settings import Settings, load_settings, variable_name
from resources.storage.errors import StorageUnavailable
from resources.webhook import AlertError, AlertNotTaken, Webhook

SECRET = "T5ec3e7/B5ec3e7"


@dataclass
class Hook:
    url: str = ""
    status: int = 200
    heard: list[str] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/json"
            if told.status == 200:
                told.heard.append(body["text"])
            self.send_response(told.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture
def registry(hook: Hook, s3_environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_name(name), raising=False)
    monkeypatch.setenv("I2V_SERVICE", "sandbox")
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("I2V_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("I2V_BUCKET", "no-such-bucket-as-this")
    monkeypatch.setenv("I2V_ALERT_WEBHOOK", hook.url)
    with Ledger.open(load_settings().ledger_address) as ledger:
        yield Registry(ledger.database)


def fail(registry: Registry, *clips: str, reason: str = "no face") -> None:
    registry.admit([Upload(clip, f"uploads/{clip}.jpg", "v1", "{}") for clip in clips])
    for clip in clips:
        registry.record_result(clip, version="v1", state=ClipState.FAILED, reason=reason, waiting_for="never")


def tick(cursor: str | None = None, instance: dg.DagsterInstance | None = None) -> tuple[str, str | None]:
    with ExitStack() as stack:
        context = dg.build_sensor_context(
            instance=instance or stack.enter_context(dg.instance_for_test()),
            cursor=cursor,
            resources={"bucket": BucketResource(), "ledger": LedgerResource()},
        )
        result: Any = alerts_sensor(context)
    if isinstance(result, dg.SkipReason):
        return str(result.skip_message), cursor
    return str(result.skip_reason.skip_message), result.cursor


def test_one_message_for_what_is_new(registry: Registry, hook: Hook) -> None:
    fail(registry, *(f"clip-{number}" for number in range(12)))
    _, cursor = tick()
    (text,) = hook.heard
    assert "12 clips failed" in text
    assert "and 2 more" in text
    said, cursor = tick(cursor)
    assert said == "Nothing new."
    fail(registry, "another")
    tick(cursor)
    assert len(hook.heard) == 2
    assert "1 clip failed" in hook.heard[1]


def test_what_the_webhook_does_not_take_is_told_later(registry: Registry, hook: Hook) -> None:
    fail(registry, "hero")
    hook.status = 503
    said, cursor = tick()
    assert "answered 503" in said
    assert SECRET not in said
    fail(registry, "second")
    hook.status = 200
    _, cursor = tick(cursor)
    (text,) = hook.heard
    assert "2 clips failed" in text
    assert tick(cursor)[0] == "Nothing new."


def test_no_webhook_no_message(registry: Registry, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(registry, "hero")
    monkeypatch.delenv("I2V_ALERT_WEBHOOK")
    assert "not set" in tick()[0]
    assert hook.heard == []


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(module, "SETTLED", timedelta(0))
    with dg.instance_for_test() as made:
        yield made


def fail_run(instance: dg.DagsterInstance, name: str, why: str) -> dg.DagsterRun:
    @dg.op
    def fails() -> None:
        raise dg.Failure(why, allow_retries=False)

    @dg.job(name=name)
    def job() -> None:
        fails()

    return job.execute_in_process(instance=instance, raise_on_error=False).dagster_run


@pytest.mark.usefixtures("registry")
def test_failed_jobs_are_one_message_and_are_told_once(hook: Hook, instance: dg.DagsterInstance) -> None:
    fail_run(instance, "gallery_job", "earlier")
    fail_run(instance, "gallery_job", "The bucket is full. Make room.")
    last = fail_run(
        instance, "film_job", "Shot 3 has no sound. GET https://x.example/5ec3e7.mp4?X-Amz-Signature=5ec3e7"
    )
    covered = fail_run(instance, "spend_job", "its process died")
    instance.add_run_tags(covered.run_id, {"dagster/will_retry": "true"})
    fail_run(instance, "make_clips_job", "1 of 2 clips failed")
    _, cursor = tick(instance=instance)
    (text,) = hook.heard
    assert "3 runs failed" in text
    assert "• gallery_job 2 times" in text
    assert "The bucket is full. Make room." in text
    assert f"• film_job, run {last.run_id[:8]}: Shot 3 has no sound." in text
    assert "5ec3e7" not in text
    assert "spend_job" not in text
    assert "make_clips_job" not in text
    said, cursor = tick(cursor, instance)
    assert said == "Nothing new."
    instance.add_run_tags(covered.run_id, {"dagster/will_retry": "false"})  # the last of its tries
    tick(cursor, instance)
    assert len(hook.heard) == 2
    assert "• spend_job, run" in hook.heard[1]
    assert "gallery_job" not in hook.heard[1]


@pytest.mark.usefixtures("registry")
def test_a_failure_that_dagster_may_still_try_again_is_told_when_that_is_known(
    hook: Hook, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_run(instance, "gallery_job", "full")
    monkeypatch.setattr(module, "SETTLED", timedelta(minutes=1))
    said, cursor = tick(instance=instance)
    assert said == "Nothing new."
    monkeypatch.setattr(module, "SETTLED", timedelta(0))
    tick(cursor, instance)
    assert "gallery_job" in hook.heard[0]


class Instigator:
    """What the daemon notes of a sensor or a schedule."""

    def __init__(self, instance: dg.DagsterInstance, name: str, kind: InstigatorType = InstigatorType.SENSOR) -> None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
        self.instance, self.kind, self.ticks = instance, kind, 0
        data = ScheduleInstigatorData("0 3 * * *") if kind is InstigatorType.SCHEDULE else None
        origin = repository.get_instigator_origin(name)
        self.state = InstigatorState(origin, kind, InstigatorStatus.DECLARED_IN_CODE, data)
        instance.add_instigator_state(self.state)

    def tick(self, status: TickStatus, why: str = "") -> None:
        error = None
        if why:
            try:
                with as_dagster_failure():
                    raise StorageUnavailable(why, remedy="Renew the keys.")
            except dg.Failure:
                error = serializable_error_info_from_exc_info(sys.exc_info())
        self.ticks += 1
        self.instance.create_tick(
            TickData(
                instigator_origin_id=self.state.instigator_origin_id,
                instigator_name=self.state.name,
                instigator_type=self.kind,
                status=status,
                timestamp=float(self.ticks),
                selector_id=self.state.selector_id,
                error=error,
            )
        )


@pytest.mark.usefixtures("registry")
def test_sensors_that_cannot_do_their_work_are_one_line(hook: Hook, instance: dg.DagsterInstance) -> None:
    uploads, films = Instigator(instance, "uploads"), Instigator(instance, "sequences")
    once, nightly = Instigator(instance, "dispatch"), Instigator(instance, "sweep_nightly", InstigatorType.SCHEDULE)
    for _ in range(3):
        for sensor in (uploads, films):
            sensor.tick(TickStatus.FAILURE, "The bucket refuses the keys.")
    once.tick(TickStatus.SKIPPED)
    once.tick(TickStatus.FAILURE, "a blip")
    nightly.tick(TickStatus.FAILURE, "The list was cut.")
    uploads.tick(TickStatus.STARTED)  # the daemon is at it again
    _, cursor = tick(instance=instance)
    (text,) = hook.heard
    assert "3 sensors or schedules cannot do their work" in text
    assert "• sequences, uploads: The bucket refuses the keys. Renew the keys." in text
    assert "• sweep_nightly: The list was cut." in text
    assert "dispatch" not in text
    assert tick(cursor, instance)[0] == "Nothing new."

    for sensor in (uploads, nightly):
        sensor.tick(TickStatus.SKIPPED)
    _, cursor = tick(cursor, instance)
    nightly.tick(TickStatus.FAILURE, "again")
    _, cursor = tick(cursor, instance)
    assert len(hook.heard) == 2
    assert "• sweep_nightly: again" in hook.heard[1]
    assert "uploads" not in hook.heard[1]


def test_late_clips_and_refused_uploads_are_a_line_each(
    registry: Registry, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_WARN_AFTER_MINUTES", "60")
    refused = [RefusedRow(f"uploads/{name}.heic", "1", "No picture.", "Send a JPEG.") for name in "abcde"]
    registry.refusals.replace(refused)
    with Ledger.open(load_settings().ledger_address) as ledger:
        then = utc_now() - timedelta(hours=2)
        earlier = Registry(ledger.database, lambda: then)
        earlier.admit([Upload(clip, f"uploads/{clip}.jpg", "v1", "{}") for clip in ("one", "two", "asked")])
        earlier.record_result("asked", version="v1", state=ClipState.WAITING, reason="dear", waiting_for="approval")
        Waits(ledger.database, lambda: then).watch(timedelta(hours=1))
    _, cursor = tick()
    (text,) = hook.heard
    assert "2 clips have been without an answer for over 1 h" in text
    assert "waiting_too_long" in text
    assert "5 uploads refused*: uploads/a.heic, uploads/b.heic, uploads/c.heic and 2 more." in text
    assert tick(cursor)[0] == "Nothing new."
    registry.refusals.replace([*refused, RefusedRow("uploads/new.heic", "1", "No picture.", "Send a JPEG.")])
    tick(cursor)
    assert "1 upload refused*: uploads/new.heic." in hook.heard[1]
    assert "without an answer" not in hook.heard[1]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, AlertError), (404, AlertError), (429, AlertNotTaken), (500, AlertNotTaken)]
)
def test_refusals_say_whether_later_makes_sense(
    hook: Hook, status: int, kind: type[AlertError], caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = status
    caplog.set_level(0)
    webhook = Webhook(load_secret(hook.url))
    with pytest.raises(AlertError) as raised:
        webhook.send("hello")
    assert type(raised.value) is kind
    assert (raised.value.verdict is Verdict.RETRYABLE) == (kind is AlertNotTaken)
    assert SECRET not in f"{raised.value!r}{webhook!r}{caplog.text}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/services/" + SECRET, "nonsense " + SECRET, "ftp://x/" + SECRET])
def test_an_address_that_does_not_work_is_not_repeated(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with pytest.raises(AlertError) as raised:
        Webhook(load_secret(url)).send("hello")
    assert SECRET not in f"{raised.value.text}{caplog.text}"
    assert raised.value.__cause__ is None


def load_secret(url: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(url)
