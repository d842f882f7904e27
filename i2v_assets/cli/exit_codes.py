"""Exit codes, the same as the vendor's tool where it has one (docs/runcomfy-api.md, section 7)."""

from enum import IntEnum

from resources.errors import ErrorCode, I2VError, Verdict


class Exit(IntEnum):
    """The exit codes of `i2v`."""

    OK = 0
    FAILED = 1
    """The service failed or refused the generation."""
    USAGE = 64
    """Bad arguments or settings."""
    DATA = 65
    """An input file or brief that is malformed or outside the limits."""
    NO_INPUT = 66
    """A file of this machine that was named is not there, or cannot be read."""
    UNAVAILABLE = 69
    """The service or the bucket answers with server errors, or not at all."""
    TRY_LATER = 75
    """Held, outcome unknown, or a pace limit: run it again later, it does not pay twice."""
    NO_TOKEN = 77
    """Not signed in, or the token was rejected."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it (128 + SIGINT)."""


REQUEST_TIMEOUT = 408
"""The service gave up waiting for the call: it can be made again, which is not a fault of the service's."""

BY_CODE = {
    ErrorCode.MISSING_TOKEN: Exit.NO_TOKEN,
    ErrorCode.UNAUTHORIZED: Exit.NO_TOKEN,
    ErrorCode.FORBIDDEN: Exit.NO_TOKEN,
    ErrorCode.LOGIN_FAILED: Exit.NO_TOKEN,
    ErrorCode.NO_INPUT: Exit.NO_INPUT,
    ErrorCode.INPUT: Exit.DATA,
    ErrorCode.INVALID_INPUT: Exit.DATA,
    ErrorCode.SETTINGS: Exit.USAGE,
    ErrorCode.USAGE: Exit.USAGE,
    ErrorCode.UNKNOWN_MODEL: Exit.USAGE,
    ErrorCode.UNUSABLE_MODEL: Exit.USAGE,
    ErrorCode.LEDGER_USAGE: Exit.USAGE,
    ErrorCode.LEDGER_FOREIGN: Exit.USAGE,
    ErrorCode.NO_SUCH_CLIP: Exit.USAGE,
    ErrorCode.STORAGE_SETUP: Exit.USAGE,
    ErrorCode.FINAL_OUTCOME: Exit.FAILED,
    ErrorCode.SERVICE_UNAVAILABLE: Exit.UNAVAILABLE,
    ErrorCode.FAMILY_UNAVAILABLE: Exit.UNAVAILABLE,
    ErrorCode.STORAGE_UNAVAILABLE: Exit.UNAVAILABLE,
    ErrorCode.LEDGER_UNAVAILABLE: Exit.UNAVAILABLE,
    ErrorCode.SERVER_NOT_STARTED: Exit.UNAVAILABLE,
}
"""Codes that have an exit code of their own; any other error's verdict decides."""


class UsageProblem(I2VError):
    """The arguments do not fit together."""

    code = ErrorCode.USAGE


class NoInput(I2VError):
    """A file of this machine that was named is not there, or cannot be read."""

    code = ErrorCode.NO_INPUT


class DataProblem(I2VError):
    """An input that was given cannot be used as it is."""

    code = ErrorCode.INPUT


class TryLater(I2VError):
    """Nothing is wrong, but it cannot be done now."""

    verdict = Verdict.RETRYABLE
    code = ErrorCode.TRY_LATER


def exit_code(error: I2VError) -> Exit:
    """Return the exit code of an error."""
    if error.http_status == REQUEST_TIMEOUT:
        return Exit.TRY_LATER
    other = Exit.FAILED if error.verdict is Verdict.FINAL else Exit.TRY_LATER
    return BY_CODE.get(error.code, other)
