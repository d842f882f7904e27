"""The process that reads one spreadsheet; `spreadsheets.py` runs this file as a script, and nothing imports it.

A workbook is a stranger's archive: a few kilobytes can unpack to gigabytes, or name a cell in the last of a million rows. It
is read here, with limits on memory and CPU, an empty environment and no descriptor but the three pipes.
"""

import contextlib
import datetime
import io
import json
import resource
import sys

MEMORY_BYTES = 1024**3
CPU_SECONDS = 10


def main(max_rows: int) -> None:
    """Write the first sheet with cells as lines of JSON, each with the row's number and its cells as text."""
    _limit()
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    book = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
    for sheet in book.sheets_metadata:
        if sheet.visible is not SheetVisibleEnum.Visible:
            continue
        rows = book.get_sheet_by_name(sheet.name).iter_rows()
        written = 0
        for number, cells in enumerate(rows, start=1):
            plain = [_text(cell) for cell in cells]
            if any(cell.strip() for cell in plain):
                sys.stdout.write(json.dumps([number, plain]) + "\n")
                written += 1
                if written > max_rows:
                    break
        if written:
            return


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere it does not count what is mapped
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def _text(cell: object) -> str:
    """Return a cell as a person sees it; a time stays one, so that a ratio that was made one can be named."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime.timedelta):
        minutes, seconds = divmod(int(cell.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)


if __name__ == "__main__":
    main(int(sys.argv[1]))
