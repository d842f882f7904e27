"""Clips by the names that people type. Imports nothing heavy: every command begins here."""

import difflib
from typing import TYPE_CHECKING

from resources.errors import I2VError

if TYPE_CHECKING:
    from resources.ledger.registry import ClipRow, Registry


class NoSuchClip(I2VError):
    """No clip has this name."""


def known_clip(registry: "Registry", clip: str) -> "ClipRow":
    """A clip by its name.

    Raises:
        NoSuchClip: there is none; names those that look like it, or why its upload was refused.
    """
    row = registry.get(clip)
    if row is None:
        for refused in registry.refusals.now(clip):
            raise NoSuchClip(f"{clip} is no clip yet, its upload is refused: {refused.words}", remedy=refused.remedy)
        near = difflib.get_close_matches(clip, [found.clip for found in registry.list()], 3)
        remedy = f"Did you mean {', '.join(near)}?" if near else "`i2v status` lists them."
        raise NoSuchClip(f"There is no clip {clip!r}.", remedy=remedy)
    return row
