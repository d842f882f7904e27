"""Errors of the bucket, and the translation of boto3's errors.

Messages name the bucket and the key, never a URL: boto3's own messages contain endpoints, and presigned URLs in a log
would grant access to the media.
"""

import contextlib
from collections.abc import Iterator

from boto3.exceptions import S3TransferFailedError, S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound

from resources.errors import ErrorCode, I2VError, Verdict


class StorageError(I2VError):
    """A call to the bucket failed."""

    code = ErrorCode.STORAGE


class BucketMissing(StorageError):
    """The bucket does not exist under these credentials."""

    code = ErrorCode.STORAGE_SETUP


class AccessDenied(StorageError):
    """Credentials are missing, wrong, expired or not allowed to do this."""

    code = ErrorCode.STORAGE_SETUP


class ObjectMissing(StorageError):
    """The object does not exist."""

    code = ErrorCode.OBJECT_MISSING


class InputReplaced(StorageError):
    """A file was uploaded over the one that was hashed: the service would get other bytes than were planned."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was replaced while it waited.", remedy="The new one is planned next.")


class ObjectTooLarge(StorageError):
    """The object exceeds the reader's limit."""


class BadRequest(StorageError):
    """The storage rejected the call for another reason; a retry will be rejected too."""


class ObjectArchived(BadRequest):
    """The object lies in an archive and has to be restored before it can be read."""


class StorageUnavailable(StorageError):
    """The storage could not be reached, or cannot serve now."""

    code = ErrorCode.STORAGE_UNAVAILABLE

    verdict = Verdict.RETRYABLE


class EndpointUnreachable(StorageError):
    """The service on the internet cannot fetch inputs from an endpoint on this machine."""

    code = ErrorCode.STORAGE_SETUP


_DENIED = frozenset(
    {
        "AccessDenied", "AllAccessDisabled", "ExpiredToken", "Forbidden", "InvalidAccessKeyId", "InvalidToken",
        "RequestTimeTooSkewed", "SignatureDoesNotMatch", "AccountProblem", "401", "403",
    }
)  # fmt: skip
_ARCHIVED = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_ENCRYPTED = frozenset({"InvalidEncryptionAlgorithmError", "ServerSideEncryptionConfigurationNotFoundError"})
_MISSING_KEY = frozenset({"NoSuchKey", "NotFound", "404"})
_LATER = frozenset(
    {
        "InternalError", "OperationAborted", "ConditionalRequestConflict", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "SlowDown",
        "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded",
    }
)  # fmt: skip

CREDENTIALS_REMEDY = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE, or the machine's role), and that they may"
    " list, read and write this bucket."
)
REACH_REMEDY = "Check AWS_ENDPOINT_URL_S3 and the network. Start the embedded server with `make dev`."


def error_code(error: ClientError) -> str:
    """Return the S3 error code, or the HTTP status if there is no body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))


def http_status(error: ClientError) -> int:
    """Return the HTTP status, 0 if it is unknown."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def translate(error: Exception, what: str, bucket: str) -> StorageError:
    """Return the project's error for one of boto3's.

    Args:
        error: a botocore or boto3 exception.
        what: the action with its key, such as ``read uploads/hero.jpg``.
        bucket: the bucket's name.
    """
    where = f"Bucket {bucket!r}: could not {what}"
    if isinstance(error, ClientError):
        return _translate_answer(error, where, bucket)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return AccessDenied(f"{where}: no S3 credentials were found.", remedy=CREDENTIALS_REMEDY)
    if isinstance(error, S3UploadFailedError | S3TransferFailedError) and isinstance(error.__context__, ClientError):
        return _translate_answer(error.__context__, where, bucket)
    # The rest of botocore's errors are about reaching the endpoint (refused, DNS, TLS, timeouts, broken bodies). The
    # class name says which, without the URL in the message.
    return StorageUnavailable(f"{where}: {type(error).__name__}.", remedy=REACH_REMEDY)


def _translate_answer(error: ClientError, where: str, bucket: str) -> StorageError:
    code, status = error_code(error), http_status(error)
    if code == "NoSuchBucket":
        return BucketMissing(
            f"Bucket {bucket!r} does not exist.", remedy="Create it, or name another one in I2V_BUCKET."
        )
    if code in _ARCHIVED:
        return ObjectArchived(
            f"{where}: it is archived ({code}).",
            remedy="Restore it from the archive (GLACIER or DEEP_ARCHIVE), or upload it again.",
        )
    if code in _ENCRYPTED or code.startswith("KMS"):
        return BadRequest(
            f"{where}: it is encrypted with a key that these credentials may not use ({code}).",
            remedy="Allow kms:Decrypt for its key, or upload it again with the bucket's own encryption.",
        )
    if code in _DENIED or status in (401, 403):
        return AccessDenied(f"{where}: {code or status}.", remedy=CREDENTIALS_REMEDY)
    if code in _MISSING_KEY or status == 404:
        return ObjectMissing(f"{where}: the object does not exist.", remedy="It may have been deleted or renamed.")
    if status == 501 or code == "NotImplemented":
        return BadRequest(f"{where}: {code or status}.", remedy="The storage lacks a feature that the project needs.")
    if code in _LATER or status >= 500 or status in (409, 429):
        return StorageUnavailable(f"{where}: {code or status}.", remedy="It is tried again later.")
    return BadRequest(f"{where}: {code or status}.", remedy="The storage may lack a feature that the project needs.")


@contextlib.contextmanager
def translated(what: str, bucket: str) -> Iterator[None]:
    """Translate boto3's errors into the project's, without their chain (its text contains URLs)."""
    try:
        yield
    except (ClientError, BotoCoreError, S3UploadFailedError, S3TransferFailedError) as error:
        failure = translate(error, what, bucket)
    else:
        return
    raise failure from None
