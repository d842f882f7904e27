"""Log lines as JSON, each with the clip, the request and the run that it speaks of.

The ids travel in context variables: whoever begins to work on a clip binds them, and every line that is logged below says
them, in coroutines and in threads that ``asyncio.to_thread`` starts.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from resources.outside_text import escape_json
from resources.redact import redact

if TYPE_CHECKING:
    from resources.settings import Settings

_IDS: ContextVar[dict[str, str]] = ContextVar("i2v_ids", default={})  # noqa: B039 - never changed, only replaced

LOGGERS = ("resources", "i2v_assets")


@contextmanager
def log_context(*, clip: str | None = None, request: str | None = None, run: str | None = None) -> Iterator[None]:
    """Say these ids in every line that is logged in the block, besides those that are bound already."""
    given = {"clip": clip, "request": request, "run": run}
    token = _IDS.set(_IDS.get() | {name: value for name, value in given.items() if value is not None})
    try:
        yield
    finally:
        _IDS.reset(token)


def note_request(request: str | None) -> None:
    """From here on, to the end of the block that bound the clip, lines speak of this request, or of none."""
    others = {name: value for name, value in _IDS.get().items() if name != "request"}
    _IDS.set(others if request is None else others | {"request": request})


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the ids that are bound, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_IDS.get(),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return escape_json(json.dumps(line, ensure_ascii=False))


def configure(settings: "Settings", stream: TextIO | None = None) -> None:
    """With ``I2V_LOG_JSON`` the project's loggers write JSON lines to standard error; may be called again."""
    if not settings.log_json:
        return
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for handler in [found for found in logger.handlers if isinstance(found.formatter, JsonFormatter)]:
            logger.removeHandler(handler)
        handler = logging.StreamHandler(stream or sys.stderr)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


@contextmanager
def of_run(run: str) -> Iterator[None]:
    """Set logging up for a run: lines as the settings say, each with the run's id."""
    from resources.settings import load_settings

    configure(load_settings())
    with log_context(run=run):
        yield
