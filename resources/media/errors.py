"""Errors of media files."""

from resources.errors import ErrorCode, I2VError, Verdict


class MediaError(I2VError):
    """A media file could not be used."""

    code = ErrorCode.INPUT

    verdict = Verdict.FINAL


class Unreadable(MediaError):
    """The file is not what its name says, is damaged, or is too large to open safely."""


class OverLimit(Unreadable):
    """Opening the file takes more memory or CPU than any good file does; a fact about the file, named by the limit."""


class MediaBug(MediaError):
    """An unexpected error while a file was worked on."""


class MeasuringFailed(MediaError):
    """The process that worked on a file died or ran out of time; the file itself may be fine."""

    verdict = Verdict.RETRYABLE


class CannotJoin(MediaError):
    """The shots of a film do not fit together as asked."""
