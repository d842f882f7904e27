"""Errors of the service, named by what each failure proves.

I2VError
|- MissingToken                 FINAL      no token is configured
|- TokenMalformed              FINAL      the token could not be a token
`- ServiceError
   |- NotSent                  RETRYABLE  the submit did not leave this machine
   |- RateLimited              RETRYABLE  429; `retry_after` seconds where the service says so
   |- Rejected                 FINAL      the service answered no; `service_code` is its own number
   |  |- Unauthorized                     token missing, expired or revoked
   |  |- InsufficientBalance
   |  |- UnknownModel
   |  |- RequestGone                      the service forgot the request
   |  |- InvalidInput                     the body does not match the schema
   |  `- Forbidden                        somebody else's request
   |- OutcomeUnknown           UNKNOWN    only from submit: it may have been accepted and charged
   |- ServiceUnavailable       RETRYABLE  a question (never a submit) went unanswered, retries included
   |- NotReady                 RETRYABLE  the result was asked too early
   |- FamilyUnavailable        FINAL      none of a family's model ids answers
   |- Unusable                 FINAL      the model cannot be used by its live schema, or it makes no video
   |- UnknownPriceUnit         FINAL      the catalogue's price cannot be read, so nothing is paid by it
   |- LoginFailed              FINAL      the device login was denied or ran out
   `- DownloadError
      |- DisallowedHost        FINAL      the output's address breaks the host rule
      |- TooLarge              FINAL
      |- Truncated             RETRYABLE  the body ended early
      |- DownloadFailed        RETRYABLE
      |  |- TooSlow                       others should go first
      |  `- NoVideo                       the file has no two frames that can be decoded
      `- OutputGone            FINAL

No message holds a token, a presigned URL or an output URL: external texts go through ``redact.redact_line`` first, and
exceptions of the HTTP library, whose messages and attributes hold them, are never chained.
"""

from resources.errors import ErrorCode, I2VError, Verdict


class MissingToken(I2VError):
    """No token was found in the environment or in the token file."""

    code = ErrorCode.MISSING_TOKEN


class TokenMalformed(I2VError):
    """A token must be printable ASCII without white space."""

    code = ErrorCode.MISSING_TOKEN


class ServiceError(I2VError):
    """An error of the service or of the connection to it."""

    code = ErrorCode.SERVICE


class NotSent(ServiceError):
    """The submit provably never reached the service: it may be sent again."""

    code = ErrorCode.NOT_SENT

    verdict = Verdict.RETRYABLE


class RateLimited(ServiceError):
    """429: too many requests; the service did nothing.

    Attributes:
        retry_after: Seconds that the service asked for, None if it gave none.
    """

    code = ErrorCode.RATE_LIMITED

    verdict = Verdict.RETRYABLE

    def __init__(
        self, message: str, *, retry_after: float | None = None, remedy: str = "", http_status: int | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, http_status=http_status)
        self.retry_after = retry_after


class Rejected(ServiceError):
    """The service refused the call.

    Attributes:
        service_code: The service's own numeric code, or the HTTP status if the body had none.
    """

    code = ErrorCode.REJECTED

    def __init__(
        self, message: str, *, service_code: int | None = None, http_status: int | None = None, remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy, http_status=http_status)
        self.service_code = service_code


class Unauthorized(Rejected):
    """The token is missing, expired or revoked, or the account is inactive."""

    code = ErrorCode.UNAUTHORIZED


class InsufficientBalance(Rejected):
    """The account has no balance left."""

    code = ErrorCode.INSUFFICIENT_BALANCE


class UnknownModel(Rejected):
    """The service does not know the model id."""

    code = ErrorCode.UNKNOWN_MODEL


class RequestGone(Rejected):
    """The service does not know the request: wrong id, deleted or expired."""

    code = ErrorCode.REQUEST_GONE


class InvalidInput(Rejected):
    """The body does not match the model's schema."""

    code = ErrorCode.INVALID_INPUT


class Forbidden(Rejected):
    """The request belongs to another account."""

    code = ErrorCode.FORBIDDEN


class OutcomeUnknown(ServiceError):
    """The submit was or may have been sent, and no readable answer came: it may have been accepted and charged.

    Attributes:
        request_id: The id, if an otherwise unreadable answer contained one.
        named_ids: All ids that the answer names; the service is asked for each before anything is sent again.
        refusal: What the answer means if the service knows none of them; None if it proves nothing then.
    """

    code = ErrorCode.OUTCOME_UNKNOWN

    verdict = Verdict.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        request_id: str | None = None,
        remedy: str = "",
        http_status: int | None = None,
        named_ids: tuple[str, ...] = (),
        refusal: ServiceError | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, request_id=request_id, http_status=http_status)
        self.named_ids = named_ids
        self.refusal = refusal


class ServiceUnavailable(ServiceError):
    """A read call got no answer: 5xx, timeout, disconnect or nonsense, after all retries.

    Attributes:
        retry_after: Seconds that the service asked for, None if it gave none.
    """

    code = ErrorCode.SERVICE_UNAVAILABLE

    verdict = Verdict.RETRYABLE

    def __init__(
        self, message: str, *, retry_after: float | None = None, remedy: str = "", http_status: int | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, http_status=http_status)
        self.retry_after = retry_after


class NotReady(ServiceError):
    """The result was fetched before the request ended (code 400005)."""

    code = ErrorCode.NOT_READY

    verdict = Verdict.RETRYABLE


class FamilyUnavailable(ServiceError):
    """None of a family's model ids answers at this service."""

    code = ErrorCode.FAMILY_UNAVAILABLE


class Unusable(ServiceError):
    """A model of the catalogue cannot be used by its live schema, or it makes no video."""

    code = ErrorCode.UNUSABLE_MODEL


class UnknownPriceUnit(ServiceError):
    """The catalogue's price or its unit cannot be read."""

    code = ErrorCode.UNKNOWN_PRICE


class LoginFailed(ServiceError):
    """The device login was denied, expired or could not be parsed."""

    code = ErrorCode.LOGIN_FAILED


class DownloadError(ServiceError):
    """An output could not be fetched."""

    code = ErrorCode.DOWNLOAD


class DisallowedHost(DownloadError):
    """The output's address, or one that it redirects to, is not an allowed one."""


class TooLarge(DownloadError):
    """The output exceeds the size limit."""


class Truncated(DownloadError):
    """The output's body ended before its announced length."""

    verdict = Verdict.RETRYABLE


class DownloadFailed(DownloadError):
    """The output could not be fetched this time."""

    verdict = Verdict.RETRYABLE


class TooSlow(DownloadFailed):
    """The output comes so slowly that others should go first."""


class NoVideo(DownloadFailed):
    """What was fetched as the video is none."""


class OutputGone(DownloadError):
    """The output no longer exists (404, 410) or access to it is denied (403)."""

    code = ErrorCode.OUTPUT_GONE
