"""`i2v metrics`: serve the ledger's figures for Prometheus."""

import signal
import threading
from typing import Annotated

import typer

from i2v_assets.cli.console import err
from i2v_assets.cli.exit_codes import UsageProblem
from resources import logs
from resources.metrics.server import serving
from resources.settings import load_settings

app = typer.Typer()

PORT = 9464
"""The port that OpenTelemetry's Prometheus exporters take by default."""


@app.command()
def metrics(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines scrape; there is no login.")] = "127.0.0.1",
) -> None:
    """Serve the ledger's figures for Prometheus until Ctrl-C.

    docs/operations.md has the list and what to alert on.

    i2v metrics --port 9464
    """
    settings = load_settings()
    logs.configure(settings)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with serving(settings, host=host, port=port) as taken:
            err.print(f"Metrics: http://{host}:{taken}/metrics", highlight=False)
            stopped.wait()
    except OSError as error:
        raise UsageProblem(f"{host}:{port} cannot be used: {error.strerror}.", remedy="Give another --port.") from None
