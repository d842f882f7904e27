"""`i2v serve`: Dagster for the service of the settings, on one machine, until Ctrl-C."""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from i2v_assets.cli.console import err
from i2v_assets.cli.disk import require_room
from i2v_assets.cli.environment import data_root, locked
from i2v_assets.cli.exit_codes import UsageProblem

app = typer.Typer()

_FILES = ("I2V_PRESETS_FILE", "I2V_C2PA_CERTIFICATE", "I2V_C2PA_KEY", "RUNCOMFY_CONFIG_DIR", "AWS_CONFIG_FILE")
"""Settings that may name a file from the folder in which the command was started; the processes work in another one."""


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Dagster UI.")] = 3000,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. One beyond this machine needs I2V_UI_HOSTS, and a login before it."),
    ] = "127.0.0.1",
) -> None:
    """Keep Dagster up for the service of the settings: the UI behind its guard, sensors, schedules and runs.

    Settings come from the environment and from `.env` in this folder. Ctrl-C, or SIGTERM, ends all of it; what was sent
    to the service is fetched after the next start.

        i2v serve
    """
    from i2v_assets.cli.dev.dagster import local_dagster, require_free
    from i2v_assets.cli.dev.services import Programs
    from resources.own_origin import parse_hosts
    from resources.runcomfy.credentials import require_token
    from resources.settings import LOOPBACK_HOSTS, load_settings

    settings = load_settings()
    names = sorted(parse_hosts(settings.ui_hosts))
    if host not in LOOPBACK_HOSTS and not names:
        raise UsageProblem(
            f"{host} lets other machines reach the UI, which has no login.",
            remedy="Set I2V_UI_HOSTS to the names that people use for it, and put a login before it (docs/deploy.md).",
        )
    # Without them the UI would come up, and every sensor fail unseen.
    _ = settings.required_bucket
    require_token(settings)
    require_free(port, host)
    require_room(data_root())
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    folder = (data_root() / "serve").absolute()
    with locked(folder):
        folder.mkdir(parents=True, exist_ok=True)
        programs = Programs(folder, _environment(os.environ))
        with local_dagster(programs, port, stopped.is_set, host) as dagster:
            if dagster is not None:
                shown = f"[{host}]" if ":" in host else host
                err.print(f"Dagster UI:  http://{shown}:{port}", highlight=False, markup=False)
                if names:
                    err.print(f"It also answers as: {', '.join(names)}", highlight=False, markup=False)
                err.print(f"Videos are made by: {settings.service}", highlight=False)
                err.print(f"Logs: {folder / 'logs'}    Ctrl-C ends everything.", highlight=False, markup=False)
                dagster.watch(stopped)
            err.print("Stopping ...")


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the processes' environment: this one's, with whole paths and a home for Dagster."""
    from i2v_assets.cli.dev.services import dagster_home

    root = data_root().absolute()
    home = Path(given["DAGSTER_HOME"]).absolute() if given.get("DAGSTER_HOME") else None
    if home is None or not (home / "dagster.yaml").exists():  # a home with settings of its own stays as it is
        home = dagster_home(root, home)
    files = {
        name: str(Path(given[name]).absolute()) for name in _FILES if given.get(name) and Path(given[name]).exists()
    }
    return {
        **given,
        **files,
        "I2V_DATA_DIR": str(root),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
