"""Errors of the ledger."""

from resources.errors import ErrorCode, I2VError, Verdict


class LedgerError(I2VError):
    """The ledger refused a call or could not be reached."""

    code = ErrorCode.LEDGER


class LedgerUnavailable(LedgerError):
    """The database could not be reached, read or written. Nothing was changed, or the outcome of the change is unknown.

    Send no POST after a claim that raised this.
    """

    code = ErrorCode.LEDGER_UNAVAILABLE

    verdict = Verdict.RETRYABLE


class LedgerFull(LedgerUnavailable):
    """The disk of the database is full. What is sent now could not be recorded when it is answered."""


class UnknownRequest(LedgerError):
    """No row has this fingerprint."""

    code = ErrorCode.LEDGER_USAGE


class StaleClaim(LedgerError):
    """The caller no longer owns the request: another owner or a later attempt does, or a person has to decide."""

    code = ErrorCode.LEDGER_STALE


class IllegalTransition(LedgerError):
    """The request's state does not allow this change. Nothing was changed."""

    code = ErrorCode.LEDGER_USAGE


class FinalOutcome(IllegalTransition):
    """The outcome is final for these inputs (a content refusal, an abandoned request): they are never sent again."""

    code = ErrorCode.FINAL_OUTCOME


class NotALedger(LedgerError):
    """What is there is empty, damaged, or belongs to another program: it is not begun over."""

    code = ErrorCode.LEDGER_FOREIGN
