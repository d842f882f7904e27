"""The alert sensor against a real webhook on this machine."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from i2v_assets.sensors.alerts import alerts_sensor
from resources.alerts.webhook import AlertError, AlertNotTaken, Webhook
from resources.errors import Verdict
from resources.ledger import Ledger
from resources.ledger.registry import ClipState, Registry, Upload
from resources.ledger.resource import LedgerResource
from resources.settings import Settings, load_settings, variable_name
from resources.storage.resource import BucketResource

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
        registry.answer(clip, version="v1", state=ClipState.FAILED, reason=reason, waiting_for="never")


def tick(cursor: str | None = None) -> tuple[str, str | None]:
    context = dg.build_sensor_context(cursor=cursor, resources={"bucket": BucketResource(), "ledger": LedgerResource()})
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
