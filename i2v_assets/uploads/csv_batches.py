"""CSV batches: many clips in one ``uploads/<batch>.csv`` or ``.jsonl``, one row per clip.

The columns are the keys of a brief, plus ``clip`` for the clip's name. ``image`` and ``video`` are aliases for a single file, and
``|`` separates several. Commas, semicolons and tabs are accepted, with or without a byte order mark, as spreadsheets write them.
A bad row is refused by its line number and does not affect the others.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from i2v_assets.briefs.brief import Brief, BriefError, brief_from, suggestion
from i2v_assets.briefs.yaml_reader import (
    MAX_DEPTH,
    Document,
    DocumentError,
    check_characters,
    check_count,
    decode,
    read_document,
    writable,
)
from resources.bounded_json import read_json

BatchFormat: TypeAlias = Literal["csv", "jsonl"]

MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Maximum size: 20,000 rows with a prompt of 800 characters each."""

MAX_BATCH_ROWS = 20_000
"""Maximum rows: two nights of ten thousand clips; more belong in another file."""

MAX_BATCH_LINES = 20 * MAX_BATCH_ROWS
"""Maximum lines, with empty ones and those within a cell: ten lines of prompt in every row and as many empty ones."""

MAX_ROW_VALUES = 100
"""Maximum keys and list items of a row: every column, and files for the most that a model takes, several times over."""

CLIP_COLUMN = "clip"
_ALIASES = {"image": "images", "video": "videos", "audios": "audio"}
COLUMNS = (CLIP_COLUMN, *Brief.model_fields, *_ALIASES)
"""Every column that a CSV batch may have."""

_WHOLE_NUMBERS = frozenset({"seed", "takes", "priority", "duration"})
_SWITCHES = frozenset(
    {"watermark", "generate_audio", "needs_approval", "prompt_expansion", "keep_face", "may_be_silent"}
)
_LISTS = frozenset({"images", "audio", "videos"})
_NESTED = frozenset({"dub", "reroll", "shots"})
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One clip of a CSV batch.

    Attributes:
        line: First line of the row, from 1.
        clip: The clip's name as written, or the file's stem with the number of the row.
        brief: The row's brief.
    """

    line: int
    clip: str
    brief: Brief


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot become a clip, with the reason and remedy; ``clip`` is its name, if it can be read."""

    line: int
    words: str
    remedy: str
    clip: str | None = None


def parse_batch(text: str | bytes, name: str, kind: BatchFormat) -> tuple[tuple[BatchRow, ...], tuple[BadRow, ...]]:
    """Read a CSV batch.

    Args:
        text: The file's text or its bytes in UTF-8.
        name: What to call the file in messages.
        kind: The format of the text.

    Returns:
        The rows that can become clips, and the rows that cannot.

    Raises:
        BriefError: the whole file cannot be used: it is not UTF-8, too large, or has no or unknown columns.
    """
    try:
        return _parsed(decode(text, name) if isinstance(text, bytes) else text.removeprefix("\ufeff"), name, kind)
    except BriefError:
        raise
    except DocumentError as error:
        raise BriefError(error.message, remedy=error.remedy) from None


@lru_cache(maxsize=8)  # a sensor reads the same unchanged batches at every tick
def _parsed(text: str, name: str, kind: BatchFormat) -> tuple[tuple[BatchRow, ...], tuple[BadRow, ...]]:
    if len(text.encode("utf-8", "replace")) > MAX_BATCH_BYTES:
        raise BriefError(
            f"{name} is larger than {MAX_BATCH_BYTES // 1024**2} MB.", remedy="Split it into several files."
        )
    if text.count("\n") + text.count("\r") > MAX_BATCH_LINES:  # a line that ends in both counts as two
        raise BriefError(
            f"{name} has more than {MAX_BATCH_LINES // 2:,} lines.",
            remedy="Remove the empty ones, or split it into several files.",
        )
    rows: list[BatchRow] = []
    bad: list[BadRow] = []
    for number, (line, cells_or_error, readable_cells) in enumerate(
        _csv_rows(text, name) if kind == "csv" else _json_rows(text, name), start=1
    ):
        if number > MAX_BATCH_ROWS:
            raise BriefError(f"{name} has more than {MAX_BATCH_ROWS} rows.", remedy="Split it into several files.")
        try:
            rows.append(_row(line, number, cells_or_error, name))
        except DocumentError as error:
            bad.append(BadRow(line, error.message, error.remedy, _written_name(readable_cells, number)))
    if not rows and not bad:
        raise BriefError(f"{name} has no rows.", remedy="Write one row per clip below the line of column names.")
    return tuple(rows), tuple(bad)


def _row(line: int, number: int, cells_or_error: dict[str, Any] | DocumentError, name: str) -> BatchRow:
    if isinstance(cells_or_error, DocumentError):
        raise cells_or_error
    where = f"{name} line {line}"
    check_count(cells_or_error, where, MAX_ROW_VALUES)
    check_characters(cells_or_error, where)
    data = dict(cells_or_error)
    clip = data.pop(CLIP_COLUMN, None)
    for alias, field in _ALIASES.items():
        if alias not in data:
            continue
        if data.get(field) is not None:
            raise BriefError(f"{where} gives both `{alias}` and `{field}`.", remedy="Keep one of them.")
        data[field] = data.pop(alias)
    brief = brief_from(Document(data), where, listed=True)
    if clip is None or (isinstance(clip, str) and not clip.strip()):
        clip = _name_of(brief, number)
    if not isinstance(clip, str):
        raise BriefError(f"{where}: `clip` must be text.", remedy="Put the name in quotes.")
    if not (brief.names_media or brief.dub):
        raise BriefError(f"{where} does not name an image or another file.", remedy="Fill in the column `image`.")
    return BatchRow(line, clip.strip(), brief)


