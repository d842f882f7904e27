"""The one error tree of the project and its axis: does trying again make sense?

I2VError                       verdict FINAL unless a subclass says otherwise
|- SettingsError               a variable is missing or contradicts another
|- (resources.runcomfy)        ServiceError and its children
|- (resources.storage)         StorageError and its children
|- (resources.media)           MediaError and its children
|- (resources.ledger)          LedgerError and its children
`- (i2v_assets)                BriefError and its children
"""

import traceback
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """What an error proves about trying again."""

    RETRYABLE = "retryable"
    """Nothing happened, or nothing that costs: the same call may be made again."""
    FINAL = "final"
    """The same call will fail again: something has to be changed first."""
    UNKNOWN = "unknown"
    """It may have happened: hold, tell a person, and never send it again by itself."""


class ErrorCode(StrEnum):
    """What went wrong, for programs: exit codes, remedies and alerts are made from it, never from a message."""

    ERROR = "error"
    """Nothing more exact is known."""
    SETTINGS = "settings"
    USAGE = "usage"
    """The arguments do not fit together."""
    INPUT = "input"
    """A file, document or body that a person gave cannot be used as it is."""
    TRY_LATER = "try_later"
    INTERNAL = "internal"
    """A bug in this project."""

    MISSING_TOKEN = "missing_token"  # noqa: S105 - a word, not a token
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    LOGIN_FAILED = "login_failed"

    NO_INPUT = "no_input"
    """A file of this machine that was named is not there, or cannot be read."""

    SERVICE = "service"
    SERVICE_UNAVAILABLE = "service_unavailable"
    RATE_LIMITED = "rate_limited"
    NOT_SENT = "not_sent"
    NOT_READY = "not_ready"
    REJECTED = "rejected"
    INVALID_INPUT = "invalid_input"
    """The service says that the body does not match the model's schema."""
    CONTENT_REFUSED = "content_refused"
    UNKNOWN_MODEL = "unknown_model"
    FAMILY_UNAVAILABLE = "family_unavailable"
    UNUSABLE_MODEL = "unusable_model"
    """The model cannot be used by its live schema, or its entry says that it makes no video."""
    UNKNOWN_PRICE = "unknown_price"
    REQUEST_GONE = "request_gone"
    OUTCOME_UNKNOWN = "outcome_unknown"
    GENERATION_FAILED = "generation_failed"
    """The service ended the request without a video."""
    DOWNLOAD = "download"
    OUTPUT_GONE = "output_gone"

    STORAGE = "storage"
    STORAGE_SETUP = "storage_setup"
    """The bucket's name, credentials or endpoint are wrong."""
    STORAGE_UNAVAILABLE = "storage_unavailable"
    OBJECT_MISSING = "object_missing"

    LEDGER = "ledger"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    LEDGER_STALE = "ledger_stale"
    LEDGER_USAGE = "ledger_usage"
    """The named request does not exist, or its state does not allow the change."""
    FINAL_OUTCOME = "final_outcome"
    LEDGER_FOREIGN = "ledger_foreign"
    """The file or database is not the ledger that the bucket knows, or is none."""

    NO_SUCH_CLIP = "no_such_clip"
    CLIP_BUSY = "clip_busy"
    SERVER_NOT_STARTED = "server_not_started"


class I2VError(Exception):
    """An error that a person can act on.

    ``str(error)`` is one line that names the file, the limit or the call; ``remedy`` says what to do. Neither holds a
    token, a presigned URL or an output URL. Both are for people: programs read the attributes.

    Attributes:
        code: What went wrong; of the class unless an error names a more exact one.
        verdict: What the error proves about trying again.
        http_status: The HTTP status of the answer that caused it, None if there was none.
        request_id: The service's id of the request that it is about, None if there is none.
        context: Further facts by name, such as the file or the setting.
    """

    verdict: Verdict = Verdict.FINAL
    code: ErrorCode = ErrorCode.ERROR

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: ErrorCode | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code or type(self).code
        self.http_status = http_status
        self.request_id = request_id
        self.context: Mapping[str, str] = dict(context or {})

    @property
    def text(self) -> str:
        """The message with its remedy, for people."""
        return f"{self.message} {self.remedy}".strip()


def where_raised(error: BaseException) -> str:
    """Return an exception's type and place without its words, which may name what must not be shown."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"


class UnforeseenError(I2VError):
    """A bug in this project stopped one piece of work; says where, and none of the exception's own words."""

    code = ErrorCode.INTERNAL

    def __init__(self, what: str, error: BaseException) -> None:
        super().__init__(
            f"{what} because of a bug in i2v-assets ({where_raised(error)}).",
            remedy="Please report it with these words. The files are not the cause as far as is known.",
        )


class SettingsError(I2VError):
    """A setting is missing, malformed or contradicts another."""

    code = ErrorCode.SETTINGS
