"""The spend report: a table by day, route, model and upload folder, as CSV and as a chart. Pure."""

import csv
import datetime as dt
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Protocol

from i2v_assets.films.spec import film_name
from i2v_assets.reports.svg_chart import Chart
from resources.messages import counted, csv_cell
from resources.money import dollars
from resources.storage.keys import SEQUENCES, UPLOADS

TOP_FOLDER = "(top)"
"""The folder of clips that were uploaded directly under ``uploads/``."""

NO_UPLOAD = "(no upload)"
"""The folder of videos without an upload: `i2v run` makes videos from local files."""

CHART_DAYS = 30
"""Days in the chart: the bars stay wide enough to point at."""

_COLOURS = {"settled": "#2f6f4f", "open": "#9fc5ae", "wasted": "#c0492f", "saved": "#5b7db1"}
_STACKED = ("settled", "wasted", "open")
_MICRO = 1_000_000


class SpendRow(Protocol):
    """One request of the ledger; amounts in micro-dollars, ``day`` in the project's time zone."""

    @property
    def day(self) -> dt.date: ...  # noqa: D102
    @property
    def route(self) -> str: ...  # noqa: D102
    @property
    def model_id(self) -> str | None: ...  # noqa: D102
    @property
    def clip(self) -> str: ...  # noqa: D102
    @property
    def reserved(self) -> int | None: ...  # noqa: D102
    @property
    def settled(self) -> int | None: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Reuse:
    """A delivery that cost nothing because its fingerprint was already paid for; ``price`` is the amount saved."""

    day: dt.date
    route: str
    model_id: str | None
    clip: str
    price: int


@dataclass(frozen=True)
class SpendLine:
    """One line of the table; amounts in micro-dollars.

    ``reserved`` was set aside before the requests; ``settled`` is what the service reported; ``open`` is the part of
    ``reserved`` that may still be charged; ``refused`` is the part that was released because nothing was charged;
    ``surprise`` is what the service reported beyond ``reserved``, request by request, also where it is doubted and not
    settled; ``wasted`` is the part of ``settled`` that produced no video; ``saved`` was delivered without paying again.
    """

    day: dt.date
    route: str
    model_id: str
    folder: str
    requests: int = 0
    reserved: int = 0
    settled: int = 0
    open: int = 0
    refused: int = 0
    wasted: int = 0
    saved: int = 0
    surprise: int = 0


_AMOUNTS = tuple(part.name for part in fields(SpendLine))[4:]
_ENDED_WITHOUT_VIDEO = frozenset({"failed", "cancelled"})


def folder_of(source: str | None) -> str:
    """Return the folder that holds a clip's upload, by the clip's source in the registry.

    For a loose image or a CSV batch that is its own folder. A folder with a brief is one clip, so the folder above it counts:
    a campaign's clips are summed per campaign. Dubs count where their brief is, and a film's shots under their film.
    """
    if source is None:
        return NO_UPLOAD
    key = source.partition("#")[0]
    if key.startswith(SEQUENCES):
        return f"{SEQUENCES}{film_name(key)}"
    folder, _, _ = key.removeprefix(UPLOADS).rstrip("/").rpartition("/")
    return folder or TOP_FOLDER


def spend_table(
    rows: Iterable[SpendRow], reuses: Iterable[Reuse] = (), *, sources: Mapping[str, str]
) -> tuple[SpendLine, ...]:
    """Return the table, newest day first, then by route, model and folder; unclaimed requests are left out.

    Args:
        rows: The ledger's submissions.
        reuses: Deliveries that cost nothing.
        sources: The source of each clip's upload, by the clip's name.
    """
    sums: dict[tuple[dt.date, str, str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_AMOUNTS, 0))
    for row in rows:
        if row.state == "planned" or (row.reserved is None and row.settled is None):
            continue
        line = sums[row.day, row.route, row.model_id or "", folder_of(sources.get(row.clip))]
        reserved, settled = row.reserved or 0, row.settled or 0
        line["requests"] += 1
        line["reserved"] += reserved
        line["settled"] += settled
        told: int = getattr(row, "told", None) or settled  # only the ledger's own rows have a cost that is doubted
        line["surprise"] += max(0, told - reserved) if row.reserved is not None else 0
        if row.state in _ENDED_WITHOUT_VIDEO:
            line["wasted"] += settled
            line["refused"] += reserved if not settled else 0
        elif row.settled is None:
            line["open"] += reserved
    for reuse in reuses:
        sums[reuse.day, reuse.route, reuse.model_id or "", folder_of(sources.get(reuse.clip))]["saved"] += reuse.price
    keys = sorted(sums, key=lambda key: (-key[0].toordinal(), *key[1:]))
    return tuple(SpendLine(*key, *(sums[key][name] for name in _AMOUNTS)) for key in keys)


