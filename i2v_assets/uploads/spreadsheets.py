"""Spreadsheets as lists: an ``.xlsx`` is read once, in a process with limits, into lines of text that the list's parser takes."""

import json
import subprocess
import sys
from pathlib import Path

from i2v_assets.briefs.yaml_reader import DocumentError
from i2v_assets.uploads.csv_batches import MAX_BATCH_BYTES, MAX_BATCH_ROWS

SPREADSHEET_ENDINGS = (".xlsx",)

WALL_SECONDS = 25
"""A sensor's tick has 60 seconds; 20,000 rows take one."""

_SAVE_AS = "Open it and save it as CSV (UTF-8), or as an Excel workbook (.xlsx) without a password."


def read_spreadsheet(data: bytes, name: str) -> str | bytes:
    """Return what a list's parser reads of a workbook: `sheet_text`, or one line with the error.

    If the machine was too slow, the bytes are returned: they are not remembered, and the next look reads them again.
    """
    try:
        return sheet_text(data, name)
    except TimeoutError:
        return data
    except DocumentError as error:
        return json.dumps({"error": error.message, "remedy": error.remedy})


def sheet_text(data: bytes, name: str) -> str:
    """Return the first sheet with cells as lines of JSON: each a row's number and its cells as text.

    Raises:
        DocumentError: it is not a workbook, is protected by a password, is too large, or needs too much to be read.
        TimeoutError: it was not read in time.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise DocumentError(
            f"{name} is larger than {MAX_BATCH_BYTES // 1024**2} MB.", remedy="Split it into several files."
        )
    if data[:4] != b"PK\x03\x04":
        protected = data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        what = "is protected by a password, or an old Excel file" if protected else "is not an Excel workbook"
        raise DocumentError(f"{name} {what}, so its rows cannot be read.", remedy=_SAVE_AS)
    command = [sys.executable, "-I", str(Path(__file__).with_name("spreadsheet_reader.py")), str(MAX_BATCH_ROWS + 1)]
    try:
        ended = subprocess.run(command, input=data, capture_output=True, env={}, timeout=WALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    if ended.returncode < 0 or b"MemoryError" in ended.stderr or b"memory allocation" in ended.stderr:
        raise _too_much(name)
    if ended.returncode != 0:
        raise DocumentError(f"{name} cannot be read as an Excel workbook.", remedy=_SAVE_AS)
    if len(ended.stdout) > 2 * MAX_BATCH_BYTES:
        raise _too_much(name)
    return ended.stdout.decode()


def _too_much(name: str) -> DocumentError:
    return DocumentError(
        f"{name} needs too much time or memory to be read: it may hold cells far below or beside the list.",
        remedy="Copy the list into a new workbook, or save it as CSV (UTF-8).",
    )
