"""`i2v demo`, `i2v dev` and `i2v sandbox`: the whole project on one machine, without a token."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from i2v_assets.cli.console import err
from i2v_assets.cli.dev.dagster import local_dagster, require_free
from i2v_assets.cli.dev.demo import run_demo
from i2v_assets.cli.dev.ready_lines import ready_lines
from i2v_assets.cli.dev.services import local_services
from i2v_assets.cli.disk import require_room
from i2v_assets.cli.environment import KEPT_IN_DEV, data_root, enter
from i2v_assets.cli.exit_codes import TryLater, UsageProblem
from i2v_assets.cli.running_dev import DEV_FOLDER, announced, dev_command, environment_of, running_devs
from resources.settings import load_settings
from resources.storage.bucket import Bucket
from resources.storage.keys import GALLERY

app = typer.Typer()

DEV_SETTLE_SECONDS = "3"
"""A person watches, and no upload comes over a slow line to this machine."""


@app.command()
def demo(
    output_dir: Annotated[Path, typer.Option(help="Where the finished files go.")] = Path("demo-videos"),
) -> None:
    """Make videos of sample images in the sandbox, from start to end: no token, no money."""
    raise typer.Exit(run_demo(data_root() / "demo", output_dir))


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Of the Dagster UI, on 127.0.0.1.")] = 3000,
    generation_seconds: Annotated[float, typer.Option(help="How long the sandbox takes for a clip (median).")] = 10,
) -> None:
    """Run the local services and the Dagster UI, with sensors and schedules on, until Ctrl-C."""
    _refuse_second(port)
    require_room(data_root())
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    folder = data_root() / DEV_FOLDER
    settings = {
        "I2V_SETTLE_SECONDS": os.environ.get("I2V_SETTLE_SECONDS") or DEV_SETTLE_SECONDS,
        "I2V_UI_URL": f"http://127.0.0.1:{port}",
        "I2V_COMMAND": dev_command(anywhere=True),
    }
    pace = {"generation_seconds": generation_seconds}
    with local_services(folder, sandbox=pace, settings=settings, keep=KEPT_IN_DEV) as services:
        ours = {name: value for name, value in services.environment.items() if _ours(name)}
        enter(services.environment)
        bucket = load_settings().bucket
        with announced(folder, ours):
            Bucket.from_settings(load_settings()).ensure()
            with local_dagster(services, port, stopped.is_set) as dagster:
                if dagster is not None:
                    pages = (
                        f"Dagster UI:  http://127.0.0.1:{port}",
                        f"Gallery:     {services.link_base}{GALLERY}index.html (after the first clip)",
                    )
                    for line in (*pages, *ready_lines(ours, bucket)):
                        err.print(line, markup=False, highlight=False, soft_wrap=True)
                    logs = f"Logs: {services.data_dir / 'logs'}    Ctrl-C ends everything."
                    err.print(logs, markup=False, highlight=False)
                    dagster.watch(stopped)
                err.print("Stopping ...")


def _refuse_second(port: int) -> None:
    """Refuse to start beside a `make dev` that has this folder or this port.

    Raises:
        TryLater: one works in this folder.
        UsageProblem: the port is taken.
    """
    own, address = (data_root() / DEV_FOLDER).absolute(), f"http://127.0.0.1:{port}"
    running = {folder: environment_of(folder).get("I2V_UI_URL", "") for folder in running_devs()}
    if own in running:
        raise TryLater(
            f"`make dev` is already running here. Its Dagster UI is {running[own] or address}.",
            remedy=f"Work with it: {dev_command()} status. To start it anew, end it first with Ctrl-C in its shell.",
        )
    for folder, its_address in running.items():
        if its_address == address:
            raise UsageProblem(
                f"A `make dev` is already running on port {port}, with its data in {folder.parent}.",
                remedy=f"Work with it: {dev_command()} status. For a second one: i2v dev --port {port + 1}",
            )
    require_free(port)


def _ours(name: str) -> bool:
    return name.startswith(("I2V_", "RUNCOMFY_", "AWS_", "DAGSTER_"))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def sandbox(context: typer.Context) -> None:
    """Serve the Model API locally and render real, simple videos."""
    # This process becomes the sandbox: a parent that waits for it would leave it running when it is ended itself.
    os.execv(sys.executable, [sys.executable, "-m", "resources.sandbox", *context.args])  # noqa: S606 - a list, no shell
