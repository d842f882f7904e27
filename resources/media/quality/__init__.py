"""Is a video what was asked for? ``measure`` gives the figures, ``judge`` the findings, ``score`` one number."""

from resources.media.quality.judging import DEFAULT_THRESHOLDS, judge, score
from resources.media.quality.measuring import measure
from resources.media.quality.model import (
    Check,
    Expectation,
    Finding,
    Measures,
    Problem,
    Severity,
    Thresholds,
    thresholds_from,
)
from resources.media.quality.pool import MeasuringPool, measure_in_pool

__all__ = [
    "DEFAULT_THRESHOLDS",
    "Check",
    "Expectation",
    "Finding",
    "Measures",
    "MeasuringPool",
    "Problem",
    "Severity",
    "Thresholds",
    "judge",
    "measure",
    "measure_in_pool",
    "score",
    "thresholds_from",
]
