"""The boto3 client and its configuration."""

import functools
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

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
"""Between two bytes, not for the whole body."""

_ATTEMPTS = 4
"""With boto3's standard mode (jittered, at most 20 s apart) a blip of a few seconds goes unnoticed."""

_CONNECTIONS = 64
"""A run's threads upload and presign at once; boto3's default of 10 makes them queue."""


def make_client() -> "S3Client":
    """A client by boto3's own chain: environment (AWS_ENDPOINT_URL_S3, ...), profile, role.

    Raises:
        botocore.exceptions.BotoCoreError: the configuration names a profile that does not exist, or is malformed.
    """
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    core = Session()
    descriptions = _api_descriptions(core.get_config_variable("data_path"))
    core.register_component("data_loader", descriptions)
    session = boto3.session.Session(botocore_session=core)
    descriptions.search_paths[:] = dict.fromkeys(descriptions.search_paths)  # each session adds its own once more
    region = configured_region(session)
    config = Config(
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
    )
    client = session.client("s3", region_name=region, config=config)
    if is_loopback(client.meta.endpoint_url):
        # A proxy to the outside world cannot reach a server on this machine, nor are there host names per bucket.
        here = Config(proxies={}, s3={"addressing_style": "path"})
        client = session.client("s3", region_name=region, config=config.merge(here))
    return client


def configured_region(session: "BotoSession") -> str:
    """The region to sign for: boto3's own (AWS_DEFAULT_REGION, profile), AWS_REGION, or the one that any server takes.

    AWS_REGION is what AWS' other tools read, and boto3 does not. A call that is signed for a wrong region is sent again to
    the right one; a presigned address is not: S3 refuses whoever opens it.
    """
    return session.region_name or os.environ.get("AWS_REGION") or "us-east-1"


@functools.cache
def _api_descriptions(path: str | None) -> "Loader":
    """Where boto3 reads what S3's calls look like; it remembers, which saves 0.1 s of CPU for each later client."""
    from botocore.loaders import create_loader

    return create_loader(path)


@functools.cache
def transfer_config() -> "TransferConfig":
    """How files go in parts: few threads, since many clips upload at once."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)


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


def credentials_expire_at() -> datetime | None:
    """When they run out, in UTC; None for keys that do not, and where nobody says.

    Credentials of a role are renewed by boto3, but an address that was presigned before keeps the old session's end.

    Raises:
        AccessDenied: there are none, or the profile does not exist.
    """
    import boto3

    with translated("read the credentials", "of the environment"):
        found = boto3.session.Session().get_credentials()
    moment = getattr(found, "_expiry_time", None)  # botocore keeps it there for every kind that expires
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    told = os.environ.get("AWS_CREDENTIAL_EXPIRATION", "")
    try:
        return datetime.fromisoformat(told).astimezone(UTC) if told else None
    except ValueError:
        return None
