"""The clients of S3: boto3 as this project configures it, the server's clock, cheap pages of listings, and the quick calls without it."""

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
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies
from weakref import WeakKeyDictionary
from xml.etree import ElementTree

from resources.settings import is_loopback

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from boto3.session import Session as BotoSession
    from botocore.credentials import Credentials
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client
    from obstore import Attributes, ObjectMeta, PutMode
    from obstore.store import S3Credential, S3Store

PART_BYTES = 16 * 1024 * 1024
"""Files above this go in parts of this size: S3 allows 5 MiB to 5 GiB and 10,000 parts, so 160 GB fit."""

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
"""Seconds between two bytes, not for the whole body."""

_ATTEMPTS = 4
"""With boto3's standard mode (jittered, at most 20 s apart) this hides failures of a few seconds."""

_USER_AGENT = "i2v-assets"
"""Sent instead of boto3's own, which is put together anew for each call from all that this machine is: a sixth of a call's CPU."""

_sessions: "WeakKeyDictionary[S3Client, BotoSession]" = WeakKeyDictionary()
"""The session of each client that was made here: its credentials are those of the quick calls too."""

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
    _sessions[client] = session
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


# The calls that every clip makes, at a tenth of the CPU that boto3 takes: through obstore, a client in Rust. It gets one attempt,
# and only what it plainly did counts. Everything else is boto3's to do over (`DoOver`): so errors, missing objects, retries and
# refused conditions stay boto3's, and a write whose answer was lost meets its own object, as at boto3's own second attempt.

QUICK_BYTES = 4 * 1024 * 1024
"""Larger files are streamed by boto3: here they would lie in memory whole, and might outlast `_QUICK_SECONDS` on a slow line."""

_QUICK_SECONDS = 20
"""Seconds for a whole quick call; 4 MiB take as long at 2 Mbit/s."""

_REST_SECONDS = 30.0
"""Seconds for which boto3 makes all calls after a quick one failed for a reason that is not the object's."""

_CREDENTIAL_SECONDS = 360
"""Seconds for which credentials are said to be good: obstore asks again 300 s before, so every minute. boto3 renews them."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""A bucket's plain name; access points and others have colons, and hosts and signatures of their own."""

_EXPRESS = "--x-s3"
"""The end of a directory bucket's name, which takes sessions instead of signatures."""

_OF_OBSTORE_ALONE = (
    "AWS_ALLOW_INVALID_CERTIFICATES", "AWS_CHECKSUM_ALGORITHM", "AWS_CONDITIONAL_PUT", "AWS_COPY_IF_NOT_EXISTS",
    "AWS_DISABLE_TAGGING", "AWS_REQUEST_PAYER", "AWS_S3_EXPRESS", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SKIP_SIGNATURE",
    "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_SSE_CUSTOMER_KEY_BASE64", "AWS_SSE_KMS_KEY_ID", "AWS_UNSIGNED_PAYLOAD",
)  # fmt: skip
"""Variables that obstore reads and boto3 does not (documentation of object_store, AmazonS3ConfigKey): with one of them the two would
write otherwise, or obstore would refuse its value."""

_first_process: int | None = None
"""The process that made the first quick calls: their threads do not live on in a forked child."""


class DoOver(Exception):
    """The quick call did not plainly succeed; boto3 has to make it."""


