"""Where the command writes: results on stdout, everything else on stderr. Rich obeys NO_COLOR by itself."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or another program, where there is no window to fit."""

out = Console(soft_wrap=True)
if not out.is_terminal:
    out.width = max(out.width, PIPED_WIDTH)
err = Console(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout, for programs."""
    out.file.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table for people; cells are shown as they are, not read as markup. Columns without names have no header."""
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    out.print(table)


def dollars(microdollars: int | None) -> str:
    """Money for people: two places, more where the amount needs them; never rounded to nothing. None is empty."""
    if microdollars is None:
        return ""
    sign = "-" if microdollars < 0 else ""
    whole, _, places = f"{abs(microdollars) / 1_000_000:,.6f}".partition(".")
    return f"{sign}${whole}.{places.rstrip('0').ljust(2, '0')}"
