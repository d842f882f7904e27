"""How long the window for paid work is open within a period."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from i2v_assets.planning.time_window import Window

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT, DAY = Window(time(22), time(6), ZoneInfo("UTC")), Window(time(9), time(17), ZoneInfo("UTC"))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "begin", "end", "hours"),
    [
        (NIGHT, at(10, 6), at(10, 22), 0),
        (NIGHT, at(10, 0), at(10, 1), 1),
        (NIGHT, at(10, 5), at(10, 23, 30), 2.5),
        (NIGHT, at(10, 12), at(13, 12), 24),
        (DAY, at(10, 12), at(11, 12), 8),
        (DAY, at(10, 18), at(11, 8), 0),
        (DAY, at(10, 10), at(10, 10), 0),
        (Window(time(22), time(6), BERLIN), at(10, 12), at(11, 12), 8),
        (Window(time(22), time(6), BERLIN), at(28, 12), at(29, 12), 7),  # the night in which summer time begins
    ],
)
def test_how_long_the_window_is_open(window: Window, begin: datetime, end: datetime, hours: float) -> None:
    assert window.open_between(begin, end) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("window", "now", "end"),
    [
        (NIGHT, at(10, 23), at(11, 6)),
        (NIGHT, at(10, 5, 59), at(10, 6)),
        (NIGHT, at(10, 6), at(10, 6)),
        (NIGHT, at(10, 12), at(10, 12)),
        (DAY, at(10, 9), at(10, 17)),
        (Window(time(22), time(6), BERLIN), at(28, 22), at(29, 4)),  # the night in which summer time begins
    ],
)
def test_when_the_open_window_ends(window: Window, now: datetime, end: datetime) -> None:
    assert window.closes(now) == end
