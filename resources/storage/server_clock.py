"""The clock of the S3 server, heard from its answers: the one that LastModified is told by."""

import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ServerClock:
    """Listens to every answer that a client gets. Thread-safe; good to a second."""

    def __init__(self, client: "S3Client") -> None:
        self._lock = threading.Lock()
        self._heard: tuple[datetime, float] | None = None
        client.meta.events.register("after-call.s3", self.hear)

    def now(self) -> datetime | None:
        """The Date header of the latest answer plus what went by since; None where no answer had one yet."""
        with self._lock:
            if self._heard is None:
                return None
            told, heard_at = self._heard
        return told + timedelta(seconds=time.monotonic() - heard_at)

    def hear(self, parsed: Mapping[str, Any], **_: object) -> None:
        """Take the time from an answer, as botocore hands it over."""
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            told = parsedate_to_datetime(headers["date"])
        except (KeyError, ValueError, TypeError):
            return
        with self._lock:
            self._heard = (told, time.monotonic())
