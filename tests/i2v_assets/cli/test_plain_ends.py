"""What cannot go on ends with one sentence: no token, a folder or disk that cannot be used, a taken port."""

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest

from i2v_assets.cli.disk import as_problem, require_room
from i2v_assets.cli.exit_codes import Exit, exit_code
from resources.devservers.start import free_port
from resources.errors import I2VError


def test_a_missing_token_is_said_before_anything_is_fetched(world, monkeypatch):
    monkeypatch.delenv("RUNCOMFY_TOKEN")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
        ran = world("run", "animate", "--input", f'{{"image_url": "{address}", "prompt": "x"}}', "--json")
        assert (ran.code, "i2v login" in ran.json["remedy"]) == (77, True)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert list(world.bucket.list("inputs/")) == []


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, Exit.TRY_LATER, "full"),
        (errno.EROFS, Exit.USAGE, "cannot be used"),
        (errno.EACCES, Exit.USAGE, "cannot be used"),
        (errno.EADDRINUSE, Exit.USAGE, "--port"),
        (errno.EIO, Exit.FAILED, "/data"),
    ],
)
def test_the_operating_system_s_errors_say_what_to_do(number, code, words):
    error = as_problem(OSError(number, os.strerror(number), "/data"))
    assert exit_code(error) is code
    assert words in error.text


def test_an_error_of_the_operating_system_is_one_line(world, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x")

    monkeypatch.setattr("i2v_assets.cli.status.read_overview", full)
    ran = world("status", "--json")
    assert (ran.code, ran.json["error"]) == (75, "/data/x: the disk is full.")
    assert "Traceback" not in ran.err


def test_a_full_disk_is_seen_before_work_is_begun(world, monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    port = ("--port", str(free_port()))
    for command in (("demo",), ("dev", *port), ("serve", *port), ("run", "animate", "--image", str(world.image()))):
        ran = world(*command)
        assert (ran.code, "1 MB free" in " ".join(ran.err.split())) == (75, True), (command, ran.err)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(I2VError, match="cannot be used"):
        require_room(tmp_path / "file" / "x")


def test_a_taken_port_is_said(world):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        for command in ("dev", "serve"):
            ran = world(command, "--port", port)
            assert (ran.code, "--port" in ran.err) == (64, True), (command, ran.err)


def test_a_name_of_a_location_stays_in_an_older_home(tmp_path: Path):
    from i2v_assets.cli.dev.dagster import location_name

    fresh, older = tmp_path / "fresh", tmp_path / "older"
    fresh.mkdir()
    (older / "schedules").mkdir(parents=True)
    assert location_name(fresh) == "i2v_assets"
    assert location_name(older) == "i2v_assets.definitions"
    (fresh / "schedules").mkdir()
    assert location_name(fresh) == "i2v_assets", "what it was begun with"
