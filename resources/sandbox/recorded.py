"""Entries of models whose bodies the code does not know, each in a file of ``models/``.

They are written from the facts page and from public documentation: ids, fields and limits, no text of others.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "models"
"""The folder of the recorded entries."""


@lru_cache(maxsize=1)
def recorded_entries() -> "tuple[dict[str, Any], ...]":
    """Return every recorded entry, ordered by file name."""
    return tuple(json.loads(file.read_text(encoding="utf-8")) for file in sorted(MODELS.glob("*.json")))
