"""A listing page parsed by this project says exactly what botocore says of it."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from botocore.parsers import ResponseParserError, create_parser
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.storage.bucket import Bucket
from resources.storage.client import make_client, parse_objects

SHAPE = Session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def plain(value: Any) -> Any:
    """The same, with the elements that botocore leaves in odd places as text."""
    if isinstance(value, ElementTree.Element):
        return ElementTree.tostring(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def answers(body: bytes, status: int = 200) -> tuple[Any, Any, bool]:
    """What botocore says alone, what it says with the objects taken out before, and whether they were."""

    def parsed(response: dict[str, Any]) -> Any:
        try:
            return plain(create_parser("rest-xml").parse(response, SHAPE))
        except (ResponseParserError, ValueError, TypeError) as error:
            return type(error)

    ours: dict[str, Any] = {"status_code": status, "headers": {}, "body": body}
    taken: dict[str, Any] = {}
    parse_objects(ours, taken)
    found = parsed(ours)
    if isinstance(found, dict):
        found.update(taken)
    return parsed({"status_code": status, "headers": {}, "body": body}), found, bool(taken)


def element(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(escape)
MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1)).map(lambda at: f"{at.isoformat()}Z")  # noqa: DTZ001
CHILDREN = st.one_of(
    TEXT.map(lambda text: element("ETag", f"&quot;{text}&quot;")),
    st.integers(-5, 2**63).map(lambda size: element("Size", str(size))),
    st.one_of(MOMENT, st.just("Mon, 01 Jan 2024 00:00:00 GMT"), st.just("1700000000")).map(
        lambda text: element("LastModified", text)
    ),
    TEXT.map(lambda text: element("StorageClass", text)),
    st.sampled_from(["CRC32", "SHA256"]).map(lambda text: element("ChecksumAlgorithm", text)),
    TEXT.map(lambda text: element("Owner", element("DisplayName", text) + element("ID", "7"))),
    st.just("<Owner/>"),
    st.just("<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"),
    st.just("<Unknown>1</Unknown>"),
)
OBJECT = st.tuples(TEXT, st.lists(CHILDREN, max_size=6)).map(
    lambda parts: element("Contents", element("Key", quote(parts[0])) + "".join(parts[1]))
)
REST = st.lists(
    st.sampled_from(
        [
            "<IsTruncated>true</IsTruncated>",
            "<NextContinuationToken>a+/=</NextContinuationToken>",
            "<CommonPrefixes><Prefix>uploads/a%20b/</Prefix></CommonPrefixes>",
            "<EncodingType>url</EncodingType>",
            "<KeyCount>3</KeyCount>",
            "<Name>b</Name>",
        ]
    ),
    max_size=4,
    unique=True,
)


@settings(max_examples=200)
@given(st.lists(OBJECT, max_size=4), REST, st.sampled_from(["", NAMESPACE]), st.sampled_from(["", "\n  "]))
def test_it_says_what_botocore_says(objects: list[str], rest: list[str], namespace: str, gap: str) -> None:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult{namespace}>{gap.join([*rest, *objects])}</ListBucketResult>'
    alone, ours, _ = answers(body.encode())
    assert ours == alone


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<ListBucketResult>", 200),
        (b"<html>busy</html>", 200),
        (b"<Error><Code>SlowDown</Code><Message>m</Message></Error>", 200),
        (b"<Error><Code>NoSuchBucket</Code></Error>", 404),
        (b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>", 503),
        (b"<ListBucketResult><Contents><Key>a</Key><Key>b</Key></Contents></ListBucketResult>", 200),
        (b"<ListBucketResult><Contents><Key>\x01</Key></Contents></ListBucketResult>", 200),
        (b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", 200),
    ],
)
def test_what_is_no_usual_page_is_left_to_botocore(body: bytes, status: int) -> None:
    alone, ours, taken = answers(body, status)
    assert not taken
    assert ours == alone


def test_a_usual_page_is_taken() -> None:
    page = "<Contents><Key>a%0Ab</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><Size>5</Size></Contents>"
    _, ours, taken = answers(f"<ListBucketResult{NAMESPACE}>{page * 3}</ListBucketResult>".encode())
    assert taken
    assert [each["Key"] for each in ours["Contents"]] == ["a%0Ab"] * 3
    assert ours["Contents"][0]["LastModified"] == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def test_the_bucket_lists_strange_keys_over_many_pages(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        f"uploads/{name}" for name in ("a b+c", "é", "e\u0301", "&amp;<>", "100%25", "tab\there", "line\nhere", "推")
    ]
    for key in keys:
        bucket.write(key, b"x", "text/plain")
    listed = {info.key: info for info in bucket.list("uploads/")}
    assert sorted(listed) == sorted(keys)
    pages = (
        make_client().get_paginator("list_objects_v2").paginate(Bucket=bucket.name, PaginationConfig={"PageSize": 3})
    )
    paged = [(each["Key"], each["ETag"], each["Size"]) for page in pages for each in page["Contents"]]
    assert sorted(paged) == sorted((key, f'"{info.etag}"', info.size_bytes) for key, info in listed.items())
