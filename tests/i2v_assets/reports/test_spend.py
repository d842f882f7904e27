import csv
import datetime as dt
import io
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2v_assets.reports.spend import (
    NO_UPLOAD,
    TOP_FOLDER,
    Reuse,
    SpendLine,
    chart,
    folder_of,
    spend_table,
    summary,
    to_csv,
    totals,
)

DAY = dt.date(2026, 3, 1)
SOURCES = {"hero": "uploads/hero.jpg"} | {f"shoes--000{n}": f"uploads/shoes/000{n}.jpg" for n in range(10)}
STATES = ("planned", "submitting", "submitted", "succeeded", "failed", "cancelled", "unknown")


@dataclass(frozen=True)
class Row:
    state: str = "succeeded"
    reserved: int | None = 1_000_000
    settled: int | None = 900_000
    clip: str = "shoes--0001"
    day: dt.date = DAY
    route: str = "animate"
    model_id: str | None = "m"
    told: int | None = None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(), {"requests": 1, "reserved": 1_000_000, "settled": 900_000}),
        (Row(settled=None), {"requests": 1, "reserved": 1_000_000, "open": 1_000_000}),
        (Row("submitted", settled=None), {"requests": 1, "reserved": 1_000_000, "open": 1_000_000}),
        (Row("unknown", settled=None), {"requests": 1, "reserved": 1_000_000, "open": 1_000_000}),
        (Row("failed", settled=None), {"requests": 1, "reserved": 1_000_000, "refused": 1_000_000}),
        (Row("failed", settled=0), {"requests": 1, "reserved": 1_000_000, "refused": 1_000_000}),
        (
            Row("failed", settled=400_000),
            {"requests": 1, "reserved": 1_000_000, "settled": 400_000, "wasted": 400_000},
        ),
        (Row(settled=1_250_000), {"requests": 1, "reserved": 1_000_000, "settled": 1_250_000, "surprise": 250_000}),
        (
            Row(settled=1_000_000, told=9_000_000),
            {"requests": 1, "reserved": 1_000_000, "settled": 1_000_000, "surprise": 8_000_000},
        ),
        (Row("cancelled", settled=1), {"requests": 1, "reserved": 1_000_000, "settled": 1, "wasted": 1}),
    ],
)
def test_each_state_counts_where_it_belongs(row: Row, expected: dict[str, int]) -> None:
    assert {name: value for name, value in totals(spend_table([row], sources=SOURCES)).items() if value} == expected


def test_unclaimed_requests_are_not_spend() -> None:
    assert spend_table([Row("planned"), Row("cancelled", reserved=None, settled=None)], sources=SOURCES) == ()


def test_lines_are_by_day_route_model_and_folder() -> None:
    rows = [
        Row(),
        Row(clip="shoes--0002"),
        Row(clip="hero"),
        Row(route="lip_sync"),
        Row(model_id="n"),
        Row(day=DAY + dt.timedelta(days=1)),
    ]
    lines = spend_table(rows, sources=SOURCES)
    assert [(line.day.day, line.route, line.model_id, line.folder, line.requests) for line in lines] == [
        (2, "animate", "m", "shoes", 1),
        (1, "animate", "m", TOP_FOLDER, 1),
        (1, "animate", "m", "shoes", 2),
        (1, "animate", "n", "shoes", 1),
        (1, "lip_sync", "m", "shoes", 1),
    ]


def test_what_was_not_paid_twice_is_saved() -> None:
    lines = spend_table([Row()], [Reuse(DAY, "animate", "m", "shoes--0009", 900_000)], sources=SOURCES)
    assert len(lines) == 1
    assert lines[0].saved == 900_000
    assert lines[0].requests == 1
    assert "$0.90 saved" in summary(lines)


_rows = st.builds(
    Row,
    state=st.sampled_from(STATES),
    reserved=st.none() | st.integers(0, 10**9),
    settled=st.none() | st.integers(0, 10**9),
    clip=st.sampled_from(["a", "b--c", "b--d--e"]),
)


@given(st.lists(_rows))
def test_money_is_conserved(rows: list[Row]) -> None:
    claimed = [row for row in rows if row.state != "planned"]
    sums = totals(spend_table(rows, sources=SOURCES))
    assert sums["reserved"] == sum(row.reserved or 0 for row in claimed)
    assert sums["settled"] == sum(row.settled or 0 for row in claimed)
    assert sums["wasted"] <= sums["settled"]
    assert sums["open"] + sums["refused"] <= sums["reserved"]


