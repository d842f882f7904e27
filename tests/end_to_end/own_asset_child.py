"""A run of the example of docs/your-own-assets.md whose process dies right after a step of its request is recorded.

Usage: python own_asset_child.py PAGE {submitted|succeeded|delivered}; exits 9 when it died there.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from resources.ledger.ledger import Ledger


def die_after(step: str) -> None:
    """End the process, as a kill does, when the ledger has recorded the step."""
    record = getattr(Ledger, step)

    def recorded(*given: Any, **named: Any) -> None:
        record(*given, **named)
        os._exit(9)

    setattr(Ledger, step, recorded)


def main() -> None:
    page, step = sys.argv[1:]
    (code, *_) = re.findall(r"```python\n(.*?)```", Path(page).read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "your_assets"}
    exec(compile(code, page, "exec"), names)
    die_after(step)
    with dg.DagsterInstance.get() as instance:
        names["defs"].get_implicit_global_asset_job_def().execute_in_process(instance=instance)


if __name__ == "__main__":
    main()
