"""``python -m resources.sandbox``: the sandbox as its own process."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from resources.sandbox import config as defaults
from resources.sandbox.config import SandboxConfig, SandboxConfigError
from resources.sandbox.server import fail, serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="i2v sandbox",
        description="A local server that speaks the RunComfy Model API and renders real, simple videos.",
        epilog='Prints one line {"url": ...} once it listens. Docs: docs/sandbox.md; operator: /_sandbox/openapi.json.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=defaults.DEFAULT_PORT, help="port; 0 takes a free one")
    add("--data", type=Path, default=Path(".i2v/sandbox"), help="folder of state, media and videos")
    add("--generation-seconds", type=float, default=defaults.DEFAULT_GENERATION_SECONDS, help="median time to ready")
    add("--generation-spread", type=float, default=defaults.DEFAULT_SPREAD, help="sigma of the log-normal times")
    add("--price-per-second", type=float, default=defaults.DEFAULT_PRICE_PER_SECOND, help="dollars (play money)")
    add("--public-base", default="", help="base of the output URLs; empty: the address that the client called")
    add("--render", choices=("full", "cached"), default="full", help="cached: one file per model, length and size")
    add(
        "--scale",
        type=float,
        default=1.0,
        help="part of the requested width and height that is drawn; below 1 for tests",
    )
    add("--seed", type=int, default=0, help="decides generation times and faults with a probability")
    add("--balance", type=float, default=defaults.DEFAULT_BALANCE, help="dollars on a new account")
    add("--queue-share", type=float, default=defaults.DEFAULT_QUEUE_SHARE, help="part of the time spent in the queue")
    return parser


def build_config(arguments: Sequence[str] | None = None) -> SandboxConfig:
    """Return the configuration of a command line; None reads the process' own.

    Raises:
        SandboxConfigError: an option is out of range.
    """
    return SandboxConfig(**vars(_parser().parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    try:
        serve(build_config(arguments))
    except SandboxConfigError as error:
        return fail(error)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
