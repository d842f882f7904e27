"""How many requests a clip that waits for the budget still needs, as its run knew it: of a voice in pieces, several."""

from resources.registry.rows import ClipRow
from resources.registry.uploads import UploadMemory


def remember_requests_to_come(memory: UploadMemory, clip: str, fingerprint: str, requests: int) -> None:
    """Remember it for the plan with this fingerprint."""
    memory.remember_facts(_key(clip), fingerprint, {"requests": requests})


def requests_to_come(memory: UploadMemory, row: ClipRow) -> int:
    """Return it; 1 for a clip of which nothing else was remembered."""
    known = memory.facts(_key(row.clip), row.planned_fingerprint or "")
    return int(known["requests"]) if known else 1


def _key(clip: str) -> str:
    return f"requests:{clip}"
