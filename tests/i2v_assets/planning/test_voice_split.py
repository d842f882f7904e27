"""Where a long voice is cut: in a pause wherever one is within reach, in even pieces, none too short or too long."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2v_assets.planning.voice_split import Cut, split_voice

SHORTEST, LONGEST = 2_000, 15_000


@st.composite
def voices(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A voice of up to ten minutes: words and pauses of any length."""
    pauses, at = [], 0
    for word, pause in draw(st.lists(st.tuples(st.integers(100, 40_000), st.integers(200, 30_000)), max_size=40)):
        pauses.append((at + word, at + word + pause))
        at += word + pause
    return min(at + draw(st.integers(100, 40_000)), 600_000), [pause for pause in pauses if pause[1] <= 600_000]


def edges(total: int, cuts: tuple[Cut, ...]) -> list[int]:
    return [0, *(cut.at_ms for cut in cuts), total]


@settings(max_examples=60)
@given(voices())
def test_every_piece_has_a_length_that_the_endpoint_takes(voice: tuple[int, list[tuple[int, int]]]) -> None:
    total, pauses = voice
    cuts = split_voice(total, pauses, shortest_ms=SHORTEST, longest_ms=LONGEST)
    if total <= LONGEST:
        assert cuts == ()
        return
    assert all(SHORTEST <= after - before <= LONGEST for before, after in pairwise(edges(total, cuts)))


@settings(max_examples=60)
@given(voices())
def test_no_cut_lies_within_speech_where_a_pause_is_within_reach(voice: tuple[int, list[tuple[int, int]]]) -> None:
    total, pauses = voice
    cuts = split_voice(total, pauses, shortest_ms=SHORTEST, longest_ms=LONGEST)
    for before, cut in zip(edges(total, cuts), cuts, strict=False):
        if cut.in_pause:
            assert any(start < cut.at_ms < end for start, end in pauses)
        else:
            first, last = before + SHORTEST, min(before + LONGEST, total - SHORTEST)
            assert not any(start + 100 <= last and end - 100 >= first for start, end in pauses)


@settings(max_examples=60)
@given(voices(), st.integers(1, 400))
def test_the_same_voice_is_always_cut_alike(voice: tuple[int, list[tuple[int, int]]], seed: int) -> None:
    total, pauses = voice
    shuffled = sorted(pauses, key=lambda pause: hash((pause, seed)))
    limits = {"shortest_ms": SHORTEST, "longest_ms": LONGEST}
    assert split_voice(total, pauses, **limits) == split_voice(total, shuffled, **limits)


def test_pieces_are_as_few_and_as_even_as_the_pauses_allow() -> None:
    every_second = [(ms - 150, ms + 150) for ms in range(1_000, 60_000, 1_000)]
    cuts = split_voice(60_000, every_second, shortest_ms=SHORTEST, longest_ms=LONGEST)
    assert [cut.at_ms for cut in cuts] == [15_000, 30_000, 45_000]
    cuts = split_voice(31_000, every_second, shortest_ms=SHORTEST, longest_ms=LONGEST)
    lengths = [after - before for before, after in pairwise(edges(31_000, cuts))]
    assert len(lengths) == 3
    assert max(lengths) - min(lengths) <= 1_000


def test_one_more_piece_is_better_than_a_cut_within_speech() -> None:
    pauses = [(9_900, 10_100), (19_900, 20_100)]
    cuts = split_voice(30_000, pauses, shortest_ms=SHORTEST, longest_ms=LONGEST)
    assert cuts == (Cut(10_000, True), Cut(20_000, True)), "two cuts at 15 s would do, but lie within speech"


def test_silence_of_a_minute_can_be_cut() -> None:
    cuts = split_voice(80_000, [(5_000, 70_000)], shortest_ms=SHORTEST, longest_ms=LONGEST)
    assert all(cut.in_pause for cut in cuts)


def test_limits_that_leave_no_way_are_an_error() -> None:
    with pytest.raises(ValueError, match="no voice can be cut"):
        split_voice(60_000, [], shortest_ms=8_000, longest_ms=15_000)
