"""The `i2v` command: options that go before every command, and errors as one line and an exit code."""

import io
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated

import typer
from rich.text import Text

from i2v_assets.cli.console import err, out, print_json
from i2v_assets.cli.disk import as_problem
from i2v_assets.cli.environment import load_environment
from i2v_assets.cli.exit_codes import Exit, exit_code
from i2v_assets.cli.lazy_group import LazyGroup
from resources.errors import I2VError

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
CLICK_ERROR: type[Exception] = USAGE_ERROR.__mro__[1]
# Typer carries its own copy of click and exports only the leaves of its error tree.

app = typer.Typer(
    name="i2v",
    cls=LazyGroup,
    pretty_exceptions_enable=False,  # a pretty traceback prints local variables, and they may hold a secret
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Still images in a bucket become videos in the bucket. Start with `make demo`, or `i2v doctor`.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"i2v-assets {version('i2v-assets')}", highlight=False)
        raise typer.Exit


@app.callback()
def common(
    dev: Annotated[
        bool, typer.Option("--dev", help="Work with the services of the running `make dev`, from any folder.")
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Choose the environment before any command reads it."""
    load_environment(dev=dev)


def main() -> None:
    """Run `i2v` and exit with its code; an error becomes one line and its remedy."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    # A retry of the client is not news to a person; that it gave up comes as an error.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # in a terminal or pipe that has no such letter it is shown by its number
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app(standalone_mode=False) or Exit.OK)
    except typer.Exit as stop:
        if stop.exit_code == Exit.INTERRUPTED and not isinstance(stop.exit_code, Exit):
            err.print("Stopped.")  # typer's own exit after Ctrl-C, which no command has answered
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        err.print("Stopped.")
        sys.exit(Exit.INTERRUPTED)
    except CLICK_ERROR as error:
        error.show()  # type: ignore[attr-defined]
        sys.exit(Exit.USAGE if isinstance(error, USAGE_ERROR) else Exit.FAILED)
    except BrokenPipeError:  # `i2v status | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except OSError as error:
        sys.exit(_report(as_problem(error)))
    except I2VError as error:
        sys.exit(_report(error))


def _report(error: I2VError) -> Exit:
    """Print an error and its remedy, and return the exit code."""
    code = exit_code(error)
    if wants_json(sys.argv[1:]):
        print_json({"error": error.message, "remedy": error.remedy, "code": int(code)})
    err.print(Text("Error: ", style="bold red").append(error.message, style="not bold default"))
    if error.remedy:
        err.print(Text(f"  {error.remedy}"))
    return code


def wants_json(arguments: Sequence[str]) -> bool:
    """Return True if a program reads the output: then it is JSON even if the command fails early."""
    return not {"--json", "--output=json"}.isdisjoint(arguments) or ("--output", "json") in pairwise(arguments)
