"""``python -m resources.metrics --port 9464``: the exporter as its own process."""

import argparse
import signal
import sys
import threading

from resources import logs
from resources.errors import I2VError
from resources.metrics.server import serving
from resources.settings import load_settings

PORT = 9464
"""The default port of OpenTelemetry's Prometheus exporters."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m resources.metrics", description="Prometheus metrics.")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines scrape; there is no login")
    given = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        settings = load_settings()
        logs.configure(settings)
        with serving(settings, host=given.host, port=given.port) as port:
            print(f"Metrics: http://{given.host}:{port}/metrics", file=sys.stderr, flush=True)
            stopped.wait()
    except I2VError as error:
        print(f"Error: {error.text}", file=sys.stderr)
        return 64
    except OSError as error:
        print(f"Error: {given.host}:{given.port} cannot be used: {error.strerror}.", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
