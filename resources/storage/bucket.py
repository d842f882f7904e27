"""The bucket's operations: list, read, write, copy, delete, presign."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from uuid import uuid4

from botocore.exceptions import ClientError
from pydantic import SecretStr

from resources.schemas.inputs import Medium, sha256_file
from resources.settings import Settings
from resources.storage.client import QUICK_BYTES, DoOver, hashed, make_client, transfer_config
from resources.storage.errors import (
    AccessDenied,
    BadRequest,
    BucketMissing,
    InputReplaced,
    ObjectMissing,
    ObjectTooLarge,
    StorageUnavailable,
    error_code,
    translated,
)
from resources.storage.keys import INPUTS, input_key
from resources.storage.objects import ConditionalWrites, FolderListing, ObjectInfo, info_of

if TYPE_CHECKING:
    from obstore import Attributes

_DELETE_MANY = 1000
"""Most keys in one DeleteObjects call (S3 API reference)."""
_COPY_BYTES = 1024 * 1024


__all__ = ["Bucket", "FolderListing", "ObjectInfo"]


class Bucket(ConditionalWrites):
    """One bucket, or the part of it below ``prefix`` (keys are passed and returned without it). Thread-safe.

    Every call raises a `StorageError`. `BucketMissing`, `AccessDenied`, `ObjectMissing` and `BadRequest` are final;
    `StorageUnavailable` may be retried (after boto3's own retries).
    """

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
        for page in self._pages(prefix):
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(self.prefix)
                if (key.endswith("/") and not markers) or (start_after is not None and key <= start_after):
                    continue
                yield _listed(key, entry)

    def digest(self, prefix: str) -> str:
        """Return a text that changes with every object below a prefix: its key, ETag, size or time."""
        with hashed() as found:
            for page in self._pages(prefix):
                found.update(repr(page.get("Contents", ())).encode("utf-8", "surrogatepass"))  # of an unusual page
            return found.hexdigest()

    def list_folder(self, prefix: str, *, pages: int) -> FolderListing:
        """Return the objects directly below a prefix that ends in ``/``, without subfolders and folder markers.

        Args:
            prefix: the folder.
            pages: maximum LIST calls; each shows up to 1,000 objects and folders.
        """
        found: dict[str, ObjectInfo] = {}
        has_folders = complete = False
        for page in islice(self._pages(prefix, Delimiter="/"), pages):
            has_folders |= bool(page.get("CommonPrefixes"))
            complete = not page.get("IsTruncated")
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(self.prefix)
                if not key.endswith("/"):
                    found[key] = _listed(key, entry)
        return FolderListing(tuple(found.values()), has_folders, complete)

    def _pages(self, prefix: str, **more: str) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing, each by one LIST call when it is asked for."""
        arguments = {"Bucket": self.name, "Prefix": self.prefix + prefix, **more}
        while True:
            with translated(f"list {prefix or 'all keys'}", self.name):
                page = self._client.list_objects_v2(**arguments)  # type: ignore[arg-type]
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

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
        with suppress(DoOver):
            return self._get_quickly(key, QUICK_BYTES if max_bytes is None else max_bytes)[0]
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
            info = self._saved(key, partial)
            partial.replace(path)
            return info
        finally:
            partial.unlink(missing_ok=True)

    def _saved(self, key: str, path: Path) -> ObjectInfo:
        with suppress(DoOver):
            data, info = self._get_quickly(key)
            path.write_bytes(data)
            return info
        tries = 3  # boto3 retries requests, but not a body that breaks off
        while True:
            tries -= 1
            try:
                with translated(f"download {key!r}", self.name):
                    answer = self._client.get_object(Bucket=self.name, Key=self.prefix + key)
                    with answer["Body"] as body, path.open("wb") as file:
                        shutil.copyfileobj(body, file, _COPY_BYTES)
                return info_of(key, answer)
            except StorageUnavailable:
                if not tries:
                    raise

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
        with suppress(DoOver):
            about: Attributes = {"Content-Type": content_type}
            self._put_quickly(key, data, about | {"Cache-Control": cache_control} if cache_control else about)
            return
        put: dict[str, Any] = {"Bucket": self.name, "Key": self.prefix + key, "Body": data, "ContentType": content_type}
        if cache_control:
            put["CacheControl"] = cache_control
        with translated(f"write {key!r}", self.name):
            self._client.put_object(**put)

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

    def copy(self, source: str, target: str, *, version_id: str = "", content_type: str = "") -> None:
        """Copy an object of at most 5 GiB within the bucket, on the server, with content type and metadata.

        With a version it copies those bytes, whatever was uploaded over them (s3:GetObjectVersion). With a content type the
        copy has that one, and none of the object's metadata.

        This is one call (S3 API reference, CopyObject). boto3's managed copy makes a HEAD and starts threads, for four
        times the CPU.
        """
        if self._quick is not None and not version_id and not content_type:
            with suppress(DoOver):
                self._quick.copy(self.prefix + source, self.prefix + target)
                return
        with translated(f"copy {source!r} to {target!r}", self.name):
            wanted: Any = {"Bucket": self.name, "Key": self.prefix + source}
            if version_id:
                wanted["VersionId"] = version_id
            more: dict[str, Any] = {"ContentType": content_type, "MetadataDirective": "REPLACE"} if content_type else {}
            self._client.copy_object(Bucket=self.name, Key=self.prefix + target, CopySource=wanted, **more)

    # Inputs: copies under the hash of their bytes are what is sent, so that they cannot be replaced in flight

    def store_input(self, medium: Medium, scratch: Path) -> str:
        """Return the key of the copy that is sent, which holds exactly the bytes that were hashed; it is made once.

        Where the bucket keeps versions, the copy is of the version that was hashed. Elsewhere the server copies the file if it
        still has the ETag that it was hashed with, and the copy's own ETag shows that it has those bytes. If it does not (a file
        in parts, encryption), the bytes are read, hashed again and stored. A file that lies under its hash already is sent as it is.

        Args:
            medium: the file as it was hashed.
            scratch: folder for the bytes on their way.

        Raises:
            InputReplaced: another file lies under its key now.
            ObjectMissing: the file is gone, so that a submit would pay for a failure.
            StorageError: the bucket does not answer, or does not take the copy.
        """
        if medium.key.startswith(INPUTS):
            return medium.key
        key = input_key(medium.sha256, medium.content_type)
        there = self.head(key)
        if there is not None and there.size_bytes == medium.size_bytes:
            if not medium.version_id:
                self._current_version(medium)
            return key
        if medium.version_id:
            self.copy(medium.key, key, version_id=medium.version_id, content_type=medium.content_type)
        elif not self._copied(medium, key):
            version = self._current_version(medium)
            if version:
                self.copy(medium.key, key, version_id=version, content_type=medium.content_type)
            else:
                self._copy_bytes(medium, key, scratch / f"input-{uuid4().hex}")
        return key

    def _copied(self, medium: Medium, key: str) -> bool:
        """Return whether the server copied exactly the bytes that were hashed; if not, nothing lies under the key."""
        if not medium.etag or "-" in medium.etag:  # unknown, or of a file in parts, of which no copy has the same
            return False
        try:
            copied = self.copy_if(medium.key, key, medium.content_type, etag=medium.etag)
        except (AccessDenied, BadRequest):  # storage without such copies
            return False
        if copied is None:
            raise InputReplaced(medium.key)
        if copied != medium.etag:  # perhaps the condition was ignored, and these are other bytes
            self.delete(key)
            return False
        return True

    def _current_version(self, medium: Medium) -> str:
        """Return the version that lies there now, if it is the one that was hashed; empty if that cannot be known."""
        there = self.head(medium.key)
        if there is None:
            raise ObjectMissing(f"{medium.key}: the file is no longer in the bucket.")
        if medium.etag not in ("", there.etag):
            raise InputReplaced(medium.key)
        return there.version_id if medium.etag else ""

    def _copy_bytes(self, medium: Medium, key: str, path: Path) -> None:
        try:
            self.fetch(medium.key, path)
            if sha256_file(path) != medium.sha256:
                raise InputReplaced(medium.key)
            self.upload(path, key, medium.content_type)
        finally:
            path.unlink(missing_ok=True)

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


def _listed(key: str, entry: Mapping[str, Any]) -> ObjectInfo:
    """Return the metadata in an entry of a listing."""
    return ObjectInfo(key, entry["Size"], entry.get("ETag", "").strip('"'), entry["LastModified"].astimezone(UTC))
