"""Find the running `make dev`: in this folder, in one above it, or by what each one notes for its user while it runs."""

import contextlib
import hashlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import dotenv_values

from i2v_assets.cli.environment import data_root, enter, is_held
from resources.errors import SettingsError

DEV_FOLDER = "dev"
"""Below the data folder: everything that `make dev` keeps."""

_ENVIRONMENT = "environment"


def enter_running_dev() -> None:
    """Make this process use the services of the running `make dev`.

    Raises:
        SettingsError: none runs, or several do and none of them in this folder or above it.
    """
    folder = _nearest()
    values = dotenv_values(folder / _ENVIRONMENT)
    enter({name: value for name, value in values.items() if value is not None})
    os.environ["I2V_COMMAND"] = dev_command()


def running_devs() -> tuple[Path, ...]:
    """Return the folders of all `make dev` of this user that run now."""
    return tuple(sorted(folder for folder in {_own_folder(), *_noted()} if _runs(folder)))


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment that a running `make dev` has written for other shells."""
    return {name: value for name, value in dotenv_values(folder / _ENVIRONMENT).items() if value is not None}


@contextmanager
def announced(folder: Path, variables: dict[str, str]) -> Iterator[None]:
    """Let other shells find this `make dev` for the length of the block; only their owner may read the files, for the keys."""
    folder = folder.absolute()
    path = folder / _ENVIRONMENT
    _write_private(path, "".join(f"{name}='{value}'\n" for name, value in sorted(variables.items())))
    _forget_ended()
    with contextlib.suppress(OSError, RuntimeError):  # without a home it is found from its own folder alone
        _write_private(_note(folder), str(folder))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError, RuntimeError):
            _note(folder).unlink(missing_ok=True)


def dev_command(*, anywhere: bool = False) -> str:
    """Return how `i2v --dev` is written so that it can be pasted: by its name if that is on the path, else by its file.

    Args:
        anywhere: Also for shells in other folders than this one.
    """
    program = Path(sys.executable).with_name("i2v")
    found = shutil.which("i2v")
    if found is not None and Path(found).resolve() == program.resolve():
        return "i2v --dev"
    if not anywhere:
        with contextlib.suppress(ValueError):
            program = program.relative_to(Path.cwd())
    return f"{shlex.quote(str(program))} --dev"


def _nearest() -> Path:
    here = _own_folder()
    above = [folder / ".i2v" / DEV_FOLDER for folder in Path.cwd().parents]
    for folder in (here, *above):
        if _runs(folder):
            return folder
    found = running_devs()
    if not found:
        raise SettingsError(
            "`make dev` is not running.",
            remedy="Start it with `make dev` in the project's folder. While it runs, --dev works from every folder.",
        )
    if len(found) > 1:
        folders = ", ".join(str(folder.parent) for folder in found)
        raise SettingsError(
            f"Several `make dev` are running, with their data in {folders}.",
            remedy=f"Name one of them: I2V_DATA_DIR={found[0].parent} {dev_command()} ...",
        )
    return found[0]


def _own_folder() -> Path:
    return (data_root() / DEV_FOLDER).absolute()


def _runs(folder: Path) -> bool:
    """Return whether a `make dev` of this user works in the folder. Another user's services are not to be entered."""
    try:
        owner = (folder / _ENVIRONMENT).stat().st_uid
    except OSError:
        return False
    return owner == os.getuid() and is_held(folder)


def _notes() -> Path:
    """Return the folder of the notes: below $XDG_STATE_HOME (XDG Base Directory Specification 0.8)."""
    state = Path(os.environ.get("XDG_STATE_HOME") or "")
    return (state if state.is_absolute() else Path.home() / ".local" / "state") / "i2v-assets" / "dev"


def _note(folder: Path) -> Path:
    return _notes() / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _noted() -> Iterator[Path]:
    with contextlib.suppress(OSError, RuntimeError):  # no home
        for note in sorted(_notes().iterdir()):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                yield Path(note.read_text(encoding="utf-8"))


def _forget_ended() -> None:
    """Remove the notes that processes left that were killed."""
    with contextlib.suppress(OSError, RuntimeError):
        for note in _notes().iterdir():
            with contextlib.suppress(OSError, UnicodeDecodeError):
                if not _runs(Path(note.read_text(encoding="utf-8"))):
                    note.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
