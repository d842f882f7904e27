"""Generation times: log-normal around the median, the same for the same inputs."""

import statistics

import pytest

from resources.sandbox.config import SandboxConfig
from resources.sandbox.generation import generation_seconds


def times(tmp_path, *, seed: int = 0, spread: float = 0.67) -> list[float]:
    config = SandboxConfig(data=tmp_path, generation_seconds=30, generation_spread=spread, seed=seed)
    return [generation_seconds(config, f"{number:064x}", 0) for number in range(3000)]


def test_median_and_spread(tmp_path):
    values = sorted(times(tmp_path))
    assert statistics.median(values) == pytest.approx(30, rel=0.06)
    assert values[int(0.95 * len(values))] == pytest.approx(90, rel=0.12)


def test_no_spread_is_the_median(tmp_path):
    assert set(times(tmp_path, spread=0)) == {30}


def test_the_seed_decides(tmp_path):
    assert times(tmp_path) == times(tmp_path) != times(tmp_path, seed=1)


def test_the_same_inputs_again_take_another_time(tmp_path):
    config = SandboxConfig(data=tmp_path, generation_spread=0.5)
    assert generation_seconds(config, "a" * 64, 0) != generation_seconds(config, "a" * 64, 1)
