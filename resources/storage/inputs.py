"""What is sent to the service: copies of the media under the hash of their bytes, so that they cannot be replaced in flight."""

from pathlib import Path
from uuid import uuid4

from resources.schemas.inputs import Medium, sha256_file
from resources.storage.bucket import Bucket
from resources.storage.errors import AccessDenied, BadRequest, ObjectMissing, StorageError
from resources.storage.keys import INPUTS, input_key


class InputReplaced(StorageError):
    """A file was uploaded over the one that was hashed: the service would get other bytes than were planned."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was replaced while it waited.", remedy="The new one is planned next.")


def store_input(bucket: Bucket, medium: Medium, scratch: Path) -> str:
    """Return the key of the copy that is sent, which holds exactly the bytes that were hashed; it is made once.

    Where the bucket keeps versions, the copy is of the version that was hashed. Elsewhere the server copies the file if it
    still has the ETag that it was hashed with, and the copy's own ETag shows that it has those bytes. If it does not (a file
    in parts, encryption), the bytes are read, hashed again and stored. A file that lies under its hash already is sent as it is.

    Args:
        bucket: holds the file, and gets its copy.
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
    there = bucket.head(key)
    if there is not None and there.size_bytes == medium.size_bytes:
        if not medium.version_id:
            _current_version(bucket, medium)
        return key
    if medium.version_id:
        bucket.copy(medium.key, key, version_id=medium.version_id, content_type=medium.content_type)
    elif not _copied(bucket, medium, key):
        version = _current_version(bucket, medium)
        if version:
            bucket.copy(medium.key, key, version_id=version, content_type=medium.content_type)
        else:
            _copy_bytes(bucket, medium, key, scratch / f"input-{uuid4().hex}")
    return key


def _copied(bucket: Bucket, medium: Medium, key: str) -> bool:
    """Return whether the server copied exactly the bytes that were hashed; if not, nothing lies under the key."""
    if not medium.etag or "-" in medium.etag:  # unknown, or of a file in parts, of which no copy has the same
        return False
    try:
        copied = bucket.copy_if(medium.key, key, medium.content_type, etag=medium.etag)
    except (AccessDenied, BadRequest):  # storage without such copies
        return False
    if copied is None:
        raise InputReplaced(medium.key)
    if copied != medium.etag:  # perhaps the condition was ignored, and these are other bytes
        bucket.delete(key)
        return False
    return True


def _current_version(bucket: Bucket, medium: Medium) -> str:
    """Return the version that lies there now, if it is the one that was hashed; empty if that cannot be known."""
    there = bucket.head(medium.key)
    if there is None:
        raise ObjectMissing(f"{medium.key}: the file is no longer in the bucket.")
    if medium.etag not in ("", there.etag):
        raise InputReplaced(medium.key)
    return there.version_id if medium.etag else ""


def _copy_bytes(bucket: Bucket, medium: Medium, key: str, path: Path) -> None:
    try:
        bucket.fetch(medium.key, path)
        if sha256_file(path) != medium.sha256:
            raise InputReplaced(medium.key)
        bucket.upload(path, key, medium.content_type)
    finally:
        path.unlink(missing_ok=True)
