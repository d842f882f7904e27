"""One object of a bucket as the server shows it, what every call to a bucket needs, and writes that hold only if it is unchanged.

Of several concurrent writers of one object at most one succeeds.
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from resources.storage.client import PART_BYTES, QUICK_BYTES, DoOver, QuickCalls, ServerClock
from resources.storage.errors import error_code, translated
from resources.storage.errors import http_status as status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore import Attributes, ObjectMeta, PutMode

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

    @cached_property
    def _quick(self) -> QuickCalls | None:
        with translated("set up the client", self.name):
            return QuickCalls.of(self._client, self.name)

    def _put_quickly(self, key: str, data: bytes, attributes: "Attributes", mode: "PutMode" = "overwrite") -> str:
        """Write a small object by a quick call and return its ETag.

        Raises:
            DoOver: boto3 has to write it.
        """
        if self._quick is None:
            raise DoOver
        return self._quick.put(self.prefix + key, data, attributes, mode)

    def _get_quickly(self, key: str, most: int = QUICK_BYTES) -> tuple[bytes, ObjectInfo]:
        """Return a small object by a quick call.

        Raises:
            DoOver: boto3 has to read it.
        """
        if self._quick is None:
            raise DoOver
        data, meta, attributes = self._quick.get(self.prefix + key, min(most, QUICK_BYTES))
        return data, _info_of_quick(key, meta, attributes)

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
        if self._quick is not None:
            with contextlib.suppress(DoOver):
                return _info_of_quick(key, *self._quick.head(self.prefix + key))
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


_STANDARD = frozenset(
    {"Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language", "Cache-Control", "Storage-Class"}
)
"""Attributes that are S3's own; the others are the writer's."""


def _info_of_quick(key: str, meta: "ObjectMeta", attributes: "Attributes") -> ObjectInfo:
    version = meta["version"] or ""
    return ObjectInfo(
        key,
        meta["size"],
        (meta["e_tag"] or "").strip('"'),
        meta["last_modified"].astimezone(UTC),
        str(attributes.get("Content-Type", "")),
        "" if version == "null" else version,
        {name: value for name, value in attributes.items() if name not in _STANDARD},
    )


class ConditionalWrites(BucketObjects):
    """Write objects that are new, or unchanged since they were read."""

    def write_new(self, key: str, data: bytes, content_type: str) -> bool:
        """Write a small object if it does not exist; of several concurrent writers at most one gets True.

        Returns:
            True if this call wrote it; False if the key exists (its object stays unchanged). If an answer is lost,
            boto3's second attempt finds the object of the first, and the writer itself gets False.
        """
        with contextlib.suppress(DoOver):
            self._put_quickly(key, data, {"Content-Type": content_type}, "create")
            return True
        put: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key, "Body": data, "ContentType": content_type}
        with translated(f"write {key!r}", self.name):
            return _unless_taken(lambda: self._client.put_object(**put, IfNoneMatch="*"))

    def write_if(self, key: str, data: bytes, content_type: str, *, etag: str | None) -> str | None:
        """Put a small object only if the key is free (``etag`` None) or still holds the object with this ETag.

        Returns:
            The new object's ETag; None if the condition did not hold. After a lost answer boto3's second attempt meets
            the object of the first: then the writer itself gets None, and has to read what is there.
        """
        with contextlib.suppress(DoOver):
            mode: PutMode = "create" if etag is None else {"e_tag": f'"{etag}"'}
            return self._put_quickly(key, data, {"Content-Type": content_type}, mode)
        put: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key, "Body": data, "ContentType": content_type}
        put |= {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
        answers: list[Any] = []
        with translated(f"write {key!r}", self.name):
            try:
                written = _unless_taken(lambda: answers.append(self._client.put_object(**put)))
            except ClientError as error:
                if etag is not None and status_of(error) == 404:  # the object that was to be replaced is gone
                    return None
                raise
        return answers[-1]["ETag"].strip('"') if written else None

    def read_tagged(self, key: str, max_bytes: int) -> tuple[bytes, str] | None:
        """Return the first ``max_bytes`` + 1 bytes of a small object with its ETag, None if there is none."""
        with contextlib.suppress(DoOver):
            data, info = self._get_quickly(key, max_bytes)
            return data, info.etag
        with translated(f"read {key!r}", self.name):
            try:
                answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
            except ClientError as error:
                if error_code(error) == "NoSuchBucket" or status_of(error) != 404:
                    raise
                return None
            with answer["Body"] as body:
                return body.read(max_bytes + 1), answer["ETag"].strip('"')

    def copy_if(self, source: str, target: str, content_type: str, *, etag: str) -> str | None:
        """Copy an object of at most 5 GiB on the server only if it still has this ETag; the copy has this content type.

        Returns:
            The copy's ETag. If it is the same, the copy has the same bytes; another one proves nothing, because parts and
            encryption change it too. None if the object has another ETag by now.

        Raises:
            ObjectMissing: there is no such object.
        """
        wanted: Any = {"Bucket": self.name, "Key": self.prefix + source}
        with translated(f"copy {source!r} to {target!r}", self.name):
            try:
                answer = self._client.copy_object(
                    Bucket=self.name,
                    Key=self.prefix + target,
                    CopySource=wanted,
                    CopySourceIfMatch=f'"{etag}"',
                    ContentType=content_type,
                    MetadataDirective="REPLACE",
                )
            except ClientError as error:
                if status_of(error) == 412:
                    return None
                raise
        return answer["CopyObjectResult"].get("ETag", "").strip('"')

    def upload_new(self, path: Path, key: str, content_type: str, metadata: Mapping[str, str] | None = None) -> bool:
        """Stream a file to an object if it does not exist; of several concurrent writers at most one gets True.

        Returns:
            True if this call wrote it; False if the key exists (see `write_new`).

        Raises:
            OSError: the file cannot be read.
        """
        size = path.stat().st_size
        if size <= QUICK_BYTES:
            with contextlib.suppress(DoOver):
                about_it: Attributes = {"Content-Type": content_type, **(metadata or {})}
                self._put_quickly(key, path.read_bytes(), about_it, "create")
                return True
        if size > PART_BYTES and self.head(key) is not None:
            return False  # avoids sending a large file in vain; the condition still decides
        about = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        with translated(f"upload {key!r}", self.name):
            return self._stream(path, key, about, {"IfNoneMatch": "*"})

    def replace(
        self, path: Path, key: str, content_type: str, metadata: Mapping[str, str] | None = None, *, etag: str
    ) -> bool:
        """Stream a file over the object that has this ETag.

        Returns:
            True if this call wrote it; False if there is another object by now, or none.

        Raises:
            OSError: the file cannot be read.
        """
        about = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        with translated(f"replace {key!r}", self.name):
            return self._stream(path, key, about, {"IfMatch": f'"{etag}"'})

    def _stream(self, path: Path, key: str, about: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
        """Write a file in one call, or in parts if it is large; return False if the condition failed."""
        where: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key}

        def put() -> None:
            with path.open("rb") as source:
                self._client.put_object(**where, **about, Body=source, **condition)

        if path.stat().st_size <= PART_BYTES:
            return _unless_taken(put)
        return _unless_taken(lambda: self._put_parts(path, where, about, condition))

    def _put_parts(
        self, path: Path, where: Mapping[str, Any], about: Mapping[str, Any], condition: Mapping[str, Any]
    ) -> None:
        """Upload in parts without boto3's managed upload, which cannot pass the condition to the completing call."""
        upload_id = self._client.create_multipart_upload(**where, **about)["UploadId"]
        try:
            parts: list[Any] = []
            with path.open("rb") as source:
                while data := source.read(PART_BYTES):
                    number = len(parts) + 1
                    answer = self._client.upload_part(**where, UploadId=upload_id, PartNumber=number, Body=data)
                    parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._client.complete_multipart_upload(
                **where, UploadId=upload_id, MultipartUpload={"Parts": parts}, **condition
            )
        except BaseException:
            # Parts of an unfinished upload cost money until they are aborted.
            with contextlib.suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**where, UploadId=upload_id)
            raise


def _unless_taken(write: Callable[[], object]) -> bool:
    """Run a conditional write; return False if its condition failed."""
    for last in (False, False, True):
        try:
            write()
        except ClientError as error:
            if status_of(error) == 412:
                return False
            # 409: another write or delete of this key was in progress; S3's reference says to retry.
            if status_of(error) != 409 or last:
                raise
        else:
            break
    return True
