"""The benchmark of quotes: its own figures must notice a broken promise."""

from pathlib import Path

from benchmarks.prices import Figures, measure
from resources.sandbox.prices import BilledWork, PriceRules, bill


def test_one_draw_keeps_the_promises(tmp_path: Path) -> None:
    figures = measure(1, 200, tmp_path)
    assert figures.compared > 20
    assert figures.good
    assert figures.above > 0, "the rules have outliers, so the alert has something to tell"


def test_a_broken_promise_is_no_good_figure() -> None:
    assert Figures({}, compared=9, near=9).good
    for broken in ({"near": 8}, {"above": 1}, {"over_cap": 2, "over_reserved": 1}):
        assert not Figures({}, **{"compared": 9, "near": 9, **broken}).good


def test_a_request_is_billed_by_blocks_a_minimum_and_its_sound() -> None:
    def cost(seconds: int, sound: str, images: int = 1, **rules: float) -> int:
        work = BilledWork("model", "720p", seconds, sound, images, 0, 0.0)
        return bill(PriceRules(**rules), seconds * 200_000, 200_000, work, number=0, age=0, hour=0).microdollars

    assert cost(8, "on") == 1_600_000
    assert [cost(each, "on", block_seconds=5) for each in (1, 5, 6)] == [1_000_000, 1_000_000, 2_000_000]
    assert [cost(8, each, sound_usd=0.25) for each in ("on", "off", "given")] == [1_850_000, 1_600_000, 1_600_000]
    assert [cost(each, "off", minimum_usd=1) for each in (3, 8)] == [1_000_000, 1_600_000]
    assert cost(3, "off", 4, per_image_usd=0.1) == 1_000_000
