"""Heaps: which loose clips wait together, over hours, trees and prices that are not known yet."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from i2v_assets.pipeline.heaps import HEAP_TIME, LooseClip, find_heaps, tree_of_key

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def clip(name: str, minutes: float, price: int | None = 10, tree: str = "t", *, meant: bool = False) -> LooseClip:
    return LooseClip(name, tree, NOON + timedelta(minutes=minutes), price, meant)


def names(clips: list[LooseClip], limit: int) -> set[str]:
    return set(find_heaps(clips, limit))


def test_the_limit_itself_is_no_heap() -> None:
    assert names([clip("a", 0), clip("b", 1)], 20) == set()
    assert names([clip("a", 0), clip("b", 1), clip("c", 2, 1)], 20) == {"a", "b", "c"}


def test_trees_hours_and_approved_clips_are_apart() -> None:
    assert names([clip("a", 0), clip("b", 1, tree="u")], 15) == set()
    assert names([clip("a", 0), clip("b", 61)], 15) == set()
    assert names([clip("a", 0), clip("b", 60)], 15) == {"a", "b"}
    assert names([clip("a", 0, meant=True), clip("b", 1)], 15) == set()


def test_only_the_dear_hour_waits() -> None:
    clips = [clip("early", -300), clip("a", 0), clip("b", 30), clip("c", 50), clip("late", 300)]
    heaps = find_heaps(clips, 25)
    assert set(heaps) == {"a", "b", "c"}
    assert (heaps["a"].clips, heaps["a"].microdollars, heaps["a"].tree) == (3, 30, "t")


def test_a_clip_that_is_not_planned_counts_with_the_highest_price() -> None:
    assert names([clip("a", 0, 12), clip("b", 0, None)], 20) == {"a", "b"}
    assert names([clip("a", 0, None), clip("b", 0, None)], 20) == set()


def test_a_limit_of_nothing_asks_for_every_clip_with_a_price() -> None:
    assert names([clip("a", 0, 1)], 0) == {"a"}


def test_the_tree_of_a_key() -> None:
    assert tree_of_key("uploads/a.jpg") == ""
    assert tree_of_key("uploads/t/u/a.jpg") == "t"


@given(
    st.lists(st.tuples(st.integers(0, 240), st.integers(0, 9), st.sampled_from("tu")), max_size=25), st.integers(0, 40)
)
def test_a_clip_waits_if_and_only_if_some_hour_with_it_is_too_dear(
    drawn: list[tuple[int, int, str]], limit: int
) -> None:
    clips = [clip(str(at), minutes, price, tree) for at, (minutes, price, tree) in enumerate(drawn)]
    expected = set()
    for tree in "tu":
        members = [each for each in clips if each.tree == tree]
        for first in members:
            hour = [each for each in members if timedelta(0) <= each.came_at - first.came_at <= HEAP_TIME]
            if sum(each.microdollars or 0 for each in hour) > limit:
                expected |= {each.clip for each in hour}
    assert names(clips, limit) == expected