class QuickCalls:
    """HEAD, GET, PUT and copies of the small objects of one bucket. Thread-safe; every call raises `DoOver` unless it plainly succeeded."""

    def __init__(self, store: "S3Store") -> None:
        self._store = store
        self._rests_until = 0.0

    @classmethod
    def of(cls, client: "S3Client", bucket: str) -> Self | None:
        """Return the quick calls to a bucket; None if it takes boto3 to reach it (proxies, own certificates, no keys)."""
        session = _sessions.get(client)
        by_proxy = getproxies().keys() - {"no"}  # that one names hosts that need none
        credentials = session.get_credentials() if session is not None and not by_proxy else None
        place = _place(client, bucket) if credentials is not None else None
        if session is None or credentials is None or place is None:
            return None
        if place[0].startswith("https:") and _has_own_certificates(session):
            return None
        if any(os.environ.get(name) for name in _OF_OBSTORE_ALONE):
            return None
        return cls(_open_store(bucket, place, client.meta.region_name, credentials))

    def head(self, key: str) -> "tuple[ObjectMeta, Attributes]":
        """Return an object's metadata. That nothing is there is for boto3 to say: a payment may follow."""
        with self._attempt(key):
            found = self._store.get(key, options={"head": True})
            return found.meta, found.attributes

    def get(self, key: str, most: int = QUICK_BYTES) -> "tuple[bytes, ObjectMeta, Attributes]":
        """Return an object of at most ``most`` bytes."""
        with self._attempt(key):
            found = self._store.get(key)
            if found.meta["size"] > most:
                raise DoOver
            return bytes(found.bytes()), found.meta, found.attributes

    def put(self, key: str, data: bytes, attributes: "Attributes", mode: "PutMode" = "overwrite") -> str:
        """Write an object and return its ETag, without quotes."""
        with self._attempt(key):
            if len(data) > QUICK_BYTES or not all(value.isascii() for value in attributes.values()):
                raise DoOver
            etag = self._store.put(key, data, attributes=attributes, mode=mode, use_multipart=False)["e_tag"]
            if not etag:
                raise DoOver
            return etag.strip('"')

    def copy(self, source: str, target: str) -> None:
        """Copy an object on the server, with all that was said of it."""
        with self._attempt(source), self._attempt(target):
            self._store.copy(source, target)

    @contextmanager
    def _attempt(self, key: str) -> Iterator[None]:
        """Turn every error into `DoOver`, so none is quoted; one that is not about the object makes the quick calls rest."""
        from obstore import exceptions

        odd = any(part in ("", ".", "..") for part in key.split("/"))  # it would be another key
        if odd or os.getpid() != _first_process or time.monotonic() < self._rests_until:
            raise DoOver
        try:
            yield
            return
        except (DoOver, ValueError):  # a key that obstore cannot name
            pass
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError):
            pass
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException:  # noqa: BLE001 - boto3 meets it too, or it does not matter; a panic of Rust is not an Exception
            self._rests_until = time.monotonic() + _REST_SECONDS
        raise DoOver from None


def _has_own_certificates(session: "BotoSession") -> bool:
    configured = session._session.get_config_variable("ca_bundle")
    return bool(configured or os.environ.get("REQUESTS_CA_BUNDLE"))


def _place(client: "S3Client", bucket: str) -> tuple[str, bool] | None:
    """Return where boto3 finds a bucket, and whether the host's name says which bucket; None for a kind that obstore cannot sign for."""
    if not _BUCKET.fullmatch(bucket) or bucket.endswith(_EXPRESS):
        return None
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
    server = f"{url.scheme}://{url.netloc}"
    in_path = f"/{bucket}/k"
    if url.path.endswith(in_path):
        return server + url.path.removesuffix(in_path), False
    return (server, True) if url.path == "/k" else None


def _open_store(bucket: str, place: tuple[str, bool], region: str, credentials: "Credentials") -> "S3Store":
    global _first_process  # noqa: PLW0603 - the threads of obstore are the process's, too
    from obstore.store import S3Store

    _first_process = _first_process or os.getpid()

    def current() -> "S3Credential":
        keys = credentials.get_frozen_credentials()
        until = datetime.now(UTC) + timedelta(seconds=_CREDENTIAL_SECONDS)
        return {
            "access_key_id": keys.access_key or "", "secret_access_key": keys.secret_key or "", "token": keys.token,
            "expires_at": until,
        }  # fmt: skip

    endpoint, in_host = place
    return S3Store(
        bucket,
        config={"aws_endpoint_url_s3": endpoint, "virtual_hosted_style_request": in_host, "region": region},
        client_options={
            "allow_http": endpoint.startswith("http:"),
            "connect_timeout": f"{_CONNECT_SECONDS}s",
            "timeout": f"{_QUICK_SECONDS}s",
            "user_agent": _USER_AGENT,
        },
        retry_config={"max_retries": 0},
        credential_provider=current,
    )
