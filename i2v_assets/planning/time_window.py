"""The window of the day in which paid work may start, such as 22:00-06:00."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from resources.errors import SettingsError

_FORM = re.compile(r"^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$")


@dataclass(frozen=True)
class Window:
    """From a time of day (inclusive) to another (exclusive); crosses midnight if the end is earlier than the start."""

    start: time
    end: time
    zone: ZoneInfo

    def holds(self, now: datetime) -> bool:
        """Return whether paid work may start at this moment (an aware time)."""
        clock = now.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def next_start(self, now: datetime) -> datetime:
        """Return when the window opens next."""
        local = now.astimezone(self.zone)
        today = local.replace(hour=self.start.hour, minute=self.start.minute, second=0, microsecond=0)
        return today if today > local else today + timedelta(days=1)

    def closes(self, now: datetime) -> datetime:
        """Return when the window that is open at this moment ends; `now` if it is closed."""
        if not self.holds(now):
            return now
        local = now.astimezone(self.zone)
        end = datetime.combine(local.date(), self.end, self.zone)
        return end if self.end > local.time() else end + timedelta(days=1)

    def open_between(self, begin: datetime, end: datetime) -> timedelta:
        """Return how long the window is open between two moments."""
        day = begin.astimezone(self.zone).date() - timedelta(days=1)  # yesterday's window may cross midnight
        last = end.astimezone(self.zone).date()
        total = timedelta()
        while day <= last:
            opens = datetime.combine(day, self.start, self.zone)
            closes = datetime.combine(day + timedelta(days=self.end <= self.start), self.end, self.zone)
            # In UTC, because Python subtracts two times of one zone by wall clock and ignores daylight saving.
            first, until = max(opens.astimezone(UTC), begin), min(closes.astimezone(UTC), end)
            total += max(until - first, timedelta())
            day += timedelta(days=1)
        return total


def parse_window(text: str, zone: ZoneInfo) -> Window | None:
    """Return the window that a setting describes; None for an empty setting (always open).

    Raises:
        SettingsError: the text is not of the form HH:MM-HH:MM, or its two times are equal.
    """
    if not text.strip():
        return None
    match = _FORM.match(text)
    remedy = "Write I2V_GENERATE_ONLY as HH:MM-HH:MM, such as 22:00-06:00. Leave it empty for always."
    if not match:
        raise SettingsError(f"{text!r} is not a time window.", remedy=remedy)
    hours = [int(part) for part in match.groups()]
    try:
        start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    except ValueError:
        raise SettingsError(f"{text!r} holds an invalid time of day.", remedy=remedy) from None
    if start == end:
        raise SettingsError(f"{text!r} is an empty window.", remedy=remedy)
    return Window(start, end, zone)
