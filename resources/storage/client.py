"""The boto3 client as this project uses it: its configuration, the server's clock, and cheap pages of listings."""

import functools
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from resources.settings import is_loopback
from resources.storage.errors import translated

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from boto3.session import Session as BotoSession
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

PART_BYTES = 16 * 1024 * 1024
"""Files above this go in parts of this size: S3 allows 5 MiB to 5 GiB and 10,000 parts, so 160 GB fit."""

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
"""Seconds between two bytes, not for the whole body."""

_ATTEMPTS = 4
"""With boto3's standard mode (jittered, at most 20 s apart) this hides failures of a few seconds."""

_USER_AGENT = "i2v-assets"
"""Sent instead of boto3's own, which is put together anew for each call from all that this machine is: a sixth of a call's CPU."""

_CONNECTIONS = 64
"""A run's threads upload and presign at once; boto3's default of 10 would make them queue."""


def make_client() -> "S3Client":
    """Return a client from boto3's own chain: environment (AWS_ENDPOINT_URL_S3, ...), profile, role.

    Raises:
        botocore.exceptions.BotoCoreError: the configuration is malformed or names a missing profile.
    """
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    core = Session()
    descriptions = _api_descriptions(core.get_config_variable("data_path"))
    core.register_component("data_loader", descriptions)
    session = boto3.session.Session(botocore_session=core)
    descriptions.search_paths[:] = dict.fromkeys(descriptions.search_paths)  # each session adds its own again
    region = configured_region(session)
    config = Config(
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        user_agent=_USER_AGENT,
    )
    client = session.client("s3", region_name=region, config=config)
    if is_loopback(client.meta.endpoint_url):
        # A proxy cannot reach a server on this machine, and host names per bucket do not exist there.
        here = Config(proxies={}, s3={"addressing_style": "path"})
        client = session.client("s3", region_name=region, config=config.merge(here))
    _read_pages_cheaply(client)
    return client


def configured_region(session: "BotoSession") -> str:
    """Return the region to sign for: boto3's own (AWS_DEFAULT_REGION, profile), AWS_REGION, or the default.

    AWS_REGION is read by other AWS tools, but not by boto3. A call signed for a wrong region is redirected to the right
    one; a presigned URL is not: S3 rejects it.
    """
    return session.region_name or os.environ.get("AWS_REGION") or "us-east-1"


@functools.cache
def _api_descriptions(path: str | None) -> "Loader":
    """Return boto3's cached loader of service models, which saves 0.1 s of CPU for each later client."""
    from botocore.loaders import create_loader

    return create_loader(path)


@functools.cache
def transfer_config() -> "TransferConfig":
    """Return how files are sent in parts: with few threads, because many clips upload at once."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)


class ServerClock:
    """The server's clock, read from every response of a client. Thread-safe; exact to a second."""

    def __init__(self, client: "S3Client") -> None:
        self._lock = threading.Lock()
        self._received: tuple[datetime, float] | None = None
        client.meta.events.register("after-call.s3", self.hear)

    def now(self) -> datetime | None:
        """Return the Date header of the latest response plus the time since then; None if there was none yet."""
        with self._lock:
            if self._received is None:
                return None
            date, received_at = self._received
        return date + timedelta(seconds=time.monotonic() - received_at)

    def hear(self, parsed: Mapping[str, Any], **_: object) -> None:
        """Read the time from a parsed response of botocore."""
        headers = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            date = parsedate_to_datetime(headers["date"])
        except (KeyError, ValueError, TypeError):
            return
        with self._lock:
            self._received = (date, time.monotonic())


def credentials_expire_at() -> datetime | None:
    """Return when the credentials expire, in UTC; None if they do not or if it is unknown.

    boto3 renews credentials of a role, but a URL presigned earlier expires with the old session.

    Raises:
        AccessDenied: there are no credentials, or the profile does not exist.
    """
    import boto3

    with translated("read the credentials", "of the environment"):
        found = boto3.session.Session().get_credentials()
    moment = getattr(found, "_expiry_time", None)  # botocore keeps it there for all credentials that expire
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    expiration = os.environ.get("AWS_CREDENTIAL_EXPIRATION", "")
    try:
        return datetime.fromisoformat(expiration).astimezone(UTC) if expiration else None
    except ValueError:
        return None


