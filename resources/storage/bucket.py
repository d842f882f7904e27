"""The bucket as the project uses it: list, read, write, write only when new, presign."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from resources.settings import Settings
from resources.storage.client import PART_BYTES, ServerClock, make_client, transfer_config
from resources.storage.errors import (
    BadRequest,
    BucketMissing,
    ObjectMissing,
    ObjectTooLarge,
    StorageUnavailable,
    error_code,
    translated,
)
from resources.storage.errors import http_status as status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DELETE_MANY = 1000
"""Most keys in one DeleteObjects call (S3 API reference)."""
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ObjectInfo:
    """One object as a listing or a HEAD shows it; ``etag`` without quotes, ``modified_at`` in UTC with whole seconds."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime
    content_type: str = ""
    """Known from a HEAD or a GET only."""
    version_id: str = ""
    """Likewise; empty where the bucket keeps no versions."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Likewise: what the writer added."""


@dataclass(frozen=True)
class FolderListing:
    """What lies directly in a folder, whether folders lie in it, and whether the objects are all."""

    objects: tuple[ObjectInfo, ...]
    has_folders: bool
    complete: bool


class Bucket:
    """One bucket, or the part of it below ``prefix`` (all keys that go in and out are without it). Thread-safe.

    Every call raises a `StorageError`: `BucketMissing`, `AccessDenied`, `ObjectMissing` and `BadRequest` are final,
    `StorageUnavailable` makes sense to try again (after boto3's own retries).
    """

    def __init__(self, name: str, client: "S3Client", prefix: str = "") -> None:
        self.name = name
        self.prefix = prefix
        self._client = client
        self._clock = ServerClock(client)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The bucket of ``I2V_BUCKET`` through boto3's own configuration chain; contacts nobody, creates nothing.

        Raises:
            SettingsError: I2V_BUCKET is not set.
            AccessDenied: the profile named by AWS_PROFILE does not exist.
        """
        name = settings.required_bucket
        with translated("set up the client", name):
            return cls(name, make_client())

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, prefix={self.prefix!r})"

    def now(self) -> datetime:
        """The server's time (asks when nothing was asked before); this machine's where the server tells none.

        Ages of uploads are measured with this clock, since a worker's own may be wrong. Good to a second.
        """
        told = self._clock.now()
        if told is None:
            self.check()
            told = self._clock.now()
        return told or datetime.now(UTC)

    @property
    def endpoint(self) -> str:
        """The address of the S3 endpoint in force."""
        return self._client.meta.endpoint_url

    # The bucket itself

    def check(self) -> None:
        """One listing of one key: the bucket exists, answers and may be listed."""
        with translated("list", self.name):
            self._client.list_objects_v2(Bucket=self.name, Prefix=self.prefix, MaxKeys=1)

    def ensure(self) -> None:
        """Create the bucket when it is missing (development and tests; a real one is made by its owner)."""
        try:
            self.check()
        except BucketMissing:
            with translated("create the bucket", self.name):
                try:
                    self._create()
                except ClientError as error:
                    if error_code(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                        raise

    def _create(self) -> None:
        region = self._client.meta.region_name
        if region and region != "us-east-1":  # the one region that must not be named here
            configuration: Any = {"LocationConstraint": region}
            self._client.create_bucket(Bucket=self.name, CreateBucketConfiguration=configuration)
        else:
            self._client.create_bucket(Bucket=self.name)

    # Looking

    def list(self, prefix: str = "", start_after: str | None = None, *, markers: bool = False) -> Iterator[ObjectInfo]:
        """Every object below a prefix, page by page; folder markers (keys that end in ``/``) only where asked for.

        The order is the server's own: byte order at AWS, folder by folder elsewhere. So no cursor may rest on it, and
        ``start_after`` is applied here, to each key, instead of being sent (servers differ on that too).
        """
        arguments: dict[str, str] = {"Bucket": self.name, "Prefix": self.prefix + prefix}
        while True:
            with translated(f"list {prefix or 'all keys'}", self.name):
                page = self._client.list_objects_v2(**arguments)  # type: ignore[arg-type]
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(self.prefix)
                if (key.endswith("/") and not markers) or (start_after is not None and key <= start_after):
                    continue
                yield ObjectInfo(
                    key, entry["Size"], entry.get("ETag", "").strip('"'), entry["LastModified"].astimezone(UTC)
                )
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def list_folder(self, prefix: str, *, pages: int) -> FolderListing:
        """The objects directly below a prefix that ends in ``/``, not those of its folders; folder markers are left out.

        Args:
            prefix: the folder.
            pages: most LIST calls; each shows up to 1,000 objects and folders.
        """
        arguments: dict[str, str] = {"Bucket": self.name, "Prefix": self.prefix + prefix, "Delimiter": "/"}
        found: dict[str, ObjectInfo] = {}
        has_folders = False
        for _ in range(pages):
            with translated(f"list {prefix or 'all keys'}", self.name):
                page = self._client.list_objects_v2(**arguments)  # type: ignore[arg-type]
            has_folders |= bool(page.get("CommonPrefixes"))
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(self.prefix)
                if not key.endswith("/"):
                    tag, changed = entry.get("ETag", "").strip('"'), entry["LastModified"].astimezone(UTC)
                    found[key] = ObjectInfo(key, entry["Size"], tag, changed)
            if not page.get("IsTruncated"):
                return FolderListing(tuple(found.values()), has_folders, complete=True)
            arguments["ContinuationToken"] = page["NextContinuationToken"]
        return FolderListing(tuple(found.values()), has_folders, complete=False)

    def head(self, key: str) -> ObjectInfo | None:
        """What is known about an object without its content; None when there is none.

        Raises:
            BucketMissing: told apart from a missing object by a second question, since a HEAD has no body.
        """
        with translated(f"look at {key!r}", self.name):
            try:
                answer = self._client.head_object(Bucket=self.name, Key=self.prefix + key)
            except ClientError as error:
                if status_of(error) != 404:
                    raise
            else:
                return _info(key, answer)
        self.check()
        return None

    # Reading

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """The whole object in memory.

        Args:
            key: the object.
            max_bytes: largest object that is read; None reads any.

        Raises:
            ObjectMissing: there is none.
            ObjectTooLarge: it is larger than ``max_bytes``.
        """
        with translated(f"read {key!r}", self.name):
            answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
            with answer["Body"] as body:
                if max_bytes is not None and answer["ContentLength"] > max_bytes:
                    raise ObjectTooLarge(
                        f"Bucket {self.name!r}: {key!r} has {answer['ContentLength']:,} bytes, at most {max_bytes:,}"
                        " are read.",
                        remedy="Upload a smaller file.",
                    )
                return body.read()

    def open_range(self, key: str, first: int | None = None, last: int | None = None) -> "IO[bytes]":
        """A stream of an object's bytes ``first`` to ``last`` (both included; None: all); the caller closes it."""
        with translated(f"read {key!r}", self.name):
            if first is None:
                answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
            else:
                wanted = f"bytes={first}-{'' if last is None else last}"
                answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key, Range=wanted)
            stream: Any = answer["Body"]
            return stream  # type: ignore[no-any-return]

    def fetch(self, key: str, path: Path) -> ObjectInfo:
        """Download a file of moderate size with a single GET, and say which version of the object these bytes are.

        Raises:
            ObjectMissing: there is none.
            OSError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        try:
            for last in (False, False, True):  # boto3 tries requests again, but not a body that breaks off
                try:
                    with translated(f"download {key!r}", self.name):
                        answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
                        with answer["Body"] as body, partial.open("wb") as file:
                            shutil.copyfileobj(body, file, _COPY_BYTES)
                    break
                except StorageUnavailable:
                    if last:
                        raise
            partial.replace(path)
            return _info(key, answer)
        finally:
            partial.unlink(missing_ok=True)

    def download(self, key: str, path: Path) -> None:
        """Stream an object to a file, which appears under its name only when it is whole.

        Raises:
            ObjectMissing: there is none.
            OSError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with translated(f"download {key!r}", self.name):
                # boto3 downloads to a temporary name beside it and tries broken bodies again.
                self._client.download_file(self.name, self.prefix + key, str(path), Config=transfer_config())
        except ObjectMissing:
            self.check()  # its HEAD cannot tell a missing bucket from a missing object
            raise

    # Writing

    def write(self, key: str, data: bytes, content_type: str, *, cache_control: str = "") -> None:
        """Put a small object, over an older one if there is one; ``cache_control`` is told to browsers that read it."""
        put: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key, "Body": data, "ContentType": content_type}
        if cache_control:
            put["CacheControl"] = cache_control
        with translated(f"write {key!r}", self.name):
            self._client.put_object(**put)

    def write_new(self, key: str, data: bytes, content_type: str) -> bool:
        """Put a small object unless there is one; of several writers at once at most one is told True.

        Returns:
            True when this call wrote it; False when the key was taken (its object stays as it is). After a lost answer
            boto3's second attempt finds the object of the first: then the writer itself is told False.
        """
        put: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key, "Body": data, "ContentType": content_type}
        with translated(f"write {key!r}", self.name):
            return _unless_taken(lambda: self._client.put_object(**put, IfNoneMatch="*"))

    def write_if(self, key: str, data: bytes, content_type: str, *, etag: str | None) -> str | None:
        """Put a small object only if the key is free (``etag`` None) or still holds the object with this ETag.

        Returns:
            The new object's ETag; None if the condition did not hold. After a lost answer boto3's second attempt meets
            the object of the first: then the writer itself is told None, and has to read what is there.
        """
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
        with translated(f"read {key!r}", self.name):
            try:
                answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
            except ClientError as error:
                if error_code(error) == "NoSuchBucket" or status_of(error) != 404:
                    raise
                return None
            with answer["Body"] as body:
                return body.read(max_bytes + 1), answer["ETag"].strip('"')

    def upload(self, path: Path, key: str, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        """Stream a file to an object, in parts when it is large, over an older object if there is one.

        Raises:
            OSError: the file cannot be read.
        """
        with translated(f"upload {key!r}", self.name):
            self._client.upload_file(
                str(path),
                self.name,
                self.prefix + key,
                ExtraArgs={"ContentType": content_type, "Metadata": dict(metadata or {})},
                Config=transfer_config(),
            )

    def upload_new(self, path: Path, key: str, content_type: str, metadata: Mapping[str, str] | None = None) -> bool:
        """Stream a file to an object unless there is one already; of several writers at once at most one is told True.

        Returns:
            True when this call wrote it; False when the key was taken (see `write_new`).

        Raises:
            OSError: the file cannot be read.
        """
        where: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key}
        about: dict[str, Any] = {"ContentType": content_type, "Metadata": dict(metadata or {})}

        def put() -> None:
            with path.open("rb") as source:
                self._client.put_object(**where, **about, Body=source, IfNoneMatch="*")

        if path.stat().st_size <= PART_BYTES:
            with translated(f"upload {key!r}", self.name):
                return _unless_taken(put)
        if self.head(key) is not None:  # spares sending a large file for nothing; the condition still decides
            return False
        with translated(f"upload {key!r}", self.name):
            return _unless_taken(lambda: self._put_parts(path, where, about))

    def _put_parts(self, path: Path, where: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """A multipart upload by hand: boto3's own does not carry the condition to the completing call."""
        upload_id = self._client.create_multipart_upload(**where, **about)["UploadId"]
        try:
            parts: list[Any] = []
            with path.open("rb") as source:
                while data := source.read(PART_BYTES):
                    number = len(parts) + 1
                    answer = self._client.upload_part(**where, UploadId=upload_id, PartNumber=number, Body=data)
                    parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._client.complete_multipart_upload(
                **where, UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            # Parts of an upload that is not ended cost money until somebody aborts it.
            with contextlib.suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**where, UploadId=upload_id)
            raise

    def copy(self, source: str, target: str) -> None:
        """Copy an object of at most 5 GiB within the bucket on the server's side, with content type and metadata.

        One call (S3 API reference, CopyObject); boto3's managed copy asks first and starts threads, for four times the CPU.
        """
        with translated(f"copy {source!r} to {target!r}", self.name):
            self._client.copy_object(
                Bucket=self.name,
                Key=self.prefix + target,
                CopySource={"Bucket": self.name, "Key": self.prefix + source},
            )

    # Deleting

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        with translated(f"delete {key!r}", self.name):
            self._client.delete_object(Bucket=self.name, Key=self.prefix + key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Remove objects, 1,000 per call.

        Raises:
            StorageError: names the first key that could not be removed; the others of its thousand are gone.
        """
        remaining = iter(keys)
        while batch := list(islice(remaining, _DELETE_MANY)):
            with translated(f"delete {len(batch)} objects", self.name):
                answer = self._client.delete_objects(
                    Bucket=self.name,
                    Delete={"Objects": [{"Key": self.prefix + key} for key in batch], "Quiet": True},
                )
            for failure in answer.get("Errors", ()):
                raise BadRequest(
                    f"Bucket {self.name!r}: could not delete {failure.get('Key', '').removeprefix(self.prefix)!r}:"
                    f" {failure.get('Code', 'no reason given')}.",
                    remedy="Check that the credentials may delete there.",
                )

    # Sharing

    def presign_get(self, key: str, seconds: int, version_id: str = "") -> SecretStr:
        """A URL that reads one object for so many seconds; made locally, so it says nothing about existence.

        With a version it reads those bytes whatever is uploaded over them (the signer needs s3:GetObjectVersion).

        It is a key to the media: never log it, never store it.
        """
        wanted = {"Bucket": self.name, "Key": self.prefix + key}
        if version_id:
            wanted["VersionId"] = version_id
        with translated(f"presign {key!r}", self.name):
            return SecretStr(self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds))


def _info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    """What a HEAD or a GET tells of its object."""
    version = answer.get("VersionId") or ""
    return ObjectInfo(
        key,
        answer["ContentLength"],
        answer["ETag"].strip('"'),
        answer["LastModified"].astimezone(UTC),
        answer.get("ContentType", ""),
        "" if version == "null" else version,  # where versions are suspended: the one that is written over
        answer.get("Metadata") or {},
    )


def _unless_taken(write: Callable[[], object]) -> bool:
    """Run a conditional write; False when its condition did not hold."""
    for last in (False, False, True):
        try:
            write()
        except ClientError as error:
            if status_of(error) == 412:
                return False
            # 409: another write or delete of this key was under way; S3's reference says to send it again.
            if status_of(error) != 409 or last:
                raise
        else:
            break
    return True
