"""Write results to stdout and everything else to stderr. Rich obeys NO_COLOR by itself."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resources.messages import escape_json, lines, pasteable

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or another program, which has no window to fit."""

SHORT_CELL = 20
"""Columns whose cells are all this short are not folded: names, states, prices and times stay whole."""

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


class SafeConsole(Console):
    """Prints texts of others without the characters that would control the terminal or the direction of writing."""

    def print(self, *objects: Any, **options: Any) -> None:
        """See `rich.console.Console`; strings and texts are made harmless, tables come with harmless cells."""
        super().print(*map(_harmless, objects), **options)

    def on_broken_pipe(self) -> None:
        """End: the reader has what it wanted (`i2v status | head`). Rich itself would call that a failure."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def _harmless(given: Any) -> Any:
    if isinstance(given, str):
        return lines(pasteable(given))
    if isinstance(given, Text) and (shown := lines(pasteable(given.plain))) != given.plain:
        return Text(shown, style=given.style)
    return given


out = SafeConsole(soft_wrap=True)
if not out.is_terminal:
    out.width = max(out.width, PIPED_WIDTH)
err = SafeConsole(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, for programs."""
    out.file.write(escape_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table for people. Cells are never read as markup; columns without names have no header."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    table = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        show_header=any(columns),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for number, column in enumerate(columns):
        short = all(len(row[number]) <= SHORT_CELL for row in cells)
        table.add_column(column, overflow="fold", no_wrap=short)
    for row in cells:
        table.add_row(*(Text(lines(pasteable(cell))) for cell in row))
    out.print(table)
