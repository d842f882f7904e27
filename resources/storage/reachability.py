"""Whether the paid service can download from the S3 endpoint in use, and until when."""

import ipaddress
import os
import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

from resources.schemas.inputs import Service
from resources.storage.bucket import Bucket
from resources.storage.errors import EndpointUnreachable, translated


def check_reachable(bucket: Bucket, service: Service) -> None:
    """Refuse the paid service with an S3 server on this machine.

    Raises:
        EndpointUnreachable: the service could not download the inputs; submit nothing.
    """
    if service == "runcomfy" and stays_here(bucket.endpoint):
        raise EndpointUnreachable(
            "The S3 endpoint is on this machine, so RunComfy cannot download the inputs.",
            remedy="Point AWS_ENDPOINT_URL_S3 to a storage on the internet (unset it for AWS), or set I2V_SERVICE=sandbox.",
        )


def stays_here(url: str) -> bool:
    """Return True if the URL's host is this machine in any spelling, so that it cannot be reached from outside.

    Use it only to refuse; what may be trusted is decided by `settings.is_loopback`.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761: never anything else
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # 127.1, 0x7f000001: as every C library reads it
        except OSError:
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


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
