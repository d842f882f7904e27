"""Lines as JSON, each with its ids and without secrets."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys

import pytest

from resources import logs


@pytest.fixture
def lines(settings):
    stream = io.StringIO()
    logs.configure(settings.model_copy(update={"log_json": True}), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for name in logs.LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [found for found in logger.handlers if not isinstance(found.formatter, logs.JsonFormatter)]
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


def test_every_line_carries_its_ids(lines):
    log = logging.getLogger("resources.anything")

    async def one(clip: str, request: str) -> None:
        with logs.log_context(clip=clip):
            log.info("before")
            await asyncio.sleep(0)
            logs.note_request(request)
            await asyncio.to_thread(log.info, "from %s", "a thread")
        log.info("after")

    async def both() -> None:
        with logs.log_context(run="run-1"):
            await asyncio.gather(one("a", "r-a"), one("b", "r-b"))

    asyncio.run(both())
    found = lines()
    assert {(line["clip"], line.get("request")) for line in found if line["message"] == "before"} == {
        ("a", None),
        ("b", None),
    }
    assert {(line["clip"], line["request"]) for line in found if line["message"] == "from a thread"} == {
        ("a", "r-a"),
        ("b", "r-b"),
    }
    assert all("clip" not in line and "request" not in line for line in found if line["message"] == "after")
    assert {line["run"] for line in found} == {"run-1"}
    assert found[0].keys() >= {"time", "level", "logger", "message"}


def test_extra_fields_are_in_the_line_and_hide_no_standard_field(lines):
    with logs.log_context(clip="a"):
        extra = {"attempt": 2, "video_key": "videos/f.mp4", "clip": "b", "level": "none", "url": "https://x.y/5ec3e7"}
        logging.getLogger("resources.anything").info("Video delivered", extra=extra)
    (line,) = lines()
    assert (line["message"], line["attempt"], line["video_key"]) == ("Video delivered", 2, "videos/f.mp4")
    assert (line["clip"], line["level"], line["url"]) == ("a", "info", "[removed]")


def test_no_secret_reaches_a_line(lines):
    log = logging.getLogger("i2v_assets.anything")
    try:
        int("GET https://cdn.example/5ec3e7.mp4 answered 403")
    except ValueError:
        log.exception("Authorization: Bearer 5ec3e75ec3e75ec3e7 was rejected\nand a second line")
    (line,) = lines()
    assert "5ec3e7" not in json.dumps(line)
    assert "Traceback" in line["traceback"]


def test_without_the_setting_nothing_changes(settings):
    before = logging.getLogger("resources").handlers[:]
    logs.configure(settings)
    assert logging.getLogger("resources").handlers == before


IN_THE_CODE_SERVER = """
import logging
from dagster._utils.log import configure_loggers
configure_loggers()  # as `dagster api grpc` and every other command of Dagster's does first
import i2v_assets.definitions
logging.getLogger("i2v_assets.defs.uploads_sensor").info("line of a sensor")
logging.getLogger("resources.storage.bucket").warning("line of a resource")
logging.getLogger("dagster.code_server").info("line of Dagster")
"""


def test_lines_of_sensors_and_schedules_are_json_too():
    """They are in no run: what sets the logs up is that the definitions were loaded."""
    environment = {**os.environ, "I2V_LOG_JSON": "1"}
    command = [sys.executable, "-c", IN_THE_CODE_SERVER]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    ours = [json.loads(line) for line in shown.stderr.splitlines()]
    assert [(line["logger"], line["message"]) for line in ours] == [
        ("i2v_assets.defs.uploads_sensor", "line of a sensor"),
        ("resources.storage.bucket", "line of a resource"),
    ]
    theirs = [line for line in shown.stdout.splitlines() if "line of" in line]
    assert len(theirs) == 1, "Dagster's lines stay as they are, and where they are"
    assert not theirs[0].startswith("{")
    assert "line of Dagster" in theirs[0]
