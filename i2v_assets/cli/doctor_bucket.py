"""`i2v doctor` about the bucket that it is given: each point of docs/buckets.md is tried on it."""

from collections.abc import Callable, Iterator
from uuid import uuid4

from i2v_assets.cli.exit_codes import Exit, exit_code
from i2v_assets.cli.findings import Finding, good
from i2v_assets.cli.run.safe_fetch import fetch_input
from i2v_assets.session import open_bucket
from resources.errors import I2VError
from resources.scratch import scratch_folder
from resources.settings import Settings
from resources.storage import keys
from resources.storage.bucket import Bucket
from resources.storage.errors import AccessDenied, StorageError
from resources.storage.lifecycle import rules_over
from resources.storage.reachability import check_reachable

CONTENT = b"i2v doctor"


def bucket_points(settings: Settings) -> Iterator[Finding]:
    """Try the bucket with objects of its own, which are removed again.

    Raises:
        StorageError: it does not exist, does not respond, or cannot be written.
    """
    bucket = open_bucket(settings)
    bucket.check()
    key = f"inputs/doctor-{uuid4().hex}.txt"
    try:
        bucket.write(key, CONTENT, "text/plain")
        yield good("bucket", f"{settings.bucket}: reads and writes")
        yield _conditional_writes(settings, bucket, key)
        yield _point("listing", lambda: _listing(bucket, key))
        yield _versions(bucket, key)
        yield _presigned(settings, bucket, key)
    finally:
        bucket.delete(key)


def _point(name: str, check: Callable[[], Finding]) -> Finding:
    """Return a check's finding; a storage that refuses the call fails this point alone."""
    try:
        return check()
    except StorageError as error:
        return Finding(name, False, error.message, error.remedy, exit_code(error))


def _conditional_writes(settings: Settings, bucket: Bucket, key: str) -> Finding:
    name = "conditional writes"

    def check() -> Finding:
        created = bucket.write_new(key, b"another", "text/plain")
        replaced = bucket.write_if(key, b"another", "text/plain", etag="0" * 32)
        if not created and replaced is None and bucket.read(key) == CONTENT:
            return good(name, "what is written once is not overwritten")
        return Finding(
            name,
            False,
            f"{settings.bucket} overwrites objects that were to be written only once: its records guard against a lost"
            " ledger, and not against two ledgers at once.",
            "This storage ignores If-None-Match or If-Match; use one that obeys them (docs/buckets.md).",
            Exit.USAGE,
        )

    return _point(name, check)


def _listing(bucket: Bucket, key: str) -> Finding:
    """Whether a listing shows what was written a moment ago, with its ETag, and no longer what was deleted."""
    name, other = "listing", f"{key}.second"
    try:
        bucket.write(other, CONTENT, "text/plain")
        there = bucket.head(other)
        listed = {info.key: info.etag for info in bucket.list(key)}
        after = [info.key for info in bucket.list(key, start_after=key)]
    finally:
        bucket.delete_many([other])
    gone = [info.key for info in bucket.list(key)] == [key]
    if set(listed) == {key, other} and there is not None and listed[other] == there.etag and after == [other] and gone:
        return good(name, "shows at once what was written and deleted")
    return Finding(
        name,
        False,
        "It does not show what was written or deleted a moment ago, or not in order, or with another ETag.",
        "Uploads would be found late or made twice: use a storage with consistent listings (docs/buckets.md).",
        Exit.USAGE,
    )


def _versions(bucket: Bucket, key: str) -> Finding:
    there = bucket.head(key)
    if there is not None and there.version_id:
        return good("versions", "kept: what is deleted or overwritten can be brought back")
    return good("versions", "not kept: what is deleted or overwritten is gone")


def _presigned(settings: Settings, bucket: Bucket, key: str) -> Finding:
    """Fetch a presigned address as the service would: over https from a public host, or from this machine for the sandbox."""
    name = "presigned address"
    try:
        check_reachable(bucket, settings.service)
        with scratch_folder() as folder:
            path = folder / "fetched"
            there = bucket.head(key)  # if the bucket keeps versions, the service is sent to one of them
            url = bucket.presign_get(key, 60, there.version_id if there else "")
            fetch_input(url.get_secret_value(), path, settings.service, max_bytes=1_000)
            same = path.read_bytes() == CONTENT
    except I2VError as error:
        remedy = (
            "The service fetches inputs from there: AWS_ENDPOINT_URL_S3 has to be an https address on the internet, and "
            "the credentials need s3:GetObject (s3:GetObjectVersion too, if the bucket keeps versions)."
        )
        return Finding(name, False, error.message, remedy, exit_code(error))
    if not same:
        return Finding(name, False, "It brings other bytes than were written.", "Is a cache in between?", Exit.USAGE)
    return good(name, f"reachable from here; addresses live {settings.presign_seconds} s")


def lifecycle(settings: Settings) -> Iterator[Finding]:
    """The records live as long as the videos: nothing deletes them, lifecycle rules included."""
    name, bucket = "lifecycle rules", open_bucket(settings)
    try:
        rules = bucket.lifecycle_rules()
    except AccessDenied:
        yield good(name, "cannot be read with these credentials (s3:GetLifecycleConfiguration)")
        return
    if rules is None:
        yield good(name, "the storage has none")
        return
    found = {prefix: rules_over(rules, prefix) for prefix in (keys.REQUESTS, keys.VIDEOS)}
    for prefix, names in found.items():
        if names:
            words = f"{', '.join(names)} deletes or freezes objects below {prefix}"
            remedy = "Without them a lost ledger pays again: limit the rule to other prefixes."
            yield Finding(name, False, words, remedy, Exit.USAGE)
    if not any(found.values()):
        yield good(name, f"none touches {keys.REQUESTS} or {keys.VIDEOS}")
