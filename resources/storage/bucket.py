"""The bucket's operations: list, read, write, write only if new, presign."""

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
from resources.storage.listing_digest import hashed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DELETE_MANY = 1000
"""Most keys in one DeleteObjects call (S3 API reference)."""
_COPY_BYTES = 1024 * 1024


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


class Bucket:
    """One bucket, or the part of it below ``prefix`` (keys are passed and returned without it). Thread-safe.

    Every call raises a `StorageError`. `BucketMissing`, `AccessDenied`, `ObjectMissing` and `BadRequest` are final;
    `StorageUnavailable` may be retried (after boto3's own retries).
    """

    def __init__(self, name: str, client: "S3Client", prefix: str = "") -> None:
        self.name = name
        self.prefix = prefix
        self._client = client
        self._clock = ServerClock(client)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the bucket of ``I2V_BUCKET`` through boto3's own configuration chain, without any network call.

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
        """Return the server's time, to the second; this machine's time if the server sends none.

        Ages of uploads are measured with the server's clock, because a worker's own may be wrong. If no call was made
        before, one is made now.
        """
        server_time = self._clock.now()
        if server_time is None:
            self.check()
            server_time = self._clock.now()
        return server_time or datetime.now(UTC)

    @property
    def endpoint(self) -> str:
        """Return the URL of the S3 endpoint in use."""
        return self._client.meta.endpoint_url

    # The bucket itself

    def check(self) -> None:
        """List one key, to check that the bucket exists, answers and may be listed."""
        with translated("list", self.name):
            self._client.list_objects_v2(Bucket=self.name, Prefix=self.prefix, MaxKeys=1)

    def lifecycle_rules(self) -> "list[Mapping[str, Any]] | None":
        """Return the bucket's lifecycle rules, None if the storage does not tell.

        Raises:
            AccessDenied: the credentials may not read them.
        """
        with translated("read the lifecycle rules", self.name):
            try:
                answer = self._client.get_bucket_lifecycle_configuration(Bucket=self.name)
            except ClientError as error:
                if error_code(error) in ("NoSuchLifecycleConfiguration", "404"):
                    return []
                if error_code(error) in ("NotImplemented", "MethodNotAllowed"):
                    return None
                raise
        return [dict(rule) for rule in answer.get("Rules", ())]

    def ensure(self) -> None:
        """Create the bucket if it is missing (for development and tests; a real bucket is made by its owner)."""
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
        if region and region != "us-east-1":  # this region must not be named here
            configuration: Any = {"LocationConstraint": region}
            self._client.create_bucket(Bucket=self.name, CreateBucketConfiguration=configuration)
        else:
            self._client.create_bucket(Bucket=self.name)

    # Listing

    def list(self, prefix: str = "", start_after: str | None = None, *, markers: bool = False) -> Iterator[ObjectInfo]:
        """Yield every object below a prefix, page by page; folder markers (keys that end in ``/``) only if requested.

        The order is the server's own: byte order at AWS, folder by folder elsewhere. So no cursor may depend on it.
        ``start_after`` is compared here with each key, instead of being sent, because servers differ on it too.
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

    def digest(self, prefix: str) -> str:
        """Return a text that changes with every object below a prefix: its key, ETag, size or time."""
        arguments: dict[str, str] = {"Bucket": self.name, "Prefix": self.prefix + prefix}
        with hashed() as found:
            while True:
                with translated(f"list {prefix or 'all keys'}", self.name):
                    page = self._client.list_objects_v2(**arguments)  # type: ignore[arg-type]
                found.update(repr(page.get("Contents", ())).encode("utf-8", "surrogatepass"))  # of an unusual page
                if not page.get("IsTruncated"):
                    return found.hexdigest()
                arguments["ContinuationToken"] = page["NextContinuationToken"]

    def list_folder(self, prefix: str, *, pages: int) -> FolderListing:
        """Return the objects directly below a prefix that ends in ``/``, without subfolders and folder markers.

        Args:
            prefix: the folder.
            pages: maximum LIST calls; each shows up to 1,000 objects and folders.
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
        """Return an object's metadata without its content, or None if it does not exist.

        Raises:
            BucketMissing: a second call distinguishes it from a missing object, because a HEAD has no body.
        """
        info = self.peek(key)
        if info is None:
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
        return _info(key, answer)

    # Reading

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the whole object in memory.

        Args:
            key: the object.
            max_bytes: largest object to read; None for any size.

        Raises:
            ObjectMissing: the object does not exist.
            ObjectTooLarge: the object exceeds ``max_bytes``.
        """
        with translated(f"read {key!r}", self.name):
            answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
            with answer["Body"] as body:
                if max_bytes is not None and answer["ContentLength"] > max_bytes:
                    raise ObjectTooLarge(
                        f"Bucket {self.name!r}: {key!r} has {answer['ContentLength']:,} bytes, but at most"
                        f" {max_bytes:,} are read.",
                        remedy="Upload a smaller file.",
                    )
                return body.read()

    def open_range(self, key: str, first: int | None = None, last: int | None = None) -> "IO[bytes]":
        """Return a stream of an object's bytes ``first`` to ``last`` (both included; None for all).

        The caller closes it.
        """
        with translated(f"read {key!r}", self.name):
            if first is None:
                answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
            else:
                wanted = f"bytes={first}-{'' if last is None else last}"
                answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key, Range=wanted)
            stream: Any = answer["Body"]
            return stream  # type: ignore[no-any-return]

    def fetch(self, key: str, path: Path) -> ObjectInfo:
        """Download a file of moderate size with a single GET, and return which version of the object these bytes are.

        Raises:
            ObjectMissing: the object does not exist.
            OSError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        try:
            for last in (False, False, True):  # boto3 retries requests, but not a body that breaks off
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
            ObjectMissing: the object does not exist.
            OSError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with translated(f"download {key!r}", self.name):
                # boto3 downloads to a temporary file beside it and retries broken bodies.
                self._client.download_file(self.name, self.prefix + key, str(path), Config=transfer_config())
        except ObjectMissing:
            self.check()  # its HEAD does not distinguish a missing bucket from a missing object
            raise

    # Writing

    def write(self, key: str, data: bytes, content_type: str, *, cache_control: str = "") -> None:
        """Write a small object, replacing an existing one; ``cache_control`` is sent to browsers that read it."""
        put: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key, "Body": data, "ContentType": content_type}
        if cache_control:
            put["CacheControl"] = cache_control
        with translated(f"write {key!r}", self.name):
            self._client.put_object(**put)

    def write_new(self, key: str, data: bytes, content_type: str) -> bool:
        """Write a small object if it does not exist; of several concurrent writers at most one gets True.

        Returns:
            True if this call wrote it; False if the key exists (its object stays unchanged). If an answer is lost,
            boto3's second attempt finds the object of the first, and the writer itself gets False.
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
        """Stream a file to an object, in parts if it is large, replacing an existing one.

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
        """Stream a file to an object if it does not exist; of several concurrent writers at most one gets True.

        Returns:
            True if this call wrote it; False if the key exists (see `write_new`).

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
        if self.head(key) is not None:  # avoids sending a large file in vain; the condition still decides
            return False
        with translated(f"upload {key!r}", self.name):
            return _unless_taken(lambda: self._put_parts(path, where, about, {"IfNoneMatch": "*"}))

    def replace(
        self, path: Path, key: str, content_type: str, metadata: Mapping[str, str] | None = None, *, etag: str
    ) -> bool:
        """Stream a file over the object that has this ETag.

        Returns:
            True if this call wrote it; False if there is another object by now, or none.

        Raises:
            OSError: the file cannot be read.
        """
        where: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key}
        about: dict[str, Any] = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        condition: dict[str, Any] = {"IfMatch": f'"{etag}"'}

        def put() -> None:
            with path.open("rb") as source:
                self._client.put_object(**where, **about, Body=source, **condition)

        with translated(f"replace {key!r}", self.name):
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

    def copy(self, source: str, target: str, *, version_id: str = "", content_type: str = "") -> None:
        """Copy an object of at most 5 GiB within the bucket, on the server, with content type and metadata.

        With a version it copies those bytes, whatever was uploaded over them (s3:GetObjectVersion). With a content type the
        copy has that one, and none of the object's metadata.

        This is one call (S3 API reference, CopyObject). boto3's managed copy makes a HEAD and starts threads, for four
        times the CPU.
        """
        with translated(f"copy {source!r} to {target!r}", self.name):
            wanted: Any = {"Bucket": self.name, "Key": self.prefix + source}
            if version_id:
                wanted["VersionId"] = version_id
            more: dict[str, Any] = {"ContentType": content_type, "MetadataDirective": "REPLACE"} if content_type else {}
            self._client.copy_object(Bucket=self.name, Key=self.prefix + target, CopySource=wanted, **more)

    # Deleting

    def delete(self, key: str) -> None:
        """Delete an object; a missing object is not an error."""
        with translated(f"delete {key!r}", self.name):
            self._client.delete_object(Bucket=self.name, Key=self.prefix + key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects, 1,000 per call.

        Raises:
            StorageError: names the first key that could not be deleted; the others of its thousand are deleted.
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

    # Presigned URLs

    def presign_get(self, key: str, seconds: int, version_id: str = "", content_type: str = "") -> SecretStr:
        """Return a URL that reads one object for ``seconds``; made locally, so the object may not exist.

        With a content type it is answered with that, whatever the uploader said. With a version it reads those bytes, whatever is uploaded over them (the signer needs s3:GetObjectVersion).

        The URL grants access to the media: never log or store it.
        """
        wanted = {"Bucket": self.name, "Key": self.prefix + key}
        if version_id:
            wanted["VersionId"] = version_id
        if content_type:
            wanted["ResponseContentType"] = content_type
        with translated(f"presign {key!r}", self.name):
            return SecretStr(self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds))


def _info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
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
