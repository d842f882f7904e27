"""The one error tree of the project and its axis: does trying again make sense?

I2VError                       verdict FINAL unless a subclass says otherwise
|- SettingsError               a variable is missing or contradicts another
|- (resources.runcomfy)        ServiceError and its children
|- (resources.storage)         StorageError and its children
|- (resources.media)           MediaError and its children
|- (resources.ledger)          LedgerError and its children
`- (i2v_assets)                BriefError and its children
"""

from enum import StrEnum


class Verdict(StrEnum):
    """What an error proves about trying again."""

    RETRYABLE = "retryable"
    """Nothing happened, or nothing that costs: the same call may be made again."""
    FINAL = "final"
    """The same call will fail again: something has to be changed first."""
    UNKNOWN = "unknown"
    """It may have happened: hold, tell a person, and never send it again by itself."""


class I2VError(Exception):
    """An error that a person can act on.

    ``str(error)`` is one line that names the file, the limit or the call; ``remedy`` says what to do. Neither holds a
    token, a presigned URL or an output URL.
    """

    verdict: Verdict = Verdict.FINAL

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def text(self) -> str:
        """The message with its remedy, for people."""
        return f"{self.message} {self.remedy}".strip()


class SettingsError(I2VError):
    """A setting is missing, malformed or contradicts another."""
