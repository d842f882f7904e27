"""Whether the paid service could fetch from the S3 endpoint in force."""

import ipaddress
import socket
from urllib.parse import urlsplit

from resources.schemas.inputs import Service
from resources.storage.bucket import Bucket
from resources.storage.errors import EndpointUnreachable


def check_reachable(bucket: Bucket, service: Service) -> None:
    """Refuse the real service over a server on this machine.

    Raises:
        EndpointUnreachable: the service could not fetch the inputs; nothing should be submitted.
    """
    if service == "runcomfy" and stays_here(bucket.endpoint):
        raise EndpointUnreachable(
            "The S3 endpoint is on this machine, where RunComfy could not fetch the inputs.",
            remedy="Point AWS_ENDPOINT_URL_S3 at a storage that the internet can reach (unset it for AWS), or set"
            " I2V_SERVICE=sandbox.",
        )


def stays_here(url: str) -> bool:
    """True when the URL's host is this machine in any spelling, so that nobody outside can reach it.

    Only to refuse by: for what may be trusted there is `settings.is_loopback`.
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
