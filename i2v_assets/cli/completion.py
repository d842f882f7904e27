"""Names of clips for the shell's completion; `i2v --install-completion` sets it up."""

from pathlib import Path
from typing import Any

MOST = 200
"""Names that are offered at once: more than a person reads."""


_SQLITE = "sqlite:///"


def complete_names(ctx: Any, incomplete: str) -> list[str]:
    """Return the clips whose name begins so. Without a ledger there are none; a completion says nothing on its own."""
    from i2v_assets.cli.environment import load_environment
    from i2v_assets.session import open_session
    from resources.errors import I2VError
    from resources.settings import load_settings

    try:
        load_environment(dev=bool(ctx.find_root().params.get("dev")))
        address = load_settings().ledger_address
        if address.startswith(_SQLITE) and not Path(address.removeprefix(_SQLITE)).exists():
            return []  # a completion begins no ledger
        with open_session() as session:
            names = [row.clip for row in session.registry.list() if row.clip.startswith(incomplete)]
    except (I2VError, OSError):
        return []
    given = {
        str(each) for value in ctx.params.values() for each in (value if isinstance(value, list | tuple) else [value])
    }
    return [name for name in names if name not in given][:MOST]
