import csv
import datetime as dt
import io
import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from i2v_assets.reports.spend import (
    NO_UPLOAD,
    PLOT_MAX_BYTES,
    TOP_FOLDER,
    Reuse,
    SpendLine,
    folder_of,
    plot,
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


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
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


@pytest.mark.parametrize("count", [0, 2000])
def test_the_plot_is_a_small_picture(count: int) -> None:
    chance = random.Random(1)
    rows = [
        Row(
            state=chance.choice(STATES),
            reserved=chance.randrange(10**6, 10**7),
            settled=chance.choice([None, chance.randrange(10**6, 10**7)]),
            day=DAY - dt.timedelta(days=chance.randrange(30)),
        )
        for _ in range(count)
    ]
    reuses = [Reuse(row.day, row.route, row.model_id, row.clip, 2_000_000) for row in rows[:300]]
    image = plot(spend_table(rows, reuses, sources=SOURCES), DAY)
    assert len(image) <= PLOT_MAX_BYTES
    with Image.open(io.BytesIO(image)) as opened:
        assert opened.format == "PNG"
        assert opened.width >= 350
        colours = opened.convert("RGB").getcolors(opened.width * opened.height) or []
    assert (len(colours) > 8) or count == 0
