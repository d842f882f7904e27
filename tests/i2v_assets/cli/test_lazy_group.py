"""The list of commands, which `i2v --help` shows without importing any of them, agrees with the commands themselves."""

import importlib
import pkgutil

import pytest
import typer

from i2v_assets import cli
from i2v_assets.cli.lazy_group import COMMANDS

COMMON = "main"
"""The module of the options before every command; its app has no command of its own."""


def commands():
    """Every command of every module of the command line: name -> (module, command)."""
    found = {}
    for info in pkgutil.walk_packages(cli.__path__, prefix=f"{cli.__name__}."):
        name = info.name.removeprefix(f"{cli.__name__}.")
        app = getattr(importlib.import_module(info.name), "app", None)
        if isinstance(app, typer.Typer) and name != COMMON:
            group = typer.main.get_group(app)
            for each in [group] if group.name else group.commands.values():
                assert each.name not in found, f"two commands are called {each.name}"
                found[each.name] = (name, each)
    return found


@pytest.fixture(scope="module")
def defined():
    return commands()


def test_every_command_is_listed_with_its_module(defined):
    assert {name: module for name, (module, _) in defined.items()} == {
        name: listed[0] for name, listed in COMMANDS.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_first_line_of_the_commands_own_help(defined, name):
    command = defined[name][1]
    assert COMMANDS[name][1] == (command.short_help or command.help).strip().splitlines()[0]
