"""The `i2v` command: results on stdout, progress and errors on stderr."""

from i2v_assets.cli.main import main

__all__ = ["main"]
