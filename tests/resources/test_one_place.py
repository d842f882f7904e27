"""The paid service has one ledger and one bucket, whichever folder a command is run in."""

import subprocess
import sys
from pathlib import Path

import pytest

from resources.errors import SettingsError
from resources.ledger.ledger import Ledger
from resources.ledger.records import NewRequest
from resources.settings import Settings, load_settings, variable_name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell of the paid service in a folder of its own."""
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_name(field), raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def begin(path: Path, service: str) -> None:
    with Ledger.open(f"sqlite:///{path.absolute()}") as ledger:
        ledger.plan(NewRequest("0" * 64, service, "hero", 1, "f", "animate", 1, 3, "{}"))


def test_the_paid_services_ledger_does_not_depend_on_the_working_folder(home: Path) -> None:
    assert load_settings().ledger_address == f"sqlite:///{home / 'share' / 'i2v-assets' / 'ledger.sqlite'}"


def test_without_xdg_it_lies_below_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # the specification says to ignore it
    monkeypatch.setenv("HOME", str(home))
    assert load_settings().data_dir == home / ".local" / "share" / "i2v-assets"


def test_the_sandbox_keeps_its_folder_and_bucket(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_SERVICE", "sandbox")
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "http://127.0.0.1:1/v1")
    begin(Path(".i2v/ledger.sqlite"), "runcomfy")
    settings = load_settings()
    assert (settings.data_dir, settings.bucket) == (Path(".i2v"), "i2v")
    assert settings.ledger_address == f"sqlite:///{Path('.i2v/ledger.sqlite').absolute()}"


def test_a_relative_folder_is_refused_for_the_paid_service(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_DATA_DIR", "data")
    with pytest.raises(SettingsError, match="I2V_DATA_DIR has to be absolute") as caught:
        load_settings()
    assert str(home / "work" / "data") in caught.value.message


def test_the_paid_service_has_no_bucket_by_default(home: Path) -> None:
    with pytest.raises(SettingsError, match="I2V_BUCKET is not set"):
        _ = load_settings().required_bucket


def test_a_paid_ledger_in_the_working_folder_is_used(home: Path) -> None:
    begin(Path(".i2v/ledger.sqlite"), "runcomfy")
    assert load_settings().ledger_address == f"sqlite:///{home / 'work' / '.i2v' / 'ledger.sqlite'}"


def test_a_ledger_of_the_sandbox_in_the_working_folder_is_not(home: Path) -> None:
    begin(Path(".i2v/ledger.sqlite"), "sandbox")
    assert "share" in load_settings().ledger_address


@pytest.mark.parametrize("content", [b"", b"hello" * 1000])
def test_a_ledger_that_was_destroyed_in_the_working_folder_is_named_and_none_is_begun(
    home: Path, content: bytes
) -> None:
    here = Path(".i2v/ledger.sqlite").absolute()
    here.parent.mkdir()
    here.write_bytes(content)
    with pytest.raises(Exception, match=str(here)):
        Ledger.open(load_settings().ledger_address)
    assert not (home / "share").exists()


def test_a_paid_ledger_in_the_working_folder_beside_the_one_in_use_stops_the_command(home: Path) -> None:
    begin(home / "share" / "i2v-assets" / "ledger.sqlite", "runcomfy")
    begin(Path(".i2v/ledger.sqlite"), "runcomfy")
    with pytest.raises(SettingsError, match=str(Path(".i2v/ledger.sqlite").absolute())):
        _ = load_settings().ledger_address


def test_none_is_begun_elsewhere_beside_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(Path(".i2v/ledger.sqlite"), "runcomfy")
    monkeypatch.setenv("I2V_DATA_DIR", str(home / "elsewhere"))
    with pytest.raises(SettingsError, match="where there is none"):
        _ = load_settings().ledger_address
    monkeypatch.setenv("I2V_DATA_DIR", str(home / "work" / ".i2v"))
    assert load_settings().ledger_address.endswith("work/.i2v/ledger.sqlite")


def test_make_clean_leaves_a_ledger_alone(tmp_path: Path) -> None:
    makefile = Path(__file__).parents[2] / "Makefile"
    begin(tmp_path / ".i2v" / "ledger.sqlite", "runcomfy")
    (tmp_path / ".i2v" / "dev").mkdir()
    (tmp_path / ".i2v" / "dev" / "environment").touch()
    subprocess.run(["make", "-f", str(makefile), "clean", f"PYTHON={sys.executable}"], cwd=tmp_path, check=True)
    assert [path.name for path in (tmp_path / ".i2v").iterdir()] == ["ledger.sqlite"]
