"""`i2v --dev` finds the running `make dev`, and nothing that only looks like one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from i2v_assets.cli.environment import load_environment, locked
from i2v_assets.cli.running_dev import DEV_FOLDER, announced, dev_command, running_devs
from resources.errors import SettingsError
from resources.messages import pasteable


@pytest.fixture(autouse=True)
def _a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("I2V_DATA_DIR", "I2V_BUCKET", "I2V_COMMAND"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


@contextmanager
def running(project: Path) -> Iterator[Path]:
    folder = project / ".i2v" / DEV_FOLDER
    folder.mkdir(parents=True)
    with locked(folder), announced(folder, {"I2V_BUCKET": project.name}):
        yield folder


def entered(monkeypatch: pytest.MonkeyPatch) -> str:
    import os

    load_environment(dev=True)
    bucket = os.environ["I2V_BUCKET"]
    for name in ("I2V_BUCKET", "I2V_COMMAND"):
        monkeypatch.delenv(name)
    return bucket


def test_it_is_found_from_any_folder(tmp_path, monkeypatch):
    with running(tmp_path / "one") as folder:
        assert running_devs() == (folder,)
        assert entered(monkeypatch) == "one"
        assert (folder / "environment").stat().st_mode & 0o777 == 0o600
    assert running_devs() == ()
    assert list((tmp_path / "state" / "i2v-assets" / "dev").iterdir()) == []
    with pytest.raises(SettingsError, match="is not running") as told:
        load_environment(dev=True)
    assert "leave out" not in told.value.text


def test_the_nearest_wins_and_two_elsewhere_are_named(tmp_path, monkeypatch):
    with running(tmp_path / "one"), running(tmp_path / "two"):
        with pytest.raises(SettingsError, match="Several") as told:
            load_environment(dev=True)
        assert "one" in told.value.message
        assert f"I2V_DATA_DIR={tmp_path / 'one' / '.i2v'} " in told.value.remedy
        deep = tmp_path / "two" / "a" / "b"
        deep.mkdir(parents=True)
        monkeypatch.chdir(deep)
        assert entered(monkeypatch) == "two"


def test_one_that_was_killed_is_not_found_and_its_note_is_removed(tmp_path):
    notes = tmp_path / "state" / "i2v-assets" / "dev"
    notes.mkdir(parents=True)
    gone = tmp_path / "gone" / ".i2v" / DEV_FOLDER
    gone.mkdir(parents=True)
    (gone / "environment").write_text("I2V_BUCKET='gone'\n")
    (notes / "0123").write_text(str(gone))
    (notes / "4567").write_bytes(b"\xff\xfe")
    assert running_devs() == ()
    with running(tmp_path / "one") as folder:
        assert running_devs() == (folder,)
        assert not (notes / "0123").exists()


def test_commands_in_answers_get_the_prefix(monkeypatch):
    text = "Run: i2v retry hero (`i2v plan hero` shows it), or i2v --dev status, ./i2v plan, i2v-assets, i2v demo"
    assert pasteable(text) == text
    monkeypatch.setenv("I2V_COMMAND", "/x y/i2v --dev")
    told = "Run: /x y/i2v --dev retry hero (`/x y/i2v --dev plan hero` shows it), or i2v --dev status, ./i2v plan, i2v-assets, i2v demo"
    assert pasteable(text) == told
    assert pasteable(told) == told
    assert dev_command().endswith("i2v --dev")
