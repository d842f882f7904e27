"""The benchmark of quotes: its own figures must notice a broken promise."""

from pathlib import Path

from benchmarks.prices import Figures, measure


def test_one_draw_keeps_the_promises(tmp_path: Path) -> None:
    figures = measure(1, 200, tmp_path)
    assert figures.compared > 20
    assert figures.good
    assert figures.above > 0, "the rules have outliers, so the alert has something to tell"


def test_a_broken_promise_is_no_good_figure() -> None:
    assert Figures({}, compared=9, near=9).good
    for broken in ({"near": 8}, {"above": 1}, {"over_cap": 2, "over_reserved": 1}):
        assert not Figures({}, **{"compared": 9, "near": 9, **broken}).good
