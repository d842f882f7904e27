"""The pure parts of a night: when faults are queued, what the records amount to, what the page says."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.night import arguments
from benchmarks.night_faults import FAULTS, POLLS, SHARE, bodies, met
from benchmarks.night_fleet import DEPLOY, instance_settings
from benchmarks.night_report import report, write_report
from benchmarks.night_verdict import (
    charged_again,
    cost_ratio,
    flatness,
    judge,
    most_at_once,
    paid_twice,
    percentile,
    reasons,
    spread,
    without_result,
)
from benchmarks.night_watch import FLEET, MEASURING, SERVERS
from resources.sandbox.faults import Fault as SandboxFault
from resources.sandbox.faults import FaultQueue, Where


@dataclass
class Row:
    state: str
    reason: str = ""


# Faults


def test_each_kind_meets_its_share_of_the_clips() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    queue = FaultQueue(1)
    for body in bodies(FAULTS):
        queue.add(SandboxFault.model_validate(body))
    clips = 5000
    for _ in range(clips):
        for where in (Where.SUBMIT, Where.FETCH_INPUT, Where.DOWNLOAD, *[Where.RESULT] * POLLS):
            queue.take(where)
    found = met([{**entry.fault.model_dump(), "hit": entry.hit} for entry in queue.queued], clips)
    assert len(found) == len(FAULTS)
    for each in found:  # what comes later in the queue is reached a little more rarely
        assert 100 * SHARE * 0.6 < each["percent"] < 100 * SHARE * 1.3, each


# Records


def _charge(number: int, name: str, at: float) -> dict[str, Any]:
    return {"request_id": f"r{number}", "input_sha256": name, "at": at}


def _request(number: int, state: str, ended: float | None) -> dict[str, Any]:
    return {"request_id": f"r{number}", "state": state, "created_at": 0.0, "finished_at": ended}


@pytest.mark.parametrize(
    ("state", "ended", "found"),
    [
        ("failed", 5.0, []),
        ("succeeded", 5.0, ["a"]),
        ("in_progress", None, ["a"]),
        ("failed", 12.0, ["a"]),  # charged again before it had failed
    ],
)
def test_a_second_charge_is_allowed_after_a_failure_only(state: str, ended: float | None, found: list[str]) -> None:
    charges = [_charge(2, "a", 10.0), _charge(1, "a", 1.0), _charge(3, "b", 1.0)]
    requests = [_request(1, state, ended), _request(2, "succeeded", 20.0), _request(3, "succeeded", 9.0)]
    assert paid_twice(charges, requests) == found
    assert charged_again(charges) == 1


def test_requests_at_once_are_counted() -> None:
    requests = [
        {"created_at": 0, "finished_at": 10},
        {"created_at": 5, "finished_at": 15},
        {"created_at": 10, "finished_at": 20},
        {"created_at": 1, "finished_at": None},
    ]
    assert most_at_once(requests) == 2


def test_every_clip_without_video_or_reason_is_named() -> None:
    rows = {
        "made": Row("delivered"),
        "gone": Row("delivered"),
        "bad": Row("refused", "no picture"),
        "silent": Row("failed"),
        "stuck": Row("working"),
    }
    told = without_result([*rows, "lost"], rows, {"made": 10})
    assert [each.partition(":")[0] for each in told] == ["gone", "silent", "stuck", "lost"]


def test_alike_reasons_are_counted_together() -> None:
    rows = [Row("failed", "request 0a1b2c3d4e failed"), Row("failed", "request ffffffff00 failed"), Row("delivered")]
    assert reasons(rows) == [{"state": "failed", "reason": "request ... failed", "clips": 2}]


def test_spread() -> None:
    assert percentile([4, 1, 3, 2], 0.5) == 2
    assert spread([]) == {}
    assert spread([1.0, 2.0, 3.0]) == {"count": 3, "median": 2.0, "p95": 3.0, "max": 3.0}


def _samples(memory: list[float], runs: int = 4) -> list[dict[str, Any]]:
    return [{"at": 5.0 * number, "runs": runs, "mb": {"runs": mb}} for number, mb in enumerate(memory)]


def test_memory_is_judged_under_full_load_only() -> None:
    flat = flatness(_samples([100.0] * 40) + _samples([900.0] * 9, runs=3), 4, ("runs",))
    assert (flat["ratio"], flat["slope_mb_per_hour"], flat["max_mb"]) == (1.0, 0.0, 900.0)
    grown = flatness(_samples([100.0 + number for number in range(40)]), 4, ("runs",))
    assert grown["ratio"] > 1.15
    assert grown["slope_mb_per_hour"] == pytest.approx(720)
    assert "ratio" not in flatness(_samples([100.0] * 8), 4, ("runs",))


def _night(clips: int = 100, cpu: float = 0.2, **other: Any) -> dict[str, Any]:
    memory = {role: {"max_mb": 500.0, "loaded_samples": 0} for role in ("fleet", *FLEET, *SERVERS)}
    return {
        "clips": clips, "uploads_per_second": 5.0, "runs_at_once": 4, "generation_s": 20.0, "sensor_s": 15,
        "seconds": 600.0, "delivered": clips - 3, "refused": 1, "failed": 1, "waiting": 1, "reasons": [], "missing": [],
        "broken": "", "charges": clips, "made": clips - 3, "paid_twice": [], "charged_again_after_failure": 2,
        "dollars_charged": 60.0, "dollars_in_ledger": 60.0, "most_at_once": 90,
        "resolved": {"charged": 3, "not charged": 4}, "retry_runs": 1, "clips_per_hour": {"all": 4321},
        "cpu_s": dict.fromkeys(("fleet", *FLEET, *SERVERS, "all", MEASURING), 10.0),
        "cpu_per_clip": dict.fromkeys(("fleet", *FLEET, *SERVERS, "all", MEASURING), cpu),
        "memory": memory, "one_run_mb": 210.0,
        "database": {
            "mb_per_1000_clips": 33.3, "connections_per_clip": 2.0, "groups_mb_per_1000_clips": {"ledger": 3.0},
            "tables_mb_per_1000_clips": {"event_logs": 9.0},
        },
        "sensor_lag_s": spread([1.0]),
        "runs": {
            "count": 4, "clips_each": 25.0, "creation_to_start_s": {}, "in_the_queue_s": {}, "launch_s": spread([2.0])
        },
        "faults": [{"fault": "submit http_500", "met": 2, "percent": 2.0}],
        "samples": [
            {"at": 5.0 * number, "uploaded": number, "accepted": number, "states": {"delivered": number}, "runs": 4,
             "mb": dict.fromkeys(("fleet", *FLEET, *SERVERS), 100.0)}
            for number in range(3)
        ],
        **other,
    }  # fmt: skip


def _figures(**other: Any) -> dict[str, Any]:
    growth = [_night(250, 0.2, delivered=250, made=250), _night(4000, 0.25, delivered=4000, made=4000)]
    machine = {"cores": 2, "memory_gb": 25, "python": "3.11", "system": "Linux"}
    return {"complete": True, "at": "2026-01-01", "machine": machine, "night": _night(), "growth": growth, **other}


def test_a_good_night_has_no_complaint() -> None:
    assert judge(_figures()) == []
    assert cost_ratio(_figures()["growth"]) == 1.25
    assert cost_ratio(_figures()["growth"][:1]) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"paid_twice": ["abc"]}, "paid twice: abc"),
        ({"missing": ["n1: still working"]}, "n1: still working"),
        ({"made": 99}, "made 99 videos"),
        ({"broken": "the daemon ended"}, "the daemon ended"),
        ({"faults": [{"fault": "submit http_500", "met": 1, "percent": 0.5}]}, "met only 0.5 %"),
        ({"memory": {"daemon": {"ratio": 1.2}}}, "memory (daemon) grew to 1.2"),
    ],
)
def test_what_is_wrong_with_a_night_is_said(change: dict[str, Any], words: str) -> None:
    (complaint,) = judge(_figures(night=_night(**change)))
    assert words in complaint


def test_the_servers_may_grow() -> None:
    assert judge(_figures(night=_night(memory={"postgres": {"ratio": 1.5}, "runs": {"ratio": 1.0}}))) == []


def test_growth_over_the_limit_is_said() -> None:
    figures = _figures(not_measured=["1000 clips without faults: the sandbox did not start"])
    figures["growth"][1]["cpu_per_clip"]["fleet"] = 0.27
    figures["growth"][0]["delivered"] = 249
    told = judge(figures)
    assert len(told) == 3
    assert "did not start" in told[0]
    assert "only 249 were delivered" in told[1]
    assert "grows to 1.35 times" in told[2]


# The page


def test_the_page_has_the_figures_and_draws_them(tmp_path: Path) -> None:
    write_report(_figures(), tmp_path / "night.md", tmp_path / "images")
    page = (tmp_path / "night.md").read_text()
    charts = {
        name: ElementTree.fromstring((tmp_path / "images" / f"night-{name}.svg").read_text())
        for name in ("memory", "progress", "growth")
    }
    for words in ("Nothing was paid twice", "4,321 clips an hour", "33.3 MB per 1,000 clips", "**1.25 times**"):
        assert words in page
    for name in charts:
        assert f"(images/night-{name}.svg)" in page
    assert charts["growth"].findtext("{*}desc") == "250 clips: 0.800 s a clip; 4,000 clips: 1.000 s a clip"
    assert charts["memory"].findtext("{*}desc") == "At most 300 MiB in all."
    assert len(charts["memory"].findall("{*}polygon")) == len(FLEET)
    assert len(charts["progress"].findall("{*}polyline")) == 5


def test_the_page_says_what_is_wrong_or_missing() -> None:
    figures = _figures()
    bad = copy.deepcopy(figures)
    bad["night"]["paid_twice"] = ["abc"]
    assert "Not as it should be" in report(bad)
    assert "Too little was measured to judge memory over time." in report(figures)
    assert "Not complete" in report({**figures, "complete": False})
    assert "How cost grows" not in report({**figures, "growth": []})
    assert "## The night" not in report({**figures, "night": None})


# The set-up


def test_the_instance_file_still_says_how_many_runs() -> None:
    text = instance_settings((DEPLOY / "dagster.yaml").read_text(), 7)
    assert "max_concurrent_runs: 7" in text
    assert "default_limit: 7" in text
    with pytest.raises(ValueError, match="max_concurrent_runs"):
        instance_settings("telemetry: {}", 7)


def test_a_trial_is_small() -> None:
    whole, trial = arguments([]), arguments(["--quick"])
    assert (whole.clips, whole.growth, whole.generation) == (2000, [250, 1000, 4000], 20)
    assert (trial.clips, trial.growth, trial.generation) == (120, [30, 60], 4)
    assert arguments(["--growth"]).growth == []
