from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from i2v_assets.reports.svg_chart import Chart, y_ticks


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_makes_a_well_formed_file_without_elements_of_its_own(
    title: str, said: str, tick: str, name: str
) -> None:
    picture = Chart(title, said, x=(0, 1), values=[1], x_ticks={0: tick})
    picture.legend(name, "#000000")
    picture.bar(0.5, 0, 1, width=0.5, colour="#000000", label=f"<script>{title}</script>")
    root = ElementTree.fromstring(picture.render())
    known = {"svg", "title", "desc", "rect", "line", "text"}
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == known


def test_text_is_shown_as_it_is() -> None:
    root = ElementTree.fromstring(Chart('a < b & "c"', "d", x=(0, 1), values=[], x_ticks={}).render())
    assert root.findtext("{*}title") == 'a < b & "c"'


@given(st.lists(st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-6)))
def test_the_ticks_are_few_and_hold_every_value(values: list[float]) -> None:
    ticks = y_ticks(values)
    assert 2 <= len(ticks) <= 8
    assert 0 in ticks
    assert list(ticks) == sorted(ticks)
    slack = 1e-9 * (ticks[-1] - ticks[0])
    assert all(ticks[0] - slack <= value <= ticks[-1] + slack for value in values)
