"""The sandbox's own description of its API, turned against it: no call makes it fail or stop."""

import os
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings

from resources.devservers.start import SANDBOX_TOKEN, RunningSandbox, start_sandbox

EXAMPLES = max(int(os.environ.get("I2V_TEST_FUZZ_EXAMPLES", "200")) // 10, 10)
"""For each of some thirty operations."""

PAGES = ("/outputs/{name}", "/cli-auth")
"""Operations that answer with something else than JSON."""


def check(case: Any, victim: RunningSandbox) -> None:
    """Send one call, and take back what it told the sandbox to do to later calls."""
    answer = case.call(base_url=victim.url, headers={"Authorization": f"Bearer {SANDBOX_TOKEN}"}, timeout=60)
    for what in ("faults", "catalogue"):
        httpx.delete(f"{victim.url}/_sandbox/{what}", trust_env=False).raise_for_status()
    assert answer.status_code < 500, (case.method, case.path, answer.text[:2000])
    if case.path not in PAGES and answer.status_code != 405:
        answer.json()


def test_no_call_makes_it_fail(tmp_path: Path) -> None:
    with start_sandbox(tmp_path / "fuzzed", generation_seconds=0.1, render="cached") as victim:
        api = schemathesis.openapi.from_url(f"{victim.url}/_sandbox/openapi.json")
        operations = [found.ok() for found in api.get_all_operations()]
        assert len(operations) >= 25
        for operation in operations:

            @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
            @given(operation.as_strategy())
            def one(case: Any) -> None:
                check(case, victim)

            one()
        assert httpx.get(f"{victim.url}/_sandbox/health", trust_env=False).status_code == 200