def totals(lines: Iterable[SpendLine]) -> dict[str, int]:
    """Return the sum of every amount (micro-dollars) and the number of requests."""
    result = dict.fromkeys(_AMOUNTS, 0)
    for line in lines:
        for name in _AMOUNTS:
            result[name] += getattr(line, name)
    return result


def to_csv(lines: Iterable[SpendLine]) -> bytes:
    """Return the table as CSV (UTF-8, comma, CRLF as in RFC 4180).

    Amounts are dollars with six decimals, so nothing is rounded.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([part.name if part.name not in _AMOUNTS[1:] else f"{part.name}_usd" for part in fields(SpendLine)])
    for line in lines:
        day, route, model, folder, requests, *amounts = astuple(line)
        writer.writerow(
            [
                day.isoformat(),
                csv_cell(route),
                csv_cell(model),
                csv_cell(folder),
                requests,
                *(_decimal(a) for a in amounts),
            ]
        )
    return text.getvalue().encode()


def _decimal(microdollars: int) -> str:
    whole, part = divmod(microdollars, _MICRO)
    return f"{whole}.{part:06d}"


def summary(lines: Sequence[SpendLine]) -> str:
    """Return the totals in one line of markdown."""
    sums = totals(lines)
    return (
        f"**{dollars(sums['settled'])}** settled in {counted(sums['requests'], 'request')}, {dollars(sums['open'])} open, "
        f"{dollars(sums['surprise'])} beyond what was reserved, {dollars(sums['wasted'])} wasted on failures, {dollars(sums['saved'])} saved by not paying twice"
    )


def chart(lines: Sequence[SpendLine], today: dt.date) -> str:
    """Return an SVG of dollars a day over the last ``CHART_DAYS`` days; saved money is below the axis."""
    days = [today - dt.timedelta(days=back) for back in range(CHART_DAYS - 1, -1, -1)]
    series = _series(lines, days)
    spent = [sum(series[name][index] for name in _STACKED) for index in range(len(days))]
    picture = Chart(
        f"Dollars a day, {days[0].isoformat()} to {today.isoformat()}",
        "In these days: " + ", ".join(f"{name} ${sum(amounts):,.2f}" for name, amounts in series.items()) + ".",
        x=(-0.5, len(days) - 0.5),
        values=[*spent, *(-amount for amount in series["saved"])],
        x_ticks={at: days[at].strftime("%d %b") for at in range(0, len(days), 7)},
        y_label=lambda value: f"${abs(value):,.10g}",
    )
    for name, colour in _COLOURS.items():
        picture.legend(name, colour)
    for index, day in enumerate(days):
        below = 0.0
        for name in (*_STACKED, "saved"):
            amount = series[name][index]
            if amount:
                low, high = (-amount, 0.0) if name == "saved" else (below, below + amount)
                label = f"{day.isoformat()}: ${amount:,.2f} {name}"
                picture.bar(index, low, high, width=0.8, colour=_COLOURS[name], label=label)
                below = max(below, high)
    return picture.render()


def _series(lines: Sequence[SpendLine], days: Sequence[dt.date]) -> dict[str, list[float]]:
    series = {name: [0.0] * len(days) for name in _COLOURS}
    at = {day: index for index, day in enumerate(days)}
    for line in lines:
        index = at.get(line.day)
        if index is None:
            continue
        series["settled"][index] += (line.settled - line.wasted) / _MICRO
        for name in ("open", "wasted", "saved"):
            series[name][index] += getattr(line, name) / _MICRO
    return series
