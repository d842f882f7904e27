"""The sandbox's own description of its API, turned against it: no call makes it fail or stop."""

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from resources.devservers.start import SANDBOX_TOKEN, RunningSandbox, start_sandbox

EXAMPLES = max(int(os.environ.get("I2V_TEST_FUZZ_EXAMPLES", "200")) // 10, 10)
"""For each of some thirty operations."""


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with start_sandbox(tmp_path_factory.mktemp("fuzzed"), generation_seconds=0.1, render="cached") as running:
        yield running
        assert httpx.get(f"{running.url}/_sandbox/health", trust_env=False).status_code == 200


@pytest.fixture(scope="module")
def description(victim: RunningSandbox) -> Any:
    return schemathesis.openapi.from_url(f"{victim.url}/_sandbox/openapi.json")


api = schemathesis.pytest.from_fixture("description")


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_call_makes_it_fail(case: Any, victim: RunningSandbox) -> None:
    answer = case.call(base_url=victim.url, headers={"Authorization": f"Bearer {SANDBOX_TOKEN}"}, timeout=30)
    if case.method == "POST" and case.path == "/_sandbox/faults":  # it does what it is told at the next call
        httpx.delete(f"{victim.url}/_sandbox/faults", trust_env=False).raise_for_status()
    if case.method == "PUT" and case.path == "/_sandbox/switches":
        httpx.put(f"{victim.url}/_sandbox/switches", json={}, trust_env=False).raise_for_status()
    assert answer.status_code < 500, answer.text[:2000]
    if "/outputs/" not in case.path and case.path != "/cli-auth":
        answer.json()
