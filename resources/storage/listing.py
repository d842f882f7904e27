"""The pages of a listing, at a tenth of the CPU that botocore takes: a sensor lists every upload at every look.

boto3 stays the client: it signs, repeats, decodes keys and parses all the rest. Only the objects of a page are taken out of
its body before botocore sees it: parsed here, or, where a digest of the listing is enough, hashed as the server wrote them. A
page with anything that is not known here is left to botocore as it is.
"""

import hashlib
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FIRST, _LAST = b"<Contents>", b"</Contents>"

_hash: ContextVar["hashlib._Hash | None"] = ContextVar("listing_digest", default=None)
"""What the listing of this thread or task is hashed into; other listings of the same client are read as always."""


def install(client: "S3Client") -> None:
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
        if _name(root) != "ListBucketResult":
            return
        nodes = [node for node in root if _name(node) == "Contents"]
        objects = [_object(node) for node in nodes]
    except (ElementTree.ParseError, _Unusual, ValueError):
        return
    if not objects:
        return
    rest = ElementTree.Element(root.tag)
    rest.extend([node for node in root if _name(node) != "Contents"])
    response_dict["body"] = ElementTree.tostring(rest, encoding="utf-8")
    customized_response_dict["Contents"] = objects


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _object(node: ElementTree.Element) -> dict[str, Any]:
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
    owner = {_name(child): child.text or "" for child in node}
    if len(owner) != len(node) or not owner.keys() <= _OWNER:
        raise _Unusual
    return owner
