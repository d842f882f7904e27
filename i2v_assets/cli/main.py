"""Puts the commands together and turns errors into one line and an exit code."""

import functools
import importlib
import os
import sys
from typing import Annotated

import typer
from rich.text import Text

from i2v_assets.cli.console import err
from i2v_assets.cli.environment import load_environment
from i2v_assets.cli.exits import Exit, exit_code
from resources.errors import I2VError

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
CLICK_ERROR: type[Exception] = USAGE_ERROR.__mro__[1]
# Typer carries its own copy of click and exports only the leaves of its error tree.

app = typer.Typer(
    name="i2v",
    pretty_exceptions_enable=False,  # a pretty traceback prints local variables, and they may hold a secret
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Still images in a bucket become videos in the bucket. Start with `make demo`, or `i2v doctor`.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

MODULES = (
    "local",
    "uploading",
    "running",
    "clips",
    "planning",
    "steering",
    "account",
    "catalogue",
    "ledger",
    "verifying",
    "gallery",
    "metrics",
    "doctor",
    "settings",
)
"""Modules of this package whose ``app`` holds top-level commands, in the order of the help."""


@app.callback()
def common(
    dev: Annotated[bool, typer.Option("--dev", help="Work with the services of the running `make dev`.")] = False,
) -> None:
    """Choose the environment before any command reads it."""
    load_environment(dev=dev)


@functools.cache
def assemble() -> typer.Typer:
    """The whole command, put together once a process."""
    for name in MODULES:
        app.add_typer(importlib.import_module(f"i2v_assets.cli.{name}").app)
    return app


def main() -> None:
    """Entry point of `i2v`."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    try:
        sys.exit(assemble()(standalone_mode=False) or Exit.OK)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        err.print("Stopped.")
        sys.exit(130)
    except CLICK_ERROR as error:
        error.show()  # type: ignore[attr-defined]
        sys.exit(Exit.USAGE if isinstance(error, USAGE_ERROR) else Exit.FAILED)
    except I2VError as error:
        err.print(Text("Error: ", style="bold red").append(error.message, style="not bold default"))
        if error.remedy:
            err.print(Text(f"  {error.remedy}"))
        sys.exit(exit_code(error))