def test_csv_is_exact_to_the_micro_dollar_and_holds_no_formula() -> None:
    lines = [SpendLine(DAY, "animate", "m", '=cmd|" /C calc"', 1, 1_234_567, 7, 0, 0, 0, 12_000_000)]
    read = list(csv.DictReader(io.StringIO(to_csv(lines).decode(), newline="")))
    assert read == [
        {
            "day": "2026-03-01",
            "route": "animate",
            "model_id": "m",
            "folder": '\'=cmd|" /C calc"',
            "requests": "1",
            "reserved_usd": "1.234567",
            "settled_usd": "0.000007",
            "open_usd": "0.000000",
            "refused_usd": "0.000000",
            "wasted_usd": "0.000000",
            "saved_usd": "12.000000",
            "surprise_usd": "0.000000",
        }
    ]


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("uploads/hero.jpg", TOP_FOLDER),
        ("uploads/hero--01.jpg", TOP_FOLDER),  # whatever its name looks like
        ("uploads/shoes/0001.jpg", "shoes"),
        ("uploads/spring/shoes/0001.jpg", "spring/shoes"),
        ("uploads/hero/", TOP_FOLDER),  # a folder with a brief is one clip
        ("uploads/spring/hero/", "spring"),
        ("uploads/spring/hello/#spring--hello--en", "spring"),
        ("uploads/spring/list.csv#row", "spring"),
        ("sequences/voyage.yaml#02", "sequences/voyage"),
        ("sequences/Grand tour.yml#02", "sequences/Grand-tour"),
        (None, NO_UPLOAD),
    ],
)
def test_folders(source: str | None, folder: str) -> None:
    assert folder_of(source) == folder


def _chart(lines: tuple[SpendLine, ...]) -> ElementTree.Element:
    return ElementTree.fromstring(chart(lines, DAY))


def _bars(picture: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {
        bar.findtext("{*}title", ""): bar for bar in picture.findall(".//{*}rect") if bar.find("{*}title") is not None
    }


def test_the_chart_has_a_bar_for_every_amount_of_the_last_days() -> None:
    rows = [
        Row(),
        Row("failed", settled=400_000),
        Row("submitted", settled=None, reserved=2_000_000),
        Row(day=DAY - dt.timedelta(days=29), settled=5_000_000),
        Row(day=DAY - dt.timedelta(days=30), settled=7_000_000),
    ]
    picture = _chart(spend_table(rows, [Reuse(DAY, "animate", "m", "shoes--0009", 600_000)], sources=SOURCES))
    bars = _bars(picture)
    assert list(bars) == [
        "2026-01-31: $5.00 settled",
        "2026-03-01: $0.90 settled",
        "2026-03-01: $0.40 wasted",
        "2026-03-01: $2.00 open",
        "2026-03-01: $0.60 saved",
    ]
    heights = [float(bar.get("height", "")) for bar in bars.values()]
    dollars_each = [5.0, 0.9, 0.4, 2.0, 0.6]
    assert heights == pytest.approx([heights[0] / 5 * amount for amount in dollars_each], abs=0.2)
    edges = [(float(bar.get("y", "")), height) for bar, height in zip(bars.values(), heights, strict=True)]
    _, settled, wasted, open_, saved = edges
    assert [wasted[0] + wasted[1], open_[0] + open_[1]] == pytest.approx([settled[0], wasted[0]], abs=0.2)  # stacked
    assert saved[0] == pytest.approx(settled[0] + settled[1], abs=0.2)  # below the axis


def test_the_chart_says_in_words_what_it_shows() -> None:
    picture = _chart(spend_table([Row()], sources=SOURCES))
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "title desc"
    assert picture.findtext("{*}title[@id='title']") == "Dollars a day, 2026-01-31 to 2026-03-01"
    said = picture.findtext("{*}desc[@id='desc']")
    assert said == "In these days: settled $0.90, open $0.00, wasted $0.00, saved $0.00."


def test_a_chart_of_nothing_is_an_empty_chart() -> None:
    assert _bars(_chart(())) == {}


@given(st.lists(_rows))
def test_every_bar_lies_within_the_chart(rows: list[Row]) -> None:
    reuses = [Reuse(row.day, row.route, row.model_id, row.clip, row.reserved or 0) for row in rows]
    picture = _chart(spend_table(rows, reuses, sources=SOURCES))
    width, height = float(picture.get("width", "")), float(picture.get("height", ""))
    for bar in picture.findall(".//{*}rect"):
        x, y, wide, high = (float(bar.get(name, "0")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
