"""The films whose shots wait because the film cannot be made as it is, and until when they do."""

from datetime import datetime, timedelta

from resources.ledger.records import Caps
from resources.registry.uploads import UploadMemory

HOLD_FOR = timedelta(hours=1)
"""As a wait for the catalogue: what holds a film may lie outside it (a setting, a preset, a model), and planning is free."""
_HELD = "held"


def hold_film(
    memory: UploadMemory, film: str, mark: str | None, now: datetime, *, microdollars: int = 0, requests: int = 0
) -> None:
    """Remember that a film cannot be made as it is.

    Args:
        memory: The registry's.
        film: The key of its file.
        mark: What it is made from (`ResolvedFilm.mark`); another mark ends the hold. None if that could not be read.
        now: When it was found; `HOLD_FOR` later it is planned again.
        microdollars: What one of its shots may cost, if that is what no cap has room for: a higher cap ends the hold.
        requests: The number of that shot's requests.
    """
    held = {"mark": mark, "at": now.timestamp(), "microdollars": microdollars, "requests": requests}
    memory.remember_facts(_key(film), _HELD, held)


def is_held(memory: UploadMemory, film: str, caps: Caps, now: datetime) -> bool:
    """Return whether a film is still as it was when it could not be made, within the last `HOLD_FOR`."""
    held = memory.facts(_key(film), _HELD)
    if not held or now.timestamp() - held.get("at", 0) > HOLD_FOR.total_seconds():
        return False
    return not (held["requests"] and caps.ever_allow(held["microdollars"], held["requests"]))


def release_changed(memory: UploadMemory, film: str, mark: str) -> None:
    """End the hold of a film that is made from something else now."""
    held = memory.facts(_key(film), _HELD)
    if held and held["mark"] not in (mark, None):
        memory.remember_facts(_key(film), _HELD, {})


def release_film(memory: UploadMemory, film: str) -> None:
    """End the hold of a film that can be made."""
    if memory.facts(_key(film), _HELD):
        memory.remember_facts(_key(film), _HELD, {})


def _key(film: str) -> str:
    return f"film:{film}"
