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
from i2v_assets.cli.dev.services import local_services
from i2v_assets.cli.environment import DEV_FOLDER, KEPT_IN_DEV, data_root, enter, write_dev_file
from resources.settings import load_settings
from resources.storage.bucket import Bucket

app = typer.Typer()


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
    require_free(port)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    folder = data_root() / DEV_FOLDER
    with local_services(folder, sandbox={"generation_seconds": generation_seconds}, keep=KEPT_IN_DEV) as services:
        left = write_dev_file({name: value for name, value in services.environment.items() if _ours(name)})
        try:
            enter(services.environment)
            Bucket.from_settings(load_settings()).ensure()
            with local_dagster(services, port, stopped.is_set) as dagster:
                if dagster is not None:
                    err.print(f"Dagster UI:  http://127.0.0.1:{port}", highlight=False)
                    err.print("Drop a file in:  .venv/bin/i2v --dev upload FILE...", highlight=False)
                    err.print(f"Logs: {services.data_dir / 'logs'}    Ctrl-C ends everything.", highlight=False)
                    dagster.watch(stopped)
                err.print("Stopping ...")
        finally:
            left.unlink(missing_ok=True)


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
