"""What a start imports: the code location and the command line leave alone what only runs and other commands need."""

import subprocess
import sys

import pytest

MEDIA = {"av", "cv2", "numpy", "PIL", "pillow_heif", "c2pa"}
NETWORK = {"aiohttp", "boto3", "botocore", "httpx", "stamina"}
DATABASE = {"alembic", "psycopg", "sqlalchemy"}


def imported(statement: str) -> set[str]:
    """The top packages that a new process has after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_code_location_loads_no_library_of_the_runs():
    found = imported("import i2v_assets.definitions")
    assert "dagster" in found
    assert found & (MEDIA | NETWORK | DATABASE) == set()


def test_the_help_imports_no_command():
    found = imported("from i2v_assets.cli.main import app\ntry:\n app(['--help'])\nexcept SystemExit:\n pass")
    assert found & (MEDIA | NETWORK | DATABASE | {"dagster", "pydantic"}) == set()


@pytest.mark.parametrize("command", ["status", "cancel", "settings"])
def test_a_command_that_asks_nothing_of_the_service_has_no_client_and_no_decoder(command: str):
    found = imported(
        f"from i2v_assets.cli.main import app\ntry:\n app(['{command}', '--help'])\nexcept SystemExit:\n pass"
    )
    assert found & (MEDIA | {"dagster"}) == set(), command
    if command != "cancel":
        assert "aiohttp" not in found
