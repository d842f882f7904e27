"""One object of a bucket as the server shows it, and what every call to a bucket needs."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from resources.storage.client import ServerClock
from resources.storage.errors import http_status as status_of
from resources.storage.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THERE_SECONDS = 5.0
"""Seconds for which a bucket that was listed counts as there: a batch looks for hundreds of new keys."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object as a listing or a HEAD shows it; ``etag`` has no quotes, ``modified_at`` is UTC in whole seconds."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime
    content_type: str = ""
    """Set only by a HEAD or a GET."""
    version_id: str = ""
    """Set only by a HEAD or a GET; empty if the bucket keeps no versions."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    """Set only by a HEAD or a GET: what the writer added."""


@dataclass(frozen=True)
class FolderListing:
    """The objects directly in a folder, whether it has subfolders, and whether the listing is complete."""

    objects: tuple[ObjectInfo, ...]
    has_folders: bool
    complete: bool


class BucketObjects:
    """The client of one bucket, or of the part of it below ``prefix``, and the metadata of its objects."""

    def __init__(self, name: str, client: "S3Client", prefix: str = "") -> None:
        self.name = name
        self.prefix = prefix
        self._client = client
        self._clock = ServerClock(client)
        self._listed_at = -math.inf

    def check(self) -> None:
        """List one key, to check that the bucket exists, answers and may be listed."""
        with translated("list", self.name):
            self._client.list_objects_v2(Bucket=self.name, Prefix=self.prefix, MaxKeys=1)
        self._listed_at = time.monotonic()

    def head(self, key: str) -> ObjectInfo | None:
        """Return an object's metadata without its content, or None if it does not exist.

        Raises:
            BucketMissing: a second call distinguishes it from a missing object, because a HEAD has no body.
        """
        info = self.peek(key)
        if info is None and time.monotonic() - self._listed_at > _THERE_SECONDS:
            self.check()
        return info

    def peek(self, key: str) -> ObjectInfo | None:
        """Return an object's metadata by a single HEAD, which does not tell a missing bucket from a missing object."""
        with translated(f"read the metadata of {key!r}", self.name):
            try:
                answer = self._client.head_object(Bucket=self.name, Key=self.prefix + key)
            except ClientError as error:
                if status_of(error) != 404:
                    raise
                return None
        return info_of(key, answer)


def info_of(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    """Return the metadata in an answer to HEAD or GET."""
    version = answer.get("VersionId") or ""
    return ObjectInfo(
        key,
        answer["ContentLength"],
        answer["ETag"].strip('"'),
        answer["LastModified"].astimezone(UTC),
        answer.get("ContentType", ""),
        "" if version == "null" else version,  # if versions are suspended, this is the overwritten one
        answer.get("Metadata") or {},
    )
