"""What can go wrong with the ledger."""

from resources.errors import I2VError, Verdict


class LedgerError(I2VError):
    """The ledger refused a call, or could not be reached."""


class LedgerUnavailable(LedgerError):
    """The database could not be reached, read or written; nothing was changed, or the change is not known.

    A claim that raised this must not be followed by a POST.
    """

    verdict = Verdict.RETRYABLE


class UnknownRequest(LedgerError):
    """No row has this fingerprint."""


class StaleClaim(LedgerError):
    """The caller no longer holds the request: another owner or a later attempt does, or a person has to decide."""


class IllegalTransition(LedgerError):
    """The request's state does not allow this change; nothing was changed."""


class FinalOutcome(IllegalTransition):
    """The outcome is final for these inputs (a content refusal, a given-up request): it is never sent again."""
