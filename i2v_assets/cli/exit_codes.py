"""Exit codes, the same as the vendor's tool where it has one (docs/runcomfy-api.md, section 7)."""

from enum import IntEnum

from resources.errors import I2VError, SettingsError, Verdict


class Exit(IntEnum):
    """The exit codes of `i2v`."""

    OK = 0
    FAILED = 1
    """The service failed or refused the generation."""
    USAGE = 64
    """Bad arguments or settings."""
    DATA = 65
    """An input file or brief that is malformed or outside the limits."""
    UNAVAILABLE = 69
    """The service or the bucket answers with server errors, or not at all."""
    TRY_LATER = 75
    """Held, outcome unknown, or a pace limit: run it again later, it does not pay twice."""
    NO_TOKEN = 77
    """Not signed in, or the token was rejected."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it (128 + SIGINT)."""


BY_CLASS = {
    "MissingToken": Exit.NO_TOKEN,
    "TokenMalformed": Exit.NO_TOKEN,
    "Unauthorized": Exit.NO_TOKEN,
    "Forbidden": Exit.NO_TOKEN,
    "LoginFailed": Exit.NO_TOKEN,
    "InvalidInput": Exit.DATA,
    "DocumentError": Exit.DATA,
    "MediaError": Exit.DATA,
    "ManifestError": Exit.DATA,
    "DataProblem": Exit.DATA,
    "UnknownModel": Exit.USAGE,
    "UnknownRequest": Exit.USAGE,
    "IllegalTransition": Exit.USAGE,
    "FinalOutcome": Exit.FAILED,
    "UsageProblem": Exit.USAGE,
    "NoSuchClip": Exit.USAGE,
    "NotPossible": Exit.USAGE,
    "PlanChanged": Exit.DATA,
    "TakeNotFound": Exit.DATA,
    "BucketMissing": Exit.USAGE,
    "AccessDenied": Exit.USAGE,
    "EndpointUnreachable": Exit.USAGE,
    "ServiceUnavailable": Exit.UNAVAILABLE,
    "FamilyUnavailable": Exit.UNAVAILABLE,
    "StorageUnavailable": Exit.UNAVAILABLE,
    "LedgerUnavailable": Exit.UNAVAILABLE,
    "ServerNotStarted": Exit.UNAVAILABLE,
}
"""By the name of the class or of any of its parents, so that no room has to be imported to start the command."""


class UsageProblem(I2VError):
    """The arguments do not fit together."""


class DataProblem(I2VError):
    """An input that was given cannot be used as it is."""


class TryLater(I2VError):
    """Nothing is wrong, but it cannot be done now."""

    verdict = Verdict.RETRYABLE


def exit_code(error: I2VError) -> Exit:
    """The exit code of an error."""
    for kind in type(error).__mro__:
        if kind.__name__ in BY_CLASS:
            return BY_CLASS[kind.__name__]
    if isinstance(error, SettingsError):
        return Exit.USAGE
    return Exit.FAILED if error.verdict is Verdict.FINAL else Exit.TRY_LATER
