"""Log lines as JSON, each with the ids of its clip, request and run.

The ids are context variables. Code that starts work on a clip binds them, and every line logged below carries them,
also in coroutines and in threads that ``asyncio.to_thread`` starts.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from resources.messages import escape_json
from resources.redact import redact

if TYPE_CHECKING:
    from resources.settings import Settings

_IDS: ContextVar[dict[str, str]] = ContextVar("i2v_ids", default={})  # noqa: B039 - never changed, only replaced

LOGGERS = ("resources", "i2v_assets")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every log record has; the others come from ``extra``."""


@contextmanager
def log_context(*, clip: str | None = None, request: str | None = None, run: str | None = None) -> Iterator[None]:
    """Add these ids to every line logged in the block, besides those already bound."""
    given = {"clip": clip, "request": request, "run": run}
    token = _IDS.set(_IDS.get() | {name: value for name, value in given.items() if value is not None})
    try:
        yield
    finally:
        _IDS.reset(token)


def note_request(request: str | None) -> None:
    """Bind this request (or none) from here to the end of the block that bound the clip."""
    others = {name: value for name, value in _IDS.get().items() if name != "request"}
    _IDS.set(others if request is None else others | {"request": request})


class JsonFormatter(logging.Formatter):
    """Formats one JSON object per line: time (UTC), level, logger, message, ids, ``extra``, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_IDS.get(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line.setdefault(name, value if isinstance(value, int | float | None) else redact(str(value)))
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return escape_json(json.dumps(line, ensure_ascii=False))


def configure(settings: "Settings", stream: TextIO | None = None) -> None:
    """Send the project's log lines as JSON to standard error if ``I2V_LOG_JSON`` is set; may be called again."""
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
    """Configure logging for a run: lines as the settings say, each with the run's id."""
    from resources.settings import load_settings

    configure(load_settings())
    with log_context(run=run):
        yield
