"""Which environment a command works in: the process' own, with a `.env` file or a running `make dev` beneath it."""

import os
from pathlib import Path

from dotenv import dotenv_values, load_dotenv

from resources.errors import SettingsError

DEV_FOLDER = "dev"


def data_root() -> Path:
    """The data folder of this project (I2V_DATA_DIR, or `.i2v` here)."""
    return Path(os.environ.get("I2V_DATA_DIR", ".i2v"))


def dev_file() -> Path:
    """Where `make dev` leaves the environment of its services while it runs."""
    return data_root() / DEV_FOLDER / "environment"


def load_environment(*, dev: bool) -> None:
    """Add variables that the process does not have yet; with ``dev`` those of the running `make dev` win.

    Raises:
        SettingsError: ``dev`` was asked for, but `make dev` does not run here.
    """
    if dev:
        if not dev_file().exists():
            raise SettingsError("`make dev` does not run in this folder.", remedy="Start it, or leave out --dev.")
        os.environ.update({name: value for name, value in dotenv_values(dev_file()).items() if value is not None})
    else:
        load_dotenv(Path(".env"), override=False)


def write_dev_file(variables: dict[str, str]) -> Path:
    """Leave the services' environment for other shells; only its owner may read it, since it holds S3 keys."""
    path = dev_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in sorted(variables.items()))
    return path