# The pages of a listing, at a tenth of the CPU that botocore takes: a sensor lists every upload at every look. boto3 stays the
# client: it signs, repeats, decodes keys and parses all the rest. Only the objects of a page are taken out of its body before
# botocore sees it: parsed here, or, where a digest of the listing is enough, hashed as the server wrote them. A page with
# anything that is not known here is left to botocore as it is.

_FIRST, _LAST = b"<Contents>", b"</Contents>"

_hash: ContextVar["hashlib._Hash | None"] = ContextVar("listing_digest", default=None)
"""What the listing of this thread or task is hashed into; other listings of the same client are read as always."""


def _read_pages_cheaply(client: "S3Client") -> None:
    """Make a client read its pages of ``list_objects_v2`` this way; what hashes them goes before what parses them."""
    client.meta.events.register_first("before-parse.s3.ListObjectsV2", hash_objects)
    client.meta.events.register("before-parse.s3.ListObjectsV2", parse_objects)


def hash_objects(response_dict: MutableMapping[str, Any], **_: object) -> None:
    """Hash the objects of a page and take them out of its body; do nothing unless the listing is to be hashed."""
    into, body = _hash.get(), response_dict["body"]
    if into is None or response_dict["status_code"] != 200:
        return
    begin, end = body.find(_FIRST), body.rfind(_LAST)
    if 0 <= begin < end:
        into.update(body[begin : end + len(_LAST)])
        response_dict["body"] = body[:begin] + body[end + len(_LAST) :]


@contextmanager
def hashed() -> Iterator["hashlib._Hash"]:
    """Hash the pages that this thread or task lists within the block."""
    into = hashlib.sha256()
    before = _hash.set(into)
    try:
        yield into
    finally:
        _hash.reset(before)


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_TEXTS = frozenset({"Key", "ETag", "StorageClass", "ChecksumType"})
_OWNER = frozenset({"DisplayName", "ID"})


class _Unusual(Exception):
    """A page with something else than objects as S3 describes them."""


def parse_objects(
    response_dict: MutableMapping[str, Any], customized_response_dict: MutableMapping[str, Any], **_: object
) -> None:
    """Move the objects of a page out of its body and into botocore's answer; do nothing if the page is unusual."""
    if response_dict["status_code"] != 200:
        return
    try:
        root = ElementTree.XML(response_dict["body"], ElementTree.XMLParser(encoding="utf-8"))  # noqa: S314 - as botocore
        if _tag(root) != "ListBucketResult":
            return
        nodes = [node for node in root if _tag(node) == "Contents"]
        objects = [_entry(node) for node in nodes]
    except (ElementTree.ParseError, _Unusual, ValueError):
        return
    if not objects:
        return
    rest = ElementTree.Element(root.tag)
    rest.extend([node for node in root if _tag(node) != "Contents"])
    response_dict["body"] = ElementTree.tostring(rest, encoding="utf-8")
    customized_response_dict["Contents"] = objects


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _entry(node: ElementTree.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in node:
        name, text = child.tag.rpartition("}")[2], child.text or ""
        if name == "ChecksumAlgorithm":
            found.setdefault(name, []).append(text)
            continue
        if name in found:
            raise _Unusual
        if name in _TEXTS:
            found[name] = text
        elif name == "Size" and _NUMBER.fullmatch(text):
            found[name] = int(text)
        elif name == "LastModified" and _MOMENT.fullmatch(text):
            found[name] = datetime.fromisoformat(text)
        elif name == "Owner":
            found[name] = _owner(child)
        else:
            raise _Unusual
    if "Key" not in found:
        raise _Unusual
    return found


def _owner(node: ElementTree.Element) -> dict[str, str]:
    owner = {_tag(child): child.text or "" for child in node}
    if len(owner) != len(node) or not owner.keys() <= _OWNER:
        raise _Unusual
    return owner
