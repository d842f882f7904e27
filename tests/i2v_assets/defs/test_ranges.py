"""Due keys as contiguous ranges: every due key once, none too long, none out of order, as few as can be."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from i2v_assets.defs.partitions import RANGE_END, RANGE_START
from i2v_assets.defs.run_requests import cut_ranges


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], set[str], int]:
    keys = [f"k{number}" for number in range(draw(st.integers(0, 60)))]
    draw(st.randoms(use_true_random=False)).shuffle(keys)
    due = draw(st.sets(st.sampled_from(keys))) if keys else set()
    return keys, due | draw(st.sets(st.sampled_from(["gone", "other"]))), draw(st.integers(1, 20))


@given(cases())
def test_every_due_key_is_in_exactly_one_range_that_dagster_can_run(case: tuple[list[str], set[str], int]) -> None:
    keys, due, at_most = case
    ranges = list(cut_ranges(keys, due, at_most))

    covered = [key for part in ranges for key in part.due]
    assert sorted(covered) == sorted(due & set(keys))
    assert len(covered) == len(set(covered))
    end = -1
    for part in ranges:
        first, last = keys.index(part.start), keys.index(part.end)
        assert end < first <= last, "ranges follow one another and are never reversed"
        assert last - first < at_most
        assert part.start == part.due[0], "a range does not begin with a key that is not due"
        assert part.end == part.due[-1]
        assert part.tags == {RANGE_START: part.start, RANGE_END: part.end}
        assert [key for key in keys[first : last + 1] if key in due] == list(part.due)
        end = last


@given(cases())
def test_no_fewer_ranges_would_do(case: tuple[list[str], set[str], int]) -> None:
    """The first key of each range lies too far from the first of the one before to be in it."""
    keys, due, at_most = case
    starts = [keys.index(part.start) for part in cut_ranges(keys, due, at_most)]
    assert all(later - earlier >= at_most for earlier, later in pairwise(starts))


def test_what_one_tick_admits_is_one_range() -> None:
    keys = [f"k{number}" for number in range(250)]
    assert [len(part.due) for part in cut_ranges(keys, keys, 100)] == [100, 100, 50]
    assert [(part.start, part.end) for part in cut_ranges(keys, keys[240:], 100)] == [("k240", "k249")]
