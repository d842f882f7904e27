"""CSV batches: many clips in one ``uploads/<batch>.csv`` or ``.jsonl``, one row per clip.

The columns are the keys of a brief, plus ``clip`` for the clip's name. ``image`` and ``video`` are aliases for a single file, and
``|`` separates several. Commas, semicolons and tabs are accepted, with or without a byte order mark and a line ``sep=;``, as
spreadsheets write them (`cells.py`); a workbook comes as lines of text (`spreadsheets.py`).
A bad row is refused by its line number and does not affect the others.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from i2v_assets.briefs.brief import SINGLE_FILES, Brief
from i2v_assets.briefs.brief_reader import BriefError, brief_from
from i2v_assets.briefs.yaml_reader import (
    Document,
    DocumentError,
    check_characters,
    check_count,
    decode,
    read_document,
)
from i2v_assets.uploads.cells import ALIASES, CLIP_COLUMN, NAMELESS, columns_of, values_of, whole_numbers

BatchFormat: TypeAlias = Literal["csv", "jsonl", "xlsx"]
"""``xlsx`` is the text that `spreadsheets.sheet_text` makes of a workbook."""

LIST_FORMATS: Mapping[str, BatchFormat] = {".csv": "csv", ".jsonl": "jsonl", ".xlsx": "xlsx"}
"""By the ending of the file's name."""

MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Maximum size: 20,000 rows with a prompt of 800 characters each."""

MAX_BATCH_ROWS = 20_000
"""Maximum rows: two nights of ten thousand clips; more belong in another file."""

MAX_BATCH_LINES = 20 * MAX_BATCH_ROWS
"""Maximum lines, with empty ones and those within a cell: ten lines of prompt in every row and as many empty ones."""

MAX_ROW_VALUES = 100
"""Maximum keys and list items of a row: every column, and files for the most that a model takes, several times over."""


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One clip of a CSV batch.

    Attributes:
        line: First line of the row, from 1.
        clip: The clip's name as written, or the file's stem with the number of the row.
        brief: The row's brief.
        guessed: The list's encoding is guessed, so its names may be found, but its prompt may be another.
    """

    line: int
    clip: str
    brief: Brief
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot become a clip, with the reason and remedy.

    Attributes:
        line: First line of the row, from 1.
        words: What is wrong.
        remedy: What to do.
        clip: Its name, if it can be read.
        files: The files that it names, as far as they can be read.
    """

    line: int
    words: str
    remedy: str
    clip: str | None = None
    files: tuple[str, ...] = ()


def parse_batch(text: str | bytes, name: str, kind: BatchFormat) -> tuple[tuple[BatchRow, ...], tuple[BadRow, ...]]:
    """Read a CSV batch.

    Args:
        text: The file's text, or its bytes.
        name: What to call the file in messages.
        kind: The format of the text.

    Returns:
        The rows that can become clips, and the rows that cannot.

    Raises:
        BriefError: the whole file cannot be used: it is not text, too large, or has no or unknown columns.
    """
    if isinstance(text, bytes) and kind == "xlsx":  # the bytes of a workbook that was not read
        raise BriefError(f"{name} was not read in time.", remedy="It is read again at the next look.")
    try:
        if isinstance(text, str):
            return _parsed(text.removeprefix("\ufeff"), name, kind)
        plain, guessed = decode_list(text, name)
        rows, bad = _parsed(plain, name, kind)
        return (tuple(replace(row, guessed=True) for row in rows) if guessed else rows), bad
    except BriefError:
        raise
    except DocumentError as error:
        raise BriefError(error.message, remedy=error.remedy) from None


def decode_list(data: bytes, name: str) -> tuple[str, bool]:
    """Return the text of a list, and whether its encoding is guessed.

    UTF-8 and, by its byte order mark, UTF-16 are certain. Anything else is taken for Windows' CP1252, which finds the files
    that the list names.

    Raises:
        DocumentError: it is not text.
    """
    try:
        return decode(data, name), False
    except DocumentError as error:
        if b"\0" in data:
            raise DocumentError(f"{name} is not text.", remedy="Save it as CSV (UTF-8).") from error
        return data.decode("cp1252", "replace"), True


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
    for number, (line, cells_or_error, readable_cells) in enumerate(_READERS[kind](text, name), start=1):
        if number > MAX_BATCH_ROWS:
            raise BriefError(f"{name} has more than {MAX_BATCH_ROWS} rows.", remedy="Split it into several files.")
        try:
            rows.append(_row(line, number, cells_or_error, name))
        except DocumentError as error:
            clip = _written_name(readable_cells, number)
            bad.append(BadRow(line, error.message, error.remedy, clip, _written_files(readable_cells)))
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
    for alias, field in ALIASES.items():
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
    for column in _FILE_COLUMNS:
        first = readable_cells.get(column)
        while isinstance(first, list | dict) and first:
            first = first[0] if isinstance(first, list) else first.get("file")
        if isinstance(first, str) and first.strip():
            return f"{PurePosixPath(first.split('|')[0].strip()).stem}-{number}"
    return None


_FILE_COLUMNS = ("image", "images", "audio", "audios", "video", "videos")


def _written_files(readable_cells: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files that a row names that cannot be read as a whole."""
    found: list[str] = []
    pending = [readable_cells.get(column) for column in (*_FILE_COLUMNS, "dub", *SINGLE_FILES)]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            found += [part.strip().removeprefix("./") for part in value.split("|") if part.strip()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += [value["file"]] if "file" in value else list(value.values())
    return tuple(found)


_Row: TypeAlias = tuple[int, dict[str, Any] | DocumentError, Mapping[str, Any]]
"""The line, the cells or the reason why they cannot be read, and the cells that may hold the clip's name."""


def _json_rows(text: str, name: str) -> Iterator[_Row]:
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            read = read_document(written, f"{name} line {line}", "json", max_values=MAX_ROW_VALUES).data
            data = whole_numbers(read)
            yield line, data, data
        except DocumentError as error:
            yield line, error, {}


def _csv_rows(text: str, name: str) -> Iterator[_Row]:
    text, delimiter = _delimited(text)
    return _table_rows(_csv_cells(text, delimiter, name), name)


def _sheet_rows(text: str, name: str) -> Iterator[_Row]:
    lines = [json.loads(line) for line in text.split("\n") if line]
    if lines and isinstance(lines[0], dict):
        raise BriefError(lines[0]["error"], remedy=lines[0]["remedy"])
    return _table_rows(((line, cells) for line, cells in lines), name)


def _table_rows(lines: Iterable[tuple[int, Sequence[str] | BriefError]], name: str) -> Iterator[_Row]:
    """Yield the rows of a table; its first line with a cell names the columns."""
    columns: Sequence[str] | None = None
    for line, cells in lines:
        if isinstance(cells, BriefError):
            yield line, cells, {}
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = columns_of(cells, name)
            continue
        readable_cells = {column: cell for column, cell in zip(columns, cells, strict=False) if column != NAMELESS}
        try:
            yield line, values_of(columns, cells, f"{name} line {line}"), readable_cells
        except BriefError as bad:
            yield line, bad, readable_cells


def _csv_cells(text: str, delimiter: str, name: str) -> Iterator[tuple[int, Sequence[str] | BriefError]]:
    """Yield the cells of each row with its first line, or why it cannot be read."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0
    while True:
        line = before + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            before = max(reader.line_num, line)
            yield line, _unread(error, name, line, before)
            continue
        before = reader.line_num
        yield line, cells


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


_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?[ ,;\t]*(?=\r?\n|\r)", re.IGNORECASE)
"""The line that Excel reads and writes above the column names: ``sep=;``."""


def _delimited(text: str) -> tuple[str, str]:
    """Return the text without a line that names its separator (the lines keep their numbers), and the separator.

    Without such a line it is the one that the line of column names uses most; tables copied from a spreadsheet use tabs.
    """
    named = _SEPARATOR_LINE.match(text)
    if named is not None and named[1] in _SEPARATORS:
        return text[: named.start(1)].count("\n") * "\n" + text[named.end() :], named[1]
    first = next((line for line in text.splitlines() if line.strip()), "")
    return text, max(",;\t", key=first.count)


_SEPARATORS = ",;\t|"

_READERS: Mapping[BatchFormat, Callable[[str, str], Iterator[_Row]]] = {
    "csv": _csv_rows,
    "jsonl": _json_rows,
    "xlsx": _sheet_rows,
}
