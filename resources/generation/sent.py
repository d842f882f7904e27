"""What this process has sent and was answered, whatever becomes of the ledger.

A database that fails over may come back without the latest commits: the claim, or the whole row, is missing on the copy
that was promoted. What was sent before is then written to the new row, and is never sent again.
"""

from dataclasses import dataclass, replace
from typing import Final

from resources.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Sent:
    """One POST of this process, or one request that it polled: the id is None until an answer named it."""

    attempt: int
    owner: str
    request_id: str | None = None
    recorded: bool = False


class SentMemory:
    """By fingerprint and attempt: every POST that may have arrived."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[int, Sent]] = {}

    def begin(self, fingerprint: str, attempt: int, owner: str) -> None:
        """A POST is about to go out."""
        self._sent.setdefault(fingerprint, {})[attempt] = Sent(attempt, owner)

    def forget(self, fingerprint: str, attempt: int) -> None:
        """That POST provably made nothing: it never arrived, or was refused without an id."""
        self._sent.get(fingerprint, {}).pop(attempt, None)

    def answered(self, fingerprint: str, attempt: int, owner: str, request_id: str, *, recorded: bool = False) -> None:
        """The service has the request under this id; ``recorded`` once the ledger has it too."""
        self._sent.setdefault(fingerprint, {})[attempt] = Sent(attempt, owner, request_id, recorded)

    def of(self, fingerprint: str, attempt: int) -> Sent | None:
        """Return what was sent at this attempt or a later one: the latest with an id, else the latest; None if nothing."""
        later = [each for number, each in self._sent.get(fingerprint, {}).items() if number >= attempt]
        return max(later, key=lambda each: (each.request_id is not None, each.attempt), default=None)

    def recorded(self, fingerprint: str, attempt: int) -> None:
        """The ledger has the id."""
        sent = self._sent.get(fingerprint, {})
        if attempt in sent:
            sent[attempt] = replace(sent[attempt], recorded=True)

    def unrecorded(self, owner: str) -> list[tuple[str, Sent]]:
        """Return the ids of an owner's POSTs that the ledger has not taken yet, by fingerprint."""
        return [
            (fingerprint, each)
            for fingerprint, attempts in self._sent.items()
            for each in attempts.values()
            if each.owner == owner and each.request_id is not None and not each.recorded
        ]


_BY_LEDGER: Final[dict[str, SentMemory]] = {}
"""One memory per ledger and process, so that a later run of this process knows what an earlier one sent."""


def memory_of(ledger: Ledger) -> SentMemory:
    """Return this process's memory of what it sent for a ledger."""
    return _BY_LEDGER.setdefault(ledger.engine.url.render_as_string(hide_password=True), SentMemory())