def _name_of(brief: Brief, number: int) -> str:
    for refs in (brief.images, brief.audio, brief.videos):
        if refs:
            return f"{PurePosixPath(refs[0].file).stem}-{number}"
    return f"row-{number}"


def _written_name(readable_cells: Mapping[str, Any], number: int) -> str | None:
    """Return the clip's name of a row that cannot be read as a whole; None if the name cannot be read either."""
    clip = readable_cells.get(CLIP_COLUMN)
    if clip is not None and not isinstance(clip, str):
        return None
    if clip and clip.strip():
        return clip.strip()
    for column in ("image", "images", "audio", "audios", "video", "videos"):
        first = readable_cells.get(column)
        while isinstance(first, list | dict) and first:
            first = first[0] if isinstance(first, list) else first.get("file")
        if isinstance(first, str) and first.strip():
            return f"{PurePosixPath(first.split('|')[0].strip()).stem}-{number}"
    return None


_Row: TypeAlias = tuple[int, dict[str, Any] | DocumentError, Mapping[str, Any]]
"""The line, the cells or the reason why they cannot be read, and the cells that may hold the clip's name."""


def _json_rows(text: str, name: str) -> Iterator[_Row]:
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            data = read_document(written, f"{name} line {line}", "json", max_values=MAX_ROW_VALUES).data
            yield line, data, data
        except DocumentError as error:
            yield line, error, {}


def _csv_rows(text: str, name: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    before = 0
    columns: Sequence[str] | None = None
    while True:
        line = before + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            before = max(reader.line_num, line)
            yield line, _unread(error, name, line, before), {}
            continue
        before = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _columns(cells, name)
            continue
        readable_cells = dict(zip(columns, cells, strict=False))
        try:
            yield line, _cells(columns, cells, f"{name} line {line}"), readable_cells
        except BriefError as bad:
            yield line, bad, readable_cells


def _unread(error: csv.Error, name: str, first: int, last: int) -> BriefError:
    """Return the error of a row that the CSV parser cannot read.

    An unclosed quote swallows the lines below it, so the message names all of them: none becomes a clip.
    """
    where = f"line {first}" if first == last else f"lines {first} to {last}, read as one row,"
    if "field larger" in str(error):
        return BriefError(
            f"{name} {where} cannot be read: a cell has more than {csv.field_size_limit():,} characters.",
            remedy=f"Close the quote that opens in line {first}, or shorten the cell.",
        )
    return BriefError(
        f"{name} {where} cannot be read: {error}.", remedy="Check its quotes. Every opening quote needs a closing one."
    )


def _delimiter(text: str) -> str:
    """Return the separator that the line of column names uses most; tables copied from a spreadsheet use tabs."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _columns(cells: Sequence[str], name: str) -> Sequence[str]:
    last = max(number for number, cell in enumerate(cells) if cell.strip())
    if last >= 2 * len(COLUMNS):
        raise BriefError(
            f"{name} has {last + 1:,} columns; a CSV batch has at most {len(COLUMNS)}.",
            remedy="Remove those that it does not know, or check the separator.",
        )
    columns = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in cells[: last + 1]]
    for column in columns:
        if column not in COLUMNS:
            raise BriefError(
                f"{name}: `{writable(column)}` is not a column of a CSV batch.", remedy=suggestion(column, COLUMNS)
            )
        if columns.count(column) > 1:
            raise BriefError(f"{name} has the column `{column}` twice.", remedy="Keep one of them.")
    return columns


def _cells(columns: Sequence[str], cells: Sequence[str], where: str) -> dict[str, Any]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise BriefError(
            f"{where} has {len(cells)} cells for {len(columns)} columns.",
            remedy="Quote text that holds the separator with double quotes.",
        )
    return {
        column: _value(column, cell.strip(), where)
        for column, cell in zip(columns, cells, strict=False)
        if cell.strip()
    }


def _value(column: str, cell: str, where: str) -> object:
    """Return a cell's value for its column; a value that does not fit stays text, which the brief then refuses."""
    field = _ALIASES.get(column, column)
    if field in _WHOLE_NUMBERS and re.fullmatch(r"[-+]?[0-9]{1,12}", cell):
        return int(cell)
    if field in _SWITCHES:
        return _TRUTH.get(cell.lower(), cell.lower())
    if field in _LISTS:
        return [part.strip() for part in cell.split("|")]
    if field in _NESTED:
        try:
            return read_json(cell, max_depth=MAX_DEPTH)
        except ValueError:
            raise BriefError(
                f"{where}: `{field}` is not JSON.", remedy='Write JSON, such as {"en": "v.mp3"}.'
            ) from None
    return cell
