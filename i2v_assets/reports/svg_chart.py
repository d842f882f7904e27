"""A small chart as an SVG file: bars, lines and areas over labelled axes. Pure: numbers in, text out.

A screen reader reads the chart's title and description; a bar names its value when pointed at. The file runs no script and
loads nothing.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from resources.messages import escape_html

WIDTH, HEIGHT = 720, 280
"""Pixels at its own size; a viewer scales it. As wide as a column of the Dagster UI."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 56, 28
"""Margins: tick labels such as $1,000 to the left, title and legend above, dates below."""

_MOST_TICKS = 6
_INK, _GRID = "#333333", "#dddddd"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file may hold, escaped or not."""

Point = tuple[float, float]


def plain_label(value: float) -> str:
    """Return a number with thousands separators and no needless digits."""
    return f"{value:,.10g}"


class Chart:
    """One chart; add marks, then `render` it.

    Args:
        title: what it shows, also its first line.
        description: the same in a sentence with the main figures, for those who do not see it.
        x: the first and the last value of the horizontal axis.
        values: all that is to fit on the vertical axis, which always has zero.
        x_ticks: the text at some places of the horizontal axis.
        y_label: writes a value of the vertical axis.
    """

    def __init__(
        self,
        title: str,
        description: str,
        *,
        x: Point,
        values: Iterable[float],
        x_ticks: Mapping[float, str],
        y_label: Callable[[float], str] = plain_label,
    ) -> None:
        self._title, self._description, self._x_ticks, self._y_label = title, description, x_ticks, y_label
        self._x = x if x[1] > x[0] else (x[0], x[0] + 1)
        self._y_ticks = y_ticks(values)
        self._marks: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def legend(self, name: str, colour: str) -> None:
        """Name a colour."""
        self._legend.append((name, colour))

    def bar(self, at: float, low: float, high: float, *, width: float, colour: str, label: str) -> None:
        """Draw a bar between two values; ``width`` is in units of the horizontal axis."""
        left, right = self._at_x(at - width / 2), self._at_x(at + width / 2)
        top, bottom = sorted((self._at_y(low), self._at_y(high)))
        self._marks.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" '
            f'fill="{colour}"><title>{_text(label)}</title></rect>'
        )

    def line(self, points: Sequence[Point], *, colour: str, dashed: bool = False) -> None:
        """Draw a line through points."""
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        self._marks.append(
            f'<polyline points="{self._path(points)}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>'
        )

    def area(self, lower: Sequence[Point], upper: Sequence[Point], *, colour: str) -> None:
        """Fill what lies between two lines."""
        self._marks.append(f'<polygon points="{self._path([*lower, *reversed(upper)])}" fill="{colour}"/>')

    def render(self) -> str:
        """Return the file's text."""
        zero = self._at_y(0)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            'role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="11">',
            f'<title id="title">{_text(self._title)}</title>',
            f'<desc id="desc">{_text(self._description)}</desc>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            _label(_LEFT, 18, self._title, size=14),
            *self._legend_parts(),
            *self._grid(),
            *self._marks,
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="{_INK}"/>',
            *(_label(self._at_x(at), HEIGHT - 9, text, anchor="middle") for at, text in self._x_ticks.items()),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _legend_parts(self) -> Iterable[str]:
        at = float(_LEFT)
        for name, colour in self._legend:
            yield f'<rect x="{at:.0f}" y="31" width="10" height="10" fill="{colour}"/>'
            yield _label(at + 14, 40, name)
            at += 30 + 6 * len(name)  # 6 px is the mean width of a letter at 11 px

    def _grid(self) -> Iterable[str]:
        for value in self._y_ticks:
            y = self._at_y(value)
            yield f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>'
            yield _label(_LEFT - 6, y + 4, self._y_label(value), anchor="end")

    def _path(self, points: Iterable[Point]) -> str:
        return " ".join(f"{self._at_x(x):.1f},{self._at_y(y):.1f}" for x, y in points)

    def _at_x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def _at_y(self, value: float) -> float:
        low, high = self._y_ticks[0], self._y_ticks[-1]
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


def y_ticks(values: Iterable[float]) -> tuple[float, ...]:
    """Return a few round values from below the lowest to above the highest value; zero is one of them."""
    known = [0.0, *values]
    low, high = min(known), max(known)
    if low == high:
        return (0.0, 1.0)
    rough = (high - low) / (_MOST_TICKS - 2)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return tuple(number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1))


def _label(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{_INK}">{_text(text)}</text>'


def _text(text: str) -> str:
    return escape_html(_NOT_XML.sub("\ufffd", text))
