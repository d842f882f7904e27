"""A digest of all objects below a prefix, for a tenth of the CPU that their listing takes.

boto3 stays the client: it signs, repeats and reads the end of each page. The objects of a page are hashed as the server wrote
them and taken out of the body before anything parses them.
"""

import hashlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FIRST, _LAST = b"<Contents>", b"</Contents>"

_hash: ContextVar["hashlib._Hash | None"] = ContextVar("listing_digest", default=None)
"""What the listing of this thread or task is hashed into; other listings of the same client are read as always."""


def install(client: "S3Client") -> None:
    """Make a client able to hash its pages of ``list_objects_v2``; it goes before what parses them."""
    client.meta.events.register_first("before-parse.s3.ListObjectsV2", take_objects)


def take_objects(response_dict: MutableMapping[str, Any], **_: object) -> None:
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
