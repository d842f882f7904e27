"""JSON of strangers: as deep as is allowed, on every Python, in linear time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.bounded_json import TooDeep, is_deeper, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max((depth_of(each) for each in inner), default=0)


@given(VALUES, st.booleans())
def test_the_depth_is_that_of_the_value(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    depth = depth_of(value)
    assert read_json(text, max_depth=depth) == value
    assert not is_deeper(text, depth)
    assert depth == 0 or is_deeper(text, depth - 1)


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6, "[" * 100 + "]" * 100, '[{"a":[' * 10**5])
def test_what_nests_deeper_is_refused_as_such(text: str) -> None:
    with pytest.raises(TooDeep):
        read_json(text)


@pytest.mark.parametrize("text", ['"' + "[" * 10**6 + '"', '"' + "\\\\" * 10**6 + '"', '"\\"' + "{" * 100 + '"'])
def test_brackets_in_text_are_no_nesting(text: str) -> None:
    assert isinstance(read_json(text), str)


@pytest.mark.timeout(120)  # 5 s here; quadratic, they would take days
def test_open_strings_and_garbage_cost_linear_time() -> None:
    hostile = ['"' + "\\" * (16 << 20), ('"' + "[" * 9) * 10**6, "]" * (16 << 20), '\\"' * (8 << 20)]
    for text in hostile:
        with pytest.raises(ValueError):  # noqa: PT011 - either of its kinds
            read_json(text)


def test_bytes_are_utf_8_with_or_without_a_mark() -> None:
    assert read_json(b"\xef\xbb\xbf[1]") == read_json(b"[1]") == [1]
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(b'"\xff"')
