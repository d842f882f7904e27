"""The exporter over a real ledger: its scrapes, and those while the ledger is down."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families

from resources.ledger.ledger import Ledger
from resources.ledger.records import State, utc_now
from resources.metrics.server import serving
from resources.registry.registry import ClipState, Registry, Upload

MODEL = "happyhorse/happyhorse-1.0/image-to-video"


def scrape(port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).raise_for_status().text
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def fill(ledger: Ledger, caps, new) -> None:
    """One at the service, one unknown, one refused for now, one refused, two done, one of them adopted."""

    def claimed(number: int) -> str:
        name = ledger.plan(new(number)).fingerprint
        ledger.claim(
            name, owner="a", run_id="r", lease_seconds=600, price_microdollars=1_500_000, model_id=MODEL, caps=caps,
            max_in_flight=100,
        )  # fmt: skip
        return name

    ledger.submitted(claimed(1), attempt=1, owner="a", request_id="r1")
    ledger.outcome_unknown(claimed(2), attempt=1, owner="a", reason="timeout")
    ledger.refused_for_now(claimed(3), attempt=1, owner="a", reason="429")
    ledger.refused(claimed(4), attempt=1, owner="a", reason="400", final=True)
    for number in (5, 6):
        name = claimed(number)
        row = ledger.submitted(name, attempt=1, owner="a", request_id=f"r{number}")
        if number == 6:
            ledger.release("a", fingerprint=name)
            ledger.adopt(name, owner="b", run_id="r2", lease_seconds=600)
        seconds = 40 if number == 5 else 100
        ledger.succeeded(name, attempt=1, at=row.submitted_at + timedelta(seconds=seconds), cost_microdollars=1_250_000)
    registry = Registry(ledger.database, lambda: utc_now() - timedelta(minutes=5))
    registry.admit([Upload(name, f"uploads/{name}.jpg", "v", "{}") for name in ("due", "waits", "done")])
    registry.record_result("waits", version="v", state=ClipState.WAITING, waiting_for="approval")
    registry.record_result("done", version="v", state=ClipState.DELIVERED, fingerprint="a" * 64)
    ledger.pause("sandbox", utc_now() + timedelta(seconds=60))


def test_a_scrape_returns_the_state_of_the_fleet(ledger, settings, caps, new):
    fill(ledger, caps, new)
    with serving(settings, host="127.0.0.1", port=0) as port:
        found = scrape(port)
    assert found["i2v_up", ()] == 1
    assert found["i2v_in_flight", ("sandbox",)] == 1
    assert found["i2v_max_in_flight", ()] == 200
    assert found["i2v_unknown_requests", ("sandbox",)] == 1
    assert found["i2v_requests", ("sandbox", "planned")] == 1
    assert found["i2v_requests", ("sandbox", "succeeded")] == 2
    assert found["i2v_requests", ("sandbox", "cancelled")] == 0
    assert found["i2v_too_many_requests_total", ()] == 1
    assert found["i2v_refusals_total", ()] == 1
    assert found["i2v_adoptions_total", ()] == 1
    assert found["i2v_spend_today_dollars", ("settled",)] == 2.5
    assert found["i2v_spend_today_dollars", ("reserved",)] == 3.0
    assert found["i2v_budget_dollars", ()] == 1000
    assert found["i2v_requests_today", ()] == 4
    assert found["i2v_clips", ("waiting", "approval")] == 1
    assert found["i2v_clips", ("due", "")] == 1
    assert 295 < found["i2v_queue_age_seconds", ()] < 360
    assert 0 < found["i2v_paused_seconds", ("sandbox",)] <= 60
    assert found["i2v_generation_seconds_bucket", ("30.0", MODEL)] == 0
    assert found["i2v_generation_seconds_bucket", ("60.0", MODEL)] == 1
    assert found["i2v_generation_seconds_bucket", ("120.0", MODEL)] == 2
    assert found["i2v_generation_seconds_count", (MODEL,)] == 2
    assert abs(found["i2v_generation_seconds_sum", (MODEL,)] - 140) < 0.1


def test_counters_only_grow_and_count_each_event_once(ledger, settings, caps, new, monkeypatch):
    fill(ledger, caps, new)
    monkeypatch.setattr("resources.metrics.fleet.SETTLED_AFTER", timedelta(0))
    with serving(settings, host="127.0.0.1", port=0) as port:
        assert scrape(port)["i2v_adoptions_total", ()] == 1
        assert scrape(port)["i2v_adoptions_total", ()] == 1
        (row,) = ledger.list([State.SUBMITTED])
        ledger.release("a", fingerprint=row.fingerprint)
        ledger.adopt(row.fingerprint, owner="c", run_id="r3", lease_seconds=600)
        assert scrape(port)["i2v_adoptions_total", ()] == 2


def test_an_empty_ledger_has_metrics(settings):
    with serving(settings, host="127.0.0.1", port=0) as port:
        found = scrape(port)
    assert found["i2v_in_flight", ("sandbox",)] == 0
    assert found["i2v_refusals_total", ()] == 0


def test_a_ledger_that_is_down_is_a_metric_and_recovers(settings, tmp_path, monkeypatch):
    gone = settings.model_copy(update={"ledger_url": "postgresql+psycopg://u:5ec3e7@127.0.0.1:9/x"})
    with serving(gone, host="127.0.0.1", port=0) as port:
        assert scrape(port) == {("i2v_up", ()): 0}
        monkeypatch.setitem(gone.__dict__, "ledger_address", settings.ledger_address)
        assert scrape(port)["i2v_up", ()] == 1


def test_the_command_serves_until_it_is_stopped(settings):
    process = subprocess.Popen(
        [sys.executable, "-m", "resources.metrics", "--port", "0"],
        env={**os.environ, "I2V_LOG_JSON": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        port = int(line.rpartition(":")[2].partition("/")[0])
        assert scrape(port)["i2v_up", ()] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
