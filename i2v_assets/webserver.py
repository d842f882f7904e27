"""``python -m i2v_assets.webserver -w workspace.yaml``: Dagster's webserver behind the guard, in one process.

`dagster-webserver` and `dagster dev` serve the same app without a guard.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from i2v_assets.guard import Guard
from i2v_assets.partition_page import PartitionPage
from resources.errors import I2VError
from resources.settings import read_ui_hosts

PORT = 3000
STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW = 15_000, 3600, 20
"""The defaults of `dagster-webserver`."""

LIVE_DATA_POLL_MS = 2000
"""How often an open page asks for news; the default of `dagster-webserver`."""

STOP_SECONDS = 2
"""How long open pages, which hold WebSockets, may delay the end."""


def serve(workspace: str, host: str, port: int, pool_recycle: int = POOL_RECYCLE_SECONDS) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        workspace: path of the workspace file.
        host: address to listen on.
        port: to listen on.
        pool_recycle: seconds after which a connection to the database is replaced.

    Raises:
        SettingsError: I2V_UI_HOSTS is malformed.
        SystemExit: the port is taken.
    """
    names = read_ui_hosts()  # before the seconds that the imports take

    import uvicorn
    from dagster import DagsterInstance
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    from i2v_assets.defs.check_states import keep_check_states
    from i2v_assets.defs.dagster_internals import open_workspace

    with DagsterInstance.get() as instance:
        keep_check_states(instance)
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, pool_recycle, POOL_OVERFLOW)
        with open_workspace(instance, workspace, __version__) as context:
            app = create_app_from_workspace_process_context(context, "", LIVE_DATA_POLL_MS, lifespan=_lifespan)
            uvicorn.run(
                Guard(PartitionPage(app), names),
                host=host,
                port=port,
                log_level="warning",
                proxy_headers=False,  # the guard reads the scheme itself
                timeout_graceful_shutdown=STOP_SECONDS,
            )


@asynccontextmanager
async def _lifespan(_: object) -> AsyncIterator[None]:
    import asyncio

    with suppress(asyncio.CancelledError):  # how uvicorn ends on a signal
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve with the options of a command line, which are those of `dagster-webserver`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m i2v_assets.webserver", description=__doc__, add_help=False)
    parser.add_argument("--help", action="help")
    parser.add_argument("-w", "--workspace", default="workspace.yaml")
    parser.add_argument("-h", "--host", default="127.0.0.1")
    parser.add_argument("-p", "--port", type=int, default=PORT)
    parser.add_argument("--db-pool-recycle", type=int, default=POOL_RECYCLE_SECONDS)
    given = parser.parse_args(arguments)
    try:
        serve(given.workspace, given.host, given.port, given.db_pool_recycle)
    except I2VError as error:
        print(f"Error: {error.text}", file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.exit(main())
