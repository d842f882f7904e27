"""``python -m i2v_assets.guard_proxy --upstream http://i2v-dagster-webserver:3000``: the guard as a proxy of its own.

For places where something else starts Dagster's webserver (its Helm chart does); network policy lets only this in there.
"""

import argparse
import sys
from collections.abc import Sequence

from starlette.types import ASGIApp

from i2v_assets.guard import Guard
from i2v_assets.partition_page import PartitionPage
from resources.errors import I2VError
from resources.settings import read_ui_hosts
from resources.upstream_proxy import UpstreamProxy

PORT = 3000


def guarded_proxy(upstream: str, names: frozenset[str]) -> ASGIApp:
    """Return the guard over a proxy to a webserver.

    Raises:
        SettingsError: the address is not one.
    """
    return Guard(PartitionPage(UpstreamProxy(upstream)), names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m i2v_assets.guard_proxy", description=__doc__)
    parser.add_argument("--upstream", required=True, help="address of Dagster's webserver")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args(arguments)
    try:
        app = guarded_proxy(given.upstream, read_ui_hosts())
    except I2VError as error:
        print(f"Error: {error.text}", file=sys.stderr)
        return 64
    import uvicorn

    uvicorn.run(
        app, host=given.host, port=given.port, log_level="warning", access_log=False, proxy_headers=False,
        server_header=False, date_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
